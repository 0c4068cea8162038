//! The command line of cheque, probabilistic payments on Ethereum.

mod allowances;
mod amount;
mod cli;
mod clock;
mod cmd;
mod config;
mod exit;
mod format;
mod holding;
mod id;
mod input;
mod odds;
mod opts;
mod output;
mod payee_text;
mod relay;
mod service;
mod token;
mod transaction;

use std::{env, process::ExitCode};

use eyre::Report;
use serde_json::json;

use crate::{
    exit::{Exit, Failure},
    output::Output,
};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = config::parse(env::args_os().collect()).unwrap_or_else(|error| error.exit());
    let out = Output::new(cli.json, cli.quiet);
    let advice = cli.command.interrupt_advice();
    let handles_signals = cli.command.handles_signals();
    let ended = tokio::select! {
        // Ctrl-C is listened for before the command begins.
        biased;
        // Commands can be interrupted anywhere: they write records before sending or printing.
        _ = tokio::signal::ctrl_c(), if !handles_signals => Err(interrupted(advice)),
        ended = cli.command.run(&out) => ended,
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => fail(&error, &out).into(),
    }
}

fn interrupted(advice: &str) -> Report {
    let failure = Failure {
        exit: Exit::Interrupted,
        code: "interrupted".to_owned(),
        text: format!("interrupted; {advice}"),
    };
    failure.into()
}

/// Prints the error and returns its exit code.
fn fail(error: &Report, out: &Output) -> Exit {
    let failure = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>());
    let (exit, code) = failure.map_or((Exit::Failed, "failed"), |failure| {
        (failure.exit, failure.code.as_str())
    });
    let text = format!("{error:#}");
    out.error(
        &text,
        &json!({ "error": text, "code": code, "exit": exit as u8 }),
    );
    exit
}
