//! The payee's address and policy.

use alloy::primitives::Address;
use cheque::{Policy, TokenLimits, bank::Reader, payee::Payee};
use clap::Args;
use eyre::{Result, WrapErr, ensure};

use super::{rate::RateOpts, store::StoreOpts, wallet::WalletOpts};
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
    /// Accept this ERC-20 token too; needs --tokens-per-coin and --max-deposit
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address, requires = "max_deposit")]
    token: Option<Address>,

    #[command(flatten)]
    rate: RateOpts,

    /// Reject larger deposits; bounds the gain from withholding one block [default: 1 whole coin]
    ///
    /// The proposer of the block before the draw block, or from EIP-7732 on any builder who buys that slot's payload,
    /// can withhold it and so redraw; see docs/threat-model.md. With --token, the limit is an amount of the token.
    #[arg(long, value_name = "AMOUNT")]
    max_deposit: Option<AmountText>,

    /// Limit the sum of a signer's deposits with the same draw block [default: --max-deposit]
    #[arg(long, value_name = "AMOUNT")]
    max_exposure: Option<AmountText>,

    /// Require a deposit to be this many blocks deep; 1 is mined [default: 12, OP stack 30, local 1]
    #[arg(long, value_name = "BLOCKS")]
    confirmations: Option<u64>,

    /// Reject payments within this many blocks of the draw [default: 128, local 8]
    #[arg(long, value_name = "BLOCKS")]
    cutoff: Option<u64>,

    /// Reject payments for draws further ahead [default: a week]
    #[arg(long, value_name = "BLOCKS")]
    max_horizon: Option<u64>,

    /// Reject shorter redemption windows [default: 24 h if the chain remembers that long, else 4 h; local 8 blocks]
    #[arg(long, value_name = "BLOCKS")]
    min_window: Option<u64>,

    /// Reject payouts below this multiple of the cost to redeem [default: 10]
    #[arg(long, value_name = "TIMES")]
    min_payout_per_cost: Option<u32>,

    /// Reject longer streams [default: 1024]
    #[arg(long, value_name = "STEPS")]
    max_steps: Option<u32>,
}

impl PolicyOpts {
    /// Opens the payee with the policy.
    pub(crate) async fn payee(
        &self,
        address: Address,
        mut reader: Reader,
        store: &StoreOpts,
    ) -> Result<Payee> {
        if let Some(confirmations) = self.confirmations {
            ensure!(
                confirmations > 0,
                "--confirmations is 0; name at least 1, which is mined"
            );
            let mut profile = *reader.profile();
            profile.confirmations = confirmations;
            reader = reader.with_profile(profile);
        }
        let token = token_at(self.token.unwrap_or_default(), &reader).await?;
        let rates = self.rate.rates(&token)?;
        let mut policy = Policy::new(address, *reader.bank(), reader.profile());
        self.set_limits(&mut policy, &token)?;
        let set = |to: &mut u64, value: Option<u64>| *to = value.unwrap_or(*to);
        set(&mut policy.cutoff, self.cutoff);
        set(&mut policy.max_horizon, self.max_horizon);
        set(&mut policy.min_window, self.min_window);
        let set = |to: &mut u32, value: Option<u32>| *to = value.unwrap_or(*to);
        set(&mut policy.min_payout_per_cost, self.min_payout_per_cost);
        set(&mut policy.max_steps, self.max_steps);
        let payee = Payee::new(reader, policy, store.open().await?);
        Ok(payee.with_rates(rates))
    }

    fn set_limits(&self, policy: &mut Policy, token: &Token) -> Result<()> {
        let limits = policy.tokens.get(&token.address).copied();
        let units = |text: &AmountText| text.in_units_of(token);
        let deposit = self.max_deposit.as_ref().map(units).transpose();
        let deposit = deposit.wrap_err("--max-deposit")?;
        let exposure = self.max_exposure.as_ref().map(units).transpose();
        let exposure = exposure.wrap_err("--max-exposure")?;
        let default = limits.map(|limits| limits.max_deposit).unwrap_or_default();
        let max_deposit = deposit.unwrap_or(default);
        let limits = TokenLimits {
            max_deposit,
            max_exposure: exposure.unwrap_or(max_deposit),
        };
        policy.tokens.insert(token.address, limits);
        Ok(())
    }
}
