use super::*;
use crate::protocol::receive::policy::redeem_gas;
use alloy_primitives::{B256, U256};
use proptest::prelude::*;

const SETTINGS: PayeeSettings = PayeeSettings {
    min_payout_per_cost: 10,
    deadline_margin: 600,
    batch_size: 10,
    batch_wait: 324,
    retention: 0,
};

const DRAW: u64 = 3_000;
const LAST: u64 = DRAW + HISTORY_WINDOW;

fn id(number: u8) -> DepositId {
    DepositId(B256::repeat_byte(number))
}

/// A win with a proof of seven levels, so 100,000 gas if redeemed alone.
fn win(number: u8, payout: u128) -> RedeemableWin {
    RedeemableWin {
        id: id(number),
        payout: Amount::new(payout),
        gas: redeem_gas(7, 0),
        rate: Some(NativeRate::NATIVE),
        fallback_cost: Amount::new(1),
        draw_block: DRAW,
        last_block: LAST,
        recorded: false,
    }
}

fn prices(gas_price: u128) -> GasPrices {
    GasPrices {
        gas_price,
        data_fee: U256::ZERO,
    }
}

fn decided(wins: &[RedeemableWin], next_draw: Option<u64>, gas_price: u128, head: u64) -> Plan {
    plan(wins, next_draw, &prices(gas_price), head, &SETTINGS)
}

fn reason(plan: &Plan, number: u8) -> WaitReason {
    plan.wait[&id(number)].reason
}

#[test]
fn redeems_at_once_up_to_a_tenth_of_the_payout() {
    let wins = [win(1, 10 * 100_000 * 7)];
    assert_eq!(decided(&wins, None, 7, DRAW + 1).redeem, [id(1)]);
    let expensive = decided(&wins, None, 8, DRAW + 1);
    assert!(expensive.redeem.is_empty() && expensive.record.is_empty());
    let wait = Waiting {
        until: LAST - 600,
        reason: WaitReason::GasPrice {
            cost: Amount::new(800_000),
            max_cost: Amount::new(700_000),
        },
    };
    assert_eq!(expensive.wait[&id(1)], wait);
    assert!(
        wait.to_string()
            .contains("costs 800000 units, the limit is 700000")
    );
}

#[test]
fn redeems_at_any_price_below_payout_near_the_deadline() {
    let wins = [win(1, 100_001)];
    let margin = LAST - SETTINGS.deadline_margin;
    assert!(decided(&wins, None, 1, margin - 1).redeem.is_empty());
    assert_eq!(decided(&wins, None, 1, margin).redeem, [id(1)]);
    let worthless = decided(&[win(1, 100_000)], None, 1, margin);
    assert_eq!(
        reason(&worthless, 1),
        WaitReason::Worthless {
            cost: Amount::new(100_000),
            payout: Amount::new(100_000)
        }
    );
    assert_eq!(worthless.wait[&id(1)].until, LAST);
}

#[test]
fn extends_the_deadline_with_a_recorded_seed() {
    // Without a recorded seed the window ends where the chain forgets the draw block.
    let mut candidate = win(1, 1);
    candidate.last_block = LAST + 5;
    assert_eq!(candidate.deadline(), LAST);
    candidate.recorded = true;
    assert_eq!(candidate.deadline(), LAST + 5);
    candidate.last_block = LAST - 5;
    candidate.recorded = false;
    assert_eq!(candidate.deadline(), LAST - 5);
}

#[test]
fn costs_less_in_larger_batches_and_with_recorded_seed() {
    let mut candidate = win(1, 1);
    let cost = |win: &RedeemableWin, wins| win.cost(wins, &prices(1)).get();
    assert_eq!(
        [1, 2, 10].map(|wins| cost(&candidate, wins)),
        [100_000, 88_500, 79_300]
    );
    assert_eq!(cost(&candidate, 0), 100_000);
    candidate.recorded = true;
    assert_eq!(cost(&candidate, 1), 88_000);
    candidate.rate = None;
    assert_eq!(
        cost(&candidate, 1),
        1,
        "without a rate, the cost at the first payment"
    );
}

#[test]
fn redeems_together_wins_too_expensive_alone() {
    let payout = 10 * 88_500;
    assert!(
        decided(&[win(1, payout)], None, 1, DRAW + 1)
            .redeem
            .is_empty()
    );
    let both = [win(1, payout), win(2, payout)];
    assert_eq!(decided(&both, None, 1, DRAW + 1).redeem, [id(1), id(2)]);
    // The second win is not worth its share in any batch, so the first win remains alone.
    let unequal = [win(1, payout), win(2, 10)];
    let plan = decided(&unequal, None, 1, DRAW + 1);
    assert!(plan.redeem.is_empty());
    assert_eq!(plan.wait.len(), 2);
}

#[test]
fn delays_few_wins_until_an_imminent_draw() {
    let wins = [win(1, 1_000_000), win(2, 1_000_000)];
    let latest = DRAW + SETTINGS.batch_wait;
    let plan = decided(&wins, Some(latest), 1, DRAW + 1);
    assert!(plan.redeem.is_empty());
    let next_draw = latest;
    assert_eq!(reason(&plan, 2), WaitReason::Batch { next_draw });
    assert_eq!(
        decided(&wins, Some(latest + 1), 1, DRAW + 1).redeem.len(),
        2
    );
    assert_eq!(decided(&wins, Some(latest), 1, latest).redeem.len(), 2);
    assert_eq!(decided(&wins, None, 1, DRAW + 1).redeem.len(), 2);

    // Neither a full batch nor a batch with an urgent win waits.
    let mut ten: Vec<_> = (0..10).map(|number| win(number, 1_000_000)).collect();
    ten.iter_mut().for_each(|win| win.recorded = true);
    assert_eq!(decided(&ten, Some(latest), 1, DRAW + 1).redeem.len(), 10);
    let mut short = wins.clone();
    short[1].last_block = DRAW + 500;
    assert_eq!(
        decided(&short, Some(latest), 1, DRAW + 1).redeem,
        [id(2), id(1)]
    );
}

#[test]
fn records_the_seed_of_a_waiting_win_with_a_long_window() {
    // Long: beyond the blocks for which the chain remembers the seed.
    let mut candidate = win(1, 900_000);
    assert!(
        decided(&[candidate.clone()], None, 1, DRAW + 1)
            .record
            .is_empty()
    );
    candidate.last_block = LAST + 1;
    let plan = decided(&[candidate.clone()], None, 1, DRAW + 1);
    assert_eq!(plan.record, BTreeSet::from([DRAW]));
    assert!(matches!(reason(&plan, 1), WaitReason::GasPrice { .. }));

    // Recorded once, as soon as recording costs at most a tenth of the payout.
    let records = |win: &RedeemableWin, head| {
        let plan = decided(std::slice::from_ref(win), None, 1, head);
        !plan.record.is_empty()
    };
    candidate.payout = Amount::new(630_000);
    assert!(records(&candidate, DRAW + 1));
    candidate.payout = Amount::new(629_999);
    assert!(!records(&candidate, DRAW + 1));
    // Recorded at a higher cost shortly before the chain forgets the seed, if redeeming is not worth its cost yet.
    let margin = LAST - SETTINGS.deadline_margin;
    assert!(!records(&candidate, margin), "redeemed instead");
    candidate.payout = Amount::new(63_001);
    assert!(records(&candidate, margin));
    candidate.payout = Amount::new(63_000);
    assert!(!records(&candidate, margin));
    (candidate.payout, candidate.recorded) = (Amount::new(630_000), true);
    assert!(!records(&candidate, DRAW + 1));
}

#[test]
fn records_one_seed_for_five_wins_of_a_block() {
    let mut wins: Vec<_> = (1..=5).map(|number| win(number, 1_000_000)).collect();
    assert!(decided(&wins[..4], None, 1, DRAW + 1).record.is_empty());
    let plan = decided(&wins, None, 1, DRAW + 1);
    assert_eq!(plan.record, BTreeSet::from([DRAW]));
    assert!(plan.redeem.is_empty());
    assert_eq!(reason(&plan, 3), WaitReason::Seed { block: DRAW });
    // Urgent wins are redeemed with the header in the call.
    let urgent = decided(&wins, None, 1, LAST - SETTINGS.deadline_margin);
    assert!(urgent.record.is_empty());
    assert_eq!(urgent.redeem.len(), 5);
    wins.iter_mut().for_each(|win| win.recorded = true);
    assert_eq!(decided(&wins, None, 1, DRAW + 1).redeem.len(), 5);
}

#[test]
fn limits_a_batch_to_32_wins_and_12m_gas_by_deadline() {
    let mut wins: Vec<_> = (0..40).map(|number| win(number, 1_000_000)).collect();
    for (number, win) in wins.iter_mut().enumerate() {
        win.recorded = true;
        win.last_block = LAST - number as u64;
    }
    let plan = decided(&wins, None, 1, DRAW + 1);
    assert_eq!(plan.redeem.len(), 32);
    assert_eq!(plan.redeem[0], id(39));
    assert_eq!(reason(&plan, 0), WaitReason::Full);
    wins.iter_mut().for_each(|win| win.gas = 5_000_000);
    assert_eq!(decided(&wins, None, 0, DRAW + 1).redeem.len(), 2);
    wins.iter_mut().for_each(|win| win.gas = 13_000_000);
    assert_eq!(decided(&wins, None, 0, DRAW + 1).redeem.len(), 1);
}

fn any_win() -> impl Strategy<Value = RedeemableWin> {
    (
        0u8..60,
        prop_oneof![0u128..300_000, 0u128..3_000_000],
        0usize..14,
        0u64..4,
        prop_oneof![Just(HISTORY_WINDOW), 1u64..20_000],
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(number, payout, levels, grid, window, recorded, rated)| RedeemableWin {
                gas: redeem_gas(levels, 0),
                rate: rated.then_some(NativeRate::NATIVE),
                fallback_cost: Amount::new(100_000),
                draw_block: DRAW + grid * 300,
                last_block: DRAW + grid * 300 + window,
                recorded,
                ..win(number, payout)
            },
        )
}

fn any_wins() -> impl Strategy<Value = Vec<RedeemableWin>> {
    prop::collection::vec(any_win(), 0..60).prop_map(|wins| {
        let by_id: BTreeMap<_, _> = wins.into_iter().map(|win| (win.id, win)).collect();
        by_id.into_values().collect()
    })
}

proptest! {
    #[test]
    fn redeems_or_delays_every_win_and_never_at_a_loss(
        wins in any_wins(), gas_price in 0u128..12, head in DRAW..DRAW + 22_000,
        next_draw in prop::option::of(DRAW..DRAW + 2_000),
    ) {
        let plan = decided(&wins, next_draw, gas_price, head);
        prop_assert_eq!(plan.redeem.len() + plan.wait.len(), wins.len());
        prop_assert!(plan.redeem.len() <= MAX_WINS);
        for win in &wins {
            let redeems = plan.redeem.contains(&win.id);
            prop_assert_ne!(redeems, plan.wait.contains_key(&win.id));
            let alone = win.cost(1, &prices(gas_price));
            // The lowest cost is that in the largest batch.
            let lowest = win.cost(MAX_WINS, &prices(gas_price));
            prop_assert!(!redeems || lowest < win.payout);
            let urgent = win.is_urgent(head, &SETTINGS);
            if urgent && alone < win.payout {
                prop_assert!(redeems || reason(&plan, win.id.0[0]) == WaitReason::Full);
            }
            prop_assert!(!win.recorded || !plan.record.contains(&win.draw_block)
                || wins.iter().any(|other| other.draw_block == win.draw_block && !other.recorded));
        }
    }

    #[test]
    fn redeems_at_every_price_below_an_accepted_price(
        wins in prop::collection::vec(any_win(), 1..2), gas_price in 1u128..12, head in DRAW..DRAW + 22_000,
    ) {
        if !decided(&wins, None, gas_price, head).redeem.is_empty() {
            prop_assert!(!decided(&wins, None, gas_price - 1, head).redeem.is_empty());
        }
    }
}
