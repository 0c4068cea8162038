//! The demo's report, as text and as JSON.

use std::fmt::Write;

use alloy::primitives::{Address, B256, U256};
use cheque::{Amount, DepositId, format_tokens};
use serde_json::{Map, Value, json};

use super::draw::DrawReport;
use crate::{amount::Token, format, output::table};

/// Columns of the list of payees.
const COLUMNS: usize = 3;

/// A mined transaction of the demo.
pub(super) struct Transaction {
    /// The round's number; 0 before the first and after the last.
    pub(super) round: usize,
    pub(super) operation: &'static str,
    pub(super) hash: B256,
    pub(super) gas: u64,
    /// The price of the gas, in wei.
    pub(super) fee: U256,
}

/// A payee's payments in a round.
pub(super) struct Paid {
    pub(super) payee: Address,
    pub(super) allowance: Amount,
    /// The sum of cheques and steps.
    pub(super) total: Amount,
    /// The payee's credit, net of the expected cost to redeem.
    pub(super) credited: Amount,
}

/// A deposit from opening to end.
#[derive(Default)]
pub(super) struct Round {
    pub(super) deposit: DepositId,
    pub(super) amount: Amount,
    /// The draw, once over.
    pub(super) draw: Option<DrawReport>,
    pub(super) cheques: usize,
    pub(super) steps: usize,
    pub(super) proof_bytes: usize,
    pub(super) paid: Vec<Paid>,
    pub(super) winner: Option<Address>,
    pub(super) payout: Amount,
    /// `redeemed`, or `reclaimed` if the roll fell on an unspent range.
    pub(super) end: &'static str,
}

impl Round {
    pub(super) fn paid_expected(&self) -> U256 {
        self.paid.iter().map(|paid| paid.total.to_u256()).sum()
    }

    fn payments(&self) -> usize {
        self.cheques + self.steps
    }
}

/// Balances at one block, read from the chain.
#[derive(Clone, Copy)]
pub(super) struct Balances {
    /// Of the bank's contract.
    pub(super) bank: U256,
    /// The payer's idle money and open deposits in the bank.
    pub(super) payer: U256,
    /// Of all payees in the bank.
    pub(super) payees: U256,
    /// Of the payer's wallet.
    pub(super) wallet: U256,
}

/// Money in and out, and balances before and after.
pub(super) struct Conservation {
    pub(super) before: Balances,
    pub(super) after: Balances,
    pub(super) funded: U256,
    pub(super) withdrawn: U256,
    pub(super) fees: U256,
    pub(super) payouts: U256,
}

impl Conservation {
    /// True if all balances changed by exactly the money moved.
    pub(super) fn holds(&self) -> bool {
        let (before, after) = (&self.before, &self.after);
        let same = |left: &[U256], right: &[U256]| {
            let sum = |parts: &[U256]| parts.iter().copied().reduce(|sum, part| sum + part);
            sum(left) == sum(right)
        };
        same(&[before.bank, self.funded], &[after.bank, self.withdrawn])
            && same(
                &[before.payer, self.funded],
                &[after.payer, self.payouts, self.withdrawn],
            )
            && same(&[before.payees, self.payouts], &[after.payees])
            && same(
                &[before.wallet, self.withdrawn],
                &[after.wallet, self.funded, self.fees],
            )
    }
}

/// All results of the demo.
pub(super) struct Report {
    pub(super) chain_id: u64,
    pub(super) bank: Address,
    pub(super) payees: usize,
    pub(super) rounds: Vec<Round>,
    pub(super) transactions: Vec<Transaction>,
    pub(super) conservation: Conservation,
}

impl Report {
    fn total(&self, of: impl Fn(&Round) -> U256) -> U256 {
        self.rounds.iter().map(of).sum()
    }

    /// Counts transactions and gas by operation, in the order of first use.
    fn gas(&self) -> Vec<(&'static str, u64, u64)> {
        let mut gas: Vec<(&'static str, u64, u64)> = Vec::new();
        for tx in &self.transactions {
            match gas.iter_mut().find(|(name, ..)| *name == tx.operation) {
                Some((_, count, sum)) => (*count, *sum) = (*count + 1, *sum + tx.gas),
                None => gas.push((tx.operation, 1, tx.gas)),
            }
        }
        gas
    }

    pub(super) fn json(&self) -> Value {
        let decided = self
            .rounds
            .iter()
            .rev()
            .find(|round| round.winner.is_some());
        let decided = decided.or(self.rounds.last());
        let gas: Map<_, _> = self
            .gas()
            .into_iter()
            .map(|(operation, _, gas)| (operation.to_owned(), gas.into()))
            .collect();
        let (before, after) = (&self.conservation.before, &self.conservation.after);
        let change = |name: &str, before: U256, after: U256| {
            (
                name.to_owned(),
                json!({ "before": before.to_string(), "after": after.to_string() }),
            )
        };
        let balances: Map<_, _> = [
            change("bank", before.bank, after.bank),
            change("payer", before.payer, after.payer),
            change("payees", before.payees, after.payees),
            change("wallet", before.wallet, after.wallet),
        ]
        .into_iter()
        .collect();
        json!({
            "chain": self.chain_id,
            "bank": self.bank,
            "payees": self.payees,
            "payments": self.rounds.iter().map(Round::payments).sum::<usize>(),
            "deposit": decided.map(|round| round.deposit),
            "paid_expected": self.total(Round::paid_expected).to_string(),
            "winner": decided.and_then(|round| round.winner),
            "payout": self.total(|round| round.payout.to_u256()).to_string(),
            "gas": gas,
            "conserved": self.conservation.holds(),
            "funded": self.conservation.funded.to_string(),
            "withdrawn": self.conservation.withdrawn.to_string(),
            "fees": self.conservation.fees.to_string(),
            "balances": balances,
            "rounds": self.rounds.iter().map(round_json).collect::<Vec<_>>(),
            "transactions": self.transactions.iter().map(|tx| json!({
                "round": tx.round,
                "operation": tx.operation,
                "hash": tx.hash,
                "gas": tx.gas,
            })).collect::<Vec<_>>(),
        })
    }

    pub(super) fn text(&self) -> String {
        let coin = Token::coin();
        let mut text = String::new();
        for (number, round) in (1..).zip(&self.rounds) {
            round_text(&mut text, number, round, &coin);
        }
        text.push_str("Gas\n");
        let rows: Vec<_> = self
            .gas()
            .into_iter()
            .map(|(operation, count, gas)| {
                vec![
                    operation.to_owned(),
                    count.to_string(),
                    (gas / count).to_string(),
                    gas.to_string(),
                ]
            })
            .collect();
        text.push_str(&indented(&table(
            &["operation", "times", "each", "gas"],
            &rows,
        )));
        let payments: usize = self.rounds.iter().map(Round::payments).sum();
        let on_chain: u64 = self
            .transactions
            .iter()
            .filter(|tx| tx.round > 0)
            .map(|tx| tx.gas)
            .sum();
        if let Some(each) = usize::try_from(on_chain)
            .ok()
            .and_then(|gas| gas.checked_div(payments))
        {
            let _ = writeln!(
                text,
                "  {payments} payments took {on_chain} gas on chain, {each} each\n"
            );
        }
        self.money_text(&mut text, &coin);
        text
    }

    fn money_text(&self, text: &mut String, coin: &Token) {
        let money = &self.conservation;
        let row = |name: &str, before: U256, after: U256| {
            vec![name.to_owned(), coin.show(before), coin.show(after)]
        };
        let (before, after) = (&money.before, &money.after);
        text.push_str("Money on chain\n");
        text.push_str(&indented(&table(
            &["", "before", "after"],
            &[
                row("bank contract", before.bank, after.bank),
                row("payer in the bank", before.payer, after.payer),
                row("payees in the bank", before.payees, after.payees),
                row("payer's wallet", before.wallet, after.wallet),
            ],
        )));
        let _ = writeln!(
            text,
            "  in {}, out {}, paid to winners {}, fees {}\n  {}",
            coin.show(money.funded),
            coin.show(money.withdrawn),
            coin.show(money.payouts),
            coin.show(money.fees),
            if money.holds() {
                "money in = money out, to the wei"
            } else {
                "MONEY IS MISSING: the balances do not add up"
            }
        );
    }
}

fn round_json(round: &Round) -> Value {
    json!({
        "deposit": round.deposit,
        "amount": round.amount,
        "draw_time": round.draw.as_ref().map(DrawReport::time),
        "draw": round.draw.as_ref().map(DrawReport::json),
        "payees": round.paid.len(),
        "payments": round.payments(),
        "cheques": round.cheques,
        "stream_steps": round.steps,
        "paid_expected": round.paid_expected().to_string(),
        "winner": round.winner,
        "payout": round.payout,
        "end": round.end,
        "paid": round.paid.iter().map(|paid| json!({
            "payee": paid.payee,
            "allowance": paid.allowance,
            "total": paid.total,
            "credited": paid.credited,
        })).collect::<Vec<_>>(),
    })
}

fn round_text(text: &mut String, number: usize, round: &Round, coin: &Token) {
    let _ = writeln!(
        text,
        "Round {number}: deposit {}\n  {} for {} payees",
        round.deposit,
        coin.show_amount(round.amount),
        round.paid.len()
    );
    let _ = writeln!(
        text,
        "  {} cheques and {} stream payments ({} bytes of proofs) paid {}.\n  Payees, amounts paid in ether, shares of the allowance; * marks the winner:",
        round.cheques,
        round.steps,
        round.proof_bytes,
        coin.show(round.paid_expected())
    );
    let cells: Vec<_> = round
        .paid
        .iter()
        .map(|paid| cell(paid, round.winner))
        .collect();
    for line in cells.chunks(COLUMNS) {
        let _ = writeln!(text, "  {}", line.join("  ").trim_end());
    }
    let winner = round
        .winner
        .and_then(|winner| round.paid.iter().find(|paid| paid.payee == winner));
    let roll = round
        .draw
        .as_ref()
        .map(DrawReport::roll)
        .unwrap_or_default();
    let _ = match winner {
        Some(paid) => writeln!(
            text,
            "  The roll is {roll} of {}: {} was paid {} and redeems {}; all other cheques lapse.",
            round.amount,
            paid.payee,
            coin.show_amount(paid.total),
            coin.show_amount(round.payout)
        ),
        None => writeln!(
            text,
            "  The roll is {roll} of {}, an unspent range: the payer reclaims the deposit.",
            round.amount
        ),
    };
    if let Some(draw) = &round.draw {
        draw.text(text);
    }
    text.push('\n');
}

/// Formats a payee's address, total and share, with `*` for the winner.
fn cell(paid: &Paid, winner: Option<Address>) -> String {
    let address = paid.payee.to_checksum(None);
    let mark = if winner == Some(paid.payee) { '*' } else { ' ' };
    let share = format::percent(paid.total.to_u256(), paid.allowance.to_u256());
    let total = format_tokens(paid.total.to_u256() / U256::from(1_000_000_000), 9);
    format!(
        "{mark}{}..{} {total:<11} {:>9}",
        &address[..6],
        &address[38..],
        share
    )
}

fn indented(table: &str) -> String {
    table.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(change: impl FnOnce(&mut Conservation)) -> bool {
        let amount = U256::from;
        let mut money = Conservation {
            before: Balances {
                bank: amount(5),
                payer: amount(3),
                payees: amount(2),
                wallet: amount(1000),
            },
            after: Balances {
                bank: amount(65),
                payer: amount(23),
                payees: amount(42),
                wallet: amount(933),
            },
            funded: amount(100),
            withdrawn: amount(40),
            fees: amount(7),
            payouts: amount(40),
        };
        change(&mut money);
        money.holds()
    }

    #[test]
    fn detects_one_wei_missing_in_any_balance() {
        let one = U256::from(1);
        assert!(money(|_| ()));
        assert!(!money(|money| money.after.bank += one));
        assert!(!money(|money| money.after.bank -= one));
        assert!(!money(|money| money.after.payer -= one));
        assert!(!money(|money| money.after.payees += one));
        assert!(!money(|money| money.after.wallet += one));
        assert!(!money(|money| money.payouts += one));
        assert!(!money(|money| money.fees += one));
    }
}
