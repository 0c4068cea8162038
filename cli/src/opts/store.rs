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
    /// Directory of the durable records: deposits, cheques written, cheques received; or the address of a PostgreSQL
    /// database (postgres://...) that several processes share [default: cheque in the user's data directory]
    #[arg(long, value_name = "DIR", env = "CHEQUE_STORE", hide_env_values = true)]
    store: Option<PathBuf>,
}

impl StoreOpts {
    /// Opens the store, or creates it. Waits a while for other commands that have it open.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Store>> {
        if let Some(address) = self.database() {
            return Ok(database(address.to_owned(), true).await??);
        }
        let path = self.directory()?.join(FILE);
        let mut waited = Duration::ZERO;
        loop {
            match Redb::open(&path) {
                Err(StoreError::Locked { .. }) if waited < PATIENCE => {
                    sleep(PAUSE).await;
                    waited += PAUSE;
                }
                opened => return Ok(Arc::new(opened?)),
            }
        }
    }

    /// The store for a command that may only look, where it is a dry run: one that does not exist is empty, and stays
    /// away.
    pub(crate) async fn open_for(&self, dry_run: bool) -> Result<Arc<dyn Store>> {
        if !dry_run {
            return self.open().await;
        }
        match self.existing().await? {
            Err(StoreError::Absent { .. }) => Ok(Arc::new(Memory::new())),
            opened => Ok(opened?),
        }
    }

    /// The store for a command that makes no sense without one.
    pub(crate) async fn open_existing(&self) -> Result<Arc<dyn Store>> {
        Ok(self.existing().await??)
    }

    /// The store, if there is one. Makes none, and no tables.
    async fn existing(&self) -> Result<Result<Arc<dyn Store>, StoreError>> {
        if let Some(address) = self.database() {
            return database(address.to_owned(), false).await;
        }
        let path = self.directory()?;
        if !path.join(FILE).exists() {
            return Ok(Err(StoreError::Absent { path }));
        }
        Ok(Ok(self.open().await?))
    }

    /// The address of a database, where it is no directory.
    fn database(&self) -> Option<&str> {
        let text = self.store.as_ref()?.to_str()?;
        let schemes = ["postgres://", "postgresql://"];
        let is_address = schemes.iter().any(|scheme| text.starts_with(scheme));
        is_address.then_some(text)
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

#[cfg(feature = "postgres")]
async fn database(address: String, make: bool) -> Result<Result<Arc<dyn Store>, StoreError>> {
    use cheque::store::Postgres;
    let open = move || {
        let opened = if make {
            Postgres::open(&address)
        } else {
            Postgres::open_existing(&address)
        };
        opened.map(|store| Arc::new(store) as Arc<dyn Store>)
    };
    Ok(tokio::task::spawn_blocking(open).await?)
}

#[cfg(not(feature = "postgres"))]
async fn database(_address: String, _make: bool) -> Result<Result<Arc<dyn Store>, StoreError>> {
    eyre::bail!("this program was built without PostgreSQL: build it with `--features postgres`")
}
