//! Where durable state is.

use std::{env, path::PathBuf, sync::Arc, time::Duration};

use cheque::store::{Memory, Redb, Store, StoreError};
use clap::Args;
use eyre::{ContextCompat, Result};
use tokio::time::sleep;

/// The store's file in its directory.
const FILE: &str = "cheque.redb";

/// How long to wait for a store that another command has open. Most commands take less than a second.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Payer's and payee's records. Whoever loses them loses the money they stand for; they hold secrets, too.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StoreOpts {
    /// Directory of the durable records: deposits, cheques written, cheques received [default: cheque in the user's
    /// data directory]
    #[arg(long, value_name = "DIR", env = "CHEQUE_STORE", hide_env_values = true)]
    store: Option<PathBuf>,
}

impl StoreOpts {
    /// Opens the store, or creates it. Waits a while for other commands that have it open.
    pub(crate) async fn open(&self) -> Result<Redb> {
        let path = self.directory()?.join(FILE);
        let mut waited = Duration::ZERO;
        loop {
            match Redb::open(&path) {
                Err(StoreError::Locked { .. }) if waited < PATIENCE => {
                    sleep(PAUSE).await;
                    waited += PAUSE;
                }
                opened => return Ok(opened?),
            }
        }
    }

    /// The store for a command that may only look, where it is a dry run: one that does not exist is empty, and stays
    /// away.
    pub(crate) async fn open_for(&self, dry_run: bool) -> Result<Arc<dyn Store>> {
        if dry_run && !self.directory()?.join(FILE).exists() {
            return Ok(Arc::new(Memory::new()));
        }
        Ok(Arc::new(self.open().await?))
    }

    fn directory(&self) -> Result<PathBuf> {
        if let Some(directory) = &self.store {
            return Ok(directory.clone());
        }
        let data = env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let data = data.filter(|path| path.is_absolute());
        let home = || env::home_dir().map(|home| home.join(".local/share"));
        data.or_else(home)
            .map(|data| data.join("cheque"))
            .wrap_err("there is no home directory to keep records in: name one with --store DIR")
    }
}
