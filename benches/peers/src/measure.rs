//! Times of many operations, taken in turns so that whatever else the machine does falls on all of them.

use cpu_time::ThreadTime;
use std::collections::BTreeMap;

/// One operation, and how to do a good number of it.
pub struct Case {
    name: &'static str,
    run: Box<dyn FnMut() -> u32>,
}

/// Nanoseconds of CPU time for each operation, one figure a round.
pub struct Times(BTreeMap<&'static str, Vec<f64>>);

impl Case {
    /// `run` does the operation many times and says how many.
    pub fn new(name: &'static str, run: impl FnMut() -> u32 + 'static) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Does the operation many times and says how many.
    pub fn run(&mut self) -> u32 {
        (self.run)()
    }
}

impl Times {
    /// Runs all cases, round by round. The first round only warms up.
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

    /// The median, in nanoseconds.
    pub fn nanos(&self, name: &str) -> f64 {
        median(self.of(name).to_vec())
    }

    /// How many times as long `name` takes as `other`: the median over the rounds.
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

/// The middle one; of an even number the upper of the two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
