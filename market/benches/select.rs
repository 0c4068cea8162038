//! Growth of the time to choose and to change with the number of items. O(log n) time grows by a little per doubling;
//! linear time would double. The doubling at which the items outgrow a CPU cache takes more time, which counts little
//! over all doublings.

use cheque_market::select::WeightedRandomSelect;
use criterion::{
    BenchmarkId, Criterion,
    measurement::{Measurement, WallTime},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use std::{hint::black_box, time::Duration};

const DOUBLINGS: std::ops::RangeInclusive<u32> = 10..=20;
const FITS: &str = "2^20 weights of up to 1,000 are below 2^64";

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args();
    let choose = measure(&mut criterion, "choose", |select, random, _| {
        black_box(select.choose(|item| item % 1_000 + 1, || random.next_u64()));
    });
    let update = measure(&mut criterion, "update", |select, random, n| {
        let item = random.next_u64() % n;
        black_box(select.update(item, random.next_u64() % 1_000 + 1)).expect(FITS);
    });
    criterion.final_summary();
    report("choose", &choose);
    report("update", &update);
}

/// Measures the fastest time of one operation, in picoseconds, for every number of items.
fn measure(
    criterion: &mut Criterion,
    name: &str,
    operation: impl Fn(&mut WeightedRandomSelect<u64>, &mut ChaCha8Rng, u64),
) -> Vec<u128> {
    let mut group = criterion.benchmark_group(name);
    let mut fastest = Vec::new();
    for doubling in DOUBLINGS {
        let n = 1u64 << doubling;
        let mut best = u128::MAX;
        group.bench_function(BenchmarkId::from_parameter(n), |bencher| {
            let mut random = ChaCha8Rng::seed_from_u64(n);
            let mut select = filled(n);
            bencher.iter_custom(|iterations| {
                let start = WallTime.start();
                for _ in 0..iterations {
                    operation(&mut select, &mut random, n);
                }
                let elapsed = WallTime.end(start);
                best = best.min(elapsed.as_nanos() * 1_000 / u128::from(iterations));
                elapsed
            });
        });
        fastest.push(best);
    }
    group.finish();
    fastest
}

fn filled(n: u64) -> WeightedRandomSelect<u64> {
    let mut select = WeightedRandomSelect::new();
    for item in 0..n {
        select.update(item, item % 1_000 + 1).expect(FITS);
    }
    select
}

#[expect(clippy::disallowed_macros, reason = "a benchmark prints its results")]
fn report(name: &str, fastest: &[u128]) {
    for (doubling, pair) in DOUBLINGS.skip(1).zip(fastest.windows(2)) {
        let percent = pair[1] * 100 / pair[0].max(1);
        println!("{name}: 2^{doubling} items take {percent} % of the time of half as many");
    }
    if let [first, .., last] = fastest {
        let (percent, doublings) = (last * 100 / first.max(&1), fastest.len() - 1);
        println!("{name}: {doublings} doublings together take {percent} % of the first time");
    }
}
