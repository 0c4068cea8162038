//! The end of a request: charged or released, by the upstream's outcome.
//!
//! The outcome counts, not the client's connection: a client that hangs up has received nothing, and still made the
//! upstream work. What is free is bounded: timeouts by the hour, answers 4xx to requests with a body in a row.

use crate::ledger::{
    binding::count_unused,
    book::Book,
    fault::LedgerFault,
    idempotency::end_key,
    lookup::Rules,
    payment::PaymentId,
    records::{
        account::AccountRecord, codec::RecordError, payment::PaymentState,
        reservation::ReservationRecord,
    },
    request::{Admission, Outcome, Receipt, Terms},
};
use cheque::{Amount, DepositId};

/// What an outcome costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    Charge(Amount),
    Release,
}

/// Ends a request. `None`: the lease has ended, and another worker has released the reservation.
pub(super) fn settle(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    admission: &Admission,
    (outcome, terms): (Outcome, Terms),
    answer: Option<&[u8]>,
    now: u64,
) -> Result<Option<Receipt>, LedgerFault> {
    let Some(reservation) = own_reservation(book, admission)? else {
        return Ok(None);
    };
    let mut account = book.account(&reservation.account)?;
    let cost = cost(outcome, terms, reservation.amount, &mut account, now);
    let (charged, state) = match cost {
        Cost::Release => (Amount::ZERO, None),
        Cost::Charge(charged) => {
            let kept = answer.filter(|answer| answer.len() <= rules.settings.max_answer);
            let answer_until = match kept {
                Some(_) => now.saturating_add(rules.settings.keep_answers),
                None => 0,
            };
            if let Some(kept) = kept {
                book.set_answer(answer_until, &admission.holder, kept.to_vec());
            }
            let state = PaymentState::Charged {
                holder: admission.holder,
                charged,
                answer_until,
            };
            (charged, Some(state))
        }
    };
    account.settle(reservation.amount, charged)?;
    end(book, rules, &admission.holder, &reservation, state)?;
    let until = now.saturating_add(rules.settings.keep_answers);
    end_key(book, &reservation, state.map(|_| until))?;
    book.set_account(&reservation.account, &account);
    Ok(Some(Receipt {
        account: reservation.account,
        payment: admission.holder,
        charged,
        balance: account.balance(),
        released: state.is_none(),
    }))
}

/// Decides what an outcome costs, of at most the reserved money. Counts what is free in the account.
fn cost(
    outcome: Outcome,
    terms: Terms,
    reserved: Amount,
    account: &mut AccountRecord,
    now: u64,
) -> Cost {
    let charge = |cost: Option<Amount>| Cost::Charge(cost.unwrap_or(reserved).min(reserved));
    match outcome {
        Outcome::Failed | Outcome::NotForwarded => Cost::Release,
        Outcome::Answered { status, .. } if status >= 500 => Cost::Release,
        Outcome::Answered { status, cost } if status >= 400 && !terms.charge_4xx => {
            let is_free = !terms.has_body || account.releases_client_error();
            if is_free { Cost::Release } else { charge(cost) }
        }
        Outcome::Answered { cost, .. } | Outcome::Broken { cost } => {
            if terms.has_body {
                account.end_client_errors();
            }
            charge(cost)
        }
        Outcome::TimedOut if account.releases_timeout(now) => Cost::Release,
        Outcome::TimedOut => charge(None),
    }
}

/// Releases the reservation of a worker that has not settled by the end of its lease. The seller bears it. Returns true if
/// there was one.
pub(super) fn release_expired(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    holder: &PaymentId,
    now: u64,
) -> Result<bool, LedgerFault> {
    let Some(reservation) = book.reservation(holder)? else {
        return Ok(false);
    };
    if reservation.lease_until > now {
        return Ok(false);
    }
    let mut account = book.account(&reservation.account)?;
    account.settle(reservation.amount, Amount::ZERO)?;
    end(book, rules, holder, &reservation, None)?;
    end_key(book, &reservation, None)?;
    book.set_account(&reservation.account, &account);
    Ok(true)
}

/// Prolongs the lease of a worker's own reservation. `None`: it was released.
pub(super) fn renew(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    admission: &Admission,
    now: u64,
) -> Result<Option<Admission>, LedgerFault> {
    let Some(mut reservation) = own_reservation(book, admission)? else {
        return Ok(None);
    };
    reservation.lease_until = now.saturating_add(rules.settings.lease);
    book.set_reservation(&admission.holder, Some(&reservation));
    Ok(Some(Admission {
        lease_until: reservation.lease_until,
        ..admission.clone()
    }))
}

/// The result of reserving more for a request in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extended {
    /// The money is reserved, durably.
    Reserved(Box<Admission>),
    /// The balance does not cover it. The reservation stays as it was.
    Insufficient {
        /// The account's balance, in token units.
        balance: Amount,
    },
    /// The lease has ended, and another worker has released the reservation.
    Lapsed,
}

/// Reserves more money for a request in progress, such as a stream that goes on.
pub(super) fn extend(
    book: &mut Book<'_>,
    admission: &Admission,
    more: Amount,
) -> Result<Extended, LedgerFault> {
    let Some(mut reservation) = own_reservation(book, admission)? else {
        return Ok(Extended::Lapsed);
    };
    let mut account = book.account(&reservation.account)?;
    let balance = account.balance();
    if balance < more {
        return Ok(Extended::Insufficient { balance });
    }
    account.reserve(more)?;
    let reserved = reservation.amount.checked_add(more);
    reservation.amount = reserved.ok_or(LedgerFault::OutOfRange)?;
    book.set_account(&reservation.account, &account);
    book.set_reservation(&admission.holder, Some(&reservation));
    Ok(Extended::Reserved(Box::new(Admission {
        reserved: reservation.amount,
        balance: account.balance(),
        ..admission.clone()
    })))
}

/// Takes back what a deposit was credited, because the chain has lost its opening. Money that was spent becomes a debt.
/// Returns the amount.
pub(super) fn lose_deposit(book: &mut Book<'_>, id: DepositId) -> Result<Amount, LedgerFault> {
    let Some(mut deposit) = book.deposit(id)? else {
        return Ok(Amount::ZERO);
    };
    let lost = deposit.credited;
    let mut account = book.account(&deposit.account)?;
    account.take_back(lost)?;
    deposit.credited = Amount::ZERO;
    book.set_account(&deposit.account, &account);
    book.set_deposit(id, &deposit);
    Ok(lost)
}

/// The reservation of an admission, unless it was released, and perhaps replaced by that of another attempt.
fn own_reservation(
    book: &mut Book<'_>,
    admission: &Admission,
) -> Result<Option<ReservationRecord>, LedgerFault> {
    let reservation = book.reservation(&admission.holder)?;
    Ok(reservation.filter(|reservation| {
        reservation.worker == admission.worker && reservation.attempt == admission.attempt
    }))
}

/// Ends a reservation: its ids are charged, or unused again.
fn end(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    holder: &PaymentId,
    reservation: &ReservationRecord,
    charged: Option<PaymentState>,
) -> Result<(), LedgerFault> {
    for id in &reservation.ids {
        let mut payment = book.payment(id)?.ok_or(RecordError::Missing)?;
        payment.state = match charged {
            Some(state) => state,
            None => release(book, rules, id)?,
        };
        book.set_payment(id, &payment);
    }
    book.set_reservation(holder, None);
    Ok(())
}

/// The state of a released id. Where the deposit has too many unused ids, it is burnt: its money is in the balance, and a new
/// cheque can spend it.
fn release(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    id: &PaymentId,
) -> Result<PaymentState, LedgerFault> {
    let unused = book
        .deposit(id.deposit())?
        .map_or(0, |deposit| deposit.unused);
    if unused >= rules.settings.max_unused {
        return Ok(PaymentState::Burnt);
    }
    count_unused(book, id.deposit(), |unused| unused.saturating_add(1))?;
    Ok(PaymentState::Unused)
}
