//! `cheque beacon`: the rounds that decide draws.

mod round;
mod show;
mod verify;
mod wait;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::output::Output;
pub(super) use round::failure;
use show::ShowArgs;
use verify::VerifyArgs;
use wait::WaitArgs;

/// Show, await and verify rounds of the randomness beacon
///
/// A draw is decided by the beacon's round at the draw time: drand's quicknet signs one every 3 seconds. Everything is
/// verified here with the beacon's public key, so anybody can check a draw, and no relay has to be trusted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque beacon show                                    newest round, and the state of each relay
  cheque beacon show --at 2026-12-01T12:00Z
  cheque beacon wait --at 2026-12-01T12:00Z --timeout 1h
  cheque beacon verify --round 1000 --signature b446...")]
pub(crate) struct BeaconArgs {
    #[command(subcommand)]
    command: BeaconCommand,
}

#[derive(Debug, Subcommand)]
enum BeaconCommand {
    Show(ShowArgs),
    Wait(WaitArgs),
    Verify(VerifyArgs),
}

impl BeaconArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match self.command {
            BeaconCommand::Show(args) => args.run(out).await,
            BeaconCommand::Wait(args) => args.run(out).await,
            BeaconCommand::Verify(args) => args.run(out),
        }
    }
}
