//! Ids that buy nothing: bound to a request, or burnt. Their number is bounded per deposit.

use crate::ledger::{
    account::Currency,
    book::Book,
    fault::LedgerFault,
    lookup::{Rules, Shown},
    payment::{ChequeHash, Fingerprint, PaymentId},
    records::payment::{PaymentRecord, PaymentState},
    request::{Ask, ChequeState, Refusal},
};
use alloy_primitives::B256;
use cheque::{Amount, DepositId, Position};

/// Binds the ids of a payment that bought nothing to its request, so that nobody else can use them.
///
/// Without this limit a signer could fill the store with cheques that add nothing. An id beyond it is not bound: who has
/// seen the cheque may show it with a request of his own, as if it were shown for the first time.
pub(super) fn bind(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    ask: &Ask,
    ids: &[(Shown, Amount)],
) -> Result<(), LedgerFault> {
    for (shown, added) in ids {
        if shown.is_known() {
            continue;
        }
        let old = book.payment(&shown.id)?;
        if old.is_none() {
            if check_unused(book, rules, shown)?.is_some() {
                continue;
            }
            count_unused(book, shown.id.deposit(), |unused| unused.saturating_add(1))?;
        }
        let record = PaymentRecord {
            fingerprint: ask.fingerprint,
            cheque: shown.hash,
            added: old.map_or(*added, |old| old.added),
            attempts: old.map_or(0, |old| old.attempts),
            state: PaymentState::Unused,
        };
        book.set_payment(&shown.id, &record);
    }
    Ok(())
}

/// Shows the newest cheque to a payer that has lost records, and burns its id in the same batch: others may see the answer.
/// `None` if the payer has just shown it, or if it cannot be burnt.
pub(super) fn show_state(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    shown: &[Shown],
    position: &Position,
) -> Result<Option<Box<ChequeState>>, LedgerFault> {
    let (deposit, newest) = (position.deposit_id(), position.newest());
    let id = PaymentId::of_cheque(deposit, newest);
    if shown.iter().any(|shown| shown.id == id) {
        return Ok(None);
    }
    let record = book.payment(&id)?;
    let hash = ChequeHash::of(newest);
    if !burn(book, rules, (id, hash), record)? {
        return Ok(None);
    }
    let balance = match book.deposit(deposit)? {
        Some(record) => book.account(&record.account)?.balance(),
        None => Amount::ZERO,
    };
    Ok(Some(Box::new(ChequeState {
        deposit,
        currency: Currency {
            chain_id: position.bank().chain_id(),
            token: position.deposit().token,
        },
        newest: *newest,
        shown: position.shown(),
        balance,
    })))
}

/// Makes an id buy nothing from now on. Returns false if the deposit has too many unused ids already.
pub(super) fn burn(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    (id, cheque): (PaymentId, ChequeHash),
    record: Option<PaymentRecord>,
) -> Result<bool, LedgerFault> {
    if let Some(record) = record {
        if !record.state.is_used() {
            let state = PaymentState::Burnt;
            book.set_payment(&id, &PaymentRecord { state, ..record });
        }
        return Ok(true);
    }
    let unused = book.deposit(id.deposit())?.map(|deposit| deposit.unused);
    if unused.is_none_or(|unused| unused >= rules.settings.max_unused) {
        return Ok(false);
    }
    count_unused(book, id.deposit(), |unused| unused.saturating_add(1))?;
    let record = PaymentRecord {
        fingerprint: Fingerprint(B256::ZERO),
        cheque,
        added: Amount::ZERO,
        attempts: 0,
        state: PaymentState::Burnt,
    };
    book.set_payment(&id, &record);
    Ok(true)
}

/// Changes the number of unused ids of a deposit.
pub(super) fn count_unused(
    book: &mut Book<'_>,
    id: DepositId,
    change: impl FnOnce(u64) -> u64,
) -> Result<(), LedgerFault> {
    if let Some(mut deposit) = book.deposit(id)? {
        deposit.unused = change(deposit.unused);
        book.set_deposit(id, &deposit);
    }
    Ok(())
}

/// Returns the refusal if no further unused id of the cheque's deposit can be stored.
pub(super) fn check_unused(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    shown: &Shown,
) -> Result<Option<Refusal>, LedgerFault> {
    let (deposit, max) = (shown.id.deposit(), rules.settings.max_unused);
    let unused = book.deposit(deposit)?.map_or(0, |deposit| deposit.unused);
    let is_full = shown.record.is_none() && unused >= max;
    Ok(is_full.then_some(Refusal::TooManyUnused { deposit, max }))
}
