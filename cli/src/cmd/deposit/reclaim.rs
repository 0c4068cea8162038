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
    id::IdText,
    opts::{beacon::BeaconOpts, chain::ChainOpts, send::SendOpts, store::StoreOpts},
    output::{Output, fields},
    token::token_at,
    transaction::TxReport,
};

/// Reclaim an unredeemed deposit after its window
///
/// The money becomes idle money of its purse. The next deposit of the lane uses the money, and `cheque withdraw --lane`
/// takes money out of the bank.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit reclaim 0x5f3c... --account alice
  cheque deposit reclaim 0x5f3c... --dry-run
  cheque deposit reclaim 0x5f3c... --from-block 21000000 --account bob   for any payer, without its store")]
pub(super) struct ReclaimArgs {
    /// Deposit
    id: IdText,

    /// Find the terms on the chain from BLOCK on, without the store
    #[arg(long, value_name = "BLOCK")]
    from_block: Option<u64>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl ReclaimArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let wallet = self.send.unlock(&reader)?;
        if let Some(block) = self.from_block {
            let id = self.id.whole()?;
            let terms = find_terms(block, id, &reader).await?;
            let report = self.send_alone(&reader, &terms, &wallet, out).await?;
            return show(id, &terms, &report, &reader, out).await;
        }
        let payer = self.store.payer(reader, &self.relays).await?;
        let payer = payer.with_wallet(wallet.clone());
        let id = self.id.of_payer(&payer).await?;
        let terms = payer.deposit(id).await?.deposit;
        let report = if self.send.dry_run {
            self.send_alone(payer.reader(), &terms, &wallet, out)
                .await?
        } else {
            out.progress(format!("reclaiming deposit {id}"));
            TxReport::Mined(Box::new(payer.reclaim(id).await?))
        };
        show(id, &terms, &report, payer.reader(), out).await
    }

    /// Sends or prices the transaction, without a record in the store.
    async fn send_alone(
        &self,
        reader: &Reader,
        terms: &Deposit,
        wallet: &Wallet,
        out: &Output,
    ) -> Result<TxReport> {
        let call = Call::reclaim(reader.bank(), terms);
        let what = "reclaiming the deposit";
        self.send.send(wallet, &call, what, out).await
    }
}

async fn show(
    id: DepositId,
    terms: &Deposit,
    report: &TxReport,
    reader: &Reader,
    out: &Output,
) -> Result<()> {
    let token = token_at(terms.token, reader).await?;
    let json = json!({
        "deposit": id,
        "amount": terms.amount.to_string(),
        "lane": terms.lane,
        "transaction": report.json(),
    });
    out.result(&json, || {
        let mut lines = vec![
            ("deposit", id.to_string()),
            ("amount", token.show_amount(Amount::new(terms.amount))),
            ("lane", terms.lane.to_string()),
        ];
        lines.extend(report.fields());
        fields(&lines)
    })
}

/// Finds the terms of a deposit on the chain, from block `from` on.
async fn find_terms(from: u64, id: DepositId, reader: &Reader) -> Result<Deposit> {
    let head = reader.head().await?.number;
    let found = reader.find_deposit(id, from, head).await?;
    let found = found.wrap_err_with(|| {
        format!(
            "deposit {id} was not opened in blocks {from} to {head}; name an earlier --from-block"
        )
    })?;
    Ok(found.deposit)
}
