//! The store with the durable records.

mod place;

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy::primitives::Address;
use cheque::{
    Policy,
    bank::{Reader, SeedBook},
    payee::Payee,
    payer::Payer,
    store::{Memory, Redb, Store, StoreError},
};
use clap::Args;
use eyre::{ContextCompat, Report, Result, eyre};
use tokio::time::sleep;

use super::beacon::BeaconOpts;
use crate::output::Output;
use place::Place;

/// The environment variables of the store.
pub(super) const STORE_VARIABLES: [&str; 2] = [STORE_VARIABLE, FILE_VARIABLE];
const STORE_VARIABLE: &str = "CHEQUE_STORE";
const FILE_VARIABLE: &str = "CHEQUE_STORE_FILE";

/// The store's file in its directory.
const FILE: &str = "cheque.redb";

/// The time to wait for a store in use by another command. Most commands take less than a second.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Payer's and payee's records. They hold secrets, and their loss loses the money at stake.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StoreOpts {
    /// Keep durable records in STORE, a directory or database [default: cheque in the user's data directory] [env:
    /// CHEQUE_STORE]
    ///
    /// The records are deposits, cheques written and cheques received. A database is PostgreSQL,
    /// postgres://USER@HOST/NAME, which several processes can share. A store that does not exist is an error: `cheque store
    /// init` creates one.
    #[arg(long, value_name = "STORE", conflicts_with = "store_file")]
    store: Option<PathBuf>,

    /// Read the value of --store from FILE, which may have a database's password [env: CHEQUE_STORE_FILE]
    #[arg(long, value_name = "FILE")]
    store_file: Option<PathBuf>,
}

/// The leave to create a store, of verbs that can begin one.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct CreateOpts {
    /// Create the store if it does not exist
    #[arg(long)]
    create_store: bool,
}

/// An open store and its name.
#[derive(Clone)]
pub(crate) struct OpenStore {
    pub(crate) store: Arc<dyn Store>,
    /// Its directory; or host, port and name of its database, without user and password.
    pub(crate) place: String,
    /// True if the store was created just now.
    pub(crate) is_new: bool,
    /// True if other processes can use the store at the same time.
    pub(crate) is_shared: bool,
}

/// The creation of a missing store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Creation {
    Never,
    Always,
}

impl CreateOpts {
    /// Opens the store of a service. A missing one is created only if the flag says so: a service without its records
    /// credits payments again, and pays from no deposit that it has opened.
    pub(crate) async fn open_for_service(self, store: &StoreOpts) -> Result<OpenStore> {
        store.open(self.creation()).await
    }

    /// Opens the store of a verb that can begin a history. A missing store is created if the flag says so, or if it is the
    /// default one, whose name nobody can mistype.
    pub(crate) async fn open_or_begin(self, store: &StoreOpts) -> Result<OpenStore> {
        let creation = match store.is_named() {
            true => self.creation(),
            false => Creation::Always,
        };
        store.open(creation).await
    }

    /// Opens the store of a dry run like [`Self::open_or_begin`], but an empty store in memory stands for a new one.
    pub(crate) async fn open_or_pretend(self, store: &StoreOpts) -> Result<Arc<dyn Store>> {
        match store.place()?.open(Creation::Never).await? {
            Err(StoreError::Absent { .. }) if self.create_store || !store.is_named() => {
                Ok(Arc::new(Memory::new()))
            }
            opened => Ok(opened.map_err(|error| store.explained(error))?.store),
        }
    }

    const fn creation(self) -> Creation {
        match self.create_store {
            true => Creation::Always,
            false => Creation::Never,
        }
    }
}

impl OpenStore {
    /// Says that the store is new: the user may have meant another.
    pub(crate) fn announce(&self, out: &Output) {
        if self.is_new {
            out.details(|| format!("created an empty store in {}", self.place));
        }
    }
}

impl StoreOpts {
    /// Opens the existing store. Waits up to 5 seconds for other commands to close it.
    pub(crate) async fn open_existing(&self) -> Result<Arc<dyn Store>> {
        Ok(self.open(Creation::Never).await?.store)
    }

    /// Opens the store, or creates an empty one.
    pub(crate) async fn open_or_create(&self) -> Result<OpenStore> {
        self.open(Creation::Always).await
    }

    /// Opens the existing store without migrating it.
    pub(crate) async fn open_to_read(&self) -> Result<Arc<dyn Store>> {
        let opened = self.place()?.open_to_read().await?;
        Ok(opened.map_err(|error| self.explained(error))?.store)
    }

    async fn open(&self, creation: Creation) -> Result<OpenStore> {
        let opened = self.place()?.open(creation).await?;
        opened.map_err(|error| self.explained(error))
    }

    /// Opens a payer without keys.
    pub(crate) async fn payer(&self, reader: Reader, relays: &BeaconOpts) -> Result<Payer> {
        payer_on(self.open_existing().await?, reader, relays).await
    }

    /// Opens a payee for verbs without incoming payments.
    pub(crate) async fn payee(
        &self,
        address: Address,
        reader: Reader,
        relays: &BeaconOpts,
    ) -> Result<Payee> {
        let client = relays.of_bank(&reader)?;
        let mut policy = Policy::new(address, *reader.bank(), reader.profile());
        // There are no payments to judge, and the policy's demands on a bank must not keep a payee from its wins.
        policy.freshness = None;
        let payee = Payee::new(reader, policy, self.open_existing().await?)?;
        let Some(client) = client else {
            return Ok(payee);
        };
        let payee = payee.with_beacon(client)?;
        catch_up(payee.seeds(), payee.reader()).await;
        Ok(payee)
    }

    /// Names the next step after a missing store.
    fn explained(&self, error: StoreError) -> Report {
        match error {
            StoreError::Absent { path } if self.is_named() => eyre!(
                "there is no store in {}; check its name, or create it with `cheque store init` and the same setting",
                path.display()
            ),
            StoreError::Absent { path } => eyre!(
                "there is no store in {}; name yours with --store, or create this one with `cheque store init`",
                path.display()
            ),
            error => error.into(),
        }
    }

    /// True if a flag or the environment names the store.
    fn is_named(&self) -> bool {
        let is_set = |name: &&str| env::var_os(name).is_some();
        self.store.is_some() || self.store_file.is_some() || STORE_VARIABLES.iter().any(is_set)
    }

    /// The place of the flags, else of the environment, else the default. The parser of the flags does not read the
    /// variables, because a flag must win over a variable of the other kind.
    fn place(&self) -> Result<Place> {
        if let Some(store) = &self.store {
            return Place::parse(store);
        }
        if let Some(file) = &self.store_file {
            return Place::read(file);
        }
        let variable = |name| env::var_os(name).map(PathBuf::from);
        match (variable(STORE_VARIABLE), variable(FILE_VARIABLE)) {
            (Some(_), Some(_)) => Err(eyre!(
                "{STORE_VARIABLE} and {FILE_VARIABLE} are both set; unset one of them"
            )),
            (Some(store), None) => Place::parse(&store),
            (None, Some(file)) => Place::read(&file),
            (None, None) => Ok(Place::Directory(default_directory()?)),
        }
    }
}

/// A payer on an open store.
pub(crate) async fn payer_on(
    store: Arc<dyn Store>,
    reader: Reader,
    relays: &BeaconOpts,
) -> Result<Payer> {
    let client = relays.of_bank(&reader)?;
    let payer = Payer::new(reader, store);
    let Some(client) = client else {
        return Ok(payer);
    };
    let payer = payer.with_beacon(client)?;
    catch_up(payer.seeds(), payer.reader()).await;
    Ok(payer)
}

fn default_directory() -> Result<PathBuf> {
    let data = env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.filter(|path| path.is_absolute());
    let home = || env::home_dir().map(|home| home.join(".local/share"));
    data.or_else(home)
        .map(|data| data.join("cheque"))
        .wrap_err("the home directory is unknown; name a directory with --store DIR")
}

/// Learns the newest round on a development chain, whose time may be ahead of the machine's clock: else a round of that
/// time would count as one of the future.
async fn catch_up(seeds: &SeedBook, reader: &Reader) {
    if reader.profile().freshness.is_none() {
        // A failure shows when the round is needed.
        let _newest = seeds.newest_time().await;
    }
}

impl Place {
    /// Opens the store of this place, or creates it.
    async fn open(&self, creation: Creation) -> Result<Result<OpenStore, StoreError>> {
        match (self.open_existing(true).await?, creation) {
            (Err(StoreError::Absent { .. }), Creation::Always) => {}
            (opened, _) => return Ok(opened),
        }
        let created = match self {
            Self::Directory(directory) => {
                wait_for(directory, || Redb::open(directory.join(FILE))).await
            }
            Self::Database(address) => database(address.clone(), true).await?,
        };
        Ok(created.map(|store| OpenStore {
            is_new: true,
            ..store
        }))
    }

    /// Opens the store of this place as it is.
    async fn open_to_read(&self) -> Result<Result<OpenStore, StoreError>> {
        self.open_existing(false).await
    }

    /// Opens the store if it exists. Creates neither files nor tables. Migrates an older store if asked.
    async fn open_existing(&self, migrate: bool) -> Result<Result<OpenStore, StoreError>> {
        match self {
            Self::Directory(directory) => {
                let opened = wait_for(directory, || Redb::open_existing(directory.join(FILE)));
                Ok(opened.await.map_err(|error| match error {
                    StoreError::Absent { .. } => StoreError::Absent {
                        path: directory.clone(),
                    },
                    error => error,
                }))
            }
            Self::Database(address) => match database(address.clone(), false).await? {
                Err(StoreError::Older { .. }) if migrate => database(address.clone(), true).await,
                opened => Ok(opened),
            },
        }
    }
}

/// Opens a file, which another command may have open for a moment.
async fn wait_for(
    directory: &Path,
    open: impl Fn() -> Result<Redb, StoreError>,
) -> Result<OpenStore, StoreError> {
    let mut waited = Duration::ZERO;
    loop {
        match open() {
            Err(StoreError::Locked { .. }) if waited < PATIENCE => {
                sleep(PAUSE).await;
                waited += PAUSE;
            }
            opened => {
                return opened.map(|store| OpenStore {
                    store: Arc::new(store),
                    place: directory.display().to_string(),
                    is_new: false,
                    is_shared: false,
                });
            }
        }
    }
}

#[cfg(feature = "postgres")]
async fn database(address: String, create: bool) -> Result<Result<OpenStore, StoreError>> {
    use cheque::store::Postgres;
    let open = move || {
        let opened = if create {
            Postgres::open(&address)
        } else {
            Postgres::open_existing(&address)
        };
        opened.map(|store| OpenStore {
            place: store.place().display().to_string(),
            store: Arc::new(store),
            is_new: false,
            is_shared: true,
        })
    };
    Ok(tokio::task::spawn_blocking(open).await?)
}

#[cfg(not(feature = "postgres"))]
async fn database(_address: String, _create: bool) -> Result<Result<OpenStore, StoreError>> {
    eyre::bail!("this program lacks PostgreSQL; build it with `--features postgres`")
}
