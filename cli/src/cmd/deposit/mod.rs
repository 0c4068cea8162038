//! `cheque deposit`: a payer's deposits.

mod create;
mod find;
mod list;
mod open;
mod reclaim;
mod reopen;
mod show;
mod terms;
mod watch;

pub(crate) use list::add_state;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::output::Output;

/// Open deposits, follow them, and take money back
#[derive(Args, Debug)]
pub(crate) struct DepositArgs {
    #[command(subcommand)]
    command: DepositCommand,
}

#[derive(Debug, Subcommand)]
enum DepositCommand {
    Create(Box<create::CreateArgs>),
    Open(open::OpenArgs),
    List(list::ListArgs),
    Find(find::FindArgs),
    Show(show::ShowArgs),
    Watch(watch::WatchArgs),
    Reclaim(reclaim::ReclaimArgs),
    Reopen(Box<reopen::ReopenArgs>),
}

impl DepositArgs {
    /// Whether doing it twice makes two deposits.
    pub(crate) const fn makes_a_deposit(&self) -> bool {
        matches!(
            self.command,
            DepositCommand::Create(_) | DepositCommand::Reopen(_)
        )
    }

    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match self.command {
            DepositCommand::Create(args) => args.run(out).await,
            DepositCommand::Open(args) => args.run(out).await,
            DepositCommand::List(args) => args.run(out).await,
            DepositCommand::Find(args) => args.run(out).await,
            DepositCommand::Show(args) => args.run(out).await,
            DepositCommand::Watch(args) => args.run(out).await,
            DepositCommand::Reclaim(args) => args.run(out).await,
            DepositCommand::Reopen(args) => args.run(out).await,
        }
    }
}
