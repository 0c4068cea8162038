//! The decision about a payment after its proofs are judged: credit, then refuse or reserve. One batch of records.

use crate::ledger::{
    account::AccountKey,
    binding::{bind, burn, burn_top_up, count_unused, show_state},
    book::Book,
    crediting::{Judgement, Paid, credit, first_stale, has_own_cheque, rejected},
    fault::LedgerFault,
    idempotency::{is_taken, look_up_key, take_key},
    lookup::{Looked, Rules, ToJudge, look_up, look_up_credit, payer_of, price},
    payment::Payment,
    records::{
        codec::RecordError,
        payment::{PaymentRecord, PaymentState},
        reservation::ReservationRecord,
    },
    request::{Admission, Admitted, Ask, Refusal, Room},
};
use cheque::{Amount, DepositId};

/// A decision about a payment.
pub(super) enum Decision<T> {
    Done(T),
    /// The records have changed since the proofs were judged.
    Redo,
}

/// An account after a payment that only adds money. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credited {
    /// The account.
    pub account: AccountKey,
    /// The growth of the account's money, in token units.
    pub added: Amount,
    /// The account's balance, in token units.
    pub balance: Amount,
}

/// Decides about a request with a payment.
pub(super) fn admit(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    (ask, payment): (&Ask, &Payment),
    judgements: &[Judgement],
    room: &dyn Fn(&AccountKey) -> Room,
) -> Result<Decision<Admitted>, LedgerFault> {
    let looked = match look_up(book, rules, ask, payment)? {
        Looked::Answer(answer) => return Ok(Decision::Done(answer)),
        Looked::Expired(_) => return Ok(Decision::Redo),
        Looked::Judge(looked) => looked,
    };
    if !still_holds(book, rules, payment, &looked, judgements)? {
        return Ok(Decision::Redo);
    }
    if looked.is_used {
        if let Some(account) = &looked.account
            && has_own_cheque(payment, judgements)
            && is_taken(book, ask, account)?
        {
            return Ok(Decision::Done(Admitted::Refused(Refusal::KeyConflict)));
        }
        let stale = first_stale(payment, judgements)?;
        let state = match stale {
            Some(position) => show_state(book, rules, &looked.shown, &position)?,
            None => None,
        };
        let refusal = state.map_or(Refusal::Used, Refusal::Stale);
        return Ok(Decision::Done(Admitted::Refused(refusal)));
    }
    let mut paid = match credit(book, payment, &looked, judgements)? {
        Ok(paid) => paid,
        Err(refusal) => return Ok(Decision::Done(Admitted::Refused(refusal))),
    };
    let named = match paid.rejected.is_none() && !paid.ids.is_empty() {
        true => look_up_key(book, ask, &paid.key, paid.account.balance())?,
        false => None,
    };
    if let Some(admitted) = named {
        bind(book, rules, ask, &paid.ids)?;
        book.set_account(&paid.key, &paid.account);
        return Ok(Decision::Done(admitted));
    }
    let admitted = match refuse(book, rules, ask, payment, &looked, &mut paid, room)? {
        Ok(money) => Admitted::Forward(reserve(book, rules, ask, &mut paid, money)?),
        Err(refusal) => {
            bind(book, rules, ask, &paid.ids)?;
            Admitted::Refused(refusal)
        }
    };
    book.set_account(&paid.key, &paid.account);
    Ok(Decision::Done(admitted))
}

/// Decides about a payment that only adds money. Its cheques buy no request: they are burnt.
pub(super) fn add(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    (ask, payment): (&Ask, &Payment),
    judgements: &[Judgement],
) -> Result<Decision<Result<Credited, Refusal>>, LedgerFault> {
    let looked = match look_up_credit(book, rules, ask, payment)? {
        Ok(looked) => looked,
        Err(refusal) => return Ok(Decision::Done(Err(refusal))),
    };
    if !still_holds(book, rules, payment, &looked, judgements)? {
        return Ok(Decision::Redo);
    }
    let paid = match credit(book, payment, &looked, judgements)? {
        Ok(paid) => paid,
        Err(refusal) => return Ok(Decision::Done(Err(refusal))),
    };
    for (shown, added) in &paid.ids {
        let own = judgements.iter().find(|judged| judged.index == shown.index);
        match own.is_some_and(|judged| judged.judged.is_ok()) {
            // A cheque that was counted before may be the payment of a request.
            false => {}
            true if added.is_zero() => {
                burn(book, rules, (shown.id, shown.hash), shown.record)?;
            }
            true => burn_top_up(book, shown, *added),
        }
    }
    book.set_account(&paid.key, &paid.account);
    let balance = paid.account.balance();
    if let Some((index, rejection)) = paid.rejected {
        return Ok(Decision::Done(Err(rejected(
            index,
            rejection,
            Some(balance),
        ))));
    }
    Ok(Decision::Done(Ok(Credited {
        account: paid.key,
        added: paid.credited,
        balance,
    })))
}

/// True if all proofs that are to be judged were judged, by the positions that are stored.
fn still_holds(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    payment: &Payment,
    looked: &ToJudge,
    judgements: &[Judgement],
) -> Result<bool, LedgerFault> {
    let is_judged = |index: &usize| judgements.iter().any(|judged| judged.index == *index);
    if !looked.proofs.iter().all(is_judged) {
        return Ok(false);
    }
    let mut seen: Vec<DepositId> = Vec::new();
    for judgement in judgements {
        let proof = &payment.proofs[judgement.index];
        let id = proof.deposit_id();
        if seen.contains(&id) {
            continue;
        }
        // Later proofs of the same deposit were judged by the position that the first one makes.
        seen.push(id);
        let stored = match payer_of(book, rules, proof)? {
            Some((bank, _)) => book.position_bytes(bank.address(), id)?,
            None => None,
        };
        if stored != judgement.old {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The money to reserve, and the most that the request accepts.
#[derive(Clone, Copy)]
struct Reserving {
    amount: Amount,
    limit: Amount,
}

/// Finds the reason not to serve the request, or the money to reserve.
fn refuse(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    ask: &Ask,
    payment: &Payment,
    looked: &ToJudge,
    paid: &mut Paid,
    room: &dyn Fn(&AccountKey) -> Room,
) -> Result<Result<Reserving, Refusal>, LedgerFault> {
    let balance = paid.account.balance();
    if let Some((index, rejection)) = paid.rejected.take() {
        return Ok(Err(rejected(index, rejection, Some(balance))));
    }
    let debt = paid.account.debt();
    if !debt.is_zero() {
        return Ok(Err(Refusal::InDebt { debt }));
    }
    let (price, most) = match price(rules, ask, &paid.key) {
        Ok(price) => (price.least, price.most),
        Err(refusal) => return Ok(Err(refusal)),
    };
    if payment.max.is_none() && price > paid.added {
        let max = paid.added;
        return Ok(Err(Refusal::PriceAboveMax { price, max }));
    }
    if let Room::Full { retry_after } = room(&paid.key) {
        return Ok(Err(Refusal::Full { retry_after }));
    }
    if balance >= price {
        let limit = payment.max.map_or(paid.added, |max| max.amount);
        let amount = most.min(limit).min(balance);
        return Ok(Ok(Reserving { amount, limit }));
    }
    let state = match paid.stale.take() {
        Some(position) => show_state(book, rules, &looked.shown, &position)?,
        None => None,
    };
    let insufficient = Refusal::Insufficient { price, balance };
    Ok(Err(state.map_or(insufficient, |mut state| {
        state.balance = balance;
        Refusal::Stale(state)
    })))
}

/// Reserves money under all ids of the payment.
fn reserve(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    ask: &Ask,
    paid: &mut Paid,
    Reserving { amount, limit }: Reserving,
) -> Result<Admission, LedgerFault> {
    let mut ids: Vec<_> = paid.ids.iter().map(|(shown, _)| shown.id).collect();
    ids.sort_unstable();
    let holder = *ids.first().ok_or(RecordError::Missing)?;
    paid.account.reserve(amount)?;
    let mut attempt = 0;
    for (shown, added) in &paid.ids {
        let old = book.payment(&shown.id)?;
        let record = PaymentRecord {
            fingerprint: ask.fingerprint,
            cheque: shown.hash,
            added: old.map_or(*added, |old| old.added),
            attempts: old.map_or(0, |old| old.attempts).saturating_add(1),
            state: PaymentState::Reserved { holder },
        };
        if shown.id == holder {
            attempt = record.attempts;
        }
        if old.is_some() {
            count_unused(book, shown.id.deposit(), |unused| unused.saturating_sub(1))?;
        }
        book.set_payment(&shown.id, &record);
    }
    let settings = rules.settings;
    let lease_until = ask.now.saturating_add(settings.lease);
    let reservation = ReservationRecord {
        account: paid.key,
        ids,
        amount,
        worker: settings.worker,
        attempt,
        lease_until,
        key: ask.key,
    };
    book.set_reservation(&holder, Some(&reservation));
    take_key(book, ask, &paid.key, holder)?;
    Ok(Admission {
        account: paid.key,
        holder,
        worker: settings.worker,
        attempt,
        reserved: amount,
        balance: paid.account.balance(),
        limit,
        credited: paid.account.sums().credited,
        lease_until,
    })
}
