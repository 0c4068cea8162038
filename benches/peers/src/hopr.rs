//! HOPR's tickets, measured by a separate program: `hopr-types` is under the GPL, and no other program of this
//! repository is linked with the crate.

use std::{env, process::Command};

/// Ticket times divided by the time of libsecp256k1's verification in the same run of the program.
pub struct Hopr {
    pub issue_over_verify: f64,
    pub check_over_verify: f64,
    pub check_and_draw_over_verify: f64,
}

/// Runs the program named by `HOPR_BENCH`. Returns `None` if the variable is not set.
pub fn measure() -> Option<Hopr> {
    let program = env::var_os("HOPR_BENCH")?;
    let output = Command::new(&program)
        .output()
        .expect("HOPR_BENCH is a program that runs");
    assert!(output.status.success(), "{program:?}: {}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    let ratios: Vec<f64> = text
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    let [
        issue_over_verify,
        check_over_verify,
        check_and_draw_over_verify,
    ] = ratios[..]
    else {
        panic!("expected three ratios, got {text:?}");
    };
    Some(Hopr {
        issue_over_verify,
        check_over_verify,
        check_and_draw_over_verify,
    })
}
