//! `cheque deposit find`.

use alloy::primitives::Address;
use cheque::{Amount, Purse, bank::FoundDeposit};
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use crate::{
    allowances::parse_address,
    amount::Token,
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
        out.result(&Value::Array(json), || lines(&all, &tokens))
    }
}

const HEAD: [&str; 7] = [
    "amount",
    "unit",
    "lane",
    "opened",
    "draw",
    "reclaim after",
    "open",
];

/// The table of the deposits, with the whole id of each below its line: without a store, commands need all digits.
fn lines(all: &[(bool, FoundDeposit)], tokens: &Tokens) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|(open, found)| row(*open, found, &tokens.get(found.deposit.token)))
        .collect();
    let table = table(&HEAD, &rows);
    let mut lines = table.lines();
    let head = lines.next().unwrap_or_default();
    let mut text = format!("{head}\n");
    for (line, (_, found)) in lines.zip(all) {
        text.push_str(&format!("{line}\n  {}\n", found.id));
    }
    text
}

fn row(open: bool, found: &FoundDeposit, token: &Token) -> Vec<String> {
    let terms = &found.deposit;
    let amount = Amount::new(terms.amount).to_u256();
    let (decimals, unit) = token.unit_for(amount);
    vec![
        format::rounded(amount, decimals),
        format::short_unit(unit),
        terms.lane.to_string(),
        found.block.to_string(),
        show_time(terms.drawTime),
        show_time(terms.redeemUntil),
        if open { "yes" } else { "no" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::B256;
    use cheque::{Deposit, DepositId};

    #[test]
    fn fits_the_widest_deposit_into_120_columns() {
        let mut found = FoundDeposit {
            id: DepositId(B256::repeat_byte(0xab)),
            deposit: Deposit {
                payer: Address::ZERO,
                signer: Address::ZERO,
                token: Address::ZERO,
                lane: 1_000_000_000,
                amount: 123_456_789_012_345_678_901_234,
                minPayout: 0,
                drawTime: 4_000_000_000,
                redeemUntil: 4_000_000_000,
                root: B256::ZERO,
            },
            block: 10_000_000_000,
        };
        let coin = found.clone();
        // A token whose contract tells nothing, in units.
        found.deposit.token = Address::repeat_byte(0x70);
        let text = lines(&[(true, coin), (false, found.clone())], &Tokens::default());
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(120), "{widest:?}: {text}");
        assert_eq!(text.matches(&found.id.to_string()).count(), 2, "{text}");
    }
}
