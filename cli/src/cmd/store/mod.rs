//! `cheque store`: the durable records and their copies.

mod backup;
mod init;
mod report;
mod restore;

use clap::{Args, Subcommand};
use eyre::Result;

use crate::output::Output;

/// Create, back up and restore the durable records
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque store init --store /var/lib/cheque
  cheque store backup monday.backup
  cheque store restore --store new-directory monday.backup")]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    Init(init::InitArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
}

impl StoreArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match self.command {
            StoreCommand::Init(args) => args.run(out).await,
            StoreCommand::Backup(args) => args.run(out).await,
            StoreCommand::Restore(args) => args.run(out).await,
        }
    }
}
