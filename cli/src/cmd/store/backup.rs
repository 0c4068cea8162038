//! `cheque store backup`: all records in a file.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    sync::Arc,
};

use cheque::store::{BackupSize, Store, backup};
use clap::Args;
use eyre::{Result, WrapErr, ensure};

use super::report::copied_report;
use crate::{opts::store::StoreOpts, output::Output};

/// Write a consistent copy of all records to a file
///
/// The file appears under its name once complete. Only its owner can read the file, which is as secret as the store. An
/// existing file is not overwritten. A store in a file can be backed up only while no other process uses the store; a
/// store in PostgreSQL at any time.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque store backup monday.backup
  cheque store backup --store 'postgres:///shop?host=/run/postgresql&user=shop' shop.backup
A restored store does not know payments since its backup, which could be credited a second time.
Restore balances kept elsewhere to the same moment.")]
pub(crate) struct BackupArgs {
    /// File to write
    file: PathBuf,

    #[command(flatten)]
    store: StoreOpts,
}

impl BackupArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let store = self.store.open_to_read().await?;
        let file = self.file.clone();
        out.progress(format!("writing a backup to {}", file.display()));
        let writing = tokio::task::spawn_blocking(move || write(&store, &file));
        let (json, text) = copied_report(&self.file, writing.await??);
        out.result(&json, || text)
    }
}

/// Writes a backup. A file under `path` is always complete, even after a loss of power.
fn write(store: &Arc<dyn Store>, path: &Path) -> Result<BackupSize> {
    let taken = || format!("{} already exists; name another file", path.display());
    ensure!(!path.exists(), taken());
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let cannot = || format!("cannot write in {}", folder.display());
    let file = tempfile::Builder::new()
        .prefix(".cheque-backup-")
        .tempfile_in(folder)
        .wrap_err_with(cannot)?;
    let copied = backup(&**store, BufWriter::new(file.as_file()))?;
    file.as_file().sync_all().wrap_err_with(cannot)?;
    file.persist_noclobber(path).wrap_err_with(taken)?;
    if cfg!(unix) {
        let named = File::open(folder).and_then(|folder| folder.sync_all());
        named.wrap_err_with(cannot)?;
    }
    Ok(copied)
}
