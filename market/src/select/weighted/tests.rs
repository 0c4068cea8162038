//! Lazy decreases, fairness, and agreement with a plain list.

use super::*;
use proptest::prelude::*;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use std::cell::Cell;

fn seeded(seed: u64) -> impl FnMut() -> u64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    move || random.next_u64()
}

fn with_weights(weights: impl IntoIterator<Item = u64>) -> WeightedRandomSelect<usize> {
    let mut select = WeightedRandomSelect::new();
    for (item, weight) in weights.into_iter().enumerate() {
        select.update(item, weight).unwrap();
    }
    select
}

/// Returns the sum of `(observed - expected)^2 / expected` in thousandths, rounded down term by term.
fn chi_square_thousandths(observed: &[i64], expected: impl Fn(usize) -> i64) -> i64 {
    let term =
        |(item, count): (usize, &i64)| (count - expected(item)).pow(2) * 1_000 / expected(item);
    observed.iter().enumerate().map(term).sum()
}

#[test]
fn finds_the_one_item_whose_weight_has_not_fallen() {
    for n in [1, 2, 7, 8, 9, 63, 64, 65, 513, 10_000, 1_000_000] {
        let mut random = seeded(n as u64);
        let mut select = with_weights((1..=n).map(|weight| weight as u64));
        assert_eq!(select.len(), n);

        let kept = (random() % n as u64) as usize;
        let left = Cell::new(1);
        let weight_of = |item: &usize| {
            if *item == kept {
                left.get() * (kept as u64 + 1)
            } else {
                0
            }
        };
        assert_eq!(select.choose(weight_of, &mut random), Some(kept));
        left.set(0);
        assert_eq!(select.choose(weight_of, &mut random), None);
        assert!(select.is_empty());
    }
}

#[test]
fn chooses_in_proportion_to_weights() {
    let mut select = with_weights(1..=100);
    let mut random = seeded(2);
    let mut counts = [0; 100];
    for _ in 0..505_000 {
        counts[select.choose(|item| *item as u64 + 1, &mut random).unwrap()] += 1;
    }
    let chi_square = chi_square_thousandths(&counts, |item| 100 * (item as i64 + 1));
    // 99 degrees of freedom: below 182 in all but 1 of 10^6 seeds.
    assert!(chi_square < 182_000, "{chi_square}");
}

/// Every choice starts from remembered weights that have fallen since, some to zero.
#[test]
fn chooses_in_proportion_to_weights_fallen_unannounced() {
    let present = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    let remembered = with_weights([40, 10, 3, 30, 4, 90, 11, 70, 8, 9, 10]);
    let mut random = seeded(3);
    let mut counts = [0; 11];
    for _ in 0..55_000 {
        counts[remembered
            .clone()
            .choose(|item| present[*item], &mut random)
            .unwrap()] += 1;
    }
    assert_eq!(counts[0], 0);
    let chi_square = chi_square_thousandths(&counts[1..], |item| 1_000 * (item as i64 + 1));
    // 9 degrees of freedom: below 45.1 in all but 1 of 10^6 seeds.
    assert!(chi_square < 45_000, "{chi_square}");
}

#[test]
fn remembers_grown_weight_when_queried() {
    let mut select = with_weights([1]);
    assert_eq!(select.choose(|_| 5, || 1), Some(0));
    select.update(1, u64::MAX - 5).unwrap();
    let full = UpdateWeightError::Total {
        weight: u64::MAX - 4,
        others: 5,
    };
    assert_eq!(select.update(1, u64::MAX - 4), Err(full));
}

#[test]
fn rejects_weight_over_the_total() {
    let mut select = with_weights([u64::MAX - 10, 10]);
    let refused = UpdateWeightError::Total {
        weight: 11,
        others: u64::MAX - 10,
    };
    assert_eq!(select.update(1, 11), Err(refused));
    let refused = UpdateWeightError::Total {
        weight: 1,
        others: u64::MAX,
    };
    assert_eq!(select.update(2, 1), Err(refused));
    assert_eq!(select.len(), 2);
    // The old weight does not count against the new weight.
    select.update(0, 5).unwrap();
    select.update(1, u64::MAX - 5).unwrap();
    assert_eq!(
        select.choose(|item| [5, u64::MAX - 5][*item], || u64::MAX),
        Some(1)
    );
}

#[test]
fn keeps_old_weight_if_grown_weight_exceeds_the_total() {
    let mut select = with_weights([1, u64::MAX - 1]);
    assert_eq!(select.choose(|_| u64::MAX - 1, || 1), Some(0));
    assert_eq!(select.update(0, 1), Ok(()));
}

#[test]
fn removes_item_of_weight_zero() {
    let mut select = with_weights([0, 7]);
    assert_eq!(select.len(), 1);
    select.update(1, 0).unwrap();
    assert!(select.is_empty());
    assert_eq!(select.choose(|_| 1, || 1), None);
    assert!(!select.remove(&1));
}

#[derive(Clone, Debug)]
enum Change {
    Update(u8, u64),
    Remove(u8),
    Fall(u8, u64),
    Choose(u64),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => (any::<u8>(), 0u64..1_000).prop_map(|(item, weight)| Change::Update(item, weight)),
        1 => any::<u8>().prop_map(Change::Remove),
        1 => (any::<u8>(), 0u64..1_000).prop_map(|(item, weight)| Change::Fall(item, weight)),
        2 => any::<u64>().prop_map(Change::Choose),
    ];
    prop::collection::vec(change, 1..400)
}

/// A model of the structure: a list without order.
#[derive(Default)]
struct Model {
    /// Item, remembered weight, present weight.
    items: Vec<(u8, u64, u64)>,
}

impl Model {
    fn find(&mut self, item: u8) -> Option<&mut (u8, u64, u64)> {
        self.items.iter_mut().find(|entry| entry.0 == item)
    }

    fn update(&mut self, item: u8, weight: u64) {
        match self.find(item) {
            Some(entry) => *entry = (item, weight, weight),
            None => self.items.push((item, weight, weight)),
        }
        self.items.retain(|entry| entry.1 > 0);
    }

    fn present(&self, item: u8) -> u64 {
        self.items
            .iter()
            .find(|entry| entry.0 == item)
            .map_or(0, |entry| entry.2)
    }
}

proptest! {
    #[test]
    fn agrees_with_a_list(changes in changes()) {
        let mut select = WeightedRandomSelect::new();
        let mut model = Model::default();
        for change in changes {
            match change {
                Change::Update(item, weight) => {
                    select.update(item, weight).unwrap();
                    model.update(item, weight);
                }
                Change::Remove(item) => {
                    let there = model.find(item).is_some();
                    prop_assert_eq!(select.remove(&item), there);
                    model.update(item, 0);
                }
                Change::Fall(item, weight) => {
                    if let Some(entry) = model.find(item) {
                        entry.2 = entry.2.min(weight);
                    }
                }
                Change::Choose(seed) => {
                    // Every queried item remembers its present weight from here on.
                    let requested = std::cell::RefCell::new(Vec::new());
                    let weight_of = |item: &u8| {
                        requested.borrow_mut().push(*item);
                        model.present(*item)
                    };
                    let chosen = select.choose(weight_of, seeded(seed));
                    let requested = requested.into_inner();
                    prop_assert_eq!(chosen, chosen.and(requested.last().copied()));
                    prop_assert_eq!(chosen.is_none(), model.items.iter().all(|entry| entry.2 == 0));
                    for item in requested {
                        prop_assert!(model.find(item).is_some());
                        model.update(item, model.present(item));
                    }
                    prop_assert!(chosen.is_none_or(|item| model.present(item) > 0));
                }
            }
            prop_assert_eq!(select.len(), model.items.len());
            prop_assert_eq!(select.is_empty(), model.items.is_empty());
            for (position, item) in select.items.iter().enumerate() {
                let remembered = model.find(*item).map(|entry| entry.1);
                prop_assert_eq!(Some(select.weights.leaf(position)), remembered);
            }
        }
    }

    #[test]
    fn finds_position_by_its_distance(
        mut numbers in prop::collection::vec(1u64..20, 1..700), pops in 0usize..700, set in any::<prop::sample::Index>(),
    ) {
        let mut tree = SumTree::default();
        for number in &numbers {
            tree.push(*number);
        }
        for _ in 0..pops.min(numbers.len() - 1) {
            prop_assert_eq!(Some(tree.pop()), numbers.pop());
        }
        let changed = set.index(numbers.len());
        numbers[changed] = 33;
        tree.set(changed, 33);

        prop_assert_eq!(tree.total(), numbers.iter().sum::<u64>());
        let mut start = 0;
        for (place, number) in numbers.iter().enumerate() {
            prop_assert_eq!(tree.find(start), place);
            prop_assert_eq!(tree.find(start + number - 1), place);
            start += number;
        }
        prop_assert_eq!(tree.leaf(changed), 33);
    }
}
