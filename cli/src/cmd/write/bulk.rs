//! Many payments from a list: one JSON line for each.

use std::{collections::BTreeMap, path::Path, time::Duration};

use cheque::{
    Amount, DepositId,
    payer::{Payer, PayerError, Payment},
};
use eyre::{Report, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    allowances::{AllowanceText, read_file},
    cmd::payment::{token_of, unpaid},
    exit::{Exit, Failure},
    output::Output,
};

/// The time from one line of progress to the next, and until the first.
const PROGRESS: Duration = Duration::from_secs(1);

/// Pays every payee of a list. Prints a line for each, whether paid or not, in the order of the list.
///
/// # Errors
/// Fails before the first payment if the list is wrong; with [`Exit::Partly`] if some payments were not made.
pub(super) async fn pay_all(
    payer: &Payer,
    id: DepositId,
    file: &Path,
    with_terms: bool,
    out: &Output,
) -> Result<()> {
    let list = read_file(file)?;
    let amounts = amounts_of(payer, id, &list).await?;
    let mut progress = Progress::new(list.len(), Instant::now());
    let mut failed = 0_usize;
    let mut ended: Option<String> = None;
    for (index, (entry, amount)) in list.iter().zip(amounts).enumerate() {
        let mut line = json!({ "entry": index + 1 });
        if let Some(name) = &entry.name {
            line["name"] = json!(name.as_str());
        }
        line["payee"] = json!(entry.payee);
        line["amount"] = json!(amount);
        let paid = match &ended {
            None => pay(payer, id, entry, amount, with_terms).await,
            Some(reason) => Err(NotPaid {
                code: "not_tried",
                text: reason.clone(),
                ends: false,
            }),
        };
        match paid {
            Ok(payment) => add_payment(&mut line, &payment),
            Err(error) => {
                failed += 1;
                line["error"] = json!(error.text);
                line["code"] = json!(error.code);
                if error.ends {
                    ended =
                        Some("nothing was tried after the error of an earlier entry".to_owned());
                }
            }
        }
        out.event(&line, || line.to_string())?;
        if let Some(line) = progress.line(Instant::now(), index + 1, failed) {
            out.progress(line);
        }
    }
    ensure_all_paid(failed, list.len())
}

/// Checks the whole list before anything is paid.
async fn amounts_of(payer: &Payer, id: DepositId, list: &[AllowanceText]) -> Result<Vec<Amount>> {
    let texts: Vec<_> = list.iter().map(|entry| &entry.amount).collect();
    let token = token_of(payer, id, &texts).await?;
    let mut first = BTreeMap::new();
    let mut amounts = Vec::with_capacity(list.len());
    for (index, entry) in list.iter().enumerate() {
        if let Some(before) = first.insert(entry.payee, index + 1) {
            eyre::bail!(
                "{} is twice in the list, as entries {before} and {}; add the amounts up",
                entry.shown(),
                index + 1
            );
        }
        let amount = entry.amount.in_units_of(&token);
        amounts.push(amount.map_err(|error| eyre::eyre!("{}: {error}", entry.shown()))?);
    }
    Ok(amounts)
}

/// The reason why an entry was not paid.
struct NotPaid {
    code: &'static str,
    text: String,
    /// True if the entries behind it would fail as well.
    ends: bool,
}

async fn pay(
    payer: &Payer,
    id: DepositId,
    entry: &AllowanceText,
    amount: Amount,
    with_terms: bool,
) -> Result<Payment, NotPaid> {
    let mut payment = match payer.write_cheque(id, entry.payee, amount).await {
        Ok(payment) => payment,
        Err(error) => {
            let (code, ends) = class(&error);
            let text = format!("{:#}", unpaid(payer, error, id).await);
            return Err(NotPaid { code, text, ends });
        }
    };
    if with_terms {
        let opening = payer.opening_proof(id, entry.payee).await;
        let missing = |text: String| NotPaid {
            code: "paid_without_terms",
            text: format!("the payment is made; print its proof with --reprint: {text}"),
            ends: true,
        };
        payment.proof = opening
            .map_err(|error| missing(error.to_string()))?
            .ok_or_else(|| missing("its cheque is not in the store".to_owned()))?;
    }
    Ok(payment)
}

/// The code of an error, and whether it is one of the whole deposit and not of a payee alone.
const fn class(error: &PayerError) -> (&'static str, bool) {
    match error {
        PayerError::NotCoveredByDeposit { .. } => ("not_covered", false),
        PayerError::UnknownPayee { .. } => ("not_listed", false),
        PayerError::Write(_) => ("bad_amount", false),
        PayerError::NotActive(_) => ("not_active", true),
        PayerError::Clock(clock) => (clock.code(), true),
        // The payment may be stored.
        PayerError::Stored(_) => ("result_unknown", true),
        _ => ("failed", true),
    }
}

fn add_payment(line: &mut Value, payment: &Payment) {
    line["deposit"] = json!(payment.deposit);
    line["spent"] = json!(payment.spent);
    line["left"] = json!(payment.left);
    line["proof"] = json!(payment.proof.to_string());
}

fn ensure_all_paid(failed: usize, all: usize) -> Result<()> {
    let partly = || {
        let failure = Failure {
            exit: Exit::Partly,
            code: "partly_paid".to_owned(),
            text: format!(
                "{failed} of {all} payments were not made; their lines have the reasons. Repeat these entries alone: a repeated \
                 list pays the others again"
            ),
        };
        Report::new(failure)
    };
    ensure!(failed == 0, partly());
    Ok(())
}

/// Progress on stderr, for lists that take longer than a second.
struct Progress {
    all: usize,
    last: Instant,
}

impl Progress {
    const fn new(all: usize, begun: Instant) -> Self {
        Self { all, last: begun }
    }

    /// The line to print, if the last one was printed a second ago.
    fn line(&mut self, now: Instant, done: usize, failed: usize) -> Option<String> {
        if now.duration_since(self.last) < PROGRESS {
            return None;
        }
        self.last = now;
        Some(format!("{done} of {} entries, {failed} not paid", self.all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_progress_once_a_second() {
        let begun = Instant::now();
        let mut progress = Progress::new(500, begun);
        let mut line = |milliseconds, done| {
            let now = begun + Duration::from_millis(milliseconds);
            progress.line(now, done, 2)
        };
        assert_eq!(line(999, 90), None, "a quick list needs none");
        let told = Some("100 of 500 entries, 2 not paid".to_owned());
        assert_eq!(line(1_000, 100), told);
        assert_eq!(line(1_900, 190), None);
        assert!(line(2_000, 200).is_some());
    }
}
