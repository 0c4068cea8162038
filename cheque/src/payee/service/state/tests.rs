use super::*;
use crate::protocol::{chain_profile::ChainProfile, terms::Bank};
use alloy_primitives::B256;

const PAYEE: Address = Address::repeat_byte(7);
const DRAW: u64 = 1_000;
const LAST: u64 = DRAW + 300;
const DEPTH: u64 = 12;

fn id() -> DepositId {
    DepositId(B256::repeat_byte(9))
}

fn terms() -> Deposit {
    Deposit {
        payer: Address::repeat_byte(1),
        signer: Address::repeat_byte(2),
        token: Address::ZERO,
        lane: 1,
        amount: 10,
        minPayout: 0,
        drawBlock: DRAW,
        lastRedeemBlock: LAST,
        root: B256::ZERO,
    }
}

/// A won deposit, still open.
fn won(head: u64) -> DrawFacts {
    DrawFacts {
        head,
        confirmed: head + 1 - DEPTH,
        purse: Purse::Open(id()),
        wins: Some(true),
        recorded: false,
        closed: None,
        missing_since: None,
        pending: None,
    }
}

fn state(facts: DrawFacts) -> Option<HoldingState> {
    after_draw(id(), &terms(), PAYEE, &facts)
}

#[test]
fn receives_until_the_cutoff_unless_unconfirmed() {
    let profile = ChainProfile::of(1).unwrap();
    let policy = Policy::new(PAYEE, Bank::new(1, Address::ZERO), profile);
    let until = DRAW - 128;
    let at = |head, unconfirmed| before_draw(DRAW, head, &policy, unconfirmed);
    assert_eq!(at(until - 1, false), HoldingState::Receiving { until });
    assert_eq!(
        at(until, false),
        HoldingState::PastCutoff { draw_block: DRAW }
    );
    assert_eq!(at(until - 1, true), HoldingState::Unconfirmed);
    // With early public seeds, the cutoff follows from the usual block time.
    let mut early = policy;
    (early.early_seed, early.block_time) = (3_336, 2);
    assert_eq!(cutoff_block(5_000, &early), 5_000 - 1_668);
}

#[test]
fn counts_a_draw_at_the_depth_required_of_deposits() {
    let deep = DRAW + DEPTH - 1;
    for head in [DRAW, deep - 1] {
        assert_eq!(
            state(won(head)),
            Some(HoldingState::Drawn { confirmed_at: deep })
        );
    }
    assert_eq!(state(won(deep)), None, "a win to redeem");
    // At the draw block itself a win is not redeemable yet, even with a required depth of one block.
    let mut shallow = won(DRAW);
    shallow.confirmed = DRAW;
    let confirmed_at = DRAW + 1;
    assert_eq!(state(shallow), Some(HoldingState::Drawn { confirmed_at }));
    // A node without the draw block cannot decide the draw.
    let mut behind = won(deep);
    behind.wins = None;
    let confirmed_at = deep + 1;
    assert_eq!(state(behind), Some(HoldingState::Drawn { confirmed_at }));
}

#[test]
fn reports_a_loss_in_any_later_state() {
    let mut lost = won(DRAW + 50);
    lost.wins = Some(false);
    assert_eq!(state(lost), Some(HoldingState::NotDrawn));
    lost.purse = Purse::Idle(Amount::ZERO);
    assert_eq!(state(lost), Some(HoldingState::NotDrawn));
    lost.head = LAST + 1;
    assert_eq!(state(lost), Some(HoldingState::NotDrawn));
}

#[test]
fn allows_redemption_until_the_head_before_the_last_block() {
    assert_eq!(state(won(LAST - 1)), None);
    let missed = HoldingState::Missed(MissReason::Window { last_block: LAST });
    assert_eq!(state(won(LAST)), Some(missed));
    let mut redeeming = won(LAST - 1);
    let hash = TxHash::repeat_byte(3);
    redeeming.pending = Some(hash);
    assert_eq!(state(redeeming), Some(HoldingState::Redeeming { hash }));
    redeeming.head = LAST;
    assert_eq!(state(redeeming), Some(missed));
}

#[test]
fn misses_a_win_when_the_chain_forgets_its_seed() {
    let mut long = terms();
    long.lastRedeemBlock = DRAW + 20_000;
    let at = |head, recorded| {
        let mut facts = won(head);
        facts.recorded = recorded;
        after_draw(id(), &long, PAYEE, &facts)
    };
    let last = DRAW + HISTORY_WINDOW;
    assert_eq!(at(last - 1, false), None);
    let missed = HoldingState::Missed(MissReason::Seed { block: DRAW });
    assert_eq!(at(last, false), Some(missed));
    assert_eq!(at(last, true), None);
}

#[test]
fn tells_how_a_won_deposit_was_closed() {
    let payout = Amount::new(5);
    let block = DRAW + 20;
    let since = DRAW + 50;
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
fn names_every_state_as_listed() {
    let wait = Waiting {
        until: 1,
        reason: WaitReason::Due,
    };
    let all = [
        HoldingState::Unconfirmed,
        HoldingState::Receiving { until: 1 },
        HoldingState::PastCutoff { draw_block: 1 },
        HoldingState::Drawn { confirmed_at: 1 },
        HoldingState::NotDrawn,
        HoldingState::Won(wait),
        HoldingState::Redeeming { hash: TxHash::ZERO },
        HoldingState::Redeemed {
            payout: Amount::ZERO,
            block: 1,
        },
        HoldingState::Missed(MissReason::Window { last_block: 1 }),
        HoldingState::NotOnChain { since: 1 },
    ];
    assert_eq!(all.map(|state| state.name()), HoldingState::NAMES);
    assert!(all.iter().all(|state| !state.to_string().is_empty()));
}
