use super::*;
use crate::payer::service::rounds::RoundList;
use alloy_primitives::B256;
use cheque_bindings::Deposit;

pub(super) const ME: Address = Address::repeat_byte(1);
pub(super) const SIGNER: Address = Address::repeat_byte(2);
const TOKEN: Address = Address::ZERO;
pub(super) const CUTOFF: u64 = 16;
pub(super) const LEAD: u64 = 4;
pub(super) const MIN_LEAD: u64 = 4;
pub(super) const PENDING: DepositState = DepositState::Pending;
pub(super) const ACTIVE: DepositState = DepositState::Active;
pub(super) const RECLAIMABLE: DepositState = DepositState::Reclaimable;

/// Rounds nearly spent at 7/8.
pub(super) fn rounds(budget: Option<u128>) -> Rounds {
    let mut rounds = Rounds::new(Rounds::same_list(RoundList::default()), 100);
    rounds.daily_budget = budget.map(Amount::new);
    rounds
}

const fn id(number: u8) -> DepositId {
    DepositId(B256::repeat_byte(number))
}

/// A deposit of 800 units in a lane of its own, stored at 500, drawn at 600, redeemable until 700.
pub(super) fn tracked(number: u8, state: DepositState) -> TrackedDeposit {
    let deposit = Deposit {
        payer: ME,
        signer: SIGNER,
        token: TOKEN,
        lane: number.into(),
        amount: 800,
        minPayout: 0,
        drawTime: 600,
        redeemUntil: 700,
        root: B256::ZERO,
    };
    let record = DepositRecord {
        deposit,
        since: 50,
        created: 500,
        open_at: None,
        draw: None,
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

/// A stored transaction with this nonce.
fn tx(nonce: u64) -> Option<TxRecord> {
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

/// All clocks agree.
pub(super) const fn at(now: u64, deposits: &[TrackedDeposit]) -> Situation<'_> {
    Situation {
        head_time: now,
        now,
        limits: Limits {
            cutoff: CUTOFF,
            min_lead: MIN_LEAD,
            confirm: 1,
        },
        account: ME,
        signer: SIGNER,
        deposits,
    }
}

fn need(now: u64, deposits: &[TrackedDeposit]) -> RoundNeed {
    at(now, deposits).need(&rounds(None), LEAD)
}

const ANOTHER: RoundNeed = RoundNeed::Another { expired: None };

#[test]
fn needs_first_round_without_deposits() {
    assert_eq!(need(500, &[]), ANOTHER);
    assert_eq!(at(500, &[]).actions(Some(&rounds(None))), []);
}

#[test]
fn serves_round_until_lead_before_cutoff() {
    let active = [tracked(1, ACTIVE)];
    assert_eq!(need(579, &active), RoundNeed::Serves(id(1)));
    assert_eq!(need(580, &active), ANOTHER);
    assert_eq!(need(u64::MAX, &active), ANOTHER);
}

#[test]
fn opens_rounds_at_an_interval_that_each_outlives() {
    let mut short = rounds(None);
    short.every = Some(30);
    let need = |now, deposits: &[TrackedDeposit]| at(now, deposits).need(&short, LEAD);
    let mut deposits = [tracked(1, ACTIVE), tracked(2, ACTIVE), tracked(3, PENDING)];
    deposits[1].record.created = 520;
    deposits[1].record.deposit.drawTime = 590;
    // Of those in use, the deposit drawn first is named.
    let in_use = &deposits[..2];
    assert_eq!(need(549, in_use), RoundNeed::Serves(id(2)));
    assert_eq!(need(550, in_use), ANOTHER);
    assert_eq!(need(550, &deposits), RoundNeed::Coming(id(3)));
    // A closed round counts for the interval, and one that never opened until that is final.
    deposits[2].record.created = 540;
    deposits[2].record.state = DepositState::Reclaimed;
    assert_eq!(need(569, &deposits), RoundNeed::Serves(id(2)));
    deposits[2].record.state = DepositState::NeverOpened;
    assert_eq!(need(569, &deposits), RoundNeed::Serves(id(2)));
    deposits[2].record.settled = true;
    assert_eq!(need(569, &deposits), ANOTHER);
    // Within the interval, another round opens if none can pay.
    deposits[..2]
        .iter_mut()
        .for_each(|tracked| tracked.spent = Amount::new(800));
    assert_eq!(need(530, &deposits), ANOTHER);
}

#[test]
fn serves_round_until_seven_eighths_are_spent() {
    let mut active = [tracked(1, ACTIVE)];
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
fn counts_pending_deposit_as_next_round() {
    let mut deposits = [tracked(1, ACTIVE), tracked(2, PENDING)];
    deposits[0].spent = Amount::new(800);
    assert_eq!(need(500, &deposits), RoundNeed::Coming(id(2)));
    // An obsolete pending deposit still counts, until never opened.
    assert_eq!(need(595, &deposits), RoundNeed::Coming(id(2)));
    deposits[1].record.state = DepositState::NeverOpened;
    assert_eq!(need(595, &deposits), ANOTHER);
}

#[test]
fn ignores_deposits_of_other_accounts_signers_and_tokens() {
    for change in [
        (|deposit| deposit.payer = SIGNER) as fn(&mut Deposit),
        |deposit| deposit.signer = ME,
        |deposit| deposit.token = ME,
    ] {
        for state in [ACTIVE, PENDING] {
            let mut other = [tracked(1, state)];
            assert_ne!(need(500, &other), ANOTHER);
            change(&mut other[0].record.deposit);
            assert_eq!(need(500, &other), ANOTHER);
        }
    }
}

#[test]
fn opens_pending_deposits_of_own_wallet_only() {
    let mut deposits = [tracked(1, PENDING), tracked(2, PENDING), tracked(3, ACTIVE)];
    deposits[1].record.deposit.payer = SIGNER;
    assert_eq!(at(500, &deposits).actions(None), [Action::Open(id(1))]);
}

#[test]
fn opens_no_deposit_past_cutoff_unless_paid_from() {
    let mut deposits = [tracked(1, PENDING)];
    assert_eq!(at(583, &deposits).actions(None), [Action::Open(id(1))]);
    assert_eq!(at(584, &deposits).actions(None), []);
    deposits[0].spent = Amount::new(1);
    assert_eq!(at(584, &deposits).actions(None), [Action::Open(id(1))]);
}

#[test]
fn opens_no_deposit_that_the_bank_refuses() {
    let mut deposits = [tracked(1, PENDING)];
    deposits[0].spent = Amount::new(1);
    assert_eq!(at(596, &deposits).actions(None), [Action::Open(id(1))]);
    assert_eq!(at(597, &deposits).actions(None), []);
    // The bank knows the time of the next block only, which is not before the head's.
    let by_a_fast_clock = Situation {
        now: 600,
        ..at(596, &deposits)
    };
    assert_eq!(by_a_fast_clock.actions(None), [Action::Open(id(1))]);
}

#[test]
fn cancels_obsolete_opening_until_its_record_is_gone() {
    let mut deposits = [tracked(1, PENDING)];
    deposits[0].opening = tx(7);
    assert_eq!(at(583, &deposits).actions(None), [Action::Open(id(1))]);
    let cancel = [Action::CancelOpening(id(1))];
    assert_eq!(at(584, &deposits).actions(None), cancel);
    deposits[0].spent = Amount::new(1);
    assert_eq!(at(584, &deposits).actions(None), [Action::Open(id(1))]);
    let winner = None;
    for state in [
        DepositState::NeverOpened,
        ACTIVE,
        DepositState::Drawn { winner },
    ] {
        for settled in [false, true] {
            deposits[0].record.state = state;
            deposits[0].record.settled = settled;
            assert_eq!(at(650, &deposits).actions(None), cancel, "{state:?}");
        }
    }
    deposits[0].opening = None;
    assert_eq!(at(650, &deposits).actions(None), []);
}

#[test]
fn cancels_reclaim_of_closed_deposit() {
    let mut deposits = [tracked(1, RECLAIMABLE)];
    deposits[0].reclaim = tx(7);
    let rounds_of_token = rounds(None);
    // Not left to the next round, because its own reclaim is pending.
    for rounds in [None, Some(&rounds_of_token)] {
        assert_eq!(at(800, &deposits).actions(rounds), [Action::Reclaim(id(1))]);
    }
    let payout = Amount::new(1);
    let redeemed = DepositState::Redeemed { payee: ME, payout };
    for state in [DepositState::Reclaimed, redeemed] {
        deposits[0].record.state = state;
        let cancel = [Action::CancelReclaim(id(1))];
        assert_eq!(at(800, &deposits).actions(None), cancel);
    }
    deposits[0].record.state = DepositState::Drawn { winner: None };
    assert_eq!(
        at(800, &deposits).actions(None),
        [],
        "a reorganisation reopened the deposit"
    );
}

#[test]
fn orders_actions_by_nonce_and_spares_shared_nonces() {
    let mut deposits = [
        tracked(1, PENDING),
        tracked(2, RECLAIMABLE),
        tracked(3, PENDING),
        tracked(4, DepositState::NeverOpened),
        tracked(5, DepositState::NeverOpened),
    ];
    for pending in [0, 2] {
        deposits[pending].record.deposit.drawTime = 900;
    }
    deposits[1].reclaim = tx(8);
    deposits[2].opening = tx(7);
    deposits[3].opening = tx(6);
    deposits[4].opening = tx(8);
    let actions = [
        Action::CancelOpening(id(4)),
        Action::Open(id(3)),
        Action::Reclaim(id(2)),
        Action::Open(id(1)),
    ];
    assert_eq!(at(800, &deposits).actions(None), actions);
}

#[test]
fn leaves_first_expired_deposit_to_next_round() {
    let mut deposits = [
        tracked(1, RECLAIMABLE),
        tracked(2, RECLAIMABLE),
        tracked(3, RECLAIMABLE),
    ];
    deposits[1].record.deposit.redeemUntil = 690;
    deposits[2].record.deposit.token = ME;
    let situation = at(800, &deposits);
    let expired = Some(id(2));
    assert_eq!(
        situation.need(&rounds(None), LEAD),
        RoundNeed::Another { expired }
    );
    let reclaimed = [Action::Reclaim(id(1)), Action::Reclaim(id(3))];
    assert_eq!(situation.actions(Some(&rounds(None))), reclaimed);
    let all = [id(1), id(2), id(3)].map(Action::Reclaim);
    assert_eq!(situation.actions(None), all);
}

#[test]
fn leaves_two_expired_deposits_to_overlapping_rounds() {
    let deposits = [1, 2, 3].map(|number| tracked(number, RECLAIMABLE));
    let mut short = rounds(None);
    short.every = Some(30);
    let actions = at(800, &deposits).actions(Some(&short));
    assert_eq!(actions, [Action::Reclaim(id(3))]);
}

#[test]
fn finds_idle_purses_of_closed_deposits() {
    let mut deposits = [
        tracked(1, DepositState::Reclaimed),
        tracked(2, DepositState::NeverOpened),
        tracked(3, DepositState::Reclaimed),
        tracked(4, ACTIVE),
        tracked(5, RECLAIMABLE),
        tracked(6, PENDING),
    ];
    // The next deposit in the purse of the third.
    deposits[5].record.deposit.lane = 3;
    let lanes: Vec<_> = at(800, &deposits).idle_lanes(TOKEN).into_iter().collect();
    assert_eq!(lanes, [1, 2]);
}

#[test]
fn leaves_purse_reserved_by_pending_deposit_alone() {
    let mut deposits = [tracked(1, RECLAIMABLE), tracked(2, PENDING)];
    deposits[1].record.deposit.lane = 1;
    deposits[1].record.deposit.drawTime = 900;
    let situation = at(800, &deposits);
    assert_eq!(situation.reopenable(TOKEN), None);
    assert_eq!(situation.actions(None), [Action::Open(id(2))]);
}

#[test]
fn enforces_budget_to_the_unit() {
    let mut deposits = [tracked(1, ACTIVE), tracked(2, DepositState::NeverOpened)];
    deposits[1].record.settled = true;
    let check = |budget, amount| {
        at(600, &deposits).check_budget(&rounds(Some(budget)), Amount::new(amount))
    };
    assert_eq!(check(1_000, 200), Ok(()));
    let over = check(1_000, 201).unwrap_err();
    assert_eq!((over.used.get(), over.free_at), (800, Some(500 + DAY)));
    let never = check(1_000, 1_001).unwrap_err();
    assert_eq!(never.free_at, None);
    assert!(never.to_string().contains("never allowed"), "{never}");
    assert!(
        check(u128::MAX, u128::MAX).is_err(),
        "the sum must not overflow"
    );
    let none = at(600, &deposits).check_budget(&rounds(None), Amount::MAX);
    assert_eq!(none, Ok(()));
}

#[test]
fn counts_unopened_deposit_until_final() {
    let mut deposits = [tracked(1, DepositState::NeverOpened)];
    deposits[0].record.deposit.amount = 1_000;
    let check = |deposits: &[TrackedDeposit]| {
        at(600, deposits).check_budget(&rounds(Some(1_500)), Amount::new(1_000))
    };
    let over = check(&deposits).unwrap_err();
    assert_eq!(over.used.get(), 1_000);
    deposits[0].record.settled = true;
    assert_eq!(check(&deposits), Ok(()));
}

#[test]
fn counts_deposit_for_a_day_of_now() {
    let deposits = [tracked(1, DepositState::Reclaimed), tracked(2, PENDING)];
    let check = |now| at(now, &deposits).check_budget(&rounds(Some(800)), Amount::new(1));
    let over = check(500 + DAY - 1).unwrap_err();
    assert_eq!((over.used.get(), over.since), (1_600, 500));
    assert_eq!(check(500 + DAY), Ok(()));
    assert_eq!(over.free_at, Some(500 + DAY), "the error names the time");
    let text = over.to_string();
    assert!(
        text.contains("there is room from 1970-01-02T00:08:20Z on"),
        "{text}"
    );
    assert!(check(499).is_err(), "still counted by a clock set back");
    let of_others = {
        let mut deposits = deposits.clone();
        deposits[0].record.deposit.payer = SIGNER;
        deposits[1].record.deposit.token = ME;
        deposits
    };
    let unused = at(600, &of_others).check_budget(&rounds(Some(1)), Amount::new(1));
    assert_eq!(unused, Ok(()));
}
