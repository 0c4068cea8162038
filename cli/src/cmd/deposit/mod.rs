//! `cheque deposit`: a payer's deposits.

mod create;
mod find;
mod list;
mod open;
mod reclaim;
mod reopen;
mod show;
pub(crate) mod state;
mod terms;
mod wait;
mod watch;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::output::Output;

/// Open deposits, follow them, and reclaim their money
///
/// A deposit pays many payees, up to an allowance for each. The draw picks at most one payee, whose newest cheque the
/// bank then pays. Unredeemed money returns to the payer.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit create --allowances payees.csv --draw-in 1h --account alice
  cheque deposit wait 0x5f3c...
  cheque deposit list
  cheque deposit reclaim 0x5f3c... --account alice")]
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
    Wait(wait::WaitArgs),
    Watch(watch::WatchArgs),
    Reclaim(reclaim::ReclaimArgs),
    Reopen(Box<reopen::ReopenArgs>),
}

impl DepositArgs {
    /// True if a second run of the verb would open a second deposit.
    pub(crate) const fn creates_deposit(&self) -> bool {
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
            DepositCommand::Wait(args) => args.run(out).await,
            DepositCommand::Watch(args) => args.run(out).await,
            DepositCommand::Reclaim(args) => args.run(out).await,
            DepositCommand::Reopen(args) => args.run(out).await,
        }
    }
}
