//! `cheque beacon show`: a round, and how the relays are.

use std::time::Duration;

use cheque::{
    BeaconRound,
    beacon::{BeaconClient, RelayState},
};
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use super::round::{RoundChoice, failure, json_of, lines_of, print};
use crate::{
    clock::unix_now,
    opts::{
        beacon::{BeaconOpts, HashOpts, KeyOpts},
        time::show_duration,
    },
    output::{Output, fields, table},
};

/// Show the newest round, the clock's distance from it, and the relays
///
/// The newest round is the third clock of payer and payee, beside the own clock and the newest block: a round far ahead
/// of the own clock means that the clock is slow. With --round or --at, shows that round only.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque beacon show
  cheque beacon show --round 1000
  cheque beacon show --at 2026-12-01T12:00Z
  cheque beacon show --beacon https://api2.drand.sh,https://drand.cloudflare.com")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    choice: RoundChoice,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    key: KeyOpts,

    #[command(flatten)]
    hash: HashOpts,
}

impl ShowArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let beacon = self.key.beacon()?;
        let chosen = self.choice.number(&beacon)?;
        let client = self.relays.client(&beacon, self.hash.of(&beacon))?;
        if let Some(round) = chosen {
            return print(&client.round(round).await.map_err(failure)?, out);
        }
        let newest = client.newest().await.map_err(failure)?;
        show(&client, &newest, out)
    }
}

fn show(client: &BeaconClient, newest: &BeaconRound, out: &Output) -> Result<()> {
    let now = unix_now();
    let behind = now.saturating_sub(newest.time());
    let ahead = newest.time().saturating_sub(now);
    let relays = client.relays();
    let mut json = json_of(newest);
    json["clock"] = now.into();
    json["seconds_behind_clock"] = behind.into();
    json["seconds_ahead_of_clock"] = ahead.into();
    json["relays"] = relays.iter().map(json_of_relay).collect();
    out.result(&json, || {
        let mut lines = lines_of(newest);
        let age = if ahead > 0 {
            format!("{} ahead of this machine's clock", seconds(ahead))
        } else {
            format!("{} behind this machine's clock", seconds(behind))
        };
        lines.push(("age", age));
        let rows: Vec<_> = relays.iter().map(row).collect();
        let relays = table(&["relay", "newest", "state"], &rows);
        format!("{}\n{relays}", fields(&lines))
    })
}

fn seconds(seconds: u64) -> String {
    show_duration(Duration::from_secs(seconds))
}

fn json_of_relay(relay: &RelayState) -> Value {
    json!({
        "host": relay.host,
        "newest": relay.newest,
        "failures": relay.failures,
        "error": relay.last_error.as_ref().map(ToString::to_string),
        "retry_in_seconds": relay.retry_in.as_secs(),
    })
}

fn row(relay: &RelayState) -> Vec<String> {
    let newest = relay
        .newest
        .map_or_else(|| "-".to_owned(), |round| round.to_string());
    let state = match (&relay.last_error, relay.newest) {
        (Some(error), _) => error.to_string(),
        (None, Some(_)) => "good".to_owned(),
        (None, None) => "no answer yet".to_owned(),
    };
    vec![relay.host.clone(), newest, state]
}
