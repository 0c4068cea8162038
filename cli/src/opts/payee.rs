//! The payee's address and policy.

use std::{sync::Arc, time::Duration};

use alloy::primitives::Address;
use cheque::{ChainProfile, Policy, TokenLimits, bank::Reader, payee::Payee, store::Store};
use clap::Args;
use eyre::{Result, WrapErr, eyre};

use super::{beacon::BeaconOpts, rate::RateOpts, time::parse_duration, wallet::WalletOpts};
use crate::{
    allowances::parse_address,
    amount::{AmountText, Token},
    token::token_at,
};

/// The environment variable of the payee's address.
pub(super) const PAYEE_VARIABLE: &str = "CHEQUE_PAYEE";

/// The payee's address. Receiving payments needs no key.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PayeeOpts {
    /// Act as this payee [default: the wallet's address] [env: CHEQUE_PAYEE]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    payee: Option<Address>,
}

impl PayeeOpts {
    /// The payee of the flag, else of the environment, else the wallet's address.
    pub(crate) fn address(&self, wallet: &WalletOpts) -> Result<Address> {
        if let Some(payee) = self.named()? {
            return Ok(payee);
        }
        let wallet = wallet
            .unlock()
            .wrap_err("the payee is not named; name --payee ADDRESS or a wallet")?;
        Ok(wallet.address())
    }

    /// The payee of the flag, else of the environment.
    pub(crate) fn named(&self) -> Result<Option<Address>> {
        if self.payee.is_some() {
            return Ok(self.payee);
        }
        let variable = std::env::var(PAYEE_VARIABLE).ok();
        let payee = variable.map(|payee| parse_address(&payee).wrap_err(PAYEE_VARIABLE));
        payee.transpose()
    }
}

/// The payee's policy; the chain's default margins where no flag is set.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyOpts {
    /// Accept this ERC-20 token too; needs --tokens-per-coin, and --max-exposure if the token is not well known
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    token: Option<Address>,

    #[command(flatten)]
    rate: RateOpts,

    /// Limit the sum that a signer has paid in undrawn deposits [default: 1 coin, or 1000 of a well-known token]
    ///
    /// Counts all that the signer has paid this payee in deposits that are neither redeemed nor known to be lost. With
    /// --token, the limit is an amount of the token.
    #[arg(long, value_name = "AMOUNT")]
    max_exposure: Option<AmountText>,

    /// Reject larger deposits [default: no limit]
    #[arg(long, value_name = "AMOUNT")]
    max_deposit: Option<AmountText>,

    /// Limit the sum from a signer's deposits that are not final, as this multiple of the cost to redeem [default: 50]
    ///
    /// The operator of a rollup can take back a deposit that is not final. See docs/threat-model.md.
    #[arg(long, value_name = "TIMES")]
    max_unsettled: Option<u32>,

    /// Reject payments so close to the draw [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    cutoff: Option<Duration>,

    /// Reject payments for draws further ahead [default: 7d]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    horizon: Option<Duration>,

    /// Reject shorter times to redeem a win [default: layer 1 6h, OP stack and Polygon 16h, Arbitrum 30h, local 8s]
    ///
    /// The operator of a rollup can keep a redemption out for hours. See docs/chains.md.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    min_window: Option<Duration>,

    /// Reject payouts below this multiple of the cost to redeem [default: 10, gateway 20]
    #[arg(long, value_name = "TIMES")]
    min_payout_per_cost: Option<u32>,

    /// Reject longer streams [default: 1024]
    #[arg(long, value_name = "STEPS")]
    max_steps: Option<u32>,
}

/// The least payout of a gateway, as a multiple of the cost to redeem: prices are what payers see, so less of them may go to gas.
const GATEWAY_PAYOUT_PER_COST: u32 = 20;

impl PolicyOpts {
    /// Sets a gateway's defaults.
    pub(crate) fn for_gateway(&mut self) {
        self.min_payout_per_cost
            .get_or_insert(GATEWAY_PAYOUT_PER_COST);
    }

    /// The token of the flag, zero for the native coin.
    pub(crate) fn token(&self) -> Address {
        self.token.unwrap_or_default()
    }

    /// Opens the payee with the policy, on an open store.
    pub(crate) async fn payee(
        &self,
        address: Address,
        reader: Reader,
        store: Arc<dyn Store>,
        relays: &BeaconOpts,
    ) -> Result<Payee> {
        let client = relays.of_bank(&reader)?;
        let token = token_at(self.token.unwrap_or_default(), &reader).await?;
        let rates = self.rate.rates(&token)?;
        let mut policy = Policy::new(address, *reader.bank(), reader.profile());
        self.set_limits(&mut policy, &token, reader.profile())?;
        let set = |to: &mut u64, value: Option<Duration>| {
            *to = value.map_or(*to, |value| value.as_secs());
        };
        set(&mut policy.cutoff, self.cutoff);
        set(&mut policy.max_horizon, self.horizon);
        set(&mut policy.min_window, self.min_window);
        let set = |to: &mut u32, value: Option<u32>| *to = value.unwrap_or(*to);
        set(&mut policy.max_unsettled_costs, self.max_unsettled);
        set(&mut policy.min_payout_per_cost, self.min_payout_per_cost);
        set(&mut policy.max_steps, self.max_steps);
        let payee = Payee::new(reader, policy, store)?.with_rates(rates);
        Ok(match client {
            Some(client) => payee.with_beacon(client)?,
            None => payee,
        })
    }

    fn set_limits(&self, policy: &mut Policy, token: &Token, profile: &ChainProfile) -> Result<()> {
        let units = |text: &AmountText| text.in_units_of(token);
        let deposit = self.max_deposit.as_ref().map(units).transpose();
        let exposure = self.max_exposure.as_ref().map(units).transpose();
        let known = profile.token(token.address).map(TokenLimits::from);
        let default = policy.tokens.get(&token.address).copied().or(known);
        let limits = match exposure.wrap_err("--max-exposure")? {
            Some(exposure) => TokenLimits::exposure(exposure),
            None => default.ok_or_else(|| {
                eyre!(
                    "the worth of token {} is unknown; limit what a signer may pay in it with --max-exposure",
                    token.address
                )
            })?,
        };
        let limits = TokenLimits {
            max_deposit: deposit.wrap_err("--max-deposit")?,
            ..limits
        };
        policy.tokens.insert(token.address, limits);
        Ok(())
    }
}
