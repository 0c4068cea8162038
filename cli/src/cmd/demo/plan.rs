//! What the demo does, chosen from one seed: who is paid, how much, and how.

use alloy::primitives::{Address, B256, keccak256};
use cheque::{Amount, SigningKey};
use eyre::{Result, WrapErr, ensure};

/// An allowance is 1 to this many shares, plus odd wei, so that nothing divides evenly.
const SHARES: u64 = 12;

/// What all allowances together come to at most, in wei: payees take deposits up to one coin.
const MOST: u128 = 750_000_000_000_000_000;

/// Steps of one stream.
pub(super) const STREAM_STEPS: u32 = 64;

/// One payee of the demo.
pub(super) struct PayeeKey {
    pub(super) key: SigningKey,
    pub(super) address: Address,
}

/// One payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payment {
    /// A cheque over so much more.
    Cheque(Amount),
    /// So many steps of the stream in progress.
    Steps(u32),
}

/// One act of the payer towards one payee: the stream that a payment needs begins with a cheque that pays nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) payee: usize,
    /// Begin a stream with steps of this size first.
    pub(super) stream: Option<Amount>,
    pub(super) payment: Payment,
}

/// Numbers that follow from a seed alone. Not for secrets.
pub(super) struct Choices {
    state: B256,
}

impl Choices {
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

    /// A number in `0..limit`; the tiny bias does not matter here.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(super) fn word(&mut self) -> B256 {
        self.next();
        keccak256(self.state)
    }
}

/// The payees, the same in every round.
pub(super) fn payees(seed: u64, count: usize) -> Result<Vec<PayeeKey>> {
    let mut choices = Choices::new(seed, "payee keys");
    let key = |_| {
        let key = SigningKey::from_bytes(&choices.word().0).wrap_err("a payee's key")?;
        let address = key.address();
        Ok(PayeeKey { key, address })
    };
    (0..count).map(key).collect()
}

/// The allowances of one round.
pub(super) fn allowances(seed: u64, round: usize, count: usize) -> Vec<Amount> {
    let mut choices = Choices::new(seed, &format!("allowances {round}"));
    let share = MOST / u128::from(SHARES) / (count.max(1) as u128);
    let allowance = |_| {
        let shares = u128::from(1 + choices.below(SHARES));
        Amount::new(shares * share + u128::from(choices.below(1_000_000)))
    };
    (0..count).map(allowance).collect()
}

/// The payments of one round: everybody is paid once if there are enough, then chance decides. No total exceeds its
/// allowance.
pub(super) fn payments(
    seed: u64,
    round: usize,
    allowances: &[Amount],
    count: usize,
) -> Result<Vec<Act>> {
    ensure!(!allowances.is_empty(), "there are no payees");
    let mut choices = Choices::new(seed, &format!("payments {round}"));
    let mut left: Vec<u128> = allowances.iter().map(|allowance| allowance.get()).collect();
    let mut streams = vec![Stream::default(); allowances.len()];
    let mut acts = Vec::with_capacity(count);
    let each = 1 + (count / allowances.len()) as u128;
    for number in 0..count {
        let payee = if number < allowances.len() {
            number
        } else {
            usize::try_from(choices.below(allowances.len() as u64))?
        };
        let (left, stream) = (&mut left[payee], &mut streams[payee]);
        // Uneven: from next to nothing to an eighth of what is left, and with many payments so little that they all fit.
        let most = (*left / 8).min(2 * allowances[payee].get() / each);
        let halvings = choices.below(6);
        let amount = u128::from(1 + choices.below(u64::try_from(most)? >> halvings));
        // The first is large, such that the prize that follows from it exceeds the smallest one.
        let is_first = number < allowances.len();
        let amount = if is_first { *left / 8 + amount } else { amount };
        let act = if is_first || choices.below(2) == 0 {
            *stream = Stream::default();
            Act {
                payee,
                stream: None,
                payment: Payment::Cheque(Amount::new(amount)),
            }
        } else {
            let begins = stream.steps_left == 0;
            if begins {
                // All of its steps together stay below the allowance.
                let step = (amount / 8).clamp(1, (*left / (2 * u128::from(STREAM_STEPS))).max(1));
                *stream = Stream {
                    step,
                    steps_left: STREAM_STEPS,
                };
            }
            let steps = 1 + u32::try_from(choices.below(4))?.min(stream.steps_left - 1);
            stream.steps_left -= steps;
            Act {
                payee,
                stream: begins.then(|| Amount::new(stream.step)),
                payment: Payment::Steps(steps),
            }
        };
        let paid = match act.payment {
            Payment::Cheque(amount) => amount.get(),
            Payment::Steps(steps) => stream.step * u128::from(steps),
        };
        *left = left
            .checked_sub(paid)
            .ok_or_else(|| eyre::eyre!("the plan spends more than an allowance"))?;
        acts.push(act);
    }
    Ok(acts)
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
    fn one_seed_makes_one_plan_and_another_seed_another() {
        let plan = |seed| {
            let allowances = allowances(seed, 1, 5);
            let acts = payments(seed, 1, &allowances, 100).unwrap();
            (allowances, acts)
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
    fn a_plan_has_cheques_and_steps_and_stays_within_every_allowance() {
        for (seed, payees, count) in [(1, 64, 400), (2, 1, 100_000), (3, 7, 3), (4, 64, 63)] {
            let allowances = allowances(seed, 0, payees);
            let acts = payments(seed, 0, &allowances, count).unwrap();
            assert_eq!(acts.len(), count);
            let mut spent = vec![0; payees];
            let mut step = vec![None; payees];
            let mut kinds = [0, 0];
            for act in &acts {
                if let Some(size) = act.stream {
                    step[act.payee] = Some(size.get());
                }
                spent[act.payee] += match act.payment {
                    Payment::Cheque(amount) => {
                        kinds[0] += 1;
                        step[act.payee] = None;
                        assert!(!amount.is_zero());
                        amount.get()
                    }
                    Payment::Steps(steps) => {
                        kinds[1] += 1;
                        // Steps always belong to a stream that was begun and not ended by a cheque.
                        step[act.payee].unwrap() * u128::from(steps)
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
