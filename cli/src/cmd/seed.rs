//! `cheque seed`: the randomness of draws.

use std::time::Duration;

use cheque::{BeaconRound, bank::Reader, beacon::BeaconError};
use clap::{Args, Subcommand};
use eyre::{Report, Result, eyre};
use serde_json::json;

use super::beacon::failure;
use crate::{
    clock::unix_now,
    opts::{
        beacon::BeaconOpts,
        chain::ChainOpts,
        send::SendOpts,
        time::{parse_time, show_duration, show_time},
    },
    output::{Output, fields},
    transaction::TxReport,
};

/// Record the seeds of draws
///
/// The seed of a draw time is the randomness of the beacon's round at that time. It decides every deposit drawn then.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  cheque seed record 2026-12-01T12:00Z --account alice")]
pub(crate) struct SeedArgs {
    #[command(subcommand)]
    command: SeedCommand,
}

#[derive(Debug, Subcommand)]
enum SeedCommand {
    Record(RecordArgs),
}

/// Keep the seed of a draw time in the bank for ever
///
/// Fetches the beacon's round of that time and sends its signature, which the bank verifies. A recorded seed serves
/// every deposit drawn at that time, whose redemptions get cheaper. Anybody may record a seed; a recorded seed is not
/// sent again.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque seed record 2026-12-01T12:00Z --account alice
  cheque seed record 1796126400 --dry-run")]
struct RecordArgs {
    /// Draw time, a date or seconds since 1970
    #[arg(value_name = "TIME", value_parser = parse_time)]
    draw_time: u64,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl SeedArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let SeedCommand::Record(args) = self.command;
        args.run(out).await
    }
}

impl RecordArgs {
    async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        // A time without a round is an error, whatever the bank knows.
        reader.beacon().round_at(self.draw_time)?;
        let recorded = reader.recorded_seed(self.draw_time).await?;
        let (seed, report) = match recorded {
            Some(seed) => {
                out.progress("the seed is already recorded; nothing is sent");
                (seed, TxReport::NotNeeded)
            }
            None => {
                let round = fetch_round(&self.relays, self.draw_time, &reader).await?;
                let round = round.ok_or_else(|| not_yet(self.draw_time))?;
                let report = match reader.record_seed(&round).await? {
                    Some(call) => {
                        let wallet = self.send.unlock(&reader)?;
                        let purpose = "recording the seed";
                        self.send.send(&wallet, &call, purpose, out).await?
                    }
                    None => TxReport::NotNeeded,
                };
                (round.seed(), report)
            }
        };
        let json = json!({
            "draw_time": self.draw_time,
            "seed": seed.0,
            "transaction": report.json(),
        });
        out.result(&json, || {
            let mut lines = vec![
                ("draw time", show_time(self.draw_time)),
                ("seed", seed.0.to_string()),
            ];
            lines.extend(report.fields());
            fields(&lines)
        })
    }
}

/// Says when to try again.
fn not_yet(draw_time: u64) -> Report {
    let left = Duration::from_secs(draw_time.saturating_sub(unix_now()));
    let time = show_time(draw_time);
    if left.is_zero() {
        return eyre!("the beacon's round of {time} is due, and no relay has it; try again");
    }
    eyre!(
        "the draw at {time} is not public yet; try again in {}",
        show_duration(left)
    )
}

/// Fetches the round of a draw time from the relays of the bank's beacon, without a store. `None` if the round is not
/// public yet.
pub(super) async fn fetch_round(
    relays: &BeaconOpts,
    draw_time: u64,
    reader: &Reader,
) -> Result<Option<BeaconRound>> {
    let number = reader.beacon().round_at(draw_time)?;
    let client = relays.client(reader.beacon(), reader.beacon().chain_hash())?;
    match client.round(number).await {
        Ok(round) => Ok(Some(round)),
        Err(BeaconError::NotYet { .. }) => Ok(None),
        Err(error) => Err(failure(error)),
    }
}
