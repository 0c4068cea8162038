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
    opts::{chain::ChainOpts, send::SendOpts},
    output::{Output, fields},
    token::token_at,
    transaction::TxReport,
};

/// Put money into the bank, onto an account's balance
///
/// A deposit takes from the balance the part missing in its purse. `deposit create` can also send native coin itself.
/// For a token, the command first approves exactly the amount to the bank, unless a sufficient approval exists.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque fund 0.5ether --account alice
  cheque fund 250.0 --token 0xA0b8... --account alice
  cheque fund 0.1ether --for 0xd8dA... --dry-run")]
pub(crate) struct FundArgs {
    /// Amount
    amount: AmountText,

    /// Fund with this ERC-20 token [default: the native coin]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    token: Option<Address>,

    /// Fund the balance of ADDRESS [default: the wallet's]
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
        let wallet = self.send.unlock(&reader)?;
        let token = token_at(self.token.unwrap_or_default(), &reader).await?;
        let amount = self.amount.in_units_of(&token)?;
        let account = self.beneficiary.unwrap_or(wallet.address());
        let approval = approve(&self.send, &reader, &wallet, &token, amount, out).await?;
        let call = Call::fund(reader.bank(), token.address, account, amount);
        let report = match approval {
            // Funding cannot be simulated before the approval is mined.
            TxReport::DryRun(_) => TxReport::NotNeeded,
            _ => {
                self.send
                    .send(&wallet, &call, "funding the balance", out)
                    .await?
            }
        };
        let json = json!({
            "account": account,
            "token": token.address,
            "amount": amount.to_string(),
            "approval": approval.json(),
            "transaction": report.json(),
        });
        out.result(&json, || {
            let mut lines = vec![
                ("amount", token.show_amount(amount)),
                ("for", account.to_string()),
            ];
            if let TxReport::DryRun(_) = approval {
                lines.push(("first", "approve the amount to the bank".to_owned()));
                lines.extend(approval.fields());
            }
            lines.extend(report.fields());
            fields(&lines)
        })
    }
}

/// Approves `amount` of a token to the bank, unless a sufficient approval exists.
pub(crate) async fn approve(
    send: &SendOpts,
    reader: &Reader,
    wallet: &Wallet,
    token: &Token,
    amount: Amount,
    out: &Output,
) -> Result<TxReport> {
    if token.is_coin() {
        return Ok(TxReport::NotNeeded);
    }
    let (bank, amount) = (reader.bank(), amount.to_u256());
    let contract = reader.token(token.address);
    let approved = contract.approved(wallet.address(), bank.address()).await?;
    if approved >= amount {
        return Ok(TxReport::NotNeeded);
    }
    if !approved.is_zero() {
        // Some tokens reject changes of a nonzero approval.
        let none = Call::approve(bank, token.address, U256::ZERO);
        let revoked = send
            .send(wallet, &none, "revoking the rest of an approval", out)
            .await?;
        if send.dry_run {
            return Ok(revoked);
        }
    }
    let call = Call::approve(bank, token.address, amount);
    send.send(wallet, &call, "approving the token to the bank", out)
        .await
}
