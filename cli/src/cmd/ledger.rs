//! `cheque ledger`: what a payee holds.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use cheque::{Amount, Meta, chain::Payee};
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use super::outcome::name;
use crate::{
    amount::Token,
    odds::Odds,
    opts::{ChainOpts, PayeeOpts, StoreOpts, WalletOpts},
    output::{Output, table},
    show,
    token::token_at,
};

/// Show what a payee holds: for each deposit the chance, what a win pays, expected value and spread
///
/// The totals are over what is still to be drawn. A deposit that is drawn shows its outcome instead.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque ledger --payee 0xd8dA...
  cheque ledger --account shop --json")]
pub(crate) struct LedgerArgs {
    #[command(flatten)]
    payee: PayeeOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    wallet: WalletOpts,
}

/// One deposit's line.
struct Line {
    meta: Meta,
    odds: Odds,
    /// `open` before the draw, else the outcome.
    state: &'static str,
}

impl Line {
    async fn of(meta: Meta, payee: &Payee, head: u64) -> Result<Self> {
        let terms = meta.deposit();
        let state = if terms.drawBlock > head {
            "open"
        } else {
            name(payee.outcome(meta.deposit_id()).await?.0)
        };
        let odds = meta
            .prize()
            .map(|prize| Odds::of(&prize, Amount::new(terms.amount)));
        Ok(Self {
            odds: odds.unwrap_or_default(),
            state,
            meta,
        })
    }

    fn chance(&self) -> String {
        let range = self
            .meta
            .prize()
            .map(|prize| prize.range)
            .unwrap_or_default();
        show::percent(range.to_u256(), U256::from(self.meta.deposit().amount))
    }

    fn payout(&self) -> Amount {
        self.meta
            .prize()
            .map(|prize| prize.payout)
            .unwrap_or_default()
    }

    fn json(&self) -> Value {
        let terms = self.meta.deposit();
        json!({
            "deposit": self.meta.deposit_id(),
            "state": self.state,
            "signer": terms.signer,
            "token": terms.token,
            "draw_block": terms.drawBlock,
            "last_redeem_block": terms.lastRedeemBlock,
            "amount": terms.amount.to_string(),
            "allowance": self.meta.allowance(),
            "total": self.meta.total(),
            "credited": self.meta.credited(),
            "redeem_cost": self.meta.redeem_cost(),
            "payout": self.payout(),
            "range": self.meta.prize().map(|prize| prize.range),
            "chance": self.chance(),
            "expected": self.odds.expected.to_string(),
            "variance": self.odds.variance.to_string(),
            "deviation": self.odds.deviation().to_string(),
        })
    }

    fn row(&self, token: &Token) -> Vec<String> {
        vec![
            self.meta.deposit_id().to_string(),
            self.state.to_owned(),
            self.meta.deposit().drawBlock.to_string(),
            token.show_amount(self.meta.total()),
            token.show_amount(self.meta.credited()),
            self.chance(),
            token.show_amount(self.payout()),
            token.show(self.odds.expected),
            token.show(self.odds.deviation()),
        ]
    }
}

const HEAD: [&str; 9] = [
    "deposit",
    "state",
    "draw",
    "paid",
    "credited",
    "chance",
    "a win pays",
    "expected",
    "deviation",
];

impl LedgerArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let address = self.payee.address(&self.wallet)?;
        let payee = self
            .store
            .payee(address, self.chain.reader().await?)
            .await?;
        let head = payee.reader().head().await?.number;
        let mut lines = Vec::new();
        let mut tokens = BTreeMap::new();
        let mut totals: BTreeMap<Address, Odds> = BTreeMap::new();
        for meta in payee.ledger().await? {
            let address = meta.deposit().token;
            if let std::collections::btree_map::Entry::Vacant(unknown) = tokens.entry(address) {
                unknown.insert(token_at(address, payee.reader()).await?);
            }
            let line = Line::of(meta, &payee, head).await?;
            if line.state == "open" {
                let total = totals.entry(address).or_default();
                *total = total.and(line.odds);
            }
            lines.push(line);
        }
        lines.sort_by_key(|line| (line.meta.deposit().drawBlock, line.meta.deposit_id()));
        let sums: Vec<_> = totals
            .iter()
            .map(|(token, odds)| {
                json!({
                    "token": token,
                    "expected": odds.expected.to_string(),
                    "variance": odds.variance.to_string(),
                    "deviation": odds.deviation().to_string(),
                })
            })
            .collect();
        let json = json!({
            "payee": address,
            "deposits": lines.iter().map(Line::json).collect::<Vec<_>>(),
            "to_be_drawn": sums,
        });
        out.result(&json, || {
            if lines.is_empty() {
                return format!("{address} holds no cheques of this bank in this store");
            }
            let shown = |line: &Line| Some(line.row(tokens.get(&line.meta.deposit().token)?));
            let rows: Vec<_> = lines.iter().filter_map(shown).collect();
            let mut text = table(&HEAD, &rows);
            for (address, odds) in &totals {
                if let Some(token) = tokens.get(address) {
                    text.push_str(&format!(
                        "to be drawn: {} expected, give or take {} (standard deviation)\n",
                        token.show(odds.expected),
                        token.show(odds.deviation())
                    ));
                }
            }
            text
        })
    }
}
