//! `cheque deposit reclaim`.

use cheque::{
    Amount, Deposit, DepositId,
    bank::Reader,
    tx::{Call, Wallet},
};
use clap::Args;
use eyre::{ContextCompat, Result};
use serde_json::json;

use crate::{
    opts::{ChainOpts, SendOpts, StoreOpts},
    output::{Output, fields},
    send::Done,
    token::token_at,
};

/// Take a deposit back that nobody redeemed in time
///
/// The money becomes idle money of its purse: the next deposit in this lane uses it, and `cheque withdraw --lane` takes it
/// out.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit reclaim 0x5f3c... --account alice
  cheque deposit reclaim 0x5f3c... --dry-run
  cheque deposit reclaim 0x5f3c... --since 21000000 --account bob      for anybody's purse, without its store")]
pub(super) struct ReclaimArgs {
    /// The deposit
    id: DepositId,

    /// Take the terms from the chain and not from the store: the deposit was opened in this block or later
    #[arg(long, value_name = "BLOCK")]
    since: Option<u64>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl ReclaimArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let sender = self.send.sender(&reader)?;
        if let Some(since) = self.since {
            let terms = opened_since(since, self.id, &reader).await?;
            let done = self.send_alone(&reader, &terms, &sender, out).await?;
            return self.show(&terms, &done, &reader, out).await;
        }
        let payer = self.store.payer_for(reader, self.send.dry_run).await?;
        let payer = payer.with_wallet(sender.clone());
        let terms = payer.deposit(self.id).await?.deposit;
        let done = if self.send.dry_run {
            self.send_alone(payer.reader(), &terms, &sender, out)
                .await?
        } else {
            out.progress(format!("reclaiming deposit {}", self.id));
            Done::Sent(Box::new(payer.reclaim(self.id).await?))
        };
        self.show(&terms, &done, payer.reader(), out).await
    }

    /// Sends it, or only prices it, without any record of it.
    async fn send_alone(
        &self,
        reader: &Reader,
        terms: &Deposit,
        sender: &Wallet,
        out: &Output,
    ) -> Result<Done> {
        let call = Call::reclaim(reader.bank(), terms);
        let what = "reclaiming the deposit";
        self.send.send(sender, &call, what, out).await
    }

    async fn show(
        &self,
        terms: &Deposit,
        done: &Done,
        reader: &Reader,
        out: &Output,
    ) -> Result<()> {
        let token = token_at(terms.token, reader).await?;
        let json = json!({
            "deposit": self.id,
            "amount": terms.amount.to_string(),
            "lane": terms.lane,
            "transaction": done.json(),
        });
        out.result(&json, || {
            let mut lines = vec![
                ("deposit", self.id.to_string()),
                ("amount", token.show_amount(Amount::new(terms.amount))),
                ("lane", terms.lane.to_string()),
            ];
            lines.extend(done.fields());
            fields(&lines)
        })
    }
}

/// The terms as the chain knows them.
async fn opened_since(since: u64, id: DepositId, reader: &Reader) -> Result<Deposit> {
    let head = reader.head().await?.number;
    let found = reader.find_deposit(id, since, head).await?;
    let found = found
        .wrap_err_with(|| format!("no deposit {id} was opened in blocks {since} to {head}"))?;
    Ok(found.deposit)
}
