//! Compares a payee with a thousand open deposits and with a million.

use crate::durable::Payer;
use crate::measure::median;
use alloy_primitives::keccak256;
use cheque::store::{Change, Redb, Store, Swap, Table};
use cpu_time::ThreadTime;
use std::{env, fs, path::Path, process::Command};

/// The argument that runs this measurement in a separate process.
pub const ARGUMENT: &str = "--open-deposits";

const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;
/// Deposits looked up, spread over the store.
const ASKED: u64 = 500;

pub struct Scale {
    /// Resident memory per open deposit of a million, including look-ups and payments.
    pub bytes_per_open: f64,
    /// Time to look up and judge with a million open deposits, divided by the time with a thousand.
    pub receive_ratio: f64,
}

/// Measures in a separate process, because reused memory of this process would distort the result.
pub fn measure(directory: &Path) -> Scale {
    let program = env::current_exe().unwrap();
    let output = Command::new(program)
        .arg(ARGUMENT)
        .arg(directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let (bytes, ratio) = text.trim().split_once(' ').expect("two figures");
    Scale {
        bytes_per_open: bytes.parse().unwrap(),
        receive_ratio: ratio.parse().unwrap(),
    }
}

/// Measures and prints, in the separate process.
pub fn measure_and_print(directory: &Path) {
    let scale = measure_here(directory);
    println!("{} {}", scale.bytes_per_open, scale.receive_ratio);
}

fn measure_here(directory: &Path) -> Scale {
    let few = Redb::open(directory.join("few.redb")).unwrap();
    fill(&few, FEW);
    let before = resident_bytes();
    let many = Redb::open(directory.join("many.redb")).unwrap();
    fill(&many, MANY);
    let payers = |among: u64| -> Vec<_> {
        let step = among.div_ceil(ASKED);
        (0..among)
            .step_by(step as usize)
            .map(|number| Payer::with_cheques(number, 1))
            .collect()
    };
    let (of_few, of_many) = (payers(FEW), payers(MANY));
    let rounds = (0..7).map(|_| nanos(&many, &of_many) / nanos(&few, &of_few));
    let receive_ratio = median(rounds.collect());
    let bytes = resident_bytes().saturating_sub(before);
    Scale {
        bytes_per_open: bytes as f64 / MANY as f64,
        receive_ratio,
    }
}

/// Fills a store with a record per deposit. Only the deposits looked up have valid signatures; the others are copies
/// under other keys.
fn fill(store: &dyn Store, deposits: u64) {
    let step = deposits.div_ceil(ASKED);
    let (like_key, like) = Payer::with_cheques(0, 0).first();
    let record = |number: u64| {
        if number.is_multiple_of(step) {
            return Payer::with_cheques(number, 0).first();
        }
        let mut key = like_key.clone();
        key[20..52].copy_from_slice(keccak256(number.to_be_bytes()).as_slice());
        (key, like.clone())
    };
    let numbers: Vec<_> = (0..deposits).collect();
    for numbers in numbers.chunks(10_000) {
        let rows: Vec<_> = numbers.iter().map(|number| record(*number)).collect();
        let changes: Vec<_> = rows
            .iter()
            .map(|(key, new)| Change {
                table: Table::Positions,
                key,
                old: None,
                new: Some(new),
            })
            .collect();
        assert_eq!(store.swap(&changes).unwrap(), Swap::Done);
    }
}

fn nanos(store: &dyn Store, payers: &[Payer]) -> f64 {
    let start = ThreadTime::now();
    for payer in payers {
        payer.look_up_and_judge(store);
    }
    start.elapsed().as_nanos() as f64 / payers.len() as f64
}

/// Resident memory of this process in bytes (Linux; zero elsewhere).
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    1024 * kib.unwrap_or(0)
}
