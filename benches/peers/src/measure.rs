//! Times of many operations, measured in turns so that other load on the machine affects all of them.

use cpu_time::ThreadTime;
use std::collections::BTreeMap;

/// An operation, and a function that repeats the operation.
pub struct Case {
    name: &'static str,
    run: Box<dyn FnMut() -> u32>,
}

/// Nanoseconds of CPU time of each operation, one figure per round.
pub struct Times(BTreeMap<&'static str, Vec<f64>>);

impl Case {
    /// Makes a case. `run` repeats the operation and returns the number of repetitions.
    pub fn new(name: &'static str, run: impl FnMut() -> u32 + 'static) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Repeats the operation and returns the number of repetitions.
    pub fn run(&mut self) -> u32 {
        (self.run)()
    }
}

impl Times {
    /// Runs all cases, round by round. The first round is a warm-up.
    pub fn measure(mut cases: Vec<Case>, rounds: usize) -> Self {
        let mut times = BTreeMap::<_, Vec<f64>>::new();
        for round in 0..=rounds {
            for case in &mut cases {
                let start = ThreadTime::now();
                let operations = (case.run)();
                let nanos = start.elapsed().as_nanos() as f64 / f64::from(operations);
                if round > 0 {
                    times.entry(case.name).or_default().push(nanos);
                }
            }
        }
        Self(times)
    }

    /// Median in nanoseconds.
    pub fn nanos(&self, name: &str) -> f64 {
        median(self.of(name).to_vec())
    }

    /// Time of `name` divided by the time of `other`: the median over the rounds.
    pub fn ratio(&self, name: &str, other: &str) -> f64 {
        let pairs = self.of(name).iter().zip(self.of(other));
        median(pairs.map(|(a, b)| a / b).collect())
    }

    fn of(&self, name: &str) -> &[f64] {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("{name:?} was not measured"))
    }
}

/// The median; of an even number of values the upper middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
