//! `cheque gateway`: sells any HTTP or JSON-RPC service.

mod api;
mod offers;
mod public;
mod run;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::output::Output;

/// Sell the answers of any HTTP or JSON-RPC service
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque gateway run --upstream http://127.0.0.1:8545 --price 20gwei --account shop
  cheque gateway run --upstream http://127.0.0.1:8545 --offers offers.toml --account shop")]
pub(crate) struct GatewayArgs {
    #[command(subcommand)]
    command: GatewayCommand,
}

#[derive(Debug, Subcommand)]
enum GatewayCommand {
    Run(Box<run::RunArgs>),
}

impl GatewayArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match self.command {
            GatewayCommand::Run(args) => args.run(out).await,
        }
    }
}
