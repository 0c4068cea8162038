//! A payee with a thousand open deposits, and with a million.

use crate::durable::Payer;
use crate::measure::median;
use cheque::store::{Change, Redb, Store, Swap, Table};
use cpu_time::ThreadTime;
use std::{fs, path::Path};

const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;
/// Deposits that are looked up, all over the store.
const ASKED: u64 = 500;

pub struct Scale {
    /// Resident memory of the process for each open deposit of a million, look-ups and payments included.
    pub bytes_per_open: f64,
    /// Looking up and judging, with a million open deposits in relation to a thousand.
    pub receive_ratio: f64,
}

pub fn measure(directory: &Path) -> Scale {
    let few = Redb::open(directory.join("few.redb")).unwrap();
    fill(&few, FEW);
    let before = resident_bytes();
    let many = Redb::open(directory.join("many.redb")).unwrap();
    fill(&many, MANY);
    let payers = |among: u64| -> Vec<_> {
        let step = among.div_ceil(ASKED);
        (0..among).step_by(step as usize).map(|number| Payer::with_cheques(number, 1)).collect()
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

/// A record for each of that many deposits. Only those that are asked for are signed: the others are their like.
fn fill(store: &dyn Store, deposits: u64) {
    let step = deposits.div_ceil(ASKED);
    let (_, like) = Payer::with_cheques(0, 1).first();
    let rows: Vec<_> = (0..deposits)
        .map(|number| {
            if number.is_multiple_of(step) {
                return Payer::with_cheques(number, 1).first();
            }
            let mut key = Payer::with_cheques(0, 0).first().0;
            key[20..52].copy_from_slice(crate::scene::word(number).as_slice());
            (key, like.clone())
        })
        .collect();
    for rows in rows.chunks(10_000) {
        let changes: Vec<_> = rows
            .iter()
            .map(|(key, new)| Change {
                table: Table::Received,
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

/// What the process holds in memory (Linux; zero elsewhere).
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    1024 * kib.unwrap_or(0)
}
