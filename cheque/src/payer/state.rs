//! Computes a deposit's state from facts of the chain. No IO.

use crate::{
    bank::history::Closed,
    payer::records::DepositState,
    protocol::terms::{DepositId, Purse},
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;

/// Facts of the chain about one deposit at one head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// The newest block.
    pub(super) head: u64,
    /// The newest final block: no reorganisation can replace it.
    pub(super) last_final: u64,
    /// The deposit's purse at the head.
    pub(super) purse_now: Purse,
    /// The deposit's purse at the confirmed block.
    pub(super) purse_confirmed: Purse,
    /// The redemption or reclaim, if the node's events show one.
    pub(super) closed: Option<Closed>,
    /// `None`: the draw block is not confirmed, or the winner was not computed. `Some(None)`: no payee won.
    pub(super) winner: Option<Option<Address>>,
}

/// Returns the state, and true if it is final: no reorganisation can change it.
pub(super) fn state(
    id: DepositId,
    deposit: &Deposit,
    cutoff: u64,
    min_lead: u64,
    facts: &Facts,
) -> (DepositState, bool) {
    let open = Purse::Open(id);
    if facts.purse_now == open {
        return (
            open_state(deposit, cutoff, facts, facts.purse_confirmed == open),
            false,
        );
    }
    let closed_state = |closed: &Closed| match *closed {
        Closed::Redeemed {
            payee,
            payout,
            block,
        } => (
            DepositState::Redeemed { payee, payout },
            block <= facts.last_final,
        ),
        Closed::Reclaimed { block } => (DepositState::Reclaimed, block <= facts.last_final),
    };
    if let Some(closed) = &facts.closed {
        return closed_state(closed);
    }
    // The last head after which `open` can no longer be mined in time.
    let last_chance = deposit.drawBlock.saturating_sub(min_lead);
    if facts.head < last_chance {
        (DepositState::Pending, false)
    } else {
        (DepositState::NeverOpened, facts.last_final >= last_chance)
    }
}

fn open_state(deposit: &Deposit, cutoff: u64, facts: &Facts, confirmed: bool) -> DepositState {
    if !confirmed {
        return DepositState::Pending;
    }
    if facts.head >= deposit.lastRedeemBlock {
        // A redemption sent now is mined in the next block, which is too late.
        return DepositState::Reclaimable;
    }
    if let Some(winner) = facts.winner {
        return DepositState::Drawn { winner };
    }
    if facts.head.saturating_add(cutoff) >= deposit.drawBlock {
        return DepositState::PastCutoff;
    }
    DepositState::Active
}

/// True if only events can tell the state: the purse no longer holds the deposit, and a redemption or reclaim is
/// possible.
pub(super) fn may_be_closed(id: DepositId, deposit: &Deposit, head: u64, purse_now: Purse) -> bool {
    purse_now != Purse::Open(id) && head > deposit.drawBlock
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::amount::Amount;
    use alloy_primitives::B256;

    const ID: DepositId = DepositId(B256::repeat_byte(7));
    const OPEN: Purse = Purse::Open(ID);
    const IDLE: Purse = Purse::Idle(Amount::ZERO);
    const PAYEE: Address = Address::repeat_byte(9);

    /// Drawn at 1000, redeemable until 1100.
    const DEPOSIT: Deposit = Deposit {
        payer: Address::ZERO,
        signer: Address::ZERO,
        token: Address::ZERO,
        lane: 1,
        amount: 1,
        minPayout: 0,
        drawBlock: 1000,
        lastRedeemBlock: 1100,
        root: B256::ZERO,
    };

    /// No cheques from 986 on, `open` possible up to 996.
    fn state_of(facts: Facts) -> (DepositState, bool) {
        state(ID, &DEPOSIT, 14, 4, &facts)
    }

    fn at(head: u64, purse_now: Purse, purse_confirmed: Purse) -> Facts {
        Facts {
            head,
            last_final: head - 7,
            purse_now,
            purse_confirmed,
            closed: None,
            winner: None,
        }
    }

    #[test]
    fn stays_pending_until_confirmed() {
        assert_eq!(state_of(at(500, IDLE, IDLE)).0, DepositState::Pending);
        assert_eq!(state_of(at(500, OPEN, IDLE)).0, DepositState::Pending);
        assert_eq!(state_of(at(500, OPEN, OPEN)).0, DepositState::Active);
    }

    #[test]
    fn ends_active_state_exactly_at_cutoff() {
        assert_eq!(state_of(at(985, OPEN, OPEN)).0, DepositState::Active);
        assert_eq!(state_of(at(986, OPEN, OPEN)).0, DepositState::PastCutoff);
        assert_eq!(state_of(at(1000, OPEN, OPEN)).0, DepositState::PastCutoff);
    }

    #[test]
    fn becomes_reclaimable_when_next_block_is_too_late() {
        let winner = Some(Some(PAYEE));
        let drawn = |head| Facts {
            winner,
            ..at(head, OPEN, OPEN)
        };
        let state = DepositState::Drawn {
            winner: Some(PAYEE),
        };
        assert_eq!(state_of(drawn(1001)), (state, false));
        assert_eq!(state_of(drawn(1099)).0, state);
        assert_eq!(state_of(drawn(1100)).0, DepositState::Reclaimable);
    }

    #[test]
    fn becomes_never_opened_when_open_is_too_late() {
        assert_eq!(
            state_of(at(995, IDLE, IDLE)),
            (DepositState::Pending, false)
        );
        assert_eq!(
            state_of(at(996, IDLE, IDLE)),
            (DepositState::NeverOpened, false)
        );
        assert_eq!(
            state_of(at(1002, IDLE, IDLE)),
            (DepositState::NeverOpened, false)
        );
        assert_eq!(
            state_of(at(1003, IDLE, IDLE)),
            (DepositState::NeverOpened, true)
        );
    }

    #[test]
    fn reverts_active_deposit_after_reorg() {
        assert_eq!(state_of(at(600, OPEN, OPEN)).0, DepositState::Active);
        assert_eq!(state_of(at(601, IDLE, OPEN)).0, DepositState::Pending);
        assert_eq!(state_of(at(997, IDLE, OPEN)).0, DepositState::NeverOpened);
    }

    #[test]
    fn settles_when_closing_block_is_final() {
        let payout = Amount::new(5);
        let closed = |head| Facts {
            closed: Some(Closed::Redeemed {
                payee: PAYEE,
                payout,
                block: 1050,
            }),
            ..at(head, IDLE, OPEN)
        };
        let redeemed = DepositState::Redeemed {
            payee: PAYEE,
            payout,
        };
        assert_eq!(state_of(closed(1050)), (redeemed, false));
        assert_eq!(state_of(closed(1056)), (redeemed, false));
        assert_eq!(state_of(closed(1057)), (redeemed, true));
        let reclaimed = Facts {
            closed: Some(Closed::Reclaimed { block: 1101 }),
            ..at(1110, IDLE, IDLE)
        };
        assert_eq!(state_of(reclaimed), (DepositState::Reclaimed, true));
    }

    #[test]
    fn asks_for_events_only_after_draw() {
        assert!(!may_be_closed(ID, &DEPOSIT, 2000, OPEN));
        assert!(!may_be_closed(ID, &DEPOSIT, 1000, IDLE));
        assert!(may_be_closed(ID, &DEPOSIT, 1001, IDLE));
    }
}
