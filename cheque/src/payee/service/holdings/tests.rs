use super::*;
use crate::{
    payee::service::plan::{WaitReason, Waiting},
    protocol::amount::Amount,
};
use alloy_primitives::{Address, B256};

const DRAW: u64 = 1_000;
const LAST: u64 = 2_000;

fn id(number: u8) -> DepositId {
    DepositId(B256::repeat_byte(number))
}

fn tracked(state: HoldingState) -> Tracked {
    Tracked {
        draw_time: DRAW,
        redeem_until: LAST,
        state,
        closing: false,
        last_error: None,
    }
}

fn win(number: u8) -> Win {
    Win {
        win: RedeemableWin {
            id: id(number),
            payout: Amount::ZERO,
            gas: 0,
            rate: None,
            fallback_cost: Amount::ZERO,
            draw_time: DRAW,
            redeem_until: LAST,
            recorded: false,
        },
        purse: (Address::ZERO, Address::ZERO, 1),
        open_at: Some(1),
        looked: 1,
    }
}

const fn by(number: u64, time: u64) -> EndedBy {
    EndedBy {
        number,
        time,
        head_time: time,
        missing_for: 100,
    }
}

const RECEIVING: HoldingState = HoldingState::Receiving { until: 970 };
const PAST_CUTOFF: HoldingState = HoldingState::PastCutoff { draw_time: DRAW };
const OPEN: HoldingState = HoldingState::Won(Waiting {
    until: LAST,
    reason: WaitReason::Due,
});

const fn redeemed(block: u64) -> HoldingState {
    HoldingState::Redeemed {
        payout: Amount::ZERO,
        block,
    }
}

/// The sizes of all lists of work.
fn work(holdings: &Holdings) -> [usize; 4] {
    [
        holdings.cutoffs.len(),
        holdings.draws.len(),
        holdings.unconfirmed.len(),
        holdings.wins.len(),
    ]
}

/// The number of deposits in the index by state.
fn all_states(holdings: &Holdings) -> usize {
    let counts = HoldingState::NAMES
        .iter()
        .map(|state| holdings.count_in(state));
    counts.sum()
}

#[test]
fn lists_pages_of_all_deposits_or_of_one_state() {
    let mut holdings = Holdings::default();
    for number in 1..=6 {
        let state = if number % 2 == 0 { OPEN } else { RECEIVING };
        holdings.put(id(number), tracked(state));
    }
    let ids = |numbers: &[u8]| numbers.iter().map(|number| id(*number)).collect::<Vec<_>>();
    assert_eq!(holdings.page(None, None, 9), ids(&[1, 2, 3, 4, 5, 6]));
    assert_eq!(holdings.page(None, Some(id(2)), 2), ids(&[3, 4]));
    assert_eq!(holdings.page(Some("won"), None, 2), ids(&[2, 4]));
    assert_eq!(holdings.page(Some("won"), Some(id(4)), 9), ids(&[6]));
    assert_eq!(holdings.page(Some("redeemed"), None, 9), ids(&[]));
    // A change of state moves a deposit to the other list.
    holdings.put(id(4), tracked(redeemed(7)));
    assert_eq!(holdings.page(Some("won"), None, 9), ids(&[2, 6]));
    assert_eq!(holdings.page(Some("redeemed"), None, 9), ids(&[4]));
}

#[test]
fn keeps_each_deposit_in_the_list_of_its_next_change() {
    let mut holdings = Holdings::default();
    let none = BTreeSet::new();
    for (state, expected) in [
        (RECEIVING, [1, 0, 0, 0]),
        (HoldingState::Unconfirmed, [1, 0, 1, 0]),
        (RECEIVING, [1, 0, 0, 0]),
        (PAST_CUTOFF, [0, 1, 0, 0]),
        (HoldingState::Drawn { draw_time: DRAW }, [0, 1, 0, 0]),
        (HoldingState::NotDrawn, [0, 0, 0, 0]),
    ] {
        holdings.put(id(1), tracked(state));
        assert_eq!(work(&holdings), expected, "{state:?}");
        assert_eq!(all_states(&holdings), 1);
        assert_eq!(holdings.count_in(state.name()), 1);
    }
    // A loss costs nothing until it is removed.
    assert!(holdings.at_cutoff(u64::MAX, &none).is_empty());
    assert_eq!(holdings.undecided(u64::MAX).count(), 0);
    assert!(holdings.ended_before(LAST, 9).is_empty());
    assert_eq!(holdings.ended_before(LAST + 1, 9), [id(1)]);
    holdings.remove(id(1));
    assert!(holdings.ended_before(u64::MAX, 9).is_empty());
    assert_eq!(all_states(&holdings), 0);
}

#[test]
fn finds_the_deposits_at_their_cutoff_and_the_missing_ones() {
    let mut holdings = Holdings::default();
    let (none, missing) = (BTreeSet::new(), BTreeSet::from([id(2)]));
    for number in 1..=2 {
        holdings.put(id(number), tracked(RECEIVING));
    }
    assert!(holdings.at_cutoff(969, &none).is_empty());
    assert_eq!(holdings.at_cutoff(970, &none).len(), 2);
    assert_eq!(holdings.at_cutoff(969, &missing), [id(2)]);
    holdings.put(id(2), tracked(HoldingState::Unconfirmed));
    assert!(holdings.at_cutoff(969, &missing).is_empty(), "known");
    assert_eq!(holdings.at_cutoff(969, &none), [id(2)], "back again");
    assert_eq!(holdings.next_draw(0), Some(DRAW));
    assert_eq!(holdings.next_draw(DRAW), None);
    holdings.put(id(1), tracked(PAST_CUTOFF));
    let mut undecided = holdings.undecided(DRAW);
    assert_eq!(undecided.next(), Some((DRAW, id(1))));
    assert_eq!(holdings.undecided(DRAW - 1).count(), 0);
}

#[test]
fn looks_at_wins_in_turn_and_at_urgent_ones_first() {
    let mut holdings = Holdings::default();
    for number in 1..=5 {
        holdings.put(id(number), tracked(OPEN));
        let mut win = win(number);
        win.looked = number.into();
        holdings.wins.insert(id(number), win);
    }
    let urgent = BTreeSet::from([id(5)]);
    let confirmed = by(10, DRAW);
    let looks = |holdings: &Holdings| holdings.wins_to_look_at(&urgent, &confirmed, 3);
    assert_eq!(looks(&holdings), [id(5), id(1), id(2)]);
    // An end in a confirmed block needs no look, in a later one it does.
    holdings.put(id(1), tracked(redeemed(10)));
    holdings.put(id(2), tracked(redeemed(11)));
    assert_eq!(looks(&holdings), [id(5), id(2), id(3)]);
    // After a reorganisation, everything does.
    holdings.look_again();
    assert_eq!(looks(&holdings), [id(5), id(1), id(2)]);
    assert_eq!(holdings.wins[&id(3)].open_at, None);
}

#[test]
fn settles_ends_in_final_blocks_without_pending_redemption() {
    let mut holdings = Holdings::default();
    let redeem_until = LAST;
    let without_seed = HoldingState::Missed(MissReason::NoSeed { draw_time: DRAW });
    for (number, state) in [
        (1, redeemed(10)),
        (2, redeemed(11)),
        (3, HoldingState::Missed(MissReason::Window { redeem_until })),
        (4, redeemed(10)),
        (5, OPEN),
        (6, without_seed),
    ] {
        holdings.put(id(number), tracked(state));
        if state != without_seed {
            holdings.wins.insert(id(number), win(number));
        }
    }
    let pending = BTreeSet::from([id(4)]);
    holdings.settle(&by(10, LAST), &pending);
    assert_eq!(holdings.ended_before(u64::MAX, 9), [id(1)]);
    holdings.settle(&by(11, LAST + 1), &pending);
    let settled = [id(1), id(2), id(3), id(6)];
    assert_eq!(holdings.ended_before(u64::MAX, 9), settled);
    assert_eq!(holdings.ended_on_chain(), settled);
    assert_eq!(work(&holdings), [0, 0, 0, 2]);
}

#[test]
fn warns_once_of_a_closing_window() {
    let mut holdings = Holdings::default();
    holdings.put(id(1), tracked(OPEN));
    holdings.wins.insert(id(1), win(1));
    assert!(holdings.set_closing(id(1), true));
    assert!(!holdings.set_closing(id(1), true));
    assert_eq!(holdings.count_closing(), 1);
    assert!(!holdings.set_closing(id(1), false));
    assert!(!holdings.set_closing(id(9), true));
}
