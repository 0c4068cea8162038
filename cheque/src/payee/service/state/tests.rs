use super::*;
use crate::protocol::{chain_profile::ChainProfile, terms::Bank};
use alloy_primitives::B256;

const PAYEE: Address = Address::repeat_byte(7);
const DRAW: u64 = 1_800_000_000;
const LAST: u64 = DRAW + 86_400;

fn id() -> DepositId {
    DepositId(B256::repeat_byte(9))
}

/// A won deposit, still open.
fn won(head_time: u64) -> WinFacts {
    WinFacts {
        head_time,
        purse: Purse::Open(id()),
        closed: None,
        missing_since: None,
        pending: None,
    }
}

fn state(facts: WinFacts) -> Option<HoldingState> {
    after_win((id(), LAST), PAYEE, &facts)
}

#[test]
fn receives_until_the_cutoff_unless_unconfirmed() {
    let profile = ChainProfile::of(1).unwrap();
    let policy = Policy::new(PAYEE, Bank::new(1, Address::ZERO), profile);
    let until = DRAW - 30;
    let at = |now, unconfirmed| before_draw(DRAW, now, &policy, unconfirmed);
    let past_cutoff = HoldingState::PastCutoff { draw_time: DRAW };
    let receiving = HoldingState::Receiving { until };
    assert_eq!(at(until - 1, false), receiving);
    assert_eq!(receiving.estimated_expiry(), Some(until));
    assert_eq!(at(until, false), past_cutoff);
    assert_eq!(past_cutoff.estimated_expiry(), None);
    assert_eq!(at(DRAW - 1, false), past_cutoff);
    assert_eq!(at(until - 1, true), HoldingState::Unconfirmed);
    assert_eq!(at(DRAW - 1, true), HoldingState::Unconfirmed);
    // From the draw time on, the round decides.
    let drawn = HoldingState::Drawn { draw_time: DRAW };
    assert_eq!((at(DRAW, false), at(DRAW, true)), (drawn, drawn));
}

#[test]
fn allows_redemption_up_to_the_last_second() {
    assert_eq!(state(won(DRAW)), None);
    assert_eq!(state(won(LAST)), None);
    let redeem_until = LAST;
    let missed = HoldingState::Missed(MissReason::Window { redeem_until });
    assert_eq!(state(won(LAST + 1)), Some(missed));
    let mut redeeming = won(LAST);
    let hash = TxHash::repeat_byte(3);
    redeeming.pending = Some(hash);
    assert_eq!(state(redeeming), Some(HoldingState::Redeeming { hash }));
    redeeming.head_time = LAST + 1;
    assert_eq!(state(redeeming), Some(missed));
}

#[test]
fn tells_how_a_won_deposit_was_closed() {
    let payout = Amount::new(5);
    let (block, since) = (77, DRAW + 50);
    let closed = |closed| {
        let mut missing = won(since);
        missing.purse = Purse::Idle(Amount::ZERO);
        missing.closed = closed;
        state(missing).unwrap()
    };
    let redeemed = |payee| {
        closed(Some(Closed::Redeemed {
            payee,
            payout,
            block,
        }))
    };
    assert_eq!(redeemed(PAYEE), HoldingState::Redeemed { payout, block });
    assert_eq!(redeemed(Address::ZERO), HoldingState::NotOnChain { since });
    let reclaimed = closed(Some(Closed::Reclaimed { block }));
    assert_eq!(
        reclaimed,
        HoldingState::Missed(MissReason::Reclaimed { block })
    );
    assert_eq!(closed(None), HoldingState::NotOnChain { since });
}

#[test]
fn keeps_the_time_since_which_a_deposit_is_missing() {
    let mut missing = won(DRAW + 50);
    missing.purse = Purse::Idle(Amount::ZERO);
    missing.missing_since = Some(DRAW + 20);
    let since = DRAW + 20;
    assert_eq!(state(missing), Some(HoldingState::NotOnChain { since }));
}

#[test]
fn ends_by_a_block_a_time_or_a_round() {
    let at = |number, time, head_time| EndedBy {
        number,
        time,
        head_time,
        missing_for: 2_400,
    };
    let ended = |state: HoldingState, by: EndedBy| state.has_ended(&by);
    assert!(ended(HoldingState::NotDrawn, at(0, 0, 0)));
    let block = 10;
    let payout = Amount::ZERO;
    for closed in [
        HoldingState::Redeemed { payout, block },
        HoldingState::Missed(MissReason::Reclaimed { block }),
    ] {
        assert!(!ended(closed, at(9, LAST + 1, u64::MAX)));
        assert!(ended(closed, at(10, 0, 0)));
    }
    let redeem_until = LAST;
    let window = HoldingState::Missed(MissReason::Window { redeem_until });
    assert!(!ended(window, at(u64::MAX, LAST, u64::MAX)));
    assert!(ended(window, at(0, LAST + 1, 0)));
    let missing = HoldingState::NotOnChain { since: DRAW };
    assert!(!ended(missing, at(u64::MAX, u64::MAX, DRAW + 2_399)));
    assert!(ended(missing, at(0, 0, DRAW + 2_400)));
    let hash = TxHash::ZERO;
    for open in [
        HoldingState::Unconfirmed,
        HoldingState::Drawn { draw_time: DRAW },
        HoldingState::Redeeming { hash },
    ] {
        assert!(!ended(open, at(u64::MAX, u64::MAX, u64::MAX)));
    }
}

#[test]
fn names_every_state_as_listed() {
    let wait = Waiting {
        until: 1,
        reason: WaitReason::Due,
    };
    let all = [
        HoldingState::Unconfirmed,
        HoldingState::Receiving { until: 1 },
        HoldingState::PastCutoff { draw_time: 1 },
        HoldingState::Drawn { draw_time: 1 },
        HoldingState::NotDrawn,
        HoldingState::Won(wait),
        HoldingState::Redeeming { hash: TxHash::ZERO },
        HoldingState::Redeemed {
            payout: Amount::ZERO,
            block: 1,
        },
        HoldingState::Missed(MissReason::Window { redeem_until: 1 }),
        HoldingState::NotOnChain { since: 1 },
    ];
    assert_eq!(all.map(|state| state.name()), HoldingState::NAMES);
    assert!(all.iter().all(|state| !state.to_string().is_empty()));
    assert!(
        all[3]
            .to_string()
            .starts_with("drawn at 1970-01-01T00:00:01Z")
    );
}
