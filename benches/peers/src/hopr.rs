//! HOPR's tickets, measured by a program of its own: `hopr-types` is under the GPL, and no program of this repository is
//! linked with it but that one.

use std::{env, process::Command};

/// Ticket times in relation to libsecp256k1's verification in the same run of that program, or what is missing.
pub struct Hopr {
    pub issue_over_verify: f64,
    pub check_over_verify: f64,
    pub check_and_draw_over_verify: f64,
}

/// Runs the program that `HOPR_BENCH` names. `None`: no such variable.
pub fn measure() -> Option<Hopr> {
    let program = env::var_os("HOPR_BENCH")?;
    let output = Command::new(&program).output().expect("HOPR_BENCH runs");
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
        panic!("three ratios, not {text:?}");
    };
    Some(Hopr {
        issue_over_verify,
        check_over_verify,
        check_and_draw_over_verify,
    })
}
