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

/// Won and open.
fn drawn(head: u64) -> Drawn {
    Drawn {
        head,
        confirmed: head + 1 - DEPTH,
        purse: Purse::Open(id()),
        wins: Some(true),
        recorded: false,
        closed: None,
        gone_since: None,
        sent: None,
    }
}

fn state(drawn: Drawn) -> Option<HoldingState> {
    after_draw(id(), &terms(), PAYEE, &drawn)
}

#[test]
fn a_deposit_takes_payments_up_to_the_cutoff_and_none_while_the_bank_does_not_hold_it() {
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
    // Where seeds are public early, by the usual block time.
    let mut early = policy;
    (early.early_seed, early.block_time) = (3_336, 2);
    assert_eq!(closes_at(5_000, &early), 5_000 - 1_668);
}

#[test]
fn a_draw_counts_once_its_block_is_as_deep_as_a_deposit_has_to_be() {
    let deep = DRAW + DEPTH - 1;
    for head in [DRAW, deep - 1] {
        assert_eq!(
            state(drawn(head)),
            Some(HoldingState::Drawn { deep_at: deep })
        );
    }
    assert_eq!(state(drawn(deep)), None, "won, and to be redeemed");
    // A draw block that is the head cannot be redeemed by, however little depth is asked for.
    let mut shallow = drawn(DRAW);
    shallow.confirmed = DRAW;
    let deep_at = DRAW + 1;
    assert_eq!(state(shallow), Some(HoldingState::Drawn { deep_at }));
    // A node that does not have the block says nothing.
    let mut behind = drawn(deep);
    behind.wins = None;
    let deep_at = deep + 1;
    assert_eq!(state(behind), Some(HoldingState::Drawn { deep_at }));
}

#[test]
fn a_loss_is_a_loss_whatever_became_of_the_deposit() {
    let mut lost = drawn(DRAW + 50);
    lost.wins = Some(false);
    assert_eq!(state(lost), Some(HoldingState::NotDrawn));
    lost.purse = Purse::Idle(Amount::ZERO);
    assert_eq!(state(lost), Some(HoldingState::NotDrawn));
    lost.head = LAST + 1;
    assert_eq!(state(lost), Some(HoldingState::NotDrawn));
}

#[test]
fn a_win_can_be_redeemed_until_the_block_before_the_last_is_the_head() {
    assert_eq!(state(drawn(LAST - 1)), None);
    let missed = HoldingState::Missed(MissReason::Window { last_block: LAST });
    assert_eq!(state(drawn(LAST)), Some(missed));
    let mut sent = drawn(LAST - 1);
    let hash = TxHash::repeat_byte(3);
    sent.sent = Some(hash);
    assert_eq!(state(sent), Some(HoldingState::Redeeming { hash }));
    sent.head = LAST;
    assert_eq!(state(sent), Some(missed));
}

#[test]
fn what_nobody_records_is_lost_where_the_chain_forgets() {
    let mut long = terms();
    long.lastRedeemBlock = DRAW + 20_000;
    let at = |head, recorded| {
        let mut drawn = drawn(head);
        drawn.recorded = recorded;
        after_draw(id(), &long, PAYEE, &drawn)
    };
    let last = DRAW + HISTORY_WINDOW;
    assert_eq!(at(last - 1, false), None);
    let missed = HoldingState::Missed(MissReason::Seed { block: DRAW });
    assert_eq!(at(last, false), Some(missed));
    assert_eq!(at(last, true), None);
}

#[test]
fn a_win_that_the_bank_does_not_hold_any_more_was_redeemed_or_taken_back_or_never_was() {
    let payout = Amount::new(5);
    let block = DRAW + 20;
    let since = DRAW + 50;
    let closed = |closed| {
        let mut gone = drawn(since);
        gone.purse = Purse::Idle(Amount::ZERO);
        gone.closed = closed;
        state(gone).unwrap()
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
fn states_have_the_names_that_are_listed_and_a_reason() {
    let wait = Waiting {
        until: 1,
        because: crate::payee::service::plan::WaitReason::Due,
    };
    let all = [
        HoldingState::Unconfirmed,
        HoldingState::Receiving { until: 1 },
        HoldingState::PastCutoff { draw_block: 1 },
        HoldingState::Drawn { deep_at: 1 },
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
