//! The demo's payees, allowances and payments, derived from a seed.

use alloy::primitives::{Address, B256, keccak256};
use cheque::{Amount, SigningKey};
use eyre::{Result, WrapErr, ensure, eyre};

/// The maximum allowance in shares. Each allowance is a number of shares plus odd wei, so that nothing divides evenly.
const SHARES: u64 = 12;

/// The maximum sum of allowances, in wei: payees accept deposits up to 1 coin.
const MAX_SUM: u128 = 750_000_000_000_000_000;

/// Steps of a stream.
pub(super) const STREAM_STEPS: u32 = 64;

/// A payee of the demo.
pub(super) struct PayeeKey {
    pub(super) key: SigningKey,
    pub(super) address: Address,
}

/// The means and size of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payment {
    /// A cheque over an additional amount.
    Cheque(Amount),
    /// A number of steps of the open stream.
    Steps(u32),
}

/// A payment to a payee, and the stream to open first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlannedPayment {
    /// The payee's index.
    pub(super) payee: usize,
    /// The step amount of a stream to open first by a cheque over zero.
    pub(super) new_stream: Option<Amount>,
    pub(super) payment: Payment,
}

/// Pseudo-random numbers from a seed and a label. Unfit for secrets.
pub(super) struct Rng {
    state: B256,
}

impl Rng {
    pub(super) fn new(seed: u64, label: &str) -> Self {
        let mut bytes = seed.to_be_bytes().to_vec();
        bytes.extend_from_slice(label.as_bytes());
        Self {
            state: keccak256(bytes),
        }
    }

    fn next(&mut self) -> u64 {
        self.state = keccak256(self.state);
        let (high, _) = self.state.split_at(8);
        high.iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    /// Returns a number in `0..limit`, with a negligible bias.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(super) fn word(&mut self) -> B256 {
        self.next();
        keccak256(self.state)
    }
}

/// Derives the payees, the same in every round.
pub(super) fn payees(seed: u64, count: usize) -> Result<Vec<PayeeKey>> {
    let mut rng = Rng::new(seed, "payee keys");
    let key = |_| {
        let key = SigningKey::from_bytes(&rng.word().0).wrap_err("a payee's key")?;
        let address = key.address();
        Ok(PayeeKey { key, address })
    };
    (0..count).map(key).collect()
}

/// Derives the allowances of a round.
pub(super) fn allowances(seed: u64, round: usize, count: usize) -> Vec<Amount> {
    let mut rng = Rng::new(seed, &format!("allowances {round}"));
    let share = MAX_SUM / u128::from(SHARES) / (count.max(1) as u128);
    let allowance = |_| {
        let shares = u128::from(1 + rng.below(SHARES));
        Amount::new(shares * share + u128::from(rng.below(1_000_000)))
    };
    (0..count).map(allowance).collect()
}

/// Derives the payments of a round: to each payee in turn, as far as `count` reaches, then to random payees. No total
/// exceeds its allowance.
pub(super) fn payments(
    seed: u64,
    round: usize,
    allowances: &[Amount],
    count: usize,
) -> Result<Vec<PlannedPayment>> {
    ensure!(
        !allowances.is_empty(),
        "the list of payees is empty; name one"
    );
    let mut rng = Rng::new(seed, &format!("payments {round}"));
    let mut left: Vec<u128> = allowances.iter().map(|allowance| allowance.get()).collect();
    let mut streams = vec![Stream::default(); allowances.len()];
    let mut planned = Vec::with_capacity(count);
    let each = 1 + (count / allowances.len()) as u128;
    for number in 0..count {
        let payee = if number < allowances.len() {
            number
        } else {
            usize::try_from(rng.below(allowances.len() as u64))?
        };
        let (left, stream) = (&mut left[payee], &mut streams[payee]);
        // Amounts vary from a few wei to an eighth of the rest; many payments are small enough to fit all.
        let max = (*left / 8).min(2 * allowances[payee].get() / each);
        let halvings = rng.below(6);
        let amount = u128::from(1 + rng.below(u64::try_from(max)? >> halvings));
        // The first payment is large, because its payout must exceed the minimum.
        let is_first = number < allowances.len();
        let amount = if is_first { *left / 8 + amount } else { amount };
        let next = if is_first || rng.below(2) == 0 {
            *stream = Stream::default();
            PlannedPayment {
                payee,
                new_stream: None,
                payment: Payment::Cheque(Amount::new(amount)),
            }
        } else {
            let is_new = stream.steps_left == 0;
            if is_new {
                // All steps together stay below the allowance.
                let step = (amount / 8).clamp(1, (*left / (2 * u128::from(STREAM_STEPS))).max(1));
                *stream = Stream {
                    step,
                    steps_left: STREAM_STEPS,
                };
            }
            let steps = 1 + u32::try_from(rng.below(4))?.min(stream.steps_left - 1);
            stream.steps_left -= steps;
            PlannedPayment {
                payee,
                new_stream: is_new.then(|| Amount::new(stream.step)),
                payment: Payment::Steps(steps),
            }
        };
        let paid = match next.payment {
            Payment::Cheque(amount) => amount.get(),
            Payment::Steps(steps) => stream.step * u128::from(steps),
        };
        *left = left
            .checked_sub(paid)
            .ok_or_else(|| eyre!("the plan spends more than an allowance"))?;
        planned.push(next);
    }
    Ok(planned)
}

#[derive(Clone, Copy, Default)]
struct Stream {
    step: u128,
    steps_left: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_the_same_plan_from_the_same_seed_only() {
        let plan = |seed| {
            let allowances = allowances(seed, 1, 5);
            let planned = payments(seed, 1, &allowances, 100).unwrap();
            (allowances, planned)
        };
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        let addresses = |seed| -> Vec<_> {
            let payees = payees(seed, 3).unwrap();
            payees.iter().map(|payee| payee.address).collect()
        };
        assert_eq!(addresses(1), addresses(1));
        assert_ne!(addresses(1), addresses(2));
    }

    #[test]
    fn plans_cheques_and_steps_within_every_allowance() {
        for (seed, payees, count) in [(1, 64, 400), (2, 1, 100_000), (3, 7, 3), (4, 64, 63)] {
            let allowances = allowances(seed, 0, payees);
            let planned = payments(seed, 0, &allowances, count).unwrap();
            assert_eq!(planned.len(), count);
            let mut spent = vec![0; payees];
            let mut step = vec![None; payees];
            let mut kinds = [0, 0];
            for next in &planned {
                if let Some(size) = next.new_stream {
                    step[next.payee] = Some(size.get());
                }
                spent[next.payee] += match next.payment {
                    Payment::Cheque(amount) => {
                        kinds[0] += 1;
                        step[next.payee] = None;
                        assert!(!amount.is_zero());
                        amount.get()
                    }
                    Payment::Steps(steps) => {
                        kinds[1] += 1;
                        // Every step belongs to an open stream, which a cheque would have ended.
                        step[next.payee].unwrap() * u128::from(steps)
                    }
                };
            }
            for (spent, allowance) in spent.iter().zip(&allowances) {
                assert!(*spent <= allowance.get());
            }
            assert!(count < 100 || kinds.iter().all(|&kind| kind > count / 4));
        }
    }
}
