use super::*;
use alloy_primitives::B256;
use cheque_bindings::Deposit;

pub(super) const ME: Address = Address::repeat_byte(1);
pub(super) const SIGNER: Address = Address::repeat_byte(2);
const TOKEN: Address = Address::ZERO;
pub(super) const CUTOFF: u64 = 16;
pub(super) const LEAD: u64 = 4;
pub(super) const DAY: u64 = 1_000;
pub(super) const PENDING: DepositState = DepositState::Pending;
pub(super) const ACTIVE: DepositState = DepositState::Active;
pub(super) const RECLAIMABLE: DepositState = DepositState::Reclaimable;

/// Nearly spent at 7/8.
pub(super) fn rounds(budget: Option<u128>) -> Rounds {
    let mut rounds = Rounds::new(Rounds::same_list(Vec::new()), 100);
    rounds.daily_budget = budget.map(Amount::new);
    rounds
}

const fn id(number: u8) -> DepositId {
    DepositId(B256::repeat_byte(number))
}

/// A deposit of 800 units in a lane of its own, stored at 500, drawn at 600, redeemable until 700.
pub(super) fn known(number: u8, state: DepositState) -> TrackedDeposit {
    let deposit = Deposit {
        payer: ME,
        signer: SIGNER,
        token: TOKEN,
        lane: number.into(),
        amount: 800,
        minPayout: 0,
        drawBlock: 600,
        lastRedeemBlock: 700,
        root: B256::ZERO,
    };
    let record = DepositRecord {
        deposit,
        since: 500,
        state,
        settled: false,
    };
    TrackedDeposit {
        id: id(number),
        record,
        spent: Amount::ZERO,
        opening: None,
        reclaim: None,
    }
}

/// What was sent with this nonce.
fn sent(nonce: u64) -> Option<TxRecord> {
    Some(TxRecord {
        from: ME,
        nonce,
        since: 500,
        at: 500,
        hashes: vec![B256::ZERO],
        cancelled_by: Vec::new(),
        raw: Default::default(),
    })
}

pub(super) const fn at(head: u64, deposits: &[TrackedDeposit]) -> Situation<'_> {
    Situation {
        head,
        cutoff: CUTOFF,
        day: DAY,
        account: ME,
        signer: SIGNER,
        deposits,
    }
}

fn need(head: u64, deposits: &[TrackedDeposit]) -> RoundNeed {
    at(head, deposits).need(&rounds(None), LEAD)
}

const ANOTHER: RoundNeed = RoundNeed::Another { expired: None };

#[test]
fn the_first_round_is_needed_where_there_is_none() {
    assert_eq!(need(500, &[]), ANOTHER);
    assert_eq!(at(500, &[]).tasks(Some(&rounds(None))), []);
}

#[test]
fn a_round_serves_until_the_lead_before_the_cutoff() {
    let active = [known(1, ACTIVE)];
    assert_eq!(need(579, &active), RoundNeed::Serves(id(1)));
    assert_eq!(need(580, &active), ANOTHER);
    assert_eq!(need(u64::MAX, &active), ANOTHER);
}

#[test]
fn a_round_serves_until_seven_eighths_are_spent() {
    let mut active = [known(1, ACTIVE)];
    active[0].spent = Amount::new(699);
    assert_eq!(need(500, &active), RoundNeed::Serves(id(1)));
    active[0].spent = Amount::new(700);
    assert_eq!(need(500, &active), ANOTHER);
    let mut large = rounds(None);
    large.nearly_spent = (u32::MAX, u32::MAX);
    assert!(!large.is_nearly_spent(Amount::new(u128::MAX - 1), Amount::MAX));
    assert!(large.is_nearly_spent(Amount::MAX, Amount::MAX));
}

#[test]
fn what_is_pending_is_the_next_round_whatever_became_of_its_transaction() {
    let mut deposits = [known(1, ACTIVE), known(2, PENDING)];
    deposits[0].spent = Amount::new(800);
    assert_eq!(need(500, &deposits), RoundNeed::Coming(id(2)));
    // Even when it is of no use any more, until it is lost.
    assert_eq!(need(595, &deposits), RoundNeed::Coming(id(2)));
    deposits[1].record.state = DepositState::NeverOpened;
    assert_eq!(need(595, &deposits), ANOTHER);
}

#[test]
fn deposits_of_others_signers_and_tokens_are_not_of_these_rounds() {
    for change in [
        (|deposit| deposit.payer = SIGNER) as fn(&mut Deposit),
        |deposit| deposit.signer = ME,
        |deposit| deposit.token = ME,
    ] {
        for state in [ACTIVE, PENDING] {
            let mut other = [known(1, state)];
            assert_ne!(need(500, &other), ANOTHER);
            change(&mut other[0].record.deposit);
            assert_eq!(need(500, &other), ANOTHER);
        }
    }
}

#[test]
fn everything_pending_is_opened_but_what_belongs_to_another_wallet() {
    let mut deposits = [known(1, PENDING), known(2, PENDING), known(3, ACTIVE)];
    deposits[1].record.deposit.payer = SIGNER;
    assert_eq!(at(500, &deposits).tasks(None), [Action::Open(id(1))]);
}

#[test]
fn what_can_not_be_paid_from_any_more_is_not_opened_unless_it_was_paid_from() {
    let mut deposits = [known(1, PENDING)];
    assert_eq!(at(583, &deposits).tasks(None), [Action::Open(id(1))]);
    assert_eq!(at(584, &deposits).tasks(None), []);
    deposits[0].spent = Amount::new(1);
    assert_eq!(at(584, &deposits).tasks(None), [Action::Open(id(1))]);
}

#[test]
fn an_opening_that_is_of_no_use_any_more_is_cancelled_until_nothing_of_it_is_left() {
    let mut deposits = [known(1, PENDING)];
    deposits[0].opening = sent(7);
    assert_eq!(at(583, &deposits).tasks(None), [Action::Open(id(1))]);
    let cancel = [Action::CancelOpening(id(1))];
    assert_eq!(at(584, &deposits).tasks(None), cancel);
    deposits[0].spent = Amount::new(1);
    assert_eq!(at(584, &deposits).tasks(None), [Action::Open(id(1))]);
    let winner = None;
    for state in [
        DepositState::NeverOpened,
        ACTIVE,
        DepositState::Drawn { winner },
    ] {
        for settled in [false, true] {
            deposits[0].record.state = state;
            deposits[0].record.settled = settled;
            assert_eq!(at(650, &deposits).tasks(None), cancel, "{state:?}");
        }
    }
    deposits[0].opening = None;
    assert_eq!(at(650, &deposits).tasks(None), []);
}

#[test]
fn what_was_to_take_a_deposit_back_that_is_closed_is_cancelled() {
    let mut deposits = [known(1, RECLAIMABLE)];
    deposits[0].reclaim = sent(7);
    let kept = rounds(None);
    // Though it is the one that the next round would take over: it is under way.
    for rounds in [None, Some(&kept)] {
        assert_eq!(at(800, &deposits).tasks(rounds), [Action::Reclaim(id(1))]);
    }
    let payout = Amount::new(1);
    let redeemed = DepositState::Redeemed { payee: ME, payout };
    for state in [DepositState::Reclaimed, redeemed] {
        deposits[0].record.state = state;
        let cancel = [Action::CancelReclaim(id(1))];
        assert_eq!(at(800, &deposits).tasks(None), cancel);
    }
    deposits[0].record.state = DepositState::Drawn { winner: None };
    assert_eq!(at(800, &deposits).tasks(None), [], "the chain went back");
}

#[test]
fn what_was_sent_comes_first_by_nonce_and_what_is_wanted_is_not_cancelled_with_its_nonce() {
    let mut deposits = [
        known(1, PENDING),
        known(2, RECLAIMABLE),
        known(3, PENDING),
        known(4, DepositState::NeverOpened),
        known(5, DepositState::NeverOpened),
    ];
    for pending in [0, 2] {
        deposits[pending].record.deposit.drawBlock = 900;
    }
    deposits[1].reclaim = sent(8);
    deposits[2].opening = sent(7);
    deposits[3].opening = sent(6);
    deposits[4].opening = sent(8);
    let tasks = [
        Action::CancelOpening(id(4)),
        Action::Open(id(3)),
        Action::Reclaim(id(2)),
        Action::Open(id(1)),
    ];
    assert_eq!(at(800, &deposits).tasks(None), tasks);
}

#[test]
fn the_first_that_expired_is_kept_for_the_next_round_and_the_others_are_reclaimed() {
    let mut deposits = [
        known(1, RECLAIMABLE),
        known(2, RECLAIMABLE),
        known(3, RECLAIMABLE),
    ];
    deposits[1].record.deposit.lastRedeemBlock = 690;
    deposits[2].record.deposit.token = ME;
    let situation = at(800, &deposits);
    let expired = Some(id(2));
    assert_eq!(
        situation.need(&rounds(None), LEAD),
        RoundNeed::Another { expired }
    );
    let reclaimed = [Action::Reclaim(id(1)), Action::Reclaim(id(3))];
    assert_eq!(situation.tasks(Some(&rounds(None))), reclaimed);
    let all = [id(1), id(2), id(3)].map(Action::Reclaim);
    assert_eq!(situation.tasks(None), all);
}

#[test]
fn a_purse_that_another_deposit_is_about_to_take_over_is_left_alone() {
    let mut deposits = [known(1, RECLAIMABLE), known(2, PENDING)];
    deposits[1].record.deposit.lane = 1;
    deposits[1].record.deposit.drawBlock = 900;
    let situation = at(800, &deposits);
    assert_eq!(situation.reopenable(TOKEN), None);
    assert_eq!(situation.tasks(None), [Action::Open(id(2))]);
}

#[test]
fn the_budget_is_met_to_the_unit_and_missed_by_one() {
    let deposits = [known(1, ACTIVE), known(2, DepositState::NeverOpened)];
    let check = |budget, amount| {
        at(600, &deposits).check_budget(&rounds(Some(budget)), Amount::new(amount))
    };
    assert_eq!(check(1_000, 200), Ok(()));
    let over = check(1_000, 201).unwrap_err();
    assert_eq!((over.used.get(), over.free_at), (800, Some(1_500)));
    let never = check(1_000, 1_001).unwrap_err();
    assert_eq!(never.free_at, None);
    assert!(never.to_string().contains("never allowed"), "{never}");
    assert!(
        check(u128::MAX, u128::MAX).is_err(),
        "the sum has no overflow"
    );
    let none = at(600, &deposits).check_budget(&rounds(None), Amount::MAX);
    assert_eq!(none, Ok(()));
}

#[test]
fn a_deposit_counts_for_a_day_of_blocks() {
    let deposits = [known(1, DepositState::Reclaimed), known(2, PENDING)];
    let check = |head| at(head, &deposits).check_budget(&rounds(Some(800)), Amount::new(1));
    let over = check(1_499).unwrap_err();
    assert_eq!((over.used.get(), over.since), (1_600, 500));
    assert_eq!(check(1_500), Ok(()));
    assert_eq!(over.free_at, Some(1_500), "the error says so");
    assert!(check(499).is_err(), "also where the chain went back");
    let of_others = {
        let mut deposits = deposits.clone();
        deposits[0].record.deposit.payer = SIGNER;
        deposits[1].record.deposit.token = ME;
        deposits
    };
    let unused = at(600, &of_others).check_budget(&rounds(Some(1)), Amount::new(1));
    assert_eq!(unused, Ok(()));
}

#[test]
fn a_day_is_never_shorter_than_24_hours() {
    for (block_time, blocks) in [
        (12, 7_200),
        (2, 43_200),
        (1, 86_400),
        (7, 12_343),
        (0, 86_400),
    ] {
        assert_eq!(blocks_of_a_day(block_time), blocks);
    }
}
