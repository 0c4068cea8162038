//! `cheque market`: a provider's clients, by the operator's RPC of a running market.

mod add_balance;
mod clients;
mod info;
mod notify;
mod operator;
mod priority;
mod selection;
mod set_bias;
mod set_defaults;
mod set_params;
mod set_tags;
mod show;
mod watch;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::output::Output;

/// See and change who is served by a market of yours, and at which prices
#[derive(Args, Debug)]
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
    /// Whether doing it twice is not the same as doing it once.
    pub(crate) const fn adds_to_a_balance(&self) -> bool {
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
