//! Texts that are handed from machine to machine: as an argument, in a file, or through a pipe.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use eyre::{Result, WrapErr, ensure};

use crate::exit::Exit;

/// Nothing that is handed over is longer than this: a proof with 40 levels has less than 4 kB, a redemption about 10.
const LONGEST: u64 = 1 << 20;

/// Runs what waits for the user, such that Ctrl-C ends it.
pub(crate) fn interruptible<T>(wait: impl FnOnce() -> T) -> T {
    let interrupted = tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            // Nothing has been done yet that would have to be ended in order.
            std::process::exit(Exit::Interrupted as i32);
        }
    });
    let result = tokio::task::block_in_place(wait);
    interrupted.abort();
    result
}

/// The text of an argument: what the named file holds if there is one, what comes through stdin for `-`, else the
/// argument itself. White space around it does not count.
pub(crate) fn text_of(argument: &str, what: &str) -> Result<String> {
    let mut text = String::new();
    if argument == "-" {
        interruptible(|| io::stdin().take(LONGEST).read_to_string(&mut text))
            .wrap_err_with(|| format!("cannot read {what} from stdin"))?;
    } else if Path::new(argument).is_file() {
        text = fs::read_to_string(argument)
            .wrap_err_with(|| format!("cannot read {what} from {argument}"))?;
    } else {
        argument.clone_into(&mut text);
    }
    let text = text.trim();
    ensure!(!text.is_empty(), "there is no {what} to read");
    Ok(text.to_owned())
}
