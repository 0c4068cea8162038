//! Idempotency keys: a second payment for the same request under the same key buys nothing. Its money stays in the account,
//! and the answer is that of the first.
//!
//! A payment id protects a client that shows the same payment again. A key protects one that has lost the payment, too. It
//! belongs to an account, so it counts only with a cheque of that account that is authentic.

use crate::ledger::{
    account::AccountKey,
    book::Book,
    fault::LedgerFault,
    payment::PaymentId,
    records::{key::KeyRecord, payment::PaymentState, reservation::ReservationRecord},
    request::{Admitted, Ask, MAX_RETRY, Receipt, Refusal, StoredAnswer},
};
use cheque::Amount;

/// Answers an authentic payment whose key names an earlier request of its account. `balance` is with this payment's money.
pub(super) fn look_up_key(
    book: &mut Book<'_>,
    ask: &Ask,
    account: &AccountKey,
    balance: Amount,
) -> Result<Option<Admitted>, LedgerFault> {
    let Some((record, state)) = live(book, ask, account)? else {
        return Ok(None);
    };
    if record.fingerprint != ask.fingerprint {
        return Ok(Some(Admitted::Refused(Refusal::KeyConflict)));
    }
    let (charged, until) = match state {
        Some(PaymentState::Reserved { .. }) => {
            let reservation = book.reservation(&record.holder)?;
            let lease_until = reservation.map_or(ask.now, |reservation| reservation.lease_until);
            let retry_after = lease_until.saturating_sub(ask.now).clamp(1, MAX_RETRY);
            return Ok(Some(Admitted::Refused(Refusal::InProgress { retry_after })));
        }
        Some(PaymentState::Charged {
            charged,
            answer_until,
            ..
        }) => (charged, answer_until),
        _ => (Amount::ZERO, 0),
    };
    let answer = match until > ask.now {
        true => book.answer(until, &record.holder)?,
        false => None,
    };
    Ok(Some(match answer {
        Some(answer) => Admitted::Again(StoredAnswer {
            answer,
            receipt: Receipt {
                account: *account,
                payment: record.holder,
                charged,
                balance,
                released: false,
            },
        }),
        None => Admitted::Refused(Refusal::KeyUsed),
    }))
}

/// True if the key of a request names another request of the account.
pub(super) fn is_taken(
    book: &mut Book<'_>,
    ask: &Ask,
    account: &AccountKey,
) -> Result<bool, LedgerFault> {
    let live = live(book, ask, account)?;
    Ok(live.is_some_and(|(record, _)| record.fingerprint != ask.fingerprint))
}

/// Finds a reservation under the key of a request whose lease has ended.
pub(super) fn expired(
    book: &mut Book<'_>,
    ask: &Ask,
    account: Option<&AccountKey>,
) -> Result<Option<PaymentId>, LedgerFault> {
    let Some(account) = account else {
        return Ok(None);
    };
    let Some((record, Some(PaymentState::Reserved { .. }))) = live(book, ask, account)? else {
        return Ok(None);
    };
    let reservation = book.reservation(&record.holder)?;
    let is_over = reservation.is_some_and(|reservation| reservation.lease_until <= ask.now);
    Ok(is_over.then_some(record.holder))
}

/// The record of the request's key, and the state of its payment, while the key counts.
fn live(
    book: &mut Book<'_>,
    ask: &Ask,
    account: &AccountKey,
) -> Result<Option<(KeyRecord, Option<PaymentState>)>, LedgerFault> {
    let Some(key) = ask.key else {
        return Ok(None);
    };
    let Some(record) = book.key(account, key)? else {
        return Ok(None);
    };
    let state = book.payment(&record.holder)?.map(|payment| payment.state);
    let is_reserved = matches!(state, Some(PaymentState::Reserved { .. }));
    Ok((is_reserved || record.until > ask.now).then_some((record, state)))
}

/// Names a request that was just reserved.
pub(super) fn take_key(
    book: &mut Book<'_>,
    ask: &Ask,
    account: &AccountKey,
    holder: PaymentId,
) -> Result<(), LedgerFault> {
    let Some(key) = ask.key else {
        return Ok(());
    };
    // A record of before has ended. Read, so that the batch fails if another worker has changed it.
    book.key(account, key)?;
    let record = KeyRecord {
        fingerprint: ask.fingerprint,
        holder,
        until: 0,
    };
    book.set_key(account, key, Some(&record));
    Ok(())
}

/// Ends the request of a key. A charged request counts `until` its answer is dropped. A released request, without `until`, has
/// bought nothing, and leaves its key free.
pub(super) fn end_key(
    book: &mut Book<'_>,
    reservation: &ReservationRecord,
    until: Option<u64>,
) -> Result<(), LedgerFault> {
    let Some(key) = reservation.key else {
        return Ok(());
    };
    let account = &reservation.account;
    let Some(mut record) = book.key(account, key)? else {
        return Ok(());
    };
    let Some(until) = until else {
        book.set_key(account, key, None);
        return Ok(());
    };
    record.until = until;
    book.set_key(account, key, Some(&record));
    book.add_key_end(record.until, account, key)
}
