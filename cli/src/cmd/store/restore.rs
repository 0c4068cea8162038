//! `cheque store restore`: records from a backup.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

use cheque::store::{BackupSize, Store, restore};
use clap::Args;
use eyre::{Result, WrapErr};

use super::report::copied_report;
use crate::{opts::store::StoreOpts, output::Output};

/// Restore the records of a backup into an empty store
///
/// The whole backup is checked before anything is written. A store with records is rejected. After an interrupted
/// restore no command opens the store: remove the store and restore again. The backup may come from another kind of
/// store.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque store restore --store new-directory monday.backup
  cheque store restore --store 'postgres:///shop?host=/run/postgresql&user=shop' monday.backup
A payee's backup does not know later payments: restore balances to the same moment.")]
pub(crate) struct RestoreArgs {
    /// File of `cheque store backup`
    file: PathBuf,

    #[command(flatten)]
    store: StoreOpts,
}

impl RestoreArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let backup = File::open(&self.file);
        let backup = backup.wrap_err_with(|| format!("cannot read {}", self.file.display()))?;
        let store = self.store.open_or_create().await?.store;
        out.progress(format!("restoring from {}", self.file.display()));
        let path = self.file.clone();
        let reading = tokio::task::spawn_blocking(move || read(backup, &store, &path));
        let (json, text) = copied_report(&self.file, reading.await??);
        out.result(&json, || text)
    }
}

fn read(backup: File, store: &Arc<dyn Store>, path: &Path) -> Result<BackupSize> {
    let copied = restore(BufReader::new(backup), &**store);
    copied.wrap_err_with(|| path.display().to_string())
}
