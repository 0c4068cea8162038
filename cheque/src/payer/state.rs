//! Where a deposit stands, as a function of what the chain says.

use crate::{
    bank::history::Closed,
    payer::records::DepositState,
    protocol::terms::{DepositId, Purse},
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;

/// What the chain says about a deposit at one head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// The newest block.
    pub(super) head: u64,
    /// The newest block that is never replaced any more.
    pub(super) last_final: u64,
    /// The deposit's purse at the head.
    pub(super) now: Purse,
    /// The deposit's purse at the confirmed block.
    pub(super) before: Purse,
    /// How the deposit was closed, if events tell so.
    pub(super) closed: Option<Closed>,
    /// The winner, if the draw block is confirmed and the winner was computed.
    pub(super) winner: Option<Option<Address>>,
}

/// The state, and whether it is final: no reorganisation can change it any more.
pub(super) fn state(
    id: DepositId,
    deposit: &Deposit,
    cutoff: u64,
    min_lead: u64,
    facts: &Facts,
) -> (DepositState, bool) {
    let open = Purse::Open(id);
    if facts.now == open {
        return (
            open_state(deposit, cutoff, facts, facts.before == open),
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
    // `open` is possible up to this block.
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
        // The next block is too late to redeem.
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

/// Whether it takes events to tell the state: the purse holds something else, and the deposit may have been closed.
pub(super) fn may_be_closed(id: DepositId, deposit: &Deposit, head: u64, now: Purse) -> bool {
    now != Purse::Open(id) && head > deposit.drawBlock
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

    /// Drawn at 1000, redeemable until 1100, no cheques from 986 on, `open` possible up to 996.
    fn state_of(facts: Facts) -> (DepositState, bool) {
        let deposit = Deposit {
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
        state(ID, &deposit, 14, 4, &facts)
    }

    fn at(head: u64, now: Purse, before: Purse) -> Facts {
        Facts {
            head,
            last_final: head - 7,
            now,
            before,
            closed: None,
            winner: None,
        }
    }

    #[test]
    fn a_deposit_is_pending_until_it_is_deep_enough() {
        assert_eq!(state_of(at(500, IDLE, IDLE)).0, DepositState::Pending);
        assert_eq!(state_of(at(500, OPEN, IDLE)).0, DepositState::Pending);
        assert_eq!(state_of(at(500, OPEN, OPEN)).0, DepositState::Active);
    }

    #[test]
    fn cheques_end_exactly_at_the_cutoff() {
        assert_eq!(state_of(at(985, OPEN, OPEN)).0, DepositState::Active);
        assert_eq!(state_of(at(986, OPEN, OPEN)).0, DepositState::PastCutoff);
        assert_eq!(state_of(at(1000, OPEN, OPEN)).0, DepositState::PastCutoff);
    }

    #[test]
    fn a_drawn_deposit_is_reclaimable_once_the_next_block_is_too_late() {
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
    fn a_deposit_that_was_never_opened_is_lost_once_it_cannot_be() {
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
    fn a_reorganisation_takes_an_active_deposit_back() {
        assert_eq!(state_of(at(600, OPEN, OPEN)).0, DepositState::Active);
        assert_eq!(state_of(at(601, IDLE, OPEN)).0, DepositState::Pending);
        assert_eq!(state_of(at(997, IDLE, OPEN)).0, DepositState::NeverOpened);
    }

    #[test]
    fn a_closed_deposit_settles_when_the_closing_block_is_final() {
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
    fn events_are_asked_for_only_where_they_can_matter() {
        let deposit = Deposit {
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
        assert!(!may_be_closed(ID, &deposit, 2000, OPEN));
        assert!(!may_be_closed(ID, &deposit, 1000, IDLE));
        assert!(may_be_closed(ID, &deposit, 1001, IDLE));
    }
}
