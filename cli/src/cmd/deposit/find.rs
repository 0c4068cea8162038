//! `cheque deposit find`.

use alloy::primitives::Address;
use cheque::{Amount, Purse, bank::FoundDeposit};
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use crate::{
    allowances::parse_address,
    opts::{ChainOpts, WalletOpts},
    output::{Output, table},
    show,
};

/// Find the deposits of a payer on the chain, without any store
///
/// Their terms are on the chain, their payees are not: after a loss of the store no payee of theirs can be paid any
/// more, but the money comes back. Takes as many requests as the node's limits ask for.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit find --account alice --since 21000000
  cheque deposit find --payer 0xd8dA... --since 21000000 --open --json
Then, for what nobody redeems in time:
  cheque deposit reclaim 0x5f3c... --since 21000000 --account alice")]
pub(super) struct FindArgs {
    /// The payer [default: the wallet's]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    payer: Option<Address>,

    /// Look at what was opened in this block or later
    #[arg(long, value_name = "BLOCK")]
    since: u64,

    /// Only those that still hold their money
    #[arg(long)]
    open: bool,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    wallet: WalletOpts,
}

impl FindArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let payer = match self.payer {
            Some(payer) => payer,
            None => self.wallet.unlock()?.address(),
        };
        let reader = self.chain.reader().await?;
        let head = reader.head().await?.number;
        let found = reader.find_deposits(payer, self.since, head).await?;
        let asked: Vec<_> = found
            .iter()
            .map(|found| ((payer, found.deposit.token, found.deposit.lane), head))
            .collect();
        let purses = reader.purses(&asked).await?;
        let is_open = |found: &FoundDeposit, purse| purse == Purse::Open(found.id);
        let mut all: Vec<_> = found
            .into_iter()
            .zip(purses)
            .map(|(found, purse)| (is_open(&found, purse), found))
            .collect();
        all.retain(|(open, _)| *open || !self.open);
        let json: Vec<_> = all
            .iter()
            .map(|(open, found)| {
                let mut json = show::terms(&found.deposit);
                json["id"] = json!(found.id);
                json["opened"] = json!(found.block);
                json["open"] = json!(open);
                json
            })
            .collect();
        out.result(&Value::Array(json), || {
            let rows: Vec<_> = all.iter().map(|(open, found)| row(*open, found)).collect();
            table(
                &[
                    "deposit",
                    "amount",
                    "lane",
                    "opened",
                    "draw",
                    "reclaim after",
                    "open",
                ],
                &rows,
            )
        })
    }
}

fn row(open: bool, found: &FoundDeposit) -> Vec<String> {
    let terms = &found.deposit;
    vec![
        found.id.to_string(),
        show::units(Amount::new(terms.amount), terms.token),
        terms.lane.to_string(),
        found.block.to_string(),
        terms.drawBlock.to_string(),
        terms.lastRedeemBlock.to_string(),
        if open { "yes" } else { "no" }.to_owned(),
    ]
}
