//! `cheque payee`: the payee's service.

mod answer;
mod api;
mod run;
mod terms;

pub(crate) use api::holdings_router;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::output::Output;

/// Run a payee as a service
#[derive(Args, Debug)]
#[command(after_help = "Example:
  cheque payee run --account shop")]
pub(crate) struct PayeeArgs {
    #[command(subcommand)]
    command: PayeeCommand,
}

#[derive(Debug, Subcommand)]
enum PayeeCommand {
    Run(Box<run::RunArgs>),
}

impl PayeeArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match self.command {
            PayeeCommand::Run(args) => args.run(out).await,
        }
    }
}
