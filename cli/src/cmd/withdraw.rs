//! `cheque withdraw`: money out of the bank.

use alloy::primitives::{Address, U256};
use cheque::{Purse, bank::Reader, tx::Call};
use clap::Args;
use eyre::{Result, bail};
use serde_json::json;

use crate::{
    allowances::parse_address,
    amount::AmountText,
    opts::{ChainOpts, SendOpts},
    output::{Output, fields},
    token::token_at,
};

/// Take idle money out of the bank: balance, prizes, and what deposits left in their purses
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque withdraw 0.1ether --account alice           from the balance
  cheque withdraw --all --lane 1 --account alice     what a finished deposit left in its purse
  cheque withdraw 2.5 --token 0xA0b8... --to 0xd8dA... --dry-run")]
pub(crate) struct WithdrawArgs {
    /// How much
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    amount: Option<AmountText>,

    /// Everything that is idle there
    #[arg(long)]
    all: bool,

    /// The ERC-20 token [default: the native coin]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    token: Option<Address>,

    /// The purse: 0 is the balance
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    lane: u64,

    /// Who gets it [default: the wallet's account]
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
        let sender = self.send.sender(&reader)?;
        let token = token_at(self.token.unwrap_or_default(), &reader).await?;
        let amount = match &self.amount {
            Some(amount) => amount.in_units_of(&token)?.to_u256(),
            None => idle(&reader, sender.address(), token.address, self.lane).await?,
        };
        let to = self.to.unwrap_or(sender.address());
        let call = Call::withdraw(reader.bank(), token.address, self.lane, amount, to);
        let done = self.send.send(&sender, &call, "withdraw", out).await?;
        let json = json!({
            "account": sender.address(),
            "token": token.address,
            "lane": self.lane,
            "amount": amount.to_string(),
            "to": to,
            "transaction": done.json(),
        });
        out.result(&json, || {
            let mut lines = vec![("amount", token.show(amount)), ("to", to.to_string())];
            lines.extend(done.fields());
            fields(&lines)
        })
    }
}

/// What is idle in a purse.
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
            "lane {lane} holds the open deposit {id}: `cheque deposit reclaim {id}` after its last block to redeem"
        ),
    }
}
