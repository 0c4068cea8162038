//! Available capacity by priority.

use super::types::Limits;
use crate::balance::priority::Priority;
use std::collections::BTreeMap;

/// The capacity that would be free if all clients up to a priority yielded one after another, in the order of the
/// pool.
///
/// The curve is a snapshot: priorities continue to change.
#[derive(Clone, Debug)]
pub struct CapacityCurve<Id> {
    points: Vec<Point>,
    /// Points at which a client yields; each step leads to the next point.
    steps: BTreeMap<Id, Vec<usize>>,
    /// The client that loses its slot to any newcomer, if all slots are taken.
    first: Option<Id>,
}

/// Free capacity, and the priority needed to make the next client yield. Both rise from point to point.
#[derive(Clone, Copy, Debug)]
struct Point {
    free: u64,
    next: Priority,
}

/// A step in which the client of the lowest priority yields.
pub(super) struct Step<Id> {
    /// Sum of all capacities before the step.
    pub(super) total: u128,
    pub(super) id: Id,
    /// Priority of the client before the step.
    pub(super) priority: Priority,
}

impl<Id: Ord + Clone> CapacityCurve<Id> {
    /// Builds the curve from the steps in which clients give way, lowest priority first. `count` is the number of active
    /// clients.
    pub(super) fn new(limits: Limits, count: u64, steps: impl Iterator<Item = Step<Id>>) -> Self {
        let mut curve = Self {
            points: Vec::new(),
            steps: BTreeMap::new(),
            first: None,
        };
        for Step {
            total,
            id,
            priority,
        } in steps
        {
            let free = u128::from(limits.capacity).saturating_sub(total);
            if curve.first.is_none() && count >= limits.count {
                curve.first = Some(id.clone());
            }
            curve.steps.entry(id).or_default().push(curve.points.len());
            curve.points.push(Point {
                free: u64::try_from(free).unwrap_or(limits.capacity),
                next: priority,
            });
        }
        curve.points.push(Point {
            free: if limits.count == 0 {
                0
            } else {
                limits.capacity
            },
            next: Priority::MAX,
        });
        curve
    }

    /// Returns the largest capacity for a client whose priority at a capacity is `priority`. The function must not
    /// rise with capacity, and should return the [expected](super::Priorities::expected) priority after the bias.
    ///
    /// A client of the pool excludes itself: its own capacity counts as free. A result below the minimum capacity
    /// means none.
    pub fn max_capacity(&self, exclude: Option<&Id>, priority: impl Fn(u64) -> Priority) -> u64 {
        let excluded = exclude.filter(|id| self.steps.contains_key(id));
        let free = |point| self.free(point, excluded);
        let mut point = 0;
        let mut end = self.points.len() - 1;
        while point < end {
            let middle = usize::midpoint(point, end);
            let there = free(middle);
            if there == 0 || priority(there) >= self.points[middle].next {
                point = middle + 1;
            } else {
                end = middle;
            }
        }
        let max = free(point);
        let Some(before) = point.checked_sub(1) else {
            return max;
        };
        let needed = self.points[before].next;
        if max == 0 || priority(max) >= needed {
            return max;
        }
        // Between the free capacity without and with the last client to yield.
        let (mut low, mut high) = (free(before), max - 1);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if priority(middle) >= needed {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }

    /// Returns the free capacity at a point. The capacity of an excluded client counts as free.
    fn free(&self, point: usize, excluded: Option<&Id>) -> u64 {
        if excluded.is_none() && self.first.is_some() && point == 0 {
            return 0;
        }
        let given_way = excluded.or(self.first.as_ref());
        let steps = given_way.and_then(|id| self.steps.get(id));
        let later = steps
            .into_iter()
            .flatten()
            .rev()
            .take_while(|step| **step >= point);
        later.fold(self.points[point].free, |free, step| {
            free + (self.points[step + 1].free - self.points[*step].free)
        })
    }
}
