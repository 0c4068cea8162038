//! A round: the choice of one, and how it is printed.

use cheque::{Beacon, BeaconRound, beacon::BeaconError};
use clap::Args;
use eyre::{Report, Result};
use serde_json::{Value, json};

use crate::{
    exit::{Exit, Failure},
    opts::time::{parse_time, show_time},
    output::{Output, fields},
};

/// One round, by its number or its time.
#[derive(Args, Clone, Debug)]
pub(super) struct RoundChoice {
    /// Choose the round by number, from 1 on
    #[arg(long, value_name = "NUMBER")]
    round: Option<u64>,

    /// Choose the round at TIME, a date or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "round")]
    at: Option<u64>,
}

impl RoundChoice {
    /// The chosen round. `None` without a choice.
    pub(super) fn number(&self, beacon: &Beacon) -> Result<Option<u64>> {
        match (self.round, self.at) {
            (Some(round), _) => {
                beacon.time_of(round)?;
                Ok(Some(round))
            }
            (None, Some(time)) => Ok(Some(beacon.round_at(time)?)),
            (None, None) => Ok(None),
        }
    }
}

/// A verified round as JSON.
pub(super) fn json_of(round: &BeaconRound) -> Value {
    json!({
        "round": round.round(),
        "time": round.time(),
        "randomness": round.seed().0,
        "signature": round.signature(),
        "proof": alloy::hex::encode_prefixed(round.proof().as_bytes()),
    })
}

/// A verified round as lines.
pub(super) fn lines_of(round: &BeaconRound) -> Vec<(&'static str, String)> {
    vec![
        ("round", round.round().to_string()),
        (
            "time",
            format!("{} ({})", show_time(round.time()), round.time()),
        ),
        ("randomness", round.seed().0.to_string()),
        ("signature", round.signature().to_string()),
        (
            "proof",
            alloy::hex::encode_prefixed(round.proof().as_bytes()),
        ),
    ]
}

/// Prints a verified round.
pub(super) fn print(round: &BeaconRound, out: &Output) -> Result<()> {
    out.result(&json_of(round), || fields(&lines_of(round)))
}

/// The failure of a request, with a stable code.
pub(in crate::cmd) fn failure(error: BeaconError) -> Report {
    let code = match &error {
        BeaconError::NotYet { .. } => "not_yet",
        BeaconError::TimedOut { .. } => "timed_out",
        BeaconError::NoAnswer { .. } => "no_answer",
        _ => "failed",
    };
    let failure = Failure {
        exit: Exit::Failed,
        code: code.to_owned(),
        text: error.to_string(),
    };
    failure.into()
}
