//! How much capacity is to be had at which priority.

use super::{
    priority_pool::{Limits, Priorities, PriorityPool},
    tentative::Tentative,
};
use crate::balance::Priority;
use std::collections::BTreeMap;

/// The capacity that would be free if all clients up to a priority gave way, one after the other, as the pool would have
/// them do.
///
/// It is a picture of one moment: priorities go on changing.
#[derive(Clone, Debug)]
pub struct CapacityCurve<Id> {
    points: Vec<Point>,
    /// The points at which a client gives way, each leading to the next point.
    steps: BTreeMap<Id, Vec<usize>>,
    /// All places are taken, so that the first to give way must go whoever comes.
    first: Option<Id>,
}

/// What is free, and what priority one must have for the next client to give way. Both rise from point to point.
#[derive(Clone, Copy, Debug)]
struct Point {
    free: u64,
    next: Priority,
}

impl<Id: Ord + Clone> CapacityCurve<Id> {
    pub(super) fn new(pool: &PriorityPool<Id>, priorities: &impl Priorities<Id>) -> Self {
        let Limits { count, capacity } = pool.limits;
        let mut curve = Self {
            points: Vec::new(),
            steps: BTreeMap::new(),
            first: None,
        };
        let mut tentative = Tentative::new(pool, priorities, None);
        loop {
            let free = u128::from(capacity).saturating_sub(tentative.total);
            let Some((id, priority)) = tentative.take_from_lowest() else {
                break;
            };
            if curve.first.is_none() && pool.count >= count {
                curve.first = Some(id.clone());
            }
            curve.steps.entry(id).or_default().push(curve.points.len());
            curve.points.push(Point {
                free: u64::try_from(free).unwrap_or(capacity),
                next: priority,
            });
        }
        curve.points.push(Point {
            free: if count == 0 { 0 } else { capacity },
            next: Priority::MAX,
        });
        curve
    }

    /// The most capacity that somebody can get whose priority at a capacity `priority` tells. It must not rise with
    /// capacity, and should be the one [expected](Priorities::expected) after the bias.
    ///
    /// A client of the pool excludes itself: what it has is free for it. The result may be below the minimum capacity,
    /// which is the same as none.
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
        let most = free(point);
        let Some(before) = point.checked_sub(1) else {
            return most;
        };
        let needed = self.points[before].next;
        if most == 0 || priority(most) >= needed {
            return most;
        }
        // Between what is free without the last client to give way, and with it.
        let (mut low, mut high) = (free(before), most - 1);
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

    /// What is free at a point for somebody who is not in the pool, or whose own capacity is free for it.
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
