use super::*;
use alloy_primitives::keccak256;
use proptest::prelude::*;

fn id(number: u64) -> DepositId {
    DepositId(keccak256(number.to_be_bytes()))
}

fn deposit(signer: u8, token: u8, draw_time: u64) -> Deposit {
    Deposit {
        payer: Address::repeat_byte(1),
        signer: Address::repeat_byte(signer),
        token: Address::repeat_byte(token),
        lane: 1,
        amount: u128::MAX,
        minPayout: 0,
        drawTime: draw_time,
        redeemUntil: draw_time + 100,
        root: B256::ZERO,
    }
}

const fn seen_at(open_at: u64) -> Sight {
    Sight {
        open_at,
        generation: 0,
    }
}

const ANY: Sums = Sums {
    exposure: Amount::MAX,
    unsettled: Amount::MAX,
};

/// Counts a payment and its write.
fn pay(index: &mut ExposureIndex, number: u64, terms: &Deposit, total: u128, open_at: u64) {
    let total = Amount::new(total);
    let reservation = index.reserve(id(number), terms, total, seen_at(open_at), ANY);
    index.finish(reservation.unwrap(), true);
}

#[derive(Clone, Debug)]
enum Step {
    Begin(u64, u128),
    Finish(usize, bool),
    Decide(u64, bool),
    Remove(u64),
    Final(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..20, 0u128..1 << 100).prop_map(|(number, total)| Step::Begin(number, total)),
        4 => (0usize..8, any::<bool>()).prop_map(|(index, written)| Step::Finish(index, written)),
        1 => (0u64..20, any::<bool>()).prop_map(|(number, win)| Step::Decide(number, win)),
        1 => (0u64..20).prop_map(Step::Remove),
        1 => (0u64..30).prop_map(Step::Final),
    ]
}

/// The terms of a deposit, a function of its number as real terms are of their id.
fn terms(number: u64) -> Deposit {
    deposit(number as u8 % 3, number as u8 % 2, 100 + number % 2)
}

/// A deposit of the plain model: written total, totals being written.
#[derive(Clone, Debug, Default)]
struct Plain {
    written: Option<u128>,
    writing: Vec<u128>,
}

impl Plain {
    fn total(&self) -> Option<u128> {
        self.written.max(self.writing.iter().copied().max())
    }
}

proptest! {
    #[test]
    fn sums_totals_like_a_scan_of_all_payments(
        steps in prop::collection::vec(step(), 0..120), queried in 0u64..20
    ) {
        let mut index = ExposureIndex::default();
        let mut plain: BTreeMap<u64, Plain> = BTreeMap::new();
        let mut open = Vec::new();
        let mut last_final = 0;
        for step in steps {
            match step {
                Step::Begin(number, total) => {
                    let (terms, amount) = (terms(number), Amount::new(total));
                    let reservation = index.reserve(id(number), &terms, amount, seen_at(number), ANY);
                    plain.entry(number).or_default().writing.push(total);
                    open.push((number, total, reservation.unwrap()));
                }
                Step::Finish(place, written) if place < open.len() => {
                    let (number, total, reservation) = open.swap_remove(place);
                    index.finish(reservation, written);
                    let entry = plain.entry(number).or_default();
                    let place = entry.writing.iter().position(|other| *other == total);
                    entry.writing.swap_remove(place.unwrap());
                    if written {
                        entry.written = entry.written.max(Some(total));
                    }
                }
                // Of a deposit with open writes, the model does not know what comes later.
                Step::Decide(number, win) if open.iter().all(|(other, ..)| *other != number) => {
                    let key = (ExposureKey::of(&terms(number)), id(number));
                    index.decide(key, win);
                    if !win {
                        plain.remove(&number);
                    }
                }
                Step::Remove(number) if open.iter().all(|(other, ..)| *other != number) => {
                    index.remove(id(number), &terms(number));
                    plain.remove(&number);
                }
                Step::Final(number) => {
                    last_final = last_final.max(number);
                    index.set_final(number);
                }
                _ => {}
            }
            plain.retain(|_, entry| entry.total().is_some());
        }
        let own = terms(queried);
        let others: Vec<_> = plain
            .iter()
            .filter(|(other, _)| **other != queried)
            .filter(|(other, _)| ExposureKey::of(&terms(**other)) == ExposureKey::of(&own))
            .collect();
        let sum = |settled_too: bool| {
            let counted = others.iter().filter(|(other, _)| settled_too || **other > last_final);
            Amount::new(counted.map(|(_, entry)| entry.total().unwrap_or_default()).sum())
        };
        let sums = index.of_others(id(queried), &own, false);
        prop_assert_eq!(sums.exposure, sum(true));
        prop_assert_eq!(sums.unsettled, sum(false));
        prop_assert_eq!(index.of_others(id(queried), &own, true).unsettled, Amount::ZERO);
        prop_assert!(index.sums.keys().all(|key| index.entries(*key).count() > 1));
        prop_assert_eq!(index.deposits.len(), plain.len());
        prop_assert!(index.in_flight.len() <= open.len());
    }
}

#[test]
fn refuses_a_payment_judged_before_another_was_counted() {
    let mut index = ExposureIndex::default();
    let terms = deposit(1, 0, 100);
    let judged = index.of_others(id(1), &terms, false);
    let second = index.of_others(id(2), &terms, false);
    let first = index.reserve(id(1), &terms, Amount::new(60), seen_at(5), judged);
    assert!(first.is_some());
    let late = index.reserve(id(2), &terms, Amount::new(60), seen_at(5), second);
    assert!(late.is_none(), "two payments passed by the same sums");
    // Judged again, by the sums of now.
    let again = index.of_others(id(2), &terms, false);
    assert_eq!(again.exposure, Amount::new(60));
    let late = index.reserve(id(2), &terms, Amount::new(40), seen_at(5), again);
    // A payment of another signer changes nothing.
    let other = deposit(2, 0, 100);
    let none = index.of_others(id(3), &other, false);
    assert_eq!(none, Sums::default());
    index.finish(late.unwrap(), true);
    index.finish(first.unwrap(), false);
    assert_eq!(index.of_others(id(2), &terms, false).exposure, Amount::ZERO);
    assert_eq!(
        index.of_others(id(9), &terms, false).exposure,
        Amount::new(40)
    );
}

#[test]
fn takes_back_what_was_not_written_only() {
    let mut index = ExposureIndex::default();
    let terms = deposit(1, 0, 100);
    let counted = |index: &ExposureIndex| index.of_others(id(9), &terms, false).exposure.get();
    pay(&mut index, 1, &terms, 10, 5);
    let begin = |index: &mut ExposureIndex, total| {
        let total = Amount::new(total);
        index
            .reserve(id(1), &terms, total, seen_at(5), ANY)
            .unwrap()
    };
    let (low, high) = (begin(&mut index, 20), begin(&mut index, 30));
    assert_eq!(counted(&index), 30);
    index.finish(high, false);
    assert_eq!(counted(&index), 20, "the other payment is being written");
    index.finish(low, false);
    assert_eq!(counted(&index), 10, "the first payment is in the store");
}

#[test]
fn counts_a_deposit_as_unsettled_until_its_block_is_final() {
    let mut index = ExposureIndex::default();
    let terms = deposit(1, 0, 100);
    pay(&mut index, 1, &terms, 7, 50);
    let unsettled = |index: &ExposureIndex| index.of_others(id(9), &terms, false).unsettled.get();
    index.set_final(49);
    assert_eq!((unsettled(&index), index.is_settled(50)), (7, false));
    index.set_final(50);
    assert_eq!((unsettled(&index), index.is_settled(50)), (0, true));
    // A node that is behind does not unsettle anything.
    index.set_final(40);
    assert_eq!(unsettled(&index), 0);
    // A reorganisation of confirmed blocks does: the purse is to be read again.
    index.forget_purses(0, 60);
    assert_eq!(unsettled(&index), 7);
    assert_eq!(index.sight(id(1), &terms), None);
    assert_eq!(index.unread(0, 9).len(), 1);
    let key = (ExposureKey::of(&terms), id(1));
    index.record_purse(key, Some(60), 0);
    assert_eq!(
        index.unread(0, 9).len(),
        1,
        "read before the reorganisation"
    );
    index.record_purse(key, None, 1);
    assert_eq!(index.missing(), BTreeSet::from([id(1)]));
    index.record_purse(key, Some(60), 1);
    assert_eq!((unsettled(&index), index.missing().len()), (0, 0));
    assert!(index.unread(0, 9).is_empty());
}

#[test]
fn frees_losses_at_once_and_wins_when_closed() {
    let mut index = ExposureIndex::default();
    let (lost, won) = (deposit(1, 0, 100), deposit(1, 0, 101));
    pay(&mut index, 1, &lost, 10, 5);
    pay(&mut index, 2, &won, 20, 5);
    assert_eq!((index.due(99), index.due(100)), (vec![], vec![100]));
    let counted = |index: &ExposureIndex| index.of_others(id(9), &lost, false).exposure.get();
    for key in index.drawn_at(100) {
        index.decide(key, false);
    }
    assert_eq!(counted(&index), 20);
    for key in index.drawn_at(101) {
        index.decide(key, true);
    }
    assert_eq!(index.due(u64::MAX), Vec::<u64>::new());
    assert_eq!(counted(&index), 20, "a win counts until it is closed");
    index.remove_over(won.redeemUntil);
    let [(key, win, _)] = index.open_wins(9)[..] else {
        panic!("no open win");
    };
    index.close((key, win));
    assert_eq!(counted(&index), 0);
    // Nor does a win count after its window.
    pay(&mut index, 2, &won, 20, 5);
    index.decide((key, win), true);
    index.remove_over(won.redeemUntil + 1);
    assert_eq!(index.open_wins(9), []);
    assert_eq!(counted(&index), 0);
}

#[test]
fn frees_undecided_deposits_when_their_window_closes() {
    let mut index = ExposureIndex::default();
    let (first, second) = (deposit(1, 0, 100), deposit(1, 0, 101));
    pay(&mut index, 1, &first, 10, 5);
    pay(&mut index, 2, &second, 20, 5);
    let counted = |index: &ExposureIndex| index.of_others(id(9), &first, false).exposure.get();
    for (time, expected) in [(200, 30), (201, 20), (202, 0)] {
        index.remove_over(time);
        assert_eq!(counted(&index), expected, "at {time}");
    }
    assert_eq!(index.due(u64::MAX), Vec::<u64>::new());
}

#[test]
fn decides_no_draw_of_a_deposit_that_is_being_paid() {
    let mut index = ExposureIndex::default();
    let terms = deposit(1, 0, 100);
    pay(&mut index, 1, &terms, 10, 5);
    let reservation = index.reserve(id(1), &terms, Amount::new(20), seen_at(5), ANY);
    assert_eq!(index.drawn_at(100), []);
    assert!(index.is_in_flight(id(1)));
    index.finish(reservation.unwrap(), true);
    assert_eq!(index.drawn_at(100), [(ExposureKey::of(&terms), id(1))]);
}

#[test]
fn keeps_purses_to_read_when_a_fast_clock_is_set_back() {
    let mut index = ExposureIndex::default();
    let (terms, now) = (deposit(1, 0, 1_000), 500);
    pay(&mut index, 1, &terms, 10, u64::MAX);
    let key = (ExposureKey::of(&terms), id(1));
    assert_eq!(index.unread(now, 9).len(), 1);
    index.record_purse(key, None, 0);
    assert_eq!(index.missing().len(), 1);
    assert!(index.unread(now + 7_200, 9).is_empty());
    assert!(index.missing().is_empty(), "past its draw");
    assert_eq!(index.unread(now, 9).len(), 1);
    assert_eq!(index.missing().len(), 1);
}

#[test]
fn keeps_sights_of_blocks_that_are_still_in_the_chain() {
    let mut index = ExposureIndex::default();
    let terms = deposit(1, 0, 100);
    for (number, open_at) in [(1, 50), (2, 51)] {
        pay(&mut index, number, &terms, 7, open_at);
    }
    index.forget_purses(50, 50);
    let sight = Some(Sight {
        open_at: 50,
        generation: 1,
    });
    assert_eq!(index.sight(id(1), &terms), sight);
    assert_eq!(index.sight(id(2), &terms), None);
    let unread = index.unread(0, 9);
    assert_eq!(unread.len(), 1);
    assert_eq!(unread[0].1, id(2));
}

#[test]
fn hands_out_purses_in_turn() {
    let mut index = ExposureIndex::default();
    for number in 0..5 {
        let terms = deposit(number as u8, 0, 100);
        pay(&mut index, number, &terms, 1, u64::MAX);
    }
    let mut read = BTreeSet::new();
    for _ in 0..3 {
        read.extend(index.unread(99, 2).into_iter().map(|(_, id, _)| id));
    }
    assert_eq!(read.len(), 5, "some purse is never read");
    assert!(index.unread(100, 9).is_empty(), "read after the draw");
}

#[test]
fn caps_exposure_at_the_largest_amount_and_recovers() {
    let terms = deposit(1, 0, 100);
    let mut index = ExposureIndex::default();
    for number in 0..3 {
        pay(&mut index, number, &terms, u128::MAX, 5);
    }
    let exposure =
        |index: &ExposureIndex, number| index.of_others(id(number), &terms, true).exposure;
    assert_eq!(exposure(&index, 9), Amount::MAX);
    assert_eq!(exposure(&index, 0), Amount::MAX);
    index.remove(id(0), &terms);
    index.remove(id(1), &terms);
    assert_eq!(exposure(&index, 9), Amount::MAX);
    assert_eq!(exposure(&index, 2), Amount::ZERO);
    index.remove(id(2), &terms);
    assert_eq!(exposure(&index, 9), Amount::ZERO);
}

/// Its purse included, which is a block number here. With the memory of the store, less than 400 bytes per open deposit.
#[test]
fn takes_less_than_300_bytes_per_deposit_and_signer() {
    const DEPOSITS: u64 = 30_000;
    let mut index = ExposureIndex::default();
    let taken = allocation_counter::measure(|| {
        for number in 0..DEPOSITS {
            let mut terms = deposit(0, 0, 100);
            terms.signer = Address::from_slice(&id(number).0[12..]);
            pay(&mut index, number, &terms, 1, 5);
        }
    });
    let each = taken.bytes_current / DEPOSITS as i64;
    assert!((128..300).contains(&each), "{each} bytes");
}
