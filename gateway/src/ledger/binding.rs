//! Ids that buy nothing: bound to a request, or burnt. Their number is bounded per deposit.

use crate::ledger::{
    account::Currency,
    book::Book,
    fault::LedgerFault,
    lookup::{Rules, Shown},
    payment::{ChequeHash, Fingerprint, PaymentId},
    records::payment::{PaymentRecord, PaymentState},
    request::{Ask, ChequeState},
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
            if !has_place(book, rules, shown.id.deposit())? {
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
    if !has_place(book, rules, id.deposit())? {
        return Ok(false);
    }
    count_unused(book, id.deposit(), |unused| unused.saturating_add(1))?;
    book.set_payment(&id, &burnt(cheque, Amount::ZERO));
    Ok(true)
}

/// Burns the id of a cheque that has only added money. It does not count as unused: it has cost its signer at least a unit.
pub(super) fn burn_top_up(book: &mut Book<'_>, shown: &Shown, added: Amount) {
    book.set_payment(&shown.id, &burnt(shown.hash, added));
}

/// The record of an id that is burnt at its first sight. It is bound to no request.
const fn burnt(cheque: ChequeHash, added: Amount) -> PaymentRecord {
    PaymentRecord {
        fingerprint: Fingerprint(B256::ZERO),
        cheque,
        added,
        attempts: 0,
        state: PaymentState::Burnt,
    }
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

/// True if the deposit can have one more unused id.
fn has_place(book: &mut Book<'_>, rules: Rules<'_>, id: DepositId) -> Result<bool, LedgerFault> {
    let unused = book.deposit(id)?.map(|deposit| deposit.unused);
    Ok(unused.is_some_and(|unused| unused < rules.settings.max_unused))
}
