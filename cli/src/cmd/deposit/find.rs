//! `cheque deposit find`.

use alloy::primitives::Address;
use cheque::{Amount, Purse, bank::FoundDeposit};
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use crate::{
    allowances::parse_address,
    format,
    opts::{chain::ChainOpts, time::show_time, wallet::WalletOpts},
    output::{Output, table},
    token::Tokens,
};

/// Find a payer's deposits on the chain, without its store
///
/// The chain has the terms, not the payees: without the store no payee can be paid from them, but unredeemed money
/// comes back. Sends as many requests as the node's limits require.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit find --account alice --from-block 21000000
  cheque deposit find --payer 0xd8dA... --from-block 21000000 --open --json
Then, for deposits that nobody redeems in time:
  cheque deposit reclaim 0x5f3c... --from-block 21000000 --account alice")]
pub(super) struct FindArgs {
    /// Find deposits of a payer [default: the wallet's address]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    payer: Option<Address>,

    /// Find deposits opened in this block or later
    #[arg(long, value_name = "BLOCK")]
    from_block: u64,

    /// List only deposits that still hold their money
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
        let found = reader.find_deposits(payer, self.from_block, head).await?;
        let keys: Vec<_> = found
            .iter()
            .map(|found| ((payer, found.deposit.token, found.deposit.lane), head))
            .collect();
        let purses = reader.purses(&keys).await?;
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
                let mut json = format::terms(&found.deposit);
                json["id"] = json!(found.id);
                json["opened"] = json!(found.block);
                json["open"] = json!(open);
                json
            })
            .collect();
        let tokens = all.iter().map(|(_, found)| found.deposit.token);
        let tokens = Tokens::read(&reader, tokens).await?;
        out.result(&Value::Array(json), || {
            let lines = all.iter();
            let rows: Vec<_> = lines
                .map(|(open, found)| row(*open, found, &tokens))
                .collect();
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

fn row(open: bool, found: &FoundDeposit, tokens: &Tokens) -> Vec<String> {
    let terms = &found.deposit;
    vec![
        found.id.to_string(),
        tokens.show(Amount::new(terms.amount), terms.token),
        terms.lane.to_string(),
        found.block.to_string(),
        show_time(terms.drawTime),
        show_time(terms.redeemUntil),
        if open { "yes" } else { "no" }.to_owned(),
    ]
}
