//! Judging one payment.

use crate::protocol::{
    amount::Amount,
    cheque::SignedCheque,
    draw::HISTORY_WINDOW,
    proof::{Opening, Proof},
    receive::{
        policy::{Policy, View},
        position::{Basis, Position},
        rejection::Rejection,
    },
    signature::{PublicKey, SignatureError, recover},
    stream::{MAX_STEPS, hash_chain},
    terms::{Bank, DepositId, check_terms},
};
use alloy_primitives::{Address, B256};
use cheque_bindings::Deposit;
use std::sync::Arc;

/// A payment that was found good. The only way to get one is [`receive_payment`]; to count it, the host stores
/// [`Received::position`] and credits [`Received::value`] in one transaction, provided the meta stored under
/// [`Received::key`] still is the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a payment counts only once its meta is stored and its value credited"]
pub struct Received {
    value: Amount,
    position: Position,
}

/// Where a meta is stored.
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
    /// What this payment adds, in token units: the expected value of what can now be cashed, after the cost of
    /// redeeming, less what was credited before. May be zero.
    pub const fn value(&self) -> Amount {
        self.value
    }

    /// Whose account to credit: the deposit's signer.
    pub fn credit_to(&self) -> Address {
        self.position.basis.deposit.signer
    }

    /// The new meta, to be stored under [`Received::key`] until the draw block is final: a reorganisation of the chain can
    /// turn a loss into a win.
    pub const fn position(&self) -> &Position {
        &self.position
    }

    /// Where to store the meta.
    pub fn key(&self) -> PositionKey {
        PositionKey {
            bank: self.position.basis.bank.address(),
            deposit: self.position.basis.id,
            payee: self.position.basis.payee,
        }
    }
}

/// Judges a payment: what it is worth to the payee, and what to remember; or why it is not counted.
///
/// A deterministic function of its arguments. `from` is whom the host has authenticated as the sender, if anybody;
/// `old_meta` is what the host has stored for (bank, deposit, payee), if anything.
///
/// It does not look at the chain or the clock: `view` must be true. And it does not store anything: see [`Received`].
///
/// The value is V(now) - credited, V(spent) = floor(range / amount * max(0, payout - redeemCost)), where the cost is the
/// one of the deposit's first payment.
pub fn receive_payment(
    from: Option<Address>,
    proof: &Proof,
    old_meta: Option<&Position>,
    view: &View,
    policy: &Policy,
) -> Result<Received, Rejection> {
    match (proof, old_meta) {
        (Proof::Opening(opening), None) => {
            let position = first_meta(from, opening, view, policy)?;
            credit(position, policy)
        }
        (Proof::Opening(opening), Some(old)) => {
            check_who(&opening.bank, &opening.deposit, opening.payee, policy)?;
            check_same_deposit(proof.deposit_id(), old)?;
            check_from(from, &old.basis.deposit)?;
            check_moment(old.basis.id, &old.basis.deposit, view, policy)?;
            if opening.allowance != old.basis.allowance {
                return Err(Rejection::SecondAllowance(old.basis.id));
            }
            credit(with_cheque(old, opening.cheque)?, policy)
        }
        (Proof::Cheque(id, cheque), Some(old)) => {
            check_who(&old.basis.bank, &old.basis.deposit, old.basis.payee, policy)?;
            check_same_deposit(*id, old)?;
            check_from(from, &old.basis.deposit)?;
            check_moment(old.basis.id, &old.basis.deposit, view, policy)?;
            credit(with_cheque(old, *cheque)?, policy)
        }
        (Proof::Step { deposit, k, x }, Some(old)) => {
            check_who(&old.basis.bank, &old.basis.deposit, old.basis.payee, policy)?;
            check_same_deposit(*deposit, old)?;
            check_from(from, &old.basis.deposit)?;
            check_moment(old.basis.id, &old.basis.deposit, view, policy)?;
            credit(with_step(old, *k, *x, policy)?, policy)
        }
        (Proof::Cheque(id, _) | Proof::Step { deposit: id, .. }, None) => {
            Err(Rejection::UnknownDeposit(*id))
        }
    }
}

/// The meta of a deposit that the payee hears of for the first time.
fn first_meta(
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
    check_moment(id, deposit, view, policy)?;
    check_term_limits(deposit, view, policy)?;
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
        newest: cheque,
        shown: 0,
        x: B256::ZERO,
    })
}

/// The meta after a further cheque of the same deposit.
fn with_cheque(old: &Position, cheque: SignedCheque) -> Result<Position, Rejection> {
    cheque.check_stream_terms()?;
    // The signature comes before everything that an honest payer would learn from, the newest cheque above all.
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

/// The meta after further steps of the newest cheque's stream.
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
        // Only who knows the stream is told how far it has come.
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

/// Values the meta, and counts what it adds.
fn credit(mut position: Position, policy: &Policy) -> Result<Received, Rejection> {
    let Some(payout) = position.payout() else {
        // A stream begins, and nothing of it has been shown.
        return Ok(Received {
            value: Amount::ZERO,
            position,
        });
    };
    let cost = position.basis.redeem_cost;
    let least = cost
        .checked_mul(policy.min_payout_per_cost.into())
        .unwrap_or(Amount::MAX);
    if payout.amount < least {
        return Err(Rejection::PayoutTooSmall {
            payout: payout.amount,
            cost,
            least,
        });
    }
    let worth = payout.expected_value(Amount::new(position.basis.deposit.amount), cost);
    let value = worth.saturating_sub(position.credited);
    position.credited = position.credited.max(worth);
    Ok(Received { value, position })
}

fn check_who(
    bank: &Bank,
    deposit: &Deposit,
    payee: Address,
    policy: &Policy,
) -> Result<(), Rejection> {
    if payee != policy.payee {
        return Err(Rejection::WrongPayee {
            found: payee,
            expected: policy.payee,
        });
    }
    if !policy.banks.contains(bank) {
        let chain = bank.chain_id();
        return Err(
            if policy.banks.iter().any(|known| known.chain_id() == chain) {
                Rejection::BankNotAccepted(bank.address())
            } else {
                Rejection::ChainNotAccepted(chain)
            },
        );
    }
    if !policy.tokens.contains_key(&deposit.token) {
        return Err(Rejection::TokenNotAccepted(deposit.token));
    }
    Ok(())
}

fn check_same_deposit(id: DepositId, old: &Position) -> Result<(), Rejection> {
    if id == old.basis.id {
        Ok(())
    } else {
        Err(Rejection::WrongMeta {
            found: old.basis.id,
            expected: id,
        })
    }
}

fn check_from(from: Option<Address>, deposit: &Deposit) -> Result<(), Rejection> {
    match from {
        Some(from) if from != deposit.signer => Err(Rejection::WrongFrom {
            from,
            signer: deposit.signer,
        }),
        _ => Ok(()),
    }
}

/// Whether this is a moment in which a cheque of the deposit can be accepted.
fn check_moment(
    id: DepositId,
    deposit: &Deposit,
    view: &View,
    policy: &Policy,
) -> Result<(), Rejection> {
    if let Some(limit) = policy.stale_after
        && view.head_time.abs_diff(view.now) > limit
    {
        return Err(Rejection::StaleView {
            head_time: view.head_time,
            now: view.now,
            limit,
        });
    }
    if !view.is_open(id) {
        return Err(Rejection::NotConfirmed(id));
    }
    let draw_block = deposit.drawBlock;
    let ahead = draw_block.saturating_sub(view.head);
    if ahead <= policy.cutoff {
        return Err(Rejection::PastCutoff {
            head: view.head,
            draw_block,
            cutoff: policy.cutoff,
        });
    }
    if policy.early_seed > 0 {
        let draw_time = ahead
            .saturating_mul(policy.block_time)
            .saturating_add(view.head_time);
        let public = draw_time.saturating_sub(policy.early_seed);
        if view.now >= public {
            return Err(Rejection::SeedMayBePublic {
                draw_block,
                public,
                now: view.now,
            });
        }
    }
    Ok(())
}

/// The limits on a deposit's terms. They are checked when the payee hears of the deposit: terms do not change, and money
/// already taken is not safer for refusing more of it.
fn check_term_limits(deposit: &Deposit, view: &View, policy: &Policy) -> Result<(), Rejection> {
    let latest = view.head.saturating_add(policy.max_horizon);
    if deposit.drawBlock > latest {
        return Err(Rejection::HorizonTooLong {
            draw_block: deposit.drawBlock,
            latest,
        });
    }
    let window = (deposit.lastRedeemBlock - deposit.drawBlock).min(HISTORY_WINDOW);
    if window < policy.min_window {
        return Err(Rejection::WindowTooShort {
            window,
            least: policy.min_window,
        });
    }
    let Some(limits) = policy.tokens.get(&deposit.token) else {
        return Err(Rejection::TokenNotAccepted(deposit.token));
    };
    let amount = Amount::new(deposit.amount);
    if amount > limits.max_deposit {
        return Err(Rejection::DepositTooLarge {
            amount,
            limit: limits.max_deposit,
        });
    }
    let exposure = view.exposure.checked_add(amount).unwrap_or(Amount::MAX);
    if exposure > limits.max_exposure {
        return Err(Rejection::ExposureTooLarge {
            exposure,
            limit: limits.max_exposure,
        });
    }
    Ok(())
}

/// Why a signature is not the signer's.
fn foreign(found: Result<PublicKey, SignatureError>, deposit: &Deposit) -> Rejection {
    match found {
        Ok(key) => Rejection::WrongSigner {
            found: key.address(),
            expected: deposit.signer,
        },
        Err(error) => error.into(),
    }
}

/// `spent` is `None` where it exceeds all amounts.
fn check_allowance(spent: Option<Amount>, allowance: Amount) -> Result<(), Rejection> {
    match spent {
        Some(spent) if spent <= allowance => Ok(()),
        _ => Err(Rejection::OverAllowance {
            spent: spent.unwrap_or(Amount::MAX),
            allowance,
        }),
    }
}

fn stale(old: &Position, total: Amount) -> Rejection {
    Rejection::Stale {
        total,
        newest_total: old.total(),
        newest: Box::new(old.newest),
        shown: old.shown(),
    }
}
