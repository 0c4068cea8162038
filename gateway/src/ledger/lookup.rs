//! The first look at a payment, before any proof is judged: its form, its account, its ids and the price.
//!
//! A client that lost an answer may show the payment again after the deposit's cutoff, when no judge accepts it. So ids are
//! looked up first. An id alone is no credential: a total can be guessed. The record keeps a hash of the cheque, and only
//! who shows the same cheque is told more than that the id is used.

use crate::ledger::{
    account::{AccountKey, Currencies, Currency},
    book::Book,
    fault::LedgerFault,
    idempotency::expired,
    payment::{ChequeHash, Payment, PaymentId, cheque_of},
    records::payment::{PaymentRecord, PaymentState},
    request::{Admitted, Ask, MAX_RETRY, Price, Receipt, Refusal, StoredAnswer},
};
use alloy_primitives::B128;
use cheque::{Amount, Bank, DepositId, Proof};

/// The settings of a ledger. Start from [`Settings::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The name of this worker. No two workers of a store may have the same.
    pub worker: B128,
    /// The time for which a worker reserves, in seconds.
    pub lease: u64,
    /// The time for which answers are kept, in seconds.
    pub keep_answers: u64,
    /// The largest answer that is kept, in bytes.
    pub max_answer: usize,
    /// The largest number of proofs in a payment.
    pub max_proofs: usize,
    /// The largest number of unused ids of a deposit.
    pub max_unused: u64,
}

impl Settings {
    /// Makes the default settings: leases of 60 s, answers of up to 64 KiB for 10 minutes, 8 proofs, 1,024 unused ids.
    pub const fn new(worker: B128) -> Self {
        Self {
            worker,
            lease: 60,
            keep_answers: 600,
            max_answer: 64 << 10,
            max_proofs: 8,
            max_unused: 1_024,
        }
    }
}

/// All that decisions depend on, beside the records and the request.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) banks: &'a [Bank],
    pub(super) currencies: &'a Currencies,
    pub(super) settings: &'a Settings,
}

/// What the records say about a cheque that is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) index: usize,
    pub(super) id: PaymentId,
    pub(super) hash: ChequeHash,
    pub(super) record: Option<PaymentRecord>,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// To be judged.
    Fresh,
    /// Judged before for the same request, and unused.
    Known,
    /// Used for the same request.
    Mine,
    /// Used for another request, bound to another one, or burnt.
    Elsewhere,
}

impl Shown {
    pub(super) fn is_known(&self) -> bool {
        self.standing == Standing::Known
    }
}

/// The result of the first look.
pub(super) enum Looked {
    /// The answer, without a change of records.
    Answer(Admitted),
    /// The reservation of this holder is in the way, and its lease has ended. It is to be released first.
    Expired(PaymentId),
    /// Proofs are to be judged.
    Judge(ToJudge),
}

pub(super) struct ToJudge {
    pub(super) shown: Vec<Shown>,
    /// The account that the proofs name, if the deposit is known or opened by one of them.
    pub(super) account: Option<AccountKey>,
    /// True if an id has been used. The judgement then only tells whether the payer may learn the newest cheque.
    pub(super) is_used: bool,
    /// The proofs to judge, in order.
    pub(super) proofs: Vec<usize>,
}

pub(super) fn look_up(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    ask: &Ask,
    payment: &Payment,
) -> Result<Looked, LedgerFault> {
    let looked = match look_at_form(book, rules, ask, payment)? {
        Ok(looked) => looked,
        Err(refusal) => return Ok(refused(refusal)),
    };
    if let Some(early) = look_at_use(book, ask, &looked.shown)? {
        return Ok(early);
    }
    if let Some(holder) = expired(book, ask, looked.account.as_ref())? {
        return Ok(Looked::Expired(holder));
    }
    if !looked.is_used
        && let Some(account) = &looked.account
        && let Err(refusal) = check_price(rules, ask, payment, account)
    {
        return Ok(refused(refusal));
    }
    Ok(Looked::Judge(looked))
}

/// Looks at a payment that only adds money. Its ids do not matter: a cheque that is shown again adds nothing.
pub(super) fn look_up_credit(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    ask: &Ask,
    payment: &Payment,
) -> Result<Result<ToJudge, Refusal>, LedgerFault> {
    let looked = look_at_form(book, rules, ask, payment)?;
    Ok(looked.map(|mut looked| {
        looked.is_used = false;
        looked.proofs = (0..payment.proofs.len()).collect();
        looked
    }))
}

fn look_at_form(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    ask: &Ask,
    payment: &Payment,
) -> Result<Result<ToJudge, Refusal>, LedgerFault> {
    let (found, max) = (payment.proofs.len(), rules.settings.max_proofs);
    if found == 0 || found > max {
        return Ok(Err(Refusal::ProofCount { found, max }));
    }
    let mut account = None;
    let mut shown: Vec<Shown> = Vec::new();
    let mut proofs = Vec::new();
    for (index, proof) in payment.proofs.iter().enumerate() {
        if let Some((_, of)) = payer_of(book, rules, proof)? {
            if account.is_some_and(|known| known != of) {
                return Ok(Err(Refusal::SeveralAccounts));
            }
            account = Some(of);
        }
        let Some((id, cheque)) = PaymentId::of(proof).zip(cheque_of(proof)) else {
            proofs.push(index);
            continue;
        };
        if shown.iter().any(|other| other.id == id) {
            return Ok(Err(Refusal::RepeatedProof));
        }
        let hash = ChequeHash::of(cheque);
        let record = book.payment(&id)?;
        let standing = standing(ask, hash, record.as_ref());
        if standing != Standing::Known {
            proofs.push(index);
        }
        shown.push(Shown {
            index,
            id,
            hash,
            record,
            standing,
        });
    }
    let used = |shown: &Shown| matches!(shown.standing, Standing::Mine | Standing::Elsewhere);
    let is_used = shown.iter().any(used);
    Ok(Ok(ToJudge {
        shown,
        account,
        is_used,
        proofs,
    }))
}

fn standing(ask: &Ask, hash: ChequeHash, record: Option<&PaymentRecord>) -> Standing {
    let Some(record) = record else {
        return Standing::Fresh;
    };
    let is_same = record.fingerprint == ask.fingerprint && record.cheque == hash;
    match record.state {
        PaymentState::Burnt => Standing::Elsewhere,
        PaymentState::Unused if is_same => Standing::Known,
        // The signer may have signed the same cheque twice. The judge tells whether this one is signed.
        PaymentState::Unused if record.fingerprint == ask.fingerprint => Standing::Fresh,
        PaymentState::Unused => Standing::Elsewhere,
        PaymentState::Reserved { .. } | PaymentState::Charged { .. } if is_same => Standing::Mine,
        PaymentState::Reserved { .. } | PaymentState::Charged { .. } => Standing::Elsewhere,
    }
}

/// Answers a payment whose ids have all been used for this very request.
fn look_at_use(
    book: &mut Book<'_>,
    ask: &Ask,
    shown: &[Shown],
) -> Result<Option<Looked>, LedgerFault> {
    let mut holders = Vec::new();
    for shown in shown {
        let state = shown.record.map(|record| record.state);
        match (shown.standing, state) {
            (Standing::Mine, Some(PaymentState::Reserved { holder })) => {
                let reservation = book.reservation(&holder)?;
                let Some(reservation) = reservation else {
                    return Err(super::records::codec::RecordError::Missing.into());
                };
                if reservation.lease_until <= ask.now {
                    return Ok(Some(Looked::Expired(holder)));
                }
                holders.push((holder, Some(reservation.lease_until), (Amount::ZERO, 0)));
            }
            (
                Standing::Mine,
                Some(PaymentState::Charged {
                    holder,
                    charged,
                    answer_until,
                }),
            ) => holders.push((holder, None, (charged, answer_until))),
            _ => {}
        }
    }
    let Some((holder, lease_until, (charged, until))) = holders.first().copied() else {
        let has_cheque = !shown.is_empty();
        return Ok((!has_cheque).then(|| refused(Refusal::NoCheque)));
    };
    if holders.len() < shown.len() || holders.iter().any(|(other, ..)| *other != holder) {
        // Some of the proofs are new: nobody pays twice for one answer by accident, and a replay is no payment.
        return Ok(None);
    }
    if let Some(lease_until) = lease_until {
        let retry_after = lease_until.saturating_sub(ask.now).clamp(1, MAX_RETRY);
        return Ok(Some(refused(Refusal::InProgress { retry_after })));
    }
    let answer = match until > ask.now {
        true => book.answer(until, &holder)?,
        false => None,
    };
    let (Some(answer), Some(deposit)) = (answer, book.deposit(holder.deposit())?) else {
        return Ok(Some(refused(Refusal::Used)));
    };
    let balance = book.account(&deposit.account)?.balance();
    let receipt = Receipt {
        account: deposit.account,
        payment: holder,
        charged,
        balance,
        released: false,
    };
    Ok(Some(Looked::Answer(Admitted::Again(StoredAnswer {
        answer,
        receipt,
    }))))
}

/// Finds the price for an account, and compares it with the most that the request states. A request that accepts less than
/// the present price changes nothing: the price may have been raised after the client read the offer.
fn check_price(
    rules: Rules<'_>,
    ask: &Ask,
    payment: &Payment,
    account: &AccountKey,
) -> Result<(), Refusal> {
    let price = price(rules, ask, account)?.least;
    let Some(max) = payment.max else {
        return Ok(());
    };
    let canonical = |currency: Currency| rules.currencies.canonical(currency);
    if max
        .currency
        .is_some_and(|of| canonical(of) != account.currency)
    {
        return Err(Refusal::WrongCurrency);
    }
    if price > max.amount {
        return Err(Refusal::PriceAboveMax {
            price,
            max: max.amount,
        });
    }
    Ok(())
}

/// Finds the price of the request for an account.
pub(super) fn price(rules: Rules<'_>, ask: &Ask, account: &AccountKey) -> Result<Price, Refusal> {
    let mut prices = ask.prices.iter();
    let own = prices.find(|(of, _)| rules.currencies.canonical(*of) == account.currency);
    own.map(|(_, price)| *price).ok_or(Refusal::NotPriced)
}

/// Finds the bank and the account of a proof; `None` for a cheque of an unknown deposit. An opening names its own, so the
/// account counts only after the opening is judged.
pub(super) fn payer_of(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    proof: &Proof,
) -> Result<Option<(Bank, AccountKey)>, LedgerFault> {
    let id = proof.deposit_id();
    if let Some(deposit) = book.deposit(id)? {
        return Ok(Some((deposit.bank, deposit.account)));
    }
    let account = |bank: &Bank, signer, token| {
        let currency = Currency {
            chain_id: bank.chain_id(),
            token,
        };
        AccountKey {
            signer,
            currency: rules.currencies.canonical(currency),
        }
    };
    if let Proof::Opening(opening) = proof {
        let terms = &opening.deposit;
        return Ok(Some((
            opening.bank,
            account(&opening.bank, terms.signer, terms.token),
        )));
    }
    let position = position_of_unknown(book, rules, id)?;
    Ok(position.map(|position| {
        let terms = position.deposit();
        (
            *position.bank(),
            account(position.bank(), terms.signer, terms.token),
        )
    }))
}

/// Finds the position of a deposit that has paid the payee, and never this ledger.
fn position_of_unknown(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    id: DepositId,
) -> Result<Option<cheque::Position>, LedgerFault> {
    for bank in rules.banks {
        if let Some(position) = book.position(bank.address(), id)? {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

fn refused(refusal: Refusal) -> Looked {
    Looked::Answer(Admitted::Refused(refusal))
}
