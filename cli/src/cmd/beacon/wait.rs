//! `cheque beacon wait`: until a round is there.

use std::time::Duration;

use clap::{ArgGroup, Args};
use eyre::{OptionExt, Result};

use super::round::{RoundChoice, failure, print};
use crate::{
    clock::unix_now,
    opts::{
        beacon::{BeaconOpts, HashOpts, KeyOpts},
        time::{parse_duration, show_duration, show_time},
    },
    output::Output,
};

/// Wait for a round of the beacon, and print it
///
/// A beacon that stops, or relays that fail, only delay the round until the end of --timeout. Exit code 1 at that end.
#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("which").args(["round", "at"]).required(true),
    after_help = "Examples:
  cheque beacon wait --at 2026-12-01T12:00Z --timeout 1h
  cheque beacon wait --round 40000000 --timeout 10m --json"
)]
pub(super) struct WaitArgs {
    #[command(flatten)]
    choice: RoundChoice,

    /// Give up after DURATION, such as 90, 90s or 1h30m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10m")]
    timeout: Duration,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    key: KeyOpts,

    #[command(flatten)]
    hash: HashOpts,
}

impl WaitArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let beacon = self.key.beacon()?;
        let round = self.choice.number(&beacon)?;
        let round = round.ok_or_eyre("no round is named; name one with --round or --at")?;
        let client = self.relays.client(&beacon, self.hash.of(&beacon))?;
        let time = beacon.time_of(round)?;
        let left = Duration::from_secs(time.saturating_sub(unix_now()));
        if left.is_zero() {
            out.progress(format!("round {round} is due since {}", show_time(time)));
        } else {
            out.progress(format!(
                "round {round} is due at {}, in {}",
                show_time(time),
                show_duration(left)
            ));
        }
        if left > self.timeout {
            out.warn(format!(
                "the wait ends before the round, after {}; name a longer one with --timeout",
                show_duration(self.timeout)
            ));
        }
        let waited = client.wait(round, self.timeout).await.map_err(failure)?;
        print(&waited, out)
    }
}
