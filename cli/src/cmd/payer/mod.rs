//! `cheque payer`: the payer's service.

mod api;
mod request;
mod rounds;
mod run;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::output::Output;

/// Run a payer as a service
#[derive(Args, Debug)]
#[command(after_help = "Example:
  cheque payer run --account alice --allowances payees.csv --draw-in 2h --every 30m --daily-budget 0.5ether")]
pub(crate) struct PayerArgs {
    #[command(subcommand)]
    command: PayerCommand,
}

#[derive(Debug, Subcommand)]
enum PayerCommand {
    Run(Box<run::RunArgs>),
}

impl PayerArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match self.command {
            PayerCommand::Run(args) => args.run(out).await,
        }
    }
}
