//! Texts from an argument, a file or a pipe: proofs, agreements and consents.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use eyre::{Result, WrapErr, ensure};

use crate::exit::Exit;

/// The longest text read, in bytes. A proof with 40 levels has less than 4 kB, a redemption about 10 kB.
const MAX_BYTES: u64 = 1 << 20;

/// Runs a blocking wait for the user; Ctrl-C ends the process meanwhile.
pub(crate) fn interruptible<T>(wait: impl FnOnce() -> T) -> T {
    let interrupted = tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            // Nothing was sent or recorded before the user's answer.
            std::process::exit(Exit::Interrupted as i32);
        }
    });
    let result = tokio::task::block_in_place(wait);
    interrupted.abort();
    result
}

/// Reads the text of an argument: stdin for `-`, the content of an existing file of the same name, else the argument
/// itself. Trims white space. `what` names the text in errors.
pub(crate) fn text_of(argument: &str, what: &str) -> Result<String> {
    let mut text = String::new();
    if argument == "-" {
        interruptible(|| io::stdin().take(MAX_BYTES).read_to_string(&mut text))
            .wrap_err_with(|| format!("cannot read {what} from stdin"))?;
    } else if Path::new(argument).is_file() {
        text = fs::read_to_string(argument)
            .wrap_err_with(|| format!("cannot read {what} from {argument}"))?;
    } else {
        argument.clone_into(&mut text);
    }
    let text = text.trim();
    ensure!(
        !text.is_empty(),
        "the {what} is empty; name it, a file that holds it, or - for stdin"
    );
    Ok(text.to_owned())
}
