//! `cheque store restore`: records from a backup.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

use cheque::store::{Copied, Store, restore};
use clap::Args;
use eyre::{Result, WrapErr};

use super::shown;
use crate::{opts::StoreOpts, output::Output};

/// Put the records of a backup into an empty store
///
/// The backup is checked to its end before anything is written. A store with records is refused. If the restore is
/// interrupted, the store is refused from then on: remove it and begin again. The backup may come from a store of
/// another kind.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque store restore --store new-directory monday.backup
  cheque store restore --store 'postgres:///shop?host=/run/postgresql&user=shop' monday.backup
A payee's backup does not know the payments since it was made: restore balances to the same moment.")]
pub(crate) struct RestoreArgs {
    /// The file that `cheque store backup` wrote
    file: PathBuf,

    #[command(flatten)]
    store: StoreOpts,
}

impl RestoreArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let backup = File::open(&self.file);
        let backup = backup.wrap_err_with(|| format!("cannot read {}", self.file.display()))?;
        let store = self.store.open().await?;
        out.progress(format!("restoring from {}", self.file.display()));
        let path = self.file.clone();
        let reading = tokio::task::spawn_blocking(move || read(backup, &store, &path));
        let (json, text) = shown(&self.file, reading.await??);
        out.result(&json, || text)
    }
}

fn read(backup: File, store: &Arc<dyn Store>, path: &Path) -> Result<Copied> {
    let copied = restore(BufReader::new(backup), &**store);
    copied.wrap_err_with(|| path.display().to_string())
}
