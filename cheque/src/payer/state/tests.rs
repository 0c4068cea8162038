use super::*;
use crate::protocol::{
    amount::Amount,
    now::{Freshness, Now},
};
use alloy_primitives::B256;

const ID: DepositId = DepositId(B256::repeat_byte(7));
const OPEN: Purse = Purse::Open(ID);
const IDLE: Purse = Purse::Idle(Amount::ZERO);
const PAYEE: Address = Address::repeat_byte(9);

/// No cheques from 9_955 on, `open` possible up to 7_600.
const LIMITS: Limits = Limits {
    cutoff: 45,
    min_lead: 2_400,
    confirm: 144,
};

/// Drawn at 10_000, redeemable until 11_000.
fn deposit() -> Deposit {
    Deposit {
        payer: Address::ZERO,
        signer: Address::ZERO,
        token: Address::ZERO,
        lane: 1,
        amount: 1,
        minPayout: 0,
        drawTime: 10_000,
        redeemUntil: 11_000,
        root: B256::ZERO,
    }
}

fn state_of(facts: Facts) -> (DepositState, bool) {
    state(ID, &deposit(), &LIMITS, &facts)
}

/// All clocks agree; the final block is 768 s old.
const fn moment(time: u64) -> Moment {
    Moment {
        head_time: time,
        now: time,
        final_number: 500,
        final_time: time - 768,
    }
}

const fn at(time: u64, purse_now: Purse, purse_confirmed: Purse) -> Facts {
    Facts {
        moment: moment(time),
        purse_now,
        purse_confirmed,
        closed: None,
        winner: None,
    }
}

#[test]
fn stays_pending_until_confirmed() {
    assert_eq!(state_of(at(5_000, IDLE, IDLE)).0, DepositState::Pending);
    assert_eq!(state_of(at(5_000, OPEN, IDLE)).0, DepositState::Pending);
    assert_eq!(state_of(at(5_000, OPEN, OPEN)).0, DepositState::Active);
}

#[test]
fn ends_active_state_exactly_at_cutoff() {
    assert_eq!(state_of(at(9_954, OPEN, OPEN)).0, DepositState::Active);
    assert_eq!(state_of(at(9_955, OPEN, OPEN)).0, DepositState::PastCutoff);
    assert_eq!(state_of(at(10_000, OPEN, OPEN)).0, DepositState::PastCutoff);
}

#[test]
fn ends_active_state_by_the_latest_clock_not_the_heads() {
    let mut slow_chain = at(9_900, OPEN, OPEN);
    slow_chain.moment.now = 9_954;
    assert_eq!(state_of(slow_chain).0, DepositState::Active);
    slow_chain.moment.now = 9_955;
    assert_eq!(state_of(slow_chain).0, DepositState::PastCutoff);
}

/// A payee that lies just beyond its range knows so once the round is public, and asks a slow payer for a last cheque.
#[test]
fn writes_no_cheque_after_the_draw_if_one_clock_is_right() {
    let writes = |clock, head_time, round_time| {
        let now = Now {
            clock,
            head_time,
            round_time: Some(round_time),
        };
        let checked = now.check(&Freshness::DEFAULT);
        checked.is_ok_and(|now| !is_past_cutoff(&deposit(), LIMITS.cutoff, now))
    };
    for time in 10_000..10_100 {
        for slow in [0, 5, 20, 50, 59, 3_600] {
            for slower in [slow, slow + 10, slow + 50] {
                let (one, other) = (time - slow, time - slower);
                assert!(!writes(time, one, other), "own clock");
                // The newest block of a slow chain, and the newest round at the next poll.
                assert!(!writes(one, time - 24, other), "head");
                assert!(!writes(one, other, time - 13), "round");
            }
        }
    }
    assert!(writes(9_954, 9_954, 9_954), "before the cutoff");
    assert!(!writes(9_904, 9_954, 9_954), "by a clock 50 s slow");
}

#[test]
fn knows_the_winner_as_soon_as_the_round_is_verified() {
    for winner in [None, Some(PAYEE)] {
        let drawn = Facts {
            winner: Some(winner),
            ..at(10_000, OPEN, OPEN)
        };
        assert_eq!(state_of(drawn), (DepositState::Drawn { winner }, false));
    }
}

#[test]
fn becomes_reclaimable_after_redeem_until_by_the_head() {
    let winner = Some(Some(PAYEE));
    let drawn = |head_time, now| Facts {
        winner,
        moment: Moment {
            now,
            ..moment(head_time)
        },
        ..at(head_time, OPEN, OPEN)
    };
    let state = DepositState::Drawn {
        winner: Some(PAYEE),
    };
    // A block of this very time may still redeem, whatever the clock says.
    assert_eq!(state_of(drawn(11_000, 11_060)).0, state);
    assert_eq!(state_of(drawn(11_001, 11_001)).0, DepositState::Reclaimable);
}

#[test]
fn becomes_never_opened_once_no_block_can_open() {
    assert_eq!(
        state_of(at(7_600, IDLE, IDLE)),
        (DepositState::Pending, false)
    );
    assert_eq!(
        state_of(at(7_601, IDLE, IDLE)),
        (DepositState::NeverOpened, false)
    );
    let last = 7_600 + 768;
    assert_eq!(
        state_of(at(last, IDLE, IDLE)),
        (DepositState::NeverOpened, false)
    );
    assert_eq!(
        state_of(at(last + 1, IDLE, IDLE)),
        (DepositState::NeverOpened, true)
    );
}

#[test]
fn reverts_active_deposit_after_reorg() {
    assert_eq!(state_of(at(6_000, OPEN, OPEN)).0, DepositState::Active);
    assert_eq!(state_of(at(6_001, IDLE, OPEN)).0, DepositState::Pending);
    assert_eq!(state_of(at(7_700, IDLE, OPEN)).0, DepositState::NeverOpened);
}

#[test]
fn settles_when_closing_block_is_final() {
    let payout = Amount::new(5);
    let redeemed = DepositState::Redeemed {
        payee: PAYEE,
        payout,
    };
    let closed = |block| Facts {
        closed: Some(Closed::Redeemed {
            payee: PAYEE,
            payout,
            block,
        }),
        ..at(10_500, IDLE, OPEN)
    };
    assert_eq!(state_of(closed(501)), (redeemed, false));
    assert_eq!(state_of(closed(500)), (redeemed, true));
    let reclaimed = Facts {
        closed: Some(Closed::Reclaimed { block: 499 }),
        ..at(12_000, IDLE, IDLE)
    };
    assert_eq!(state_of(reclaimed), (DepositState::Reclaimed, true));
}

#[test]
fn asks_for_events_once_nothing_can_open_it() {
    let asks = |time, purse| needs_events(ID, &deposit(), &LIMITS, &moment(time), purse);
    assert!(!asks(20_000, OPEN));
    assert!(!asks(7_600, IDLE));
    assert!(asks(7_601, IDLE));
}

#[test]
fn decides_by_events_once_they_are_final() {
    let decided = |time, closed: Option<Closed>| {
        is_decided(&deposit(), &LIMITS, &moment(time), closed.as_ref())
    };
    let closed = |block| Some(Closed::Reclaimed { block });
    assert!(!decided(12_000, closed(501)));
    assert!(decided(12_000, closed(500)));
    assert!(!decided(7_600 + 768, None));
    assert!(decided(7_601 + 768, None));
}

#[test]
fn looks_rarely_where_no_cheque_is_written() {
    let record = |state| DepositRecord {
        deposit: deposit(),
        since: 0,
        created: 0,
        open_at: None,
        draw: None,
        state,
        settled: false,
    };
    let due = |state, time, looked| is_due(&record(state), &LIMITS, &moment(time), looked);
    let drawn = DepositState::Drawn { winner: None };
    for state in [DepositState::PastCutoff, drawn] {
        assert!(due(state, 10_500, None), "never looked at");
        assert!(!due(state, 10_500, Some(10_357)));
        assert!(due(state, 10_500, Some(10_356)));
        assert!(due(state, 10_500, Some(10_501)), "a clock was set back");
        assert!(due(state, 11_001, Some(11_000)), "reclaimable by now");
    }
    for state in [
        DepositState::Pending,
        DepositState::Active,
        DepositState::Reclaimable,
    ] {
        assert!(due(state, 10_500, Some(10_500)), "{state:?}");
    }
}
