//! Instruction counts of the hot paths, measured by valgrind: equal on a busy and on a quiet machine.
//!
//! `make bench-check` compares the counts with `instructions.json` and fails on a difference of more than 5 %;
//! `make bench-instructions` writes new counts. Counts depend on the compilers, so a new compiler needs new counts.

#[path = "../../../cheque/benches/fixture.rs"]
mod fixture;

use cheque::{Amount, Position, Proof};
use fixture::Fixture;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::PathBuf,
    process::{Command, ExitCode},
};

const TOLERANCE_PERCENT: u64 = 5;

/// The hot paths. Each runs twice, and the second run is counted.
const PATHS: [(&str, fn() -> Box<dyn FnMut()>); 9] = [
    ("write_cheque", write_cheque),
    ("receive_cheque", || {
        receive(|fixture| fixture.cheques(1).remove(0))
    }),
    ("receive_step", receive_step),
    ("receive_opening_128", receive_opening),
    ("position_to_bytes_and_back", position_to_bytes_and_back),
    ("wire_cheque_encode", || {
        encode(|fixture| fixture.cheques(1).remove(0))
    }),
    ("wire_cheque_decode", || {
        decode(|fixture| fixture.cheques(1).remove(0))
    }),
    ("wire_opening_128_decode", || decode(Fixture::opening)),
    ("tree_1k", tree),
];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some("--count") {
        let name = arguments.next().expect("the name of a hot path");
        let (_, path) = PATHS.iter().find(|(path, _)| *path == name).unwrap();
        let mut work = path();
        work();
        counted(&mut *work);
        return ExitCode::SUCCESS;
    }
    let mut counts = BTreeMap::new();
    for (name, _) in PATHS {
        match count(name) {
            Ok(instructions) => drop(counts.insert(name.to_owned(), instructions)),
            Err(problem) => {
                eprintln!("{problem}");
                return ExitCode::FAILURE;
            }
        }
    }
    if env::var_os("WRITE_INSTRUCTIONS").is_some() {
        write(&counts);
    }
    compare(&counts)
}

/// Marks the code that valgrind counts.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

fn count(name: &str) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([
            "--collect-atstart=no",
            "--toggle-collect=cheque_instructions::counted*",
        ])
        .arg(env::current_exe().unwrap())
        .args(["--count", name])
        .output()
        .map_err(|error| format!("valgrind: {error} (Debian, Ubuntu: apt-get install valgrind)"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok());
    collected
        .filter(|count| output.status.success() && *count > 0)
        .ok_or_else(|| format!("valgrind counted nothing for {name}:\n{report}"))
}

fn compare(counts: &BTreeMap<String, u64>) -> ExitCode {
    let text = fs::read_to_string(kept()).unwrap_or_else(|_| "{}".into());
    let kept: BTreeMap<String, u64> = serde_json::from_str(&text).unwrap();
    let mut wrong = kept.keys().any(|name| !counts.contains_key(name));
    for (name, &count) in counts {
        let says = kept.get(name).copied().unwrap_or_default();
        let off = count.abs_diff(says) * 100 > says * TOLERANCE_PERCENT;
        let mark = if off { "  <-- differs" } else { "" };
        println!("{name:<26} {count:>10} instructions, expected {says:>10}{mark}");
        wrong |= off;
    }
    if wrong {
        let remedy = "run `make bench-instructions` to write new counts, and explain the change in the commit";
        println!("counts differ by more than {TOLERANCE_PERCENT} %; {remedy}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn write(counts: &BTreeMap<String, u64>) {
    let map: Map<String, Value> = counts
        .iter()
        .map(|(name, count)| (name.clone(), (*count).into()))
        .collect();
    fs::write(kept(), serde_json::to_string_pretty(&map).unwrap() + "\n").unwrap();
}

fn kept() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
}

fn write_cheque() -> Box<dyn FnMut()> {
    let fixture = Fixture::new();
    let account = fixture.account();
    Box::new(move || {
        let written = account.write_cheque(Amount::new(1_000), &fixture.context());
        black_box(written.unwrap());
    })
}

fn receive(proof: fn(&Fixture) -> Proof) -> Box<dyn FnMut()> {
    let fixture = Fixture::new();
    let (position, proof) = (fixture.position(), proof(&fixture));
    Box::new(move || drop(black_box(fixture.receive(&proof, Some(&position)))))
}

fn receive_step() -> Box<dyn FnMut()> {
    let fixture = Fixture::new();
    let (begin, steps) = fixture.stream();
    let begun = fixture
        .receive(&begin, Some(&fixture.position()))
        .position()
        .clone();
    let first = fixture.receive(&steps[0], Some(&begun)).position().clone();
    Box::new(move || drop(black_box(fixture.receive(&steps[1], Some(&first)))))
}

fn receive_opening() -> Box<dyn FnMut()> {
    let fixture = Fixture::new();
    let opening = fixture.opening();
    Box::new(move || drop(black_box(fixture.receive(&opening, None))))
}

fn position_to_bytes_and_back() -> Box<dyn FnMut()> {
    let position = Fixture::new().position();
    Box::new(move || {
        drop(black_box(
            Position::from_bytes(&position.to_bytes()).unwrap(),
        ))
    })
}

fn encode(proof: fn(&Fixture) -> Proof) -> Box<dyn FnMut()> {
    let proof = proof(&Fixture::new());
    Box::new(move || drop(black_box(proof.encode())))
}

fn decode(proof: fn(&Fixture) -> Proof) -> Box<dyn FnMut()> {
    let bytes = proof(&Fixture::new()).encode();
    Box::new(move || drop(black_box(Proof::decode(&bytes).unwrap())))
}

fn tree() -> Box<dyn FnMut()> {
    Box::new(|| drop(black_box(fixture::tree(1_000))))
}
