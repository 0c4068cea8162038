//! `cheque fund`: money into the bank.

use alloy::primitives::{Address, U256};
use cheque::{
    Amount,
    bank::Reader,
    tx::{Call, Wallet},
};
use clap::Args;
use eyre::Result;
use serde_json::json;

use crate::{
    allowances::parse_address,
    amount::{AmountText, Token},
    opts::{ChainOpts, SendOpts},
    output::{Output, fields},
    send::Done,
    token::token_at,
};

/// Put money into the bank, onto an account's balance
///
/// Deposits take from the balance what the purse does not hold. `deposit create` can also bring the money itself, so
/// funding ahead is a convenience. For a token, exactly the amount is approved to the bank first if it is not yet.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque fund 0.5ether --account alice
  cheque fund 250.0 --token 0xA0b8... --account alice
  cheque fund 0.1ether --for 0xd8dA... --dry-run")]
pub(crate) struct FundArgs {
    /// How much
    amount: AmountText,

    /// The ERC-20 token [default: the native coin]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    token: Option<Address>,

    /// Whose balance it becomes [default: the wallet's]
    #[arg(long = "for", value_name = "ADDRESS", value_parser = parse_address)]
    beneficiary: Option<Address>,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl FundArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let sender = self.send.sender(&reader)?;
        let token = token_at(self.token.unwrap_or_default(), &reader).await?;
        let amount = self.amount.in_units_of(&token)?;
        let account = self.beneficiary.unwrap_or(sender.address());
        let approval = approve(&self.send, &reader, &sender, &token, amount, out).await?;
        let call = Call::fund(reader.bank(), token.address, account, amount);
        let done = match approval {
            // Funding cannot be simulated before the approval is there.
            Done::Dry(_) => Done::Nothing,
            _ => self.send.send(&sender, &call, "fund", out).await?,
        };
        let json = json!({
            "account": account,
            "token": token.address,
            "amount": amount.to_string(),
            "approval": approval.json(),
            "transaction": done.json(),
        });
        out.result(&json, || {
            let mut lines = vec![
                ("amount", token.show_amount(amount)),
                ("for", account.to_string()),
            ];
            if let Done::Dry(_) = approval {
                lines.push(("first", "approves the amount to the bank".to_owned()));
                lines.extend(approval.fields());
            }
            lines.extend(done.fields());
            fields(&lines)
        })
    }
}

/// Approves `amount` of a token to the bank, unless that much is approved already.
pub(crate) async fn approve(
    send: &SendOpts,
    reader: &Reader,
    sender: &Wallet,
    token: &Token,
    amount: Amount,
    out: &Output,
) -> Result<Done> {
    if token.is_coin() {
        return Ok(Done::Nothing);
    }
    let (bank, amount) = (reader.bank(), amount.to_u256());
    let contract = reader.token(token.address);
    let approved = contract.approved(sender.address(), bank.address()).await?;
    if approved >= amount {
        return Ok(Done::Nothing);
    }
    if !approved.is_zero() {
        // Some tokens refuse to change an approval that is not zero.
        let none = Call::approve(bank, token.address, U256::ZERO);
        let what = "take back what is left of an approval";
        let taken_back = send.send(sender, &none, what, out).await?;
        if send.dry_run {
            return Ok(taken_back);
        }
    }
    let call = Call::approve(bank, token.address, amount);
    send.send(sender, &call, "approve the token to the bank", out)
        .await
}
