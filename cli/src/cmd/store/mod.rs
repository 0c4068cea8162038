//! `cheque store`: copies of the durable records.

mod backup;
mod report;
mod restore;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::output::Output;

/// Back up and restore the durable records
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque store backup monday.backup
  cheque store restore --store new-directory monday.backup")]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
}

impl StoreArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match self.command {
            StoreCommand::Backup(args) => args.run(out).await,
            StoreCommand::Restore(args) => args.run(out).await,
        }
    }
}
