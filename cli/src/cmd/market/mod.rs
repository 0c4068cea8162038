//! `cheque market`: clients of a provider, through the operator's RPC of a running market.

mod add_balance;
mod client_table;
mod clients;
mod info;
mod notify;
mod operator;
mod params;
mod priority;
mod selection;
mod set_bias;
mod set_defaults;
mod set_params;
mod set_tags;
mod watch;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::output::Output;

/// Manage the clients of your market: capacity, prices, balances, tags
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market clients
  cheque market set-params --tag vip capacity=2000000
  cheque market watch")]
pub(crate) struct MarketArgs {
    #[command(subcommand)]
    command: MarketCommand,
}

#[derive(Debug, Subcommand)]
enum MarketCommand {
    Info(info::InfoArgs),
    Clients(clients::ClientsArgs),
    Priority(priority::PriorityArgs),
    AddBalance(add_balance::AddBalanceArgs),
    SetParams(set_params::SetParamsArgs),
    SetTags(set_tags::SetTagsArgs),
    SetDefaults(set_defaults::SetDefaultsArgs),
    SetBias(set_bias::SetBiasArgs),
    Notify(notify::NotifyArgs),
    Watch(watch::WatchArgs),
}

impl MarketArgs {
    /// True if a second run of the verb would change a balance again.
    pub(crate) const fn adds_to_balance(&self) -> bool {
        matches!(self.command, MarketCommand::AddBalance(_))
    }

    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match self.command {
            MarketCommand::Info(args) => args.run(out).await,
            MarketCommand::Clients(args) => args.run(out).await,
            MarketCommand::Priority(args) => args.run(out).await,
            MarketCommand::AddBalance(args) => args.run(out).await,
            MarketCommand::SetParams(args) => args.run(out).await,
            MarketCommand::SetTags(args) => args.run(out).await,
            MarketCommand::SetDefaults(args) => args.run(out).await,
            MarketCommand::SetBias(args) => args.run(out).await,
            MarketCommand::Notify(args) => args.run(out).await,
            MarketCommand::Watch(args) => args.run(out).await,
        }
    }
}
