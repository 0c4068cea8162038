//! Random histories.

use super::*;
use proptest::prelude::*;

/// Units of a request in progress.
#[derive(Debug)]
enum Held {
    Paid(u8, Grant),
    Free(FreeGrant),
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u8, u64),
    Free(u16, u64),
    Pay(u8, u64),
    Wait(u64),
    Cancel(usize),
    /// One of the requests in progress ends, after using at most so many units.
    Settle(usize, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..4, 1u64..900).prop_map(|(account, cost)| Step::Ask(account, cost)),
        3 => (0u16..20, 1u64..100).prop_map(|(prefix, cost)| Step::Free(prefix, cost)),
        2 => (0u8..4, any::<u64>()).prop_map(|(account, amount)| Step::Pay(account, amount)),
        4 => (0u64..200 * MS).prop_map(Step::Wait),
        1 => any::<usize>().prop_map(Step::Cancel),
        4 => (any::<usize>(), 0u64..300).prop_map(|(n, used)| Step::Settle(n, used)),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    /// Over every stretch of time, what the requests use that are admitted in it is at most the capacity of that time and one
    /// burst: units that are given back cannot be saved up. Within an account, requests are served in their order. The books
    /// of the queue are right.
    #[test]
    fn serves_at_most_the_capacity_in_order(steps in steps()) {
        let mut admission = admission();
        let (mut now, mut log, mut waiting) = (0u64, Vec::new(), Vec::new());
        // Requests in progress, each with its place in the log.
        let mut held = Vec::new();
        let mut last = [None; 4];
        for step in steps {
            match step {
                Step::Ask(account, cost) => {
                    match admission.request(&account, tier(20_000, 5_000), demand(cost, 3), now) {
                        Ok(Decision::Serve(grant)) => {
                            prop_assert!(waiting.is_empty());
                            held.push((log.len(), Held::Paid(account, grant)));
                            log.push((now, cost));
                        }
                        Ok(Decision::Wait(ticket)) => waiting.push((ticket, account, cost)),
                        Err(refused) => prop_assert!(refused.retry_seconds().is_some()),
                    }
                }
                Step::Free(n, cost) => {
                    if let Ok(grant) = admission.request_free(prefix(n), cost, now) {
                        held.push((log.len(), Held::Free(grant)));
                        log.push((now, cost));
                    }
                }
                Step::Pay(account, amount) => admission.paid(&account, rich(), amount.into(), now),
                Step::Cancel(n) if !waiting.is_empty() => {
                    let (ticket, ..) = waiting.remove(n % waiting.len());
                    prop_assert!(admission.cancel(ticket, now));
                }
                Step::Settle(n, used) if !held.is_empty() => {
                    let (at, grant) = held.swap_remove(n % held.len());
                    let used = used.min(log[at].1);
                    log[at].1 = used;
                    match grant {
                        Held::Paid(account, grant) => admission.settle(&account, grant, used, now),
                        Held::Free(grant) => admission.settle_free(grant, used, now),
                    }
                }
                Step::Cancel(_) | Step::Settle(..) => {}
                Step::Wait(time) => {
                    now += time;
                    for outcome in admission.poll(now) {
                        let (Outcome::Serve(ticket, _) | Outcome::Refuse(ticket, _)) = outcome;
                        let at = waiting.iter().position(|(known, ..)| *known == ticket);
                        let (_, account, cost) = waiting.remove(at.unwrap());
                        if let Outcome::Serve(_, grant) = outcome {
                            held.push((log.len(), Held::Paid(account, grant)));
                            log.push((now, cost));
                            let last = &mut last[usize::from(account)];
                            prop_assert!(*last < Some(ticket));
                            *last = Some(ticket);
                        }
                    }
                }
            }
            prop_assert_eq!(admission.waiting(), (waiting.len(), 3 * waiting.len() as u64));
            prop_assert!(admission.known().1 <= 8);
        }
        for (first, (from, _)) in log.iter().enumerate() {
            let mut sum = 0;
            for (at, cost) in &log[first..] {
                sum += u128::from(*cost);
                let most = 1_000 + u128::from(at - from) * u128::from(RATE) / u128::from(SECOND) + 1;
                prop_assert!(sum <= most, "{} units from {} to {}", sum, from, at);
            }
        }
    }

    /// While two accounts always have waiting requests, their served costs by weight differ by at most one request of
    /// each.
    #[test]
    fn shares_capacity_in_proportion_to_payments(
        weights in [1u64..1_000, 1u64..1_000],
        costs in [100u64..900, 100u64..900],
    ) {
        let mut admission = admission();
        // The first thousand units fill the burst.
        admission.request(&9, rich(), demand(990, 0), 0).unwrap();
        let mut waiting = [Vec::new(), Vec::new()];
        for account in [0u8, 1] {
            admission.paid(&account, rich(), u128::from(weights[usize::from(account)]) * 10, 0);
        }
        let mut sums = [0u64; 2];
        for now in (0..5 * SECOND).step_by(10_000_000) {
            for account in [0u8, 1] {
                let n = usize::from(account);
                while waiting[n].len() < 5 {
                    let asked = admission.request(&account, rich(), demand(costs[n], 0), now);
                    match asked {
                        Ok(Decision::Wait(ticket)) => waiting[n].push(ticket),
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
            }
            for outcome in admission.poll(now) {
                let (Outcome::Serve(ticket, _) | Outcome::Refuse(ticket, _)) = outcome;
                let n = usize::from(waiting[1].contains(&ticket));
                waiting[n].retain(|known| *known != ticket);
                match outcome {
                    Outcome::Serve(..) => sums[n] += costs[n],
                    // Too small a share for a request every two seconds.
                    Outcome::Refuse(..) => return Ok(()),
                }
            }
            // Both sides times both weights, and a hundredth for rounding.
            let [a, b] = weights;
            let gap = (sums[0] * b).abs_diff(sums[1] * a);
            let most = costs[0] * b + costs[1] * a;
            prop_assert!(100 * gap <= 101 * most, "{:?} {} {}", sums, gap, most);
        }
    }
}
