use super::*;
use crate::protocol::receive::policy::redeem_gas;
use alloy_primitives::{B256, U256};
use proptest::prelude::*;

const SETTINGS: PayeeSettings = PayeeSettings {
    min_payout_per_cost: 10,
    margin: 600,
    batch: 10,
    company: 324,
    keep: 0,
};

const DRAW: u64 = 3_000;
const LAST: u64 = DRAW + HISTORY_WINDOW;

fn id(number: u8) -> DepositId {
    DepositId(B256::repeat_byte(number))
}

/// A win with a proof of seven levels, so of 100,000 gas alone.
fn win(number: u8, payout: u128) -> RedeemableWin {
    RedeemableWin {
        id: id(number),
        payout: Amount::new(payout),
        gas: redeem_gas(7, 0),
        rate: Some(NativeRate::NATIVE),
        reckoned: Amount::new(1),
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

fn decided(wins: &[RedeemableWin], coming: Option<u64>, gas_price: u128, head: u64) -> Plan {
    plan(wins, coming, &prices(gas_price), head, &SETTINGS)
}

fn because(plan: &Plan, number: u8) -> WaitReason {
    plan.wait[&id(number)].because
}

#[test]
fn a_win_is_redeemed_at_once_while_it_costs_at_most_a_tenth_of_the_payout() {
    let wins = [win(1, 10 * 100_000 * 7)];
    assert_eq!(decided(&wins, None, 7, DRAW + 1).redeem, [id(1)]);
    let dear = decided(&wins, None, 8, DRAW + 1);
    assert!(dear.redeem.is_empty() && dear.record.is_empty());
    let wait = Waiting {
        until: LAST - 600,
        because: WaitReason::GasPrice {
            cost: Amount::new(800_000),
            bearable: Amount::new(700_000),
        },
    };
    assert_eq!(dear.wait[&id(1)], wait);
    assert!(
        wait.to_string()
            .contains("costs 800000 units now, and may cost 700000")
    );
}

#[test]
fn near_the_end_of_its_window_a_win_is_redeemed_at_any_price_below_the_payout() {
    let wins = [win(1, 100_001)];
    let margin = LAST - SETTINGS.margin;
    assert!(decided(&wins, None, 1, margin - 1).redeem.is_empty());
    assert_eq!(decided(&wins, None, 1, margin).redeem, [id(1)]);
    let worthless = decided(&[win(1, 100_000)], None, 1, margin);
    assert_eq!(
        because(&worthless, 1),
        WaitReason::Worthless {
            cost: Amount::new(100_000),
            payout: Amount::new(100_000)
        }
    );
    assert_eq!(worthless.wait[&id(1)].until, LAST);
}

#[test]
fn the_window_ends_where_the_chain_forgets_unless_the_seed_is_recorded() {
    let mut one = win(1, 1);
    one.last_block = LAST + 5;
    assert_eq!(one.deadline(), LAST);
    one.recorded = true;
    assert_eq!(one.deadline(), LAST + 5);
    one.last_block = LAST - 5;
    one.recorded = false;
    assert_eq!(one.deadline(), LAST - 5);
}

#[test]
fn each_win_costs_less_the_more_share_a_transaction_and_with_a_recorded_seed() {
    let mut one = win(1, 1);
    let cost = |win: &RedeemableWin, wins| win.cost(wins, &prices(1)).get();
    assert_eq!(
        [1, 2, 10].map(|wins| cost(&one, wins)),
        [100_000, 88_500, 79_300]
    );
    assert_eq!(cost(&one, 0), 100_000);
    one.recorded = true;
    assert_eq!(cost(&one, 1), 88_000);
    one.rate = None;
    assert_eq!(cost(&one, 1), 1, "without a rate, what was reckoned with");
}

#[test]
fn wins_that_are_too_dear_alone_are_redeemed_together() {
    let payout = 10 * 88_500;
    assert!(
        decided(&[win(1, payout)], None, 1, DRAW + 1)
            .redeem
            .is_empty()
    );
    let both = [win(1, payout), win(2, payout)];
    assert_eq!(decided(&both, None, 1, DRAW + 1).redeem, [id(1), id(2)]);
    // The second would not be worth it in any company, so the first is alone, too.
    let one = [win(1, payout), win(2, 10)];
    let plan = decided(&one, None, 1, DRAW + 1);
    assert!(plan.redeem.is_empty());
    assert_eq!(plan.wait.len(), 2);
}

#[test]
fn a_few_wins_wait_for_the_next_draw_if_that_comes_soon() {
    let wins = [win(1, 1_000_000), win(2, 1_000_000)];
    let latest = DRAW + SETTINGS.company;
    let plan = decided(&wins, Some(latest), 1, DRAW + 1);
    assert!(plan.redeem.is_empty());
    let coming = latest;
    assert_eq!(because(&plan, 2), WaitReason::Company { coming });
    assert_eq!(
        decided(&wins, Some(latest + 1), 1, DRAW + 1).redeem.len(),
        2
    );
    assert_eq!(decided(&wins, Some(latest), 1, latest).redeem.len(), 2);
    assert_eq!(decided(&wins, None, 1, DRAW + 1).redeem.len(), 2);

    // Enough of them, or one whose window is about to close, wait for nobody.
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
fn the_seed_of_a_win_that_has_to_wait_is_recorded_where_its_window_outlasts_the_chains_memory() {
    let mut one = win(1, 900_000);
    assert!(decided(&[one.clone()], None, 1, DRAW + 1).record.is_empty());
    one.last_block = LAST + 1;
    let plan = decided(&[one.clone()], None, 1, DRAW + 1);
    assert_eq!(plan.record, BTreeSet::from([DRAW]));
    assert!(matches!(because(&plan, 1), WaitReason::GasPrice { .. }));

    // As soon as it takes at most a tenth of the payout, and not twice.
    let records = |win: &RedeemableWin, head| {
        let plan = decided(std::slice::from_ref(win), None, 1, head);
        !plan.record.is_empty()
    };
    one.payout = Amount::new(630_000);
    assert!(records(&one, DRAW + 1));
    one.payout = Amount::new(629_999);
    assert!(!records(&one, DRAW + 1));
    // Where the chain is about to forget, also for more, if redeeming is worth nothing yet.
    let margin = LAST - SETTINGS.margin;
    assert!(!records(&one, margin), "it is redeemed");
    one.payout = Amount::new(63_001);
    assert!(records(&one, margin));
    one.payout = Amount::new(63_000);
    assert!(!records(&one, margin));
    (one.payout, one.recorded) = (Amount::new(630_000), true);
    assert!(!records(&one, DRAW + 1));
}

#[test]
fn five_wins_of_one_block_share_one_record_of_its_seed() {
    let mut wins: Vec<_> = (1..=5).map(|number| win(number, 1_000_000)).collect();
    assert!(decided(&wins[..4], None, 1, DRAW + 1).record.is_empty());
    let plan = decided(&wins, None, 1, DRAW + 1);
    assert_eq!(plan.record, BTreeSet::from([DRAW]));
    assert!(plan.redeem.is_empty());
    assert_eq!(because(&plan, 3), WaitReason::Seed { block: DRAW });
    // What cannot wait goes with its header.
    let urgent = decided(&wins, None, 1, LAST - SETTINGS.margin);
    assert!(urgent.record.is_empty());
    assert_eq!(urgent.redeem.len(), 5);
    wins.iter_mut().for_each(|win| win.recorded = true);
    assert_eq!(decided(&wins, None, 1, DRAW + 1).redeem.len(), 5);
}

#[test]
fn a_transaction_holds_32_wins_and_12_million_gas_and_those_that_end_first() {
    let mut wins: Vec<_> = (0..40).map(|number| win(number, 1_000_000)).collect();
    for (number, win) in wins.iter_mut().enumerate() {
        win.recorded = true;
        win.last_block = LAST - number as u64;
    }
    let plan = decided(&wins, None, 1, DRAW + 1);
    assert_eq!(plan.redeem.len(), 32);
    assert_eq!(plan.redeem[0], id(39));
    assert_eq!(because(&plan, 0), WaitReason::Full);
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
                reckoned: Amount::new(100_000),
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
    fn every_win_is_redeemed_or_waits_and_none_is_redeemed_for_more_than_it_pays(
        wins in any_wins(), gas_price in 0u128..12, head in DRAW..DRAW + 22_000, coming in prop::option::of(DRAW..DRAW + 2_000),
    ) {
        let plan = decided(&wins, coming, gas_price, head);
        prop_assert_eq!(plan.redeem.len() + plan.wait.len(), wins.len());
        prop_assert!(plan.redeem.len() <= MOST_WINS);
        for win in &wins {
            let redeems = plan.redeem.contains(&win.id);
            prop_assert_ne!(redeems, plan.wait.contains_key(&win.id));
            let alone = win.cost(1, &prices(gas_price));
            // In the largest company at best.
            let least = win.cost(MOST_WINS, &prices(gas_price));
            prop_assert!(!redeems || least < win.payout);
            let urgent = win.is_urgent(head, &SETTINGS);
            if urgent && alone < win.payout {
                prop_assert!(redeems || because(&plan, win.id.0[0]) == WaitReason::Full);
            }
            prop_assert!(!win.recorded || !plan.record.contains(&win.draw_block)
                || wins.iter().any(|other| other.draw_block == win.draw_block && !other.recorded));
        }
    }

    #[test]
    fn what_is_redeemed_at_a_price_is_redeemed_at_every_lower_one(
        wins in prop::collection::vec(any_win(), 1..2), gas_price in 1u128..12, head in DRAW..DRAW + 22_000,
    ) {
        if !decided(&wins, None, gas_price, head).redeem.is_empty() {
            prop_assert!(!decided(&wins, None, gas_price - 1, head).redeem.is_empty());
        }
    }
}
