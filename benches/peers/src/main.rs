//! Measures the library beside other systems, all in one run.

mod cores;
mod measure;
mod mpp;
mod ours;
#[path = "../../../cheque/benches/scene.rs"]
mod scene;
mod tap;
mod trees;

use measure::Times;

fn main() {
    let cases = [ours::primitives(), ours::payments(), tap::cases(), mpp::cases()];
    let times = Times::measure(cases.into_iter().flatten().collect(), 15);
    for n in ["libsecp256k1 verify","libsecp256k1 sign","keccak256","write_cheque","receive cheque","receive cheque, bytes to bytes","receive opening","receive step","tap sign","tap verify","mpp sign","mpp verify"] { println!("{n} {:.0}", times.nanos(n)); }
    println!("{:.3} {:.3} {:.3} {:.3}", times.ratio("receive cheque","libsecp256k1 verify"), times.ratio("write_cheque","libsecp256k1 sign"), times.ratio("receive opening","libsecp256k1 verify"), times.ratio("receive step","keccak256"));
    println!("{:.3} {:.3} {:.3}", times.ratio("tap verify","receive cheque"), times.ratio("mpp verify","receive cheque"), times.ratio("tap verify","receive step"));
    println!("{:?}", ours::wire_bytes());
    let t = trees::measure();
    println!("{} {} {} {}", t.build_seconds, t.all_proofs_seconds, t.one_proof_nanos, t.bytes_per_payee);
    println!("{}", cores::scaling());
}
