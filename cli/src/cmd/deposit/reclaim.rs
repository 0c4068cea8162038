//! `cheque deposit reclaim`.

use cheque::{Amount, DepositId, chain::Call};
use clap::Args;
use eyre::Result;
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
  cheque deposit reclaim 0x5f3c... --dry-run")]
pub(super) struct ReclaimArgs {
    /// The deposit
    id: DepositId,

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
        let payer = self.store.payer_for(reader, self.send.dry_run).await?;
        let payer = payer.with_sender(sender.clone());
        let terms = payer.deposit(self.id).await?.deposit;
        let token = token_at(terms.token, payer.reader()).await?;
        let done = if self.send.dry_run {
            let call = Call::reclaim(payer.reader().bank(), &terms);
            self.send
                .send(&sender, &call, "reclaiming the deposit", out)
                .await?
        } else {
            out.progress(format!("reclaiming deposit {}", self.id));
            Done::Sent(Box::new(payer.reclaim(self.id).await?))
        };
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
