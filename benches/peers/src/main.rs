//! Measures the library and other systems in the same run, and writes `target/bench.json`. With `WRITE_BENCH` in the
//! environment the program also writes the comparison into `docs/performance.md`. Run by `make bench`.

mod cores;
mod durable;
#[path = "../../../cheque/benches/fixture.rs"]
mod fixture;
mod hopr;
mod measure;
mod mpp;
mod ours;
#[path = "../../../cheque/tests/support/postgres.rs"]
mod postgres;
mod report;
mod scale;
mod tap;
mod trees;

use cheque::store::{Postgres, Redb};
use durable::Durable;
use hopr::Hopr;
use measure::Times;
use report::{Report, Row};
use std::{env, path::PathBuf, sync::Arc};

const ROUNDS: usize = 25;

fn main() {
    let mut arguments = env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == scale::ARGUMENT)
    {
        let directory = PathBuf::from(arguments.next().expect("a directory"));
        return scale::measure_and_print(&directory);
    }
    let cases = [
        ours::primitives(),
        ours::payments(),
        tap::cases(),
        mpp::cases(),
    ];
    let times = Times::measure(cases.into_iter().flatten().collect(), ROUNDS);
    let mut report = Report::default();
    let hopr = hopr::measure();
    ratios(&mut report, &times);
    if let Some(hopr) = &hopr {
        against_hopr(&mut report, &times, hopr);
    }
    sizes(&mut report);
    trees(&mut report);
    let scaling = cores::scaling();
    let what = "growth from 1 to 2 threads, divided by libsecp256k1's";
    report.at_least("receive_two_core_scaling", scaling, 0.9, what);
    on_disk(&mut report);
    absolute(&mut report, &times);

    let rows = rows(&times, hopr.as_ref());
    print!("{}", report.table());
    report.write_json();
    if env::var_os("WRITE_BENCH").is_some() {
        report::write_document(&rows);
    }
}

fn ratios(report: &mut Report, times: &Times) {
    let verify = "libsecp256k1 verify";
    let over = |name, other| times.ratio(name, other);
    let cheque = over("receive cheque", verify);
    report.at_most(
        "receive_cheque_over_verify",
        cheque,
        1.15,
        "receive_payment of a cheque",
    );
    let bytes = over("receive cheque, bytes to bytes", verify);
    let what = "the same with decoding, reading the old position and writing the new one";
    report.add("receive_cheque_bytes_over_verify", bytes, what);
    let write = over("write_cheque", "libsecp256k1 sign");
    report.at_most("write_cheque_over_sign", write, 1.20, "write_cheque");
    let opening = over("receive opening", verify);
    let what = "receive_payment of an opening, 128 payees";
    report.at_most("receive_opening_128_over_verify", opening, 2.0, what);
    let step = over("receive step", "keccak256");
    report.at_most(
        "stream_step_over_keccak",
        step,
        2.0,
        "receive_payment of a stream step",
    );
    let tap = over("tap verify", "receive cheque");
    report.at_least(
        "receive_cheque_speedup_vs_tap",
        tap,
        4.5,
        "tap_core 6.0.2, recover_signer",
    );
    let mpp = over("mpp verify", "receive cheque");
    report.at_least(
        "receive_cheque_speedup_vs_mpp",
        mpp,
        4.5,
        "mpp 0.18.2, verify_voucher",
    );
    let tap = over("tap verify", "receive step");
    report.at_least(
        "stream_step_speedup_vs_tap",
        tap,
        250.0,
        "tap_core 6.0.2, recover_signer",
    );
    let tap = over("tap sign", "write_cheque");
    report.add(
        "write_cheque_speedup_vs_tap",
        tap,
        "tap_core 6.0.2, Eip712SignedMessage::new",
    );
    let mpp = over("mpp sign", "write_cheque");
    report.add(
        "write_cheque_speedup_vs_mpp",
        mpp,
        "mpp 0.18.2, sign_voucher",
    );
}

/// Compares with HOPR, measured by another process. Both processes measure libsecp256k1, the common unit.
fn against_hopr(report: &mut Report, times: &Times, hopr: &Hopr) {
    let cheque = times.ratio("receive cheque", "libsecp256k1 verify");
    let check = hopr.check_over_verify / cheque;
    report.add(
        "receive_cheque_speedup_vs_hopr",
        check,
        "hopr-types 5.0.0, Ticket::verify",
    );
    let draw = hopr.check_and_draw_over_verify / cheque;
    let what = "the same with VerifiedTicket::is_winning";
    report.add("receive_cheque_speedup_vs_hopr_draw", draw, what);
}

fn sizes(report: &mut Report) {
    let [opening, cheque, begin, step] = ours::wire_bytes().map(|bytes| bytes as f64);
    report.at_most(
        "wire_opening_128_bytes",
        opening,
        800.0,
        "an opening, 128 payees",
    );
    report.at_most("wire_cheque_bytes", cheque, 150.0, "a cheque");
    report.at_most(
        "wire_cheque_with_anchor_bytes",
        begin,
        172.0,
        "a cheque that begins a stream",
    );
    report.at_most(
        "wire_step_bytes",
        step,
        72.0,
        "a stream step, the longest of 1024",
    );
}

fn trees(report: &mut Report) {
    let trees = trees::measure();
    report.add(
        "tree_1m_seconds",
        trees.build_seconds,
        "a tree of a million payees",
    );
    let bytes = trees.bytes_per_payee;
    report.at_most(
        "tree_1m_bytes_per_payee",
        bytes,
        120.0,
        "memory of the tree",
    );
    report.add(
        "all_proofs_1m_seconds",
        trees.all_proofs_seconds,
        "all proofs",
    );
    report.add(
        "one_proof_1m_micros",
        trees.one_proof_nanos / 1e3,
        "one proof",
    );
}

/// Measures everything that writes to disk, in the target folder, because another file system may be on another disk.
fn on_disk(report: &mut Report) {
    let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target");
    std::fs::create_dir_all(&place).unwrap();
    let directory = tempfile::tempdir_in(place).unwrap();
    let syncs = durable::syncs_per_second(directory.path());
    report.add(
        "disk_syncs_per_second",
        syncs,
        "appends of 512 bytes with fdatasync",
    );

    let mut number = 0;
    let redb = durable::measure(|| {
        number += 1;
        let path = directory.path().join(format!("{number}.redb"));
        Arc::new(Redb::open(path).unwrap())
    });
    durably(report, "redb", &redb, syncs);
    // The server's data is in the system's temporary folder, perhaps on another disk.
    if let Some(reason) = postgres::missing() {
        println!("not measured in PostgreSQL: {reason}");
    } else {
        let server = postgres::Server::shared();
        let postgres = durable::measure(|| Arc::new(Postgres::open(&server.database()).unwrap()));
        durably(report, "postgres", &postgres, syncs);
    }

    let scale = scale::measure(directory.path());
    let what = "resident in the store, a million open deposits";
    report.at_most("store_bytes_per_open_1m", scale.bytes_per_open, 400.0, what);
    let what = "look-up and receive, a million open deposits divided by a thousand";
    report.at_most("receive_1m_over_1k", scale.receive_ratio, 1.5, what);
}

fn durably(report: &mut Report, store: &str, durable: &Durable, syncs: f64) {
    let payers = durable::PAYERS.iter();
    for (payers, per_second) in payers.zip(&durable.per_second) {
        let key = format!("durable_{store}_{payers}_per_second");
        report.add(
            key,
            *per_second,
            format!("durable before acknowledgement, {payers} at once"),
        );
    }
    let at_max_payers = durable.per_second[durable.per_second.len() - 1];
    let key = |what| format!("durable_{store}_{what}");
    let (cpu, cached) = (&durable.cpu, &durable.cpu_cached);
    report.add(
        key("cpu_per_second"),
        cpu.per_second(),
        "CPU limit: from stored bytes to new ones, one thread per core",
    );
    report.add(
        key("cpu_cached_per_second"),
        cached.per_second(),
        "the same with the old position in memory",
    );
    let over_cpu = cpu.store_over_cpu();
    report.at_least(key("over_cpu"), over_cpu, 0.6, "256 at once");
    report.add(
        key("over_cpu_cached"),
        cached.store_over_cpu(),
        "256 at once",
    );
    report.add(
        key("over_syncs"),
        at_max_payers / syncs,
        "payments for each sync of the disk",
    );
    report.add(key("p50_millis"), durable.p50_millis, "at half that load");
    report.at_most(
        key("p99_millis"),
        durable.p99_millis,
        25.0,
        "at half that load",
    );
}

fn absolute(report: &mut Report, times: &Times) {
    for (key, name) in [
        ("micros_verify", "libsecp256k1 verify"),
        ("micros_sign", "libsecp256k1 sign"),
        ("micros_keccak", "keccak256"),
        ("micros_write_cheque", "write_cheque"),
        ("micros_receive_cheque", "receive cheque"),
        ("micros_receive_opening_128", "receive opening"),
        ("micros_receive_step", "receive step"),
        ("micros_tap_sign", "tap sign"),
        ("micros_tap_verify", "tap verify"),
        ("micros_mpp_sign", "mpp sign"),
        ("micros_mpp_verify", "mpp verify"),
    ] {
        report.add(key, times.nanos(name) / 1e3, name);
    }
}

fn rows(times: &Times, hopr: Option<&Hopr>) -> Vec<Row> {
    let row = |system: &str, write, check| Row {
        system: system.into(),
        write: times.nanos(write) / 1e3,
        check: times.nanos(check) / 1e3,
        ratio: times.ratio(check, "receive cheque"),
    };
    let mut rows = vec![
        row("**a cheque here**", "write_cheque", "receive cheque"),
        row("TAP receipt", "tap sign", "tap verify"),
        row("MPP voucher", "mpp sign", "mpp verify"),
    ];
    let Some(hopr) = hopr else {
        return rows;
    };
    let verify = times.nanos("libsecp256k1 verify") / 1e3;
    let cheque = times.ratio("receive cheque", "libsecp256k1 verify");
    let checks = [
        ("HOPR ticket", hopr.check_over_verify),
        ("HOPR ticket with its draw", hopr.check_and_draw_over_verify),
    ];
    rows.extend(checks.map(|(system, over_verify)| Row {
        system: system.into(),
        write: hopr.issue_over_verify * verify,
        check: over_verify * verify,
        ratio: over_verify / cheque,
    }));
    rows
}
