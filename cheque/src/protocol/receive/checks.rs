//! The checks of a payment against policy and view (SPEC section 13.2).

use crate::protocol::{
    amount::Amount,
    draw::HISTORY_WINDOW,
    receive::{
        policy::{Policy, View},
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

/// Checks that the view is fresh, the deposit open, and the draw far enough ahead.
pub(super) fn check_moment(
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

/// Checks the limits on a deposit's terms, at its first payment only: terms do not change, and rejecting more does not
/// make money safer that was taken already.
pub(super) fn check_term_limits(
    deposit: &Deposit,
    view: &View,
    policy: &Policy,
) -> Result<(), Rejection> {
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
            min: policy.min_window,
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
