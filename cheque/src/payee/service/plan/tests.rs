use super::*;
use crate::protocol::receive::policy::redeem_gas;
use alloy_primitives::{B256, U256};
use proptest::prelude::*;

const SETTINGS: PayeeSettings = PayeeSettings {
    min_payout_per_cost: 10,
    deadline_margin: 7_200,
    batch_size: 10,
    batch_wait: 600,
    retention: 0,
};

const DRAW: u64 = 1_800_000_000;
const LAST: u64 = DRAW + 86_400;

/// The gas of a win if redeemed alone: with a proof of seven levels, and an inline proof of the seed.
const GAS: u64 = redeem_gas(7, 0);

fn id(number: u8) -> DepositId {
    DepositId(B256::repeat_byte(number))
}

fn win(number: u8, payout: u64) -> RedeemableWin {
    RedeemableWin {
        id: id(number),
        payout: Amount::new(payout.into()),
        gas: GAS,
        rate: Some(NativeRate::NATIVE),
        fallback_cost: Amount::new(1),
        draw_time: DRAW,
        redeem_until: LAST,
        recorded: false,
    }
}

fn wins(count: u8, payout: u64) -> Vec<RedeemableWin> {
    (0..count).map(|number| win(number, payout)).collect()
}

fn prices(gas_price: u128) -> GasPrices {
    GasPrices {
        gas_price,
        data_fee: U256::ZERO,
        new_slot_extra: 0,
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
    let wins = [win(1, 10 * GAS * 7)];
    assert_eq!(decided(&wins, None, 7, DRAW + 1).redeem, [id(1)]);
    let expensive = decided(&wins, None, 8, DRAW + 1);
    assert!(expensive.redeem.is_empty() && expensive.record.is_empty());
    let (cost, max_cost) = (u128::from(GAS) * 8, u128::from(GAS) * 7);
    let wait = Waiting {
        until: LAST - 7_200,
        reason: WaitReason::GasPrice {
            cost: Amount::new(cost),
            max_cost: Amount::new(max_cost),
        },
    };
    assert_eq!(expensive.wait[&id(1)], wait);
    let text = format!("costs {cost} units, the limit is {max_cost}");
    assert!(wait.to_string().contains(&text), "{wait}");
    assert!(wait.to_string().contains("from 2027-01-16T06:00:00Z on"));
}

#[test]
fn redeems_at_any_price_below_payout_near_the_deadline() {
    let wins = [win(1, GAS + 1)];
    let margin = LAST - SETTINGS.deadline_margin;
    assert!(decided(&wins, None, 1, margin - 1).redeem.is_empty());
    assert_eq!(decided(&wins, None, 1, margin).redeem, [id(1)]);
    let worthless = decided(&[win(1, GAS)], None, 1, margin);
    let gas = Amount::new(GAS.into());
    assert_eq!(
        reason(&worthless, 1),
        WaitReason::Worthless {
            cost: gas,
            payout: gas
        }
    );
    assert_eq!(worthless.wait[&id(1)].until, LAST);
}

#[test]
fn costs_less_in_batches_of_a_draw_and_with_recorded_seed() {
    let mut candidate = win(1, 1);
    let cost = |win: &RedeemableWin, wins, of_draw| {
        let cost = win.cost(wins, of_draw, &prices(1)).get();
        GAS - u64::try_from(cost).unwrap()
    };
    // What is saved: shared gas by all wins, the proof of the seed by those of a draw. Rounded down.
    assert_eq!(cost(&candidate, 0, 0), 0);
    assert_eq!(cost(&candidate, 1, 1), 0);
    assert_eq!(cost(&candidate, 2, 1), 11_500);
    assert_eq!(cost(&candidate, 10, 1), 20_700);
    assert_eq!(cost(&candidate, 10, 7), 20_700 + 102_857);
    assert_eq!(cost(&candidate, 10, 10), 20_700 + 108_000);
    candidate.recorded = true;
    assert_eq!(cost(&candidate, 1, 1), 120_000);
    candidate.rate = None;
    assert_eq!(
        candidate.cost(1, 1, &prices(1)).get(),
        1,
        "without a rate, the cost at the first payment"
    );
}

#[test]
fn redeems_together_wins_too_expensive_alone() {
    // Two wins of a draw share 11,500 gas each, and the proof of its seed.
    let payout = 10 * (GAS - 11_500 - 60_000);
    let alone = decided(&[win(1, payout)], None, 1, DRAW + 1);
    assert!(alone.redeem.is_empty());
    let both = [win(1, payout), win(2, payout)];
    assert_eq!(decided(&both, None, 1, DRAW + 1).redeem, [id(1), id(2)]);
    // Wins of two draws need two proofs.
    let mut apart = both.clone();
    apart[1].draw_time += 300;
    assert!(decided(&apart, None, 1, DRAW + 301).redeem.is_empty());
    // The second win is not worth its share in any batch, so the first win remains alone.
    let unequal = [win(1, payout), win(2, 10)];
    let plan = decided(&unequal, None, 1, DRAW + 1);
    assert!(plan.redeem.is_empty());
    assert_eq!(plan.wait.len(), 2);
}

#[test]
fn delays_few_wins_until_an_imminent_draw() {
    let wins = [win(1, 10_000_000), win(2, 10_000_000)];
    let latest = DRAW + SETTINGS.batch_wait;
    let plan = decided(&wins, Some(latest), 1, DRAW + 1);
    assert!(plan.redeem.is_empty());
    let next_draw = latest;
    assert_eq!(reason(&plan, 2), WaitReason::Batch { next_draw });
    let redeemed = |wins: &[_], next_draw, head| decided(wins, next_draw, 1, head).redeem;
    assert_eq!(redeemed(&wins, Some(latest + 1), DRAW + 1).len(), 2);
    assert_eq!(redeemed(&wins, Some(latest), latest).len(), 2);
    assert_eq!(redeemed(&wins, None, DRAW + 1).len(), 2);

    // Neither a full batch nor a batch with an urgent win waits.
    let ten = self::wins(10, 10_000_000);
    assert_eq!(redeemed(&ten, Some(latest), DRAW + 1).len(), 10);
    let mut short = wins.clone();
    short[1].redeem_until = DRAW + 7_000;
    assert_eq!(redeemed(&short, Some(latest), DRAW + 1), [id(2), id(1)]);
}

#[test]
fn records_a_seed_whose_wins_need_two_transactions() {
    // A batch proves the seed once, for less than a record.
    let mut many = wins(33, 10_000_000);
    let few = decided(&many[..32], None, 1, DRAW + 1);
    assert!(few.record.is_empty());
    assert_eq!(few.redeem.len(), 32);
    let plan = decided(&many, None, 1, DRAW + 1);
    assert_eq!(plan.record, BTreeSet::from([DRAW]));
    assert!(plan.redeem.is_empty());
    assert_eq!(reason(&plan, 3), WaitReason::Seed { draw_time: DRAW });
    // Urgent wins are redeemed with the proof in the call.
    let urgent = decided(&many, None, 1, LAST - SETTINGS.deadline_margin);
    assert!(urgent.record.is_empty());
    assert_eq!(urgent.redeem.len(), 32);
    many.iter_mut().for_each(|win| win.recorded = true);
    let recorded = decided(&many, None, 1, DRAW + 1);
    assert!(recorded.record.is_empty());
    assert_eq!(recorded.redeem.len(), 32);
    // As many wins of several draws need as many proofs.
    many.iter_mut().for_each(|win| win.recorded = false);
    for (number, win) in (0u64..).zip(&mut many) {
        win.draw_time += number % 3;
    }
    assert!(decided(&many, None, 1, DRAW + 9).record.is_empty());
}

#[test]
fn limits_a_batch_to_32_wins_and_12m_gas_by_deadline() {
    let mut wins = wins(40, 10_000_000);
    for (number, win) in (0u64..).zip(&mut wins) {
        win.recorded = true;
        win.redeem_until = LAST - number;
    }
    let plan = decided(&wins, None, 1, DRAW + 1);
    assert_eq!(plan.redeem.len(), 32);
    assert_eq!(plan.redeem[0], id(39));
    assert_eq!(reason(&plan, 0), WaitReason::Full);
    let redeemed = |wins: &[_]| decided(wins, None, 0, DRAW + 1).redeem.len();
    wins.iter_mut().for_each(|win| win.gas = 5_000_000);
    assert_eq!(redeemed(&wins), 2);
    wins.iter_mut().for_each(|win| win.gas = 13_000_000);
    assert_eq!(redeemed(&wins), 1);
    // Each draw's proof counts once: 12 times 1,000,000 of the same draw, 10 of different ones.
    for (number, win) in (0u64..).zip(&mut wins) {
        (win.gas, win.recorded) = (1_120_000, false);
        win.draw_time = DRAW - number;
    }
    assert_eq!(redeemed(&wins), 10);
    wins.iter_mut().for_each(|win| win.recorded = true);
    assert_eq!(redeemed(&wins), 12);
}

fn any_win() -> impl Strategy<Value = RedeemableWin> {
    (
        0u8..60,
        prop_oneof![0u64..600_000, 0u64..6_000_000],
        0usize..14,
        0u64..4,
        1u64..200_000,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(number, payout, levels, grid, window, recorded, rated)| RedeemableWin {
                gas: redeem_gas(levels, 0),
                rate: rated.then_some(NativeRate::NATIVE),
                fallback_cost: Amount::new(200_000),
                draw_time: DRAW + grid * 300,
                redeem_until: DRAW + grid * 300 + window,
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
        wins in any_wins(), gas_price in 0u128..12, head in DRAW..DRAW + 220_000,
        next_draw in prop::option::of(DRAW..DRAW + 2_000),
    ) {
        let plan = decided(&wins, next_draw, gas_price, head);
        prop_assert_eq!(plan.redeem.len() + plan.wait.len(), wins.len());
        prop_assert!(plan.redeem.len() <= MAX_WINS);
        for win in &wins {
            let redeems = plan.redeem.contains(&win.id);
            prop_assert_ne!(redeems, plan.wait.contains_key(&win.id));
            let alone = win.cost(1, 1, &prices(gas_price));
            // The lowest cost is that in the largest batch.
            let lowest = win.cost(MAX_WINS, MAX_WINS, &prices(gas_price));
            prop_assert!(!redeems || lowest < win.payout);
            let urgent = win.is_urgent(head, &SETTINGS);
            if urgent && alone < win.payout {
                prop_assert!(redeems || reason(&plan, win.id.0[0]) == WaitReason::Full);
            }
            prop_assert!(!win.recorded || !plan.record.contains(&win.draw_time)
                || wins.iter().any(|other| other.draw_time == win.draw_time && !other.recorded));
        }
    }

    #[test]
    fn redeems_at_every_price_below_an_accepted_price(
        wins in prop::collection::vec(any_win(), 1..2), gas_price in 1u128..12, head in DRAW..DRAW + 220_000,
    ) {
        if !decided(&wins, None, gas_price, head).redeem.is_empty() {
            prop_assert!(!decided(&wins, None, gas_price - 1, head).redeem.is_empty());
        }
    }
}
