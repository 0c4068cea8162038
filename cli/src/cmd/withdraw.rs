//! `cheque withdraw`: money out of the bank.

use alloy::primitives::{Address, U256};
use cheque::{Purse, bank::Reader, tx::Call};
use clap::Args;
use eyre::{Result, bail};
use serde_json::json;

use crate::{
    allowances::parse_address,
    amount::AmountText,
    opts::{chain::ChainOpts, send::SendOpts},
    output::{Output, fields},
    token::token_at,
};

/// Take idle money out of the bank
///
/// Idle money is the balance, which includes payouts, and the rests of finished deposits in their purses.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque withdraw 0.1ether --account alice           from the balance
  cheque withdraw --all --lane 1 --account alice     the rest of a finished deposit in its purse
  cheque withdraw 2.5 --token 0xA0b8... --to 0xd8dA... --dry-run")]
pub(crate) struct WithdrawArgs {
    /// Amount
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    amount: Option<AmountText>,

    /// Withdraw all idle money of the lane
    #[arg(long)]
    all: bool,

    /// Withdraw this ERC-20 token [default: the native coin]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    token: Option<Address>,

    /// Withdraw from the purse of this lane; 0 is the balance
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    lane: u64,

    /// Pay out to ADDRESS [default: the wallet's]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    to: Option<Address>,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl WithdrawArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let wallet = self.send.unlock(&reader)?;
        let token = token_at(self.token.unwrap_or_default(), &reader).await?;
        let amount = match &self.amount {
            Some(amount) => amount.in_units_of(&token)?.to_u256(),
            None => idle(&reader, wallet.address(), token.address, self.lane).await?,
        };
        let to = self.to.unwrap_or(wallet.address());
        let call = Call::withdraw(reader.bank(), token.address, self.lane, amount, to);
        let report = self.send.send(&wallet, &call, "withdrawing", out).await?;
        let json = json!({
            "account": wallet.address(),
            "token": token.address,
            "lane": self.lane,
            "amount": amount.to_string(),
            "to": to,
            "transaction": report.json(),
        });
        out.result(&json, || {
            let mut lines = vec![("amount", token.show(amount)), ("to", to.to_string())];
            lines.extend(report.fields());
            fields(&lines)
        })
    }
}

/// Reads the idle money of a purse.
///
/// # Errors
/// Fails if the purse holds an open deposit.
pub(crate) async fn idle(
    reader: &Reader,
    account: Address,
    token: Address,
    lane: u64,
) -> Result<U256> {
    if lane == 0 {
        return Ok(reader.balance(account, token).await?);
    }
    let head = reader.head().await?.number;
    match reader.purse((account, token, lane), head).await? {
        Purse::Idle(idle) => Ok(idle.to_u256()),
        Purse::Open(id) => bail!(
            "lane {lane} holds the open deposit {id}; run `cheque deposit reclaim {id}` after the last time to redeem"
        ),
    }
}
