//! The checks of a payment against policy and view (SPEC section 13.2).

use crate::protocol::{
    amount::Amount,
    receive::{
        policy::{Policy, TokenLimits, View},
        position::Position,
        rejection::Rejection,
    },
    signature::{PublicKey, SignatureError},
    terms::{Bank, DepositId},
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;

/// Checks payee, bank and token against the policy.
pub(super) fn check_who(
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

/// Checks that proof and position belong to the same deposit.
pub(super) fn check_same_deposit(id: DepositId, old: &Position) -> Result<(), Rejection> {
    if id == old.basis.id {
        Ok(())
    } else {
        Err(Rejection::WrongPosition {
            found: old.basis.id,
            expected: id,
        })
    }
}

/// Checks the authenticated sender, if any.
pub(super) fn check_from(from: Option<Address>, deposit: &Deposit) -> Result<(), Rejection> {
    match from {
        Some(from) if from != deposit.signer => Err(Rejection::WrongFrom {
            from,
            signer: deposit.signer,
        }),
        _ => Ok(()),
    }
}

/// Checks that the view is fresh, the deposit open, and the draw far enough ahead. Returns the time.
pub(super) fn check_moment(
    id: DepositId,
    deposit: &Deposit,
    view: &View,
    policy: &Policy,
) -> Result<u64, Rejection> {
    let now = match &policy.freshness {
        Some(bounds) => {
            let now = view.now.check(bounds)?;
            check_final(view, policy, now)?;
            now
        }
        None => view.now.latest(),
    };
    if !view.is_open(id) {
        return Err(Rejection::NotConfirmed(id));
    }
    let draw_time = deposit.drawTime;
    if now >= draw_time.saturating_sub(policy.cutoff) {
        return Err(Rejection::PastCutoff {
            now,
            draw_time,
            cutoff: policy.cutoff,
        });
    }
    Ok(now)
}

/// Checks that the chain still finalizes: a payee counts on the opening being final before the draw is known.
fn check_final(view: &View, policy: &Policy, now: u64) -> Result<(), Rejection> {
    match view.final_time {
        Some(final_time) if now.saturating_sub(final_time) > policy.finality => {
            Err(Rejection::ChainNotFinal {
                final_time,
                now,
                limit: policy.finality,
            })
        }
        _ => Ok(()),
    }
}

/// Checks the limits on a deposit's terms, at its first payment only: terms do not change, and rejecting more does not
/// make money safer that was taken already.
pub(super) fn check_term_limits(
    deposit: &Deposit,
    now: u64,
    policy: &Policy,
) -> Result<(), Rejection> {
    let latest = now.saturating_add(policy.max_horizon);
    if deposit.drawTime > latest {
        return Err(Rejection::HorizonTooLong {
            draw_time: deposit.drawTime,
            latest,
        });
    }
    // Terms with an empty window were rejected before.
    let window = deposit.redeemUntil.saturating_sub(deposit.drawTime);
    if window < policy.min_window {
        return Err(Rejection::WindowTooShort {
            window,
            min: policy.min_window,
        });
    }
    let amount = Amount::new(deposit.amount);
    match limits(deposit, policy)?.max_deposit {
        Some(limit) if amount > limit => Err(Rejection::DepositTooLarge { amount, limit }),
        _ => Ok(()),
    }
}

/// Checks the money at risk with one signer, this payment included, at every payment.
pub(super) fn check_exposure(
    position: &Position,
    view: &View,
    policy: &Policy,
) -> Result<(), Rejection> {
    let with_total = |others: Amount| others.checked_add(position.total()).unwrap_or(Amount::MAX);
    let limit = limits(position.deposit(), policy)?.max_exposure;
    let exposure = with_total(view.exposure);
    if exposure > limit {
        return Err(Rejection::ExposureTooLarge { exposure, limit });
    }
    if !view.settled {
        let unsettled = with_total(view.unsettled);
        let limit = costs(position, policy.max_unsettled_costs);
        if unsettled > limit {
            return Err(Rejection::UnsettledTooLarge { unsettled, limit });
        }
    }
    Ok(())
}

/// Returns so many times the position's cost of redeeming; an amount too large to write counts as the largest.
pub(super) fn costs(position: &Position, number: u32) -> Amount {
    let cost = position.redeem_cost();
    cost.checked_mul(number.into()).unwrap_or(Amount::MAX)
}

fn limits<'a>(deposit: &Deposit, policy: &'a Policy) -> Result<&'a TokenLimits, Rejection> {
    let limits = policy.tokens.get(&deposit.token);
    limits.ok_or(Rejection::TokenNotAccepted(deposit.token))
}

/// Makes the rejection of a signature that is not the signer's.
pub(super) fn foreign(found: Result<PublicKey, SignatureError>, deposit: &Deposit) -> Rejection {
    match found {
        Ok(key) => Rejection::WrongSigner {
            found: key.address(),
            expected: deposit.signer,
        },
        Err(error) => error.into(),
    }
}

/// Checks a total, which is `None` above all amounts.
pub(super) fn check_allowance(spent: Option<Amount>, allowance: Amount) -> Result<(), Rejection> {
    match spent {
        Some(spent) if spent <= allowance => Ok(()),
        _ => Err(Rejection::OverAllowance {
            spent: spent.unwrap_or(Amount::MAX),
            allowance,
        }),
    }
}
