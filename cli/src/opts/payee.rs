//! Who is paid, and what it accepts.

use alloy::primitives::Address;
use cheque::{Policy, TokenLimits, bank::Reader, payee::Payee};
use clap::Args;
use eyre::{Result, WrapErr, ensure};

use super::{StoreOpts, WalletOpts};
use crate::{
    allowances::parse_address,
    amount::{AmountText, Token},
    payer::RateOpts,
    token::token_at,
};

/// The environment variable that may hold the payee's address.
pub(super) const PAYEE_VARIABLE: &str = "CHEQUE_PAYEE";

/// Which payee this is: an address is enough to take payments.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PayeeOpts {
    /// The payee's address [default: the wallet's] [env: CHEQUE_PAYEE]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    payee: Option<Address>,
}

impl PayeeOpts {
    /// The payee: a flag's, else the environment's, else the wallet's.
    pub(crate) fn address(&self, wallet: &WalletOpts) -> Result<Address> {
        if let Some(payee) = self.named()? {
            return Ok(payee);
        }
        let wallet = wallet
            .unlock()
            .wrap_err("whose cheques? name --payee ADDRESS or a wallet")?;
        Ok(wallet.address())
    }

    /// The payee that a flag or the environment names.
    pub(crate) fn named(&self) -> Result<Option<Address>> {
        if self.payee.is_some() {
            return Ok(self.payee);
        }
        let variable = std::env::var(PAYEE_VARIABLE).ok();
        let payee = variable.map(|payee| parse_address(&payee).wrap_err(PAYEE_VARIABLE));
        payee.transpose()
    }
}

impl StoreOpts {
    /// A payee with this store and the usual policy, for verbs that take no payments.
    pub(crate) async fn payee(&self, address: Address, reader: Reader) -> Result<Payee> {
        self.payee_for(address, reader, false).await
    }

    /// The same for a command that may only look, where it is a dry run.
    pub(crate) async fn payee_for(
        &self,
        address: Address,
        reader: Reader,
        dry_run: bool,
    ) -> Result<Payee> {
        let policy = Policy::new(address, *reader.bank(), reader.profile());
        Ok(Payee::new(reader, policy, self.open_for(dry_run).await?))
    }
}

/// What the payee accepts, where it differs from the chain's usual margins.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyOpts {
    /// Take this ERC-20 token, too; needs --rate and --max-deposit
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address, requires = "max_deposit")]
    token: Option<Address>,

    #[command(flatten)]
    rate: RateOpts,

    /// Largest deposit (of the token, if one is named): whoever proposes the draw block could gain that much by
    /// withholding it [default: 1 whole coin]
    #[arg(long, value_name = "AMOUNT")]
    max_deposit: Option<AmountText>,

    /// Largest sum of deposits of one signer with one draw block [default: --max-deposit]
    #[arg(long, value_name = "AMOUNT")]
    max_exposure: Option<AmountText>,

    /// How deep a deposit must be in the chain; 1 is mined [default: the chain's: 12, OP stack 30, local 1]
    #[arg(long, value_name = "BLOCKS")]
    confirmations: Option<u64>,

    /// Take no payment within this many blocks of the draw [default: 128, local 8]
    #[arg(long, value_name = "BLOCKS")]
    cutoff: Option<u64>,

    /// Take no payment for a draw further ahead than this [default: a week]
    #[arg(long, value_name = "BLOCKS")]
    max_horizon: Option<u64>,

    /// Shortest time to redeem a win [default: 24 h where the chain remembers that long, else 4 h; local 8 blocks]
    #[arg(long, value_name = "BLOCKS")]
    min_window: Option<u64>,

    /// Smallest prize, as a multiple of what redeeming costs [default: 10]
    #[arg(long, value_name = "TIMES")]
    min_payout_per_cost: Option<u32>,

    /// Longest stream [default: 1024]
    #[arg(long, value_name = "STEPS")]
    max_steps: Option<u32>,
}

impl PolicyOpts {
    /// The payee with this policy.
    pub(crate) async fn payee(
        &self,
        address: Address,
        mut reader: Reader,
        store: &StoreOpts,
    ) -> Result<Payee> {
        if let Some(confirmations) = self.confirmations {
            ensure!(
                confirmations > 0,
                "--confirmations: at least 1, which is mined"
            );
            let mut profile = *reader.profile();
            profile.confirmations = confirmations;
            reader = reader.with_profile(profile);
        }
        let token = token_at(self.token.unwrap_or_default(), &reader).await?;
        let rates = self.rate.rates(&token)?;
        let mut policy = Policy::new(address, *reader.bank(), reader.profile());
        self.limit(&mut policy, &token)?;
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

    fn limit(&self, policy: &mut Policy, token: &Token) -> Result<()> {
        let limits = policy.tokens.get(&token.address).copied();
        let units = |text: &AmountText| text.in_units_of(token);
        let deposit = self.max_deposit.as_ref().map(units).transpose();
        let deposit = deposit.wrap_err("--max-deposit")?;
        let exposure = self.max_exposure.as_ref().map(units).transpose();
        let exposure = exposure.wrap_err("--max-exposure")?;
        let usual = limits.map(|limits| limits.max_deposit).unwrap_or_default();
        let max_deposit = deposit.unwrap_or(usual);
        let limits = TokenLimits {
            max_deposit,
            max_exposure: exposure.unwrap_or(max_deposit),
        };
        policy.tokens.insert(token.address, limits);
        Ok(())
    }
}
