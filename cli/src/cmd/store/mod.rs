//! `cheque store`: copies of the durable records.

mod backup;
mod restore;

use cheque::store::Copied;
use clap::{Args, Subcommand};
use eyre::Result;
use serde_json::{Value, json};

use crate::output::{Output, fields};

/// Back up the durable records, and restore them
#[derive(Args, Debug)]
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

/// What was copied, for programs and for people.
fn shown(file: &std::path::Path, copied: Copied) -> (Value, String) {
    let file = file.display().to_string();
    let json = json!({ "file": file, "records": copied.records, "bytes": copied.bytes });
    let text = fields(&[
        ("file", file),
        ("records", copied.records.to_string()),
        ("bytes", copied.bytes.to_string()),
    ]);
    (json, text)
}
