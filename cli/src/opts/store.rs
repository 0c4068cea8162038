//! The store with the durable records.

use std::{env, path::PathBuf, sync::Arc, time::Duration};

use alloy::primitives::Address;
use cheque::{
    Policy,
    bank::Reader,
    payee::Payee,
    payer::Payer,
    store::{Memory, Redb, Store, StoreError},
};
use clap::Args;
use eyre::{ContextCompat, Result};
use tokio::time::sleep;

use super::beacon::BeaconOpts;

/// The store's file in its directory.
const FILE: &str = "cheque.redb";

/// The time to wait for a store in use by another command. Most commands take less than a second.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Payer's and payee's records. They hold secrets, and their loss loses the money at stake.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StoreOpts {
    /// Keep durable records in the directory or database DIR [default: cheque in the user's data directory]
    ///
    /// The records are deposits, cheques written and cheques received. A database is PostgreSQL (postgres://...), which
    /// several processes can share.
    #[arg(long, value_name = "DIR", env = "CHEQUE_STORE", hide_env_values = true)]
    store: Option<PathBuf>,
}

impl StoreOpts {
    /// Opens or creates the store. Waits up to 5 seconds for other commands to close the store.
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

    /// Opens the store of a command. A dry run creates no missing store, but uses an empty store in memory.
    pub(crate) async fn open_for(&self, dry_run: bool) -> Result<Arc<dyn Store>> {
        if !dry_run {
            return self.open().await;
        }
        match self.existing().await? {
            Err(StoreError::Absent { .. }) => Ok(Arc::new(Memory::new())),
            opened => Ok(opened?),
        }
    }

    /// Opens an existing store.
    pub(crate) async fn open_existing(&self) -> Result<Arc<dyn Store>> {
        Ok(self.existing().await??)
    }

    /// Opens a payer without keys.
    pub(crate) async fn payer(&self, reader: Reader, relays: &BeaconOpts) -> Result<Payer> {
        self.payer_for(reader, relays, false).await
    }

    /// Opens a payer of a command; see [`Self::open_for`] for dry runs.
    pub(crate) async fn payer_for(
        &self,
        reader: Reader,
        relays: &BeaconOpts,
        dry_run: bool,
    ) -> Result<Payer> {
        let client = relays.of_bank(&reader)?;
        let payer = Payer::new(reader, self.open_for(dry_run).await?);
        Ok(match client {
            Some(client) => payer.with_beacon(client)?,
            None => payer,
        })
    }

    /// Opens a payee for verbs without incoming payments.
    pub(crate) async fn payee(
        &self,
        address: Address,
        reader: Reader,
        relays: &BeaconOpts,
    ) -> Result<Payee> {
        self.payee_for(address, reader, relays, false).await
    }

    /// Opens a payee of a command; see [`Self::open_for`] for dry runs.
    pub(crate) async fn payee_for(
        &self,
        address: Address,
        reader: Reader,
        relays: &BeaconOpts,
        dry_run: bool,
    ) -> Result<Payee> {
        let client = relays.of_bank(&reader)?;
        let mut policy = Policy::new(address, *reader.bank(), reader.profile());
        // There are no payments to judge, and the policy's demands on a bank must not keep a payee from its wins.
        policy.freshness = None;
        let payee = Payee::new(reader, policy, self.open_for(dry_run).await?)?;
        Ok(match client {
            Some(client) => payee.with_beacon(client)?,
            None => payee,
        })
    }

    /// Opens the store if it exists. Creates neither files nor tables.
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

    /// The address of a database; `None` for a directory.
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
            .wrap_err("the home directory is unknown; name a directory with --store DIR")
    }
}

#[cfg(feature = "postgres")]
async fn database(address: String, create: bool) -> Result<Result<Arc<dyn Store>, StoreError>> {
    use cheque::store::Postgres;
    let open = move || {
        let opened = if create {
            Postgres::open(&address)
        } else {
            Postgres::open_existing(&address)
        };
        opened.map(|store| Arc::new(store) as Arc<dyn Store>)
    };
    Ok(tokio::task::spawn_blocking(open).await?)
}

#[cfg(not(feature = "postgres"))]
async fn database(_address: String, _create: bool) -> Result<Result<Arc<dyn Store>, StoreError>> {
    eyre::bail!("this program lacks PostgreSQL; build it with `--features postgres`")
}
