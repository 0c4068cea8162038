//! `cheque chain`: what a node and its chain can do.

mod check;
mod finality;
mod limits;
pub(crate) mod verifier;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::{exit::Exit, output::Output};

/// Examine a node and its chain
#[derive(Args, Debug)]
#[command(after_help = "Example:
  cheque chain check --rpc-url https://...")]
pub(crate) struct ChainArgs {
    #[command(subcommand)]
    command: ChainCommand,
}

#[derive(Debug, Subcommand)]
enum ChainCommand {
    Check(check::CheckArgs),
}

impl ChainArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit> {
        let ChainCommand::Check(args) = self.command;
        args.run(out).await
    }
}
