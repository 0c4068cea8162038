//! `cheque store backup`: all records in one file.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    sync::Arc,
};

use cheque::store::{Copied, Store, backup};
use clap::Args;
use eyre::{Result, WrapErr, ensure};

use super::shown;
use crate::{opts::StoreOpts, output::Output};

/// Write all records, as of one moment, into a file that `cheque store restore` reads
///
/// The file is complete once it has its name, readable by its owner alone, and as secret as the store. An existing file
/// stays. A store in a file cannot be backed up while another process has it open; one in PostgreSQL can.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque store backup monday.backup
  cheque store backup --store 'postgres:///shop?host=/run/postgresql&user=shop' shop.backup
A restored copy is older than the balances kept elsewhere: payments received since then could be
credited again. Restore both to the same moment.")]
pub(crate) struct BackupArgs {
    /// The file to write
    file: PathBuf,

    #[command(flatten)]
    store: StoreOpts,
}

impl BackupArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let store = self.store.open_existing().await?;
        let file = self.file.clone();
        out.progress(format!("writing a backup to {}", file.display()));
        let writing = tokio::task::spawn_blocking(move || write(&store, &file));
        let (json, text) = shown(&self.file, writing.await??);
        out.result(&json, || text)
    }
}

/// Whoever sees the file under its name sees all of it, even after a loss of power.
fn write(store: &Arc<dyn Store>, path: &Path) -> Result<Copied> {
    let taken = || format!("{} exists already: name another file", path.display());
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
