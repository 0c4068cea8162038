//! The judgement of a payment (SPEC sections 13.2 and 13.3).

use crate::protocol::{
    amount::Amount,
    cheque::SignedCheque,
    proof::{Opening, Proof},
    receive::{
        checks::{
            check_allowance, check_exposure, check_from, check_moment, check_same_deposit,
            check_term_limits, check_who, costs, foreign,
        },
        policy::{Policy, View},
        position::{Basis, Position},
        rejection::Rejection,
    },
    signature::recover,
    stream::{MAX_STEPS, hash_chain},
    terms::{DepositId, check_terms},
};
use alloy_primitives::{Address, B256};
use std::sync::Arc;

/// An accepted payment. [`receive_payment`] alone makes one.
///
/// To count the payment, the host must store [`Received::position`] and credit [`Received::value`] in the same
/// transaction, provided that the position stored under [`Received::key`] is still the old one. Otherwise it must judge
/// the payment again. Nothing is stored or credited before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a payment counts only after its position is stored and its value credited"]
pub struct Received {
    value: Amount,
    position: Position,
}

/// The key of a stored position. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PositionKey {
    /// The bank's address.
    pub bank: Address,
    /// The deposit.
    pub deposit: DepositId,
    /// The payee.
    pub payee: Address,
}

impl Received {
    /// Returns the value of this payment, in token units: the expected value of the position net of the cost of
    /// redeeming, less the amount credited before. May be zero.
    pub const fn value(&self) -> Amount {
        self.value
    }

    /// Returns the owner of the account to credit: the deposit's signer.
    pub fn credit_to(&self) -> Address {
        self.position.basis.deposit.signer
    }

    /// Returns the new position, to be stored under [`Received::key`] until the draw is lost or the purse is closed
    /// by a final block.
    pub const fn position(&self) -> &Position {
        &self.position
    }

    /// Returns the key under which to store the position.
    pub fn key(&self) -> PositionKey {
        PositionKey {
            bank: self.position.basis.bank.address(),
            deposit: self.position.basis.id,
            payee: self.position.basis.payee,
        }
    }
}

/// Judges a payment: returns its value and the payee's new position, or a rejection.
///
/// A deterministic function of its arguments. `from` is the sender that the host has authenticated, if any; `old` is
/// the position that the host has stored for (bank, deposit, payee), if any.
///
/// Does not read the chain or the clock, so the caller must pass a true `view`. Does not store anything: see
/// [`Received`].
///
/// The value is V(total) - credited, where V(total) = floor(range / amount * max(0, payout - cost)), and the cost is
/// that of the deposit's first payment (SPEC section 13.3).
///
/// # Errors
///
/// [`Rejection`] names the first check that fails, in the order of SPEC section 13.2.
///
/// ```
/// # use cheque::{Account, Address, AllowanceTree, Amount, Bank, ChequeContext, DepositBuilder, MasterSalt};
/// # use cheque::{Opening, Proof, SigningKey};
/// use cheque::{ChainProfile, Now, Policy, Purse, Rejection, View, receive_payment};
///
/// # let key = SigningKey::from_bytes(&[7; 32])?;
/// # let payee = Address::repeat_byte(0xa1);
/// # let allowance = Amount::new(1_000_000);
/// # let tree = AllowanceTree::build([(payee, allowance)], &MasterSalt::from_bytes([9; 32]))?;
/// # let bank = Bank::new(1, Address::repeat_byte(0xba));
/// # let deposit = DepositBuilder::new(Address::repeat_byte(1), key.address()).draw_time(1_700_086_400).build(&tree)?;
/// # let id = bank.deposit_id(&deposit);
/// # let context = ChequeContext { key: &key, bank: &bank, deposit: id, payee };
/// # let account = Account::new(allowance).write_cheque(Amount::new(20_000), &context)?;
/// # let (cheque, allowance) = (*account.newest().unwrap(), tree.proof(payee).unwrap());
/// # let opening = Proof::Opening(Box::new(Opening { bank, deposit, payee, allowance, cheque }));
/// # let account = account.write_cheque(Amount::new(5_000), &context)?;
/// # let later = Proof::Cheque(id, *account.newest().unwrap());
/// let policy = Policy::new(payee, bank, ChainProfile::of(1)?);
/// let view = View {
///     now: Now { clock: 1_700_000_003, head_time: 1_700_000_000, round_time: Some(1_700_000_001) },
///     final_time: Some(1_699_999_000),
///     purse: Purse::Open(id).word(), // read from the bank
///     settled: true,
///     redeem_cost: Some(Amount::new(10)),
///     exposure: Amount::ZERO,
///     unsettled: Amount::ZERO,
/// };
/// // The first payment, an opening over 20,000, and a later cheque over 5,000 more.
/// let first = receive_payment(None, &opening, None, &view, &policy)?;
/// assert!(first.value() > Amount::new(19_000));
/// let second = receive_payment(None, &later, Some(first.position()), &view, &policy)?;
/// assert_eq!(second.position().total(), Amount::new(25_000));
///
/// // A payment that is shown again has no value.
/// let again = receive_payment(None, &later, Some(second.position()), &view, &policy);
/// assert_eq!(again, Err(Rejection::Replay));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn receive_payment(
    from: Option<Address>,
    proof: &Proof,
    old: Option<&Position>,
    view: &View,
    policy: &Policy,
) -> Result<Received, Rejection> {
    match (proof, old) {
        (Proof::Opening(opening), None) => {
            let position = first_position(from, opening, view, policy)?;
            credit(position, view, policy)
        }
        (Proof::Opening(opening), Some(old)) => {
            check_who(&opening.bank, &opening.deposit, opening.payee, policy)?;
            check_same_deposit(proof.deposit_id(), old)?;
            check_from(from, &old.basis.deposit)?;
            check_moment(old.basis.id, &old.basis.deposit, view, policy)?;
            if opening.allowance != old.basis.allowance {
                return Err(Rejection::SecondAllowance(old.basis.id));
            }
            credit(with_cheque(old, opening.cheque)?, view, policy)
        }
        (Proof::Cheque(id, cheque), Some(old)) => {
            check_who(&old.basis.bank, &old.basis.deposit, old.basis.payee, policy)?;
            check_same_deposit(*id, old)?;
            check_from(from, &old.basis.deposit)?;
            check_moment(old.basis.id, &old.basis.deposit, view, policy)?;
            credit(with_cheque(old, *cheque)?, view, policy)
        }
        (Proof::Step { deposit, k, x }, Some(old)) => {
            check_who(&old.basis.bank, &old.basis.deposit, old.basis.payee, policy)?;
            check_same_deposit(*deposit, old)?;
            check_from(from, &old.basis.deposit)?;
            check_moment(old.basis.id, &old.basis.deposit, view, policy)?;
            credit(with_step(old, *k, *x, policy)?, view, policy)
        }
        (Proof::Cheque(id, _) | Proof::Step { deposit: id, .. }, None) => {
            Err(Rejection::UnknownDeposit(*id))
        }
    }
}

/// Judges the first payment of a deposit.
fn first_position(
    from: Option<Address>,
    opening: &Opening,
    view: &View,
    policy: &Policy,
) -> Result<Position, Rejection> {
    let deposit = &opening.deposit;
    check_who(&opening.bank, deposit, opening.payee, policy)?;
    check_terms(deposit)?;
    check_from(from, deposit)?;
    let id = opening.bank.deposit_id(deposit);
    let now = check_moment(id, deposit, view, policy)?;
    check_term_limits(deposit, now, policy)?;
    let redeem_cost = view
        .redeem_cost
        .ok_or(Rejection::TokenWithoutRate(deposit.token))?;
    let start = opening.allowance.start(opening.payee, deposit)?;

    let cheque = opening.cheque;
    cheque.check_stream_terms()?;
    let signer = cheque.signer(&opening.bank, id, opening.payee)?;
    if signer.address() != deposit.signer {
        return Err(foreign(Ok(signer), deposit));
    }
    if cheque.spent.is_zero() && !cheque.has_stream() {
        return Err(Rejection::NothingSpent);
    }
    check_allowance(Some(cheque.spent), opening.allowance.allowance)?;

    let basis = Basis {
        bank: opening.bank,
        id,
        deposit: deposit.clone(),
        payee: opening.payee,
        allowance: opening.allowance.clone(),
        start,
        signer,
        redeem_cost,
    };
    Ok(Position {
        basis: Arc::new(basis),
        credited: Amount::ZERO,
        last_value: Amount::ZERO,
        newest: cheque,
        shown: 0,
        x: B256::ZERO,
    })
}

/// Judges a later cheque of the same deposit.
fn with_cheque(old: &Position, cheque: SignedCheque) -> Result<Position, Rejection> {
    cheque.check_stream_terms()?;
    // The signature comes before any answer that tells the newest cheque: only the signer may learn it.
    let basis = &*old.basis;
    let digest = cheque.digest(&basis.bank, basis.id, basis.payee);
    if !basis.signer.verifies(digest, &cheque.signature) {
        return Err(foreign(recover(digest, &cheque.signature), &basis.deposit));
    }
    let total = old.total();
    if cheque.spent < total {
        return Err(stale(old, cheque.spent));
    }
    if cheque.spent == total && (!cheque.has_stream() || cheque.anchor == old.newest.anchor) {
        return Err(Rejection::Replay);
    }
    if cheque.has_stream() && cheque.anchor == old.newest.anchor {
        return Err(Rejection::AnchorReused);
    }
    check_allowance(Some(cheque.spent), old.allowance())?;

    Ok(Position {
        newest: cheque,
        shown: 0,
        x: B256::ZERO,
        ..old.clone()
    })
}

/// Judges further steps of the newest cheque's stream.
fn with_step(old: &Position, k: u32, x: B256, policy: &Policy) -> Result<Position, Rejection> {
    if !old.newest.has_stream() {
        return Err(Rejection::NoStream(old.basis.id));
    }
    let limit = policy.max_steps.min(MAX_STEPS);
    if k > limit {
        return Err(Rejection::StreamTooLong { steps: k, limit });
    }
    let total = old.newest.total(k);
    check_allowance(total, old.allowance())?;
    if k <= old.shown {
        // Only a sender that knows the hash chain learns the number of steps shown.
        if hash_chain(old.x, old.shown - k) != x {
            return Err(Rejection::WrongStep);
        }
        return Err(if k == old.shown {
            Rejection::Replay
        } else {
            stale(old, total.unwrap_or(Amount::MAX))
        });
    }
    let last = if old.shown == 0 {
        old.newest.anchor
    } else {
        old.x
    };
    if hash_chain(x, k - old.shown) != last {
        return Err(Rejection::WrongStep);
    }
    Ok(Position {
        shown: k,
        x,
        ..old.clone()
    })
}

/// Checks the money at risk, computes the value that a payment adds, and counts it in the position.
fn credit(mut position: Position, view: &View, policy: &Policy) -> Result<Received, Rejection> {
    check_exposure(&position, view, policy)?;
    let Some(payout) = position.payout() else {
        // A stream starts, and no step has been shown.
        position.last_value = Amount::ZERO;
        return Ok(Received {
            value: Amount::ZERO,
            position,
        });
    };
    let cost = position.basis.redeem_cost;
    let min = costs(&position, policy.min_payout_per_cost);
    if payout.amount < min {
        return Err(Rejection::PayoutTooSmall {
            payout: payout.amount,
            cost,
            min,
        });
    }
    let worth = payout.expected_value(Amount::new(position.basis.deposit.amount), cost);
    let value = worth.saturating_sub(position.credited);
    position.credited = position.credited.max(worth);
    position.last_value = value;
    Ok(Received { value, position })
}

fn stale(old: &Position, total: Amount) -> Rejection {
    Rejection::Stale {
        total,
        newest_total: old.total(),
        newest: Box::new(old.newest),
        shown: old.shown(),
    }
}
