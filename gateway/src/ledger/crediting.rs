//! Crediting the good proofs of a payment to its account.

use crate::ledger::{
    account::AccountKey,
    book::Book,
    fault::LedgerFault,
    lookup::{Shown, ToJudge},
    payment::Payment,
    records::{account::AccountRecord, deposit::DepositRecord},
    request::Refusal,
};
use cheque::{Amount, DepositId, Position, Proof, Received, Rejection};

/// A judged proof, with the position by which it was judged.
pub(super) struct Judgement {
    pub(super) index: usize,
    /// The bytes of the position; `None`: no position.
    pub(super) old: Option<Vec<u8>>,
    pub(super) judged: Result<Received, Rejection>,
}

/// The payment after its good proofs are credited.
pub(super) struct Paid {
    pub(super) key: AccountKey,
    pub(super) account: AccountRecord,
    /// The sum that this payment's proofs added, now or when they were first judged for the same request.
    pub(super) added: Amount,
    /// The growth of the account.
    pub(super) credited: Amount,
    /// The ids of all authentic cheques, each with what it added.
    pub(super) ids: Vec<(Shown, Amount)>,
    pub(super) rejected: Option<(usize, Rejection)>,
    /// The deposit of the first cheque that is older than the newest one.
    pub(super) stale: Option<Position>,
}

/// Credits all good proofs, and stores their positions.
pub(super) fn credit(
    book: &mut Book<'_>,
    payment: &Payment,
    looked: &ToJudge,
    judgements: &[Judgement],
) -> Result<Result<Paid, Refusal>, LedgerFault> {
    let first_rejected = judgements
        .iter()
        .find_map(|judgement| match &judgement.judged {
            Err(rejection) if !is_authentic(rejection) => {
                Some((judgement.index, rejection.clone()))
            }
            _ => None,
        });
    let known = looked.shown.iter().filter(|shown| shown.is_known());
    let mut ids: Vec<_> = known
        .map(|shown| {
            (
                *shown,
                shown.record.map_or(Amount::ZERO, |record| record.added),
            )
        })
        .collect();
    let is_good = |judged: &Judgement| judged.judged.as_ref().err().is_none_or(is_authentic);
    let (Some(key), true) = (
        looked.account,
        !ids.is_empty() || judgements.iter().any(is_good),
    ) else {
        // Nothing of the payment is authentic, so not even a balance is told.
        let (index, rejection) = first_rejected
            .unwrap_or((0, Rejection::UnknownDeposit(payment.proofs[0].deposit_id())));
        return Ok(Err(rejected(index, rejection, None)));
    };
    let mut account = book.account(&key)?;
    let mut credited = Amount::ZERO;
    let mut stale = None;
    let mut positions: Vec<Position> = Vec::new();
    for judgement in judgements {
        let id = payment.proofs[judgement.index].deposit_id();
        let shown = looked
            .shown
            .iter()
            .find(|shown| shown.index == judgement.index);
        let at = positions
            .iter()
            .position(|position| position.deposit_id() == id);
        let old = match at {
            Some(at) => Some(positions[at].clone()),
            None => judgement
                .old
                .as_deref()
                .map(Position::from_bytes)
                .transpose()?,
        };
        let added = match (&judgement.judged, old) {
            (Ok(received), old) => {
                let position = received.position();
                let growth = credit_deposit(book, key, position, old.as_ref())?;
                account.credit(growth)?;
                credited = credited
                    .checked_add(growth)
                    .ok_or(LedgerFault::OutOfRange)?;
                book.set_position(position);
                match at {
                    Some(at) => positions[at] = position.clone(),
                    None => positions.push(position.clone()),
                }
                growth
            }
            (Err(rejection), Some(old)) if is_authentic(rejection) => {
                let growth = credit_deposit(book, key, &old, Some(&old))?;
                account.credit(growth)?;
                credited = credited
                    .checked_add(growth)
                    .ok_or(LedgerFault::OutOfRange)?;
                if shown.is_some() && matches!(rejection, Rejection::Stale { .. }) {
                    stale.get_or_insert(id);
                }
                growth
            }
            _ => continue,
        };
        if let Some(shown) = shown {
            ids.push((*shown, added));
        }
    }
    let mut added = Amount::ZERO;
    for (_, each) in &ids {
        added = added.checked_add(*each).ok_or(LedgerFault::OutOfRange)?;
    }
    let stale = match stale {
        Some(id) => newest_position(&positions, judgements, payment, id)?,
        None => None,
    };
    Ok(Ok(Paid {
        key,
        account,
        added,
        credited,
        ids,
        rejected: first_rejected,
        stale,
    }))
}

/// Returns the part of a position's total that was not credited yet, and counts it.
///
/// The record of the deposit, not the older position, says what was credited. So money of a deposit that came back after a
/// reorganisation is credited again, and money that the payee took before it had a ledger is not.
fn credit_deposit(
    book: &mut Book<'_>,
    account: AccountKey,
    position: &Position,
    old: Option<&Position>,
) -> Result<Amount, LedgerFault> {
    let id = position.deposit_id();
    let mut record = book.deposit(id)?.unwrap_or_else(|| DepositRecord {
        bank: *position.bank(),
        account,
        credited: old.map_or(Amount::ZERO, Position::total),
        unused: 0,
    });
    let growth = position.total().saturating_sub(record.credited);
    record.credited = record.credited.max(position.total());
    book.set_deposit(id, &record);
    Ok(growth)
}

/// Finds the newest position of a deposit, after the good proofs of the payment.
fn newest_position(
    positions: &[Position],
    judgements: &[Judgement],
    payment: &Payment,
    id: DepositId,
) -> Result<Option<Position>, LedgerFault> {
    let new = positions
        .iter()
        .find(|position| position.deposit_id() == id);
    if let Some(new) = new {
        return Ok(Some(new.clone()));
    }
    let of = |judgement: &&Judgement| payment.proofs[judgement.index].deposit_id() == id;
    let old = judgements
        .iter()
        .find(of)
        .and_then(|judged| judged.old.as_deref());
    Ok(old.map(Position::from_bytes).transpose()?)
}

/// Finds the position of the first cheque that is older than the newest one, for a payment that changes nothing.
pub(super) fn first_stale(
    payment: &Payment,
    judgements: &[Judgement],
) -> Result<Option<Position>, LedgerFault> {
    let is_stale = |judged: &&Judgement| {
        let is_step = matches!(payment.proofs[judged.index], Proof::Step { .. });
        !is_step && matches!(judged.judged, Err(Rejection::Stale { .. }))
    };
    let Some(stale) = judgements.iter().find(is_stale) else {
        return Ok(None);
    };
    newest_position(
        &[],
        judgements,
        payment,
        payment.proofs[stale.index].deposit_id(),
    )
}

/// True if the signer of the deposit has signed one of the judged cheques.
pub(super) fn has_own_cheque(payment: &Payment, judgements: &[Judgement]) -> bool {
    judgements.iter().any(|judged| {
        let is_step = matches!(payment.proofs[judged.index], Proof::Step { .. });
        !is_step && judged.judged.as_ref().err().is_none_or(is_authentic)
    })
}

/// True if the rejection shows that the signer has signed the proof, and that it was counted before.
const fn is_authentic(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::Stale { .. } | Rejection::Replay)
}

pub(super) fn rejected(index: usize, rejection: Rejection, balance: Option<Amount>) -> Refusal {
    Refusal::Rejected {
        index,
        rejection: Box::new(rejection),
        balance,
    }
}
