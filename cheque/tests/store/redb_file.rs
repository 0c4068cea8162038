//! The store in a file: its lock, its format, and files of other programs.

use crate::{
    process::{Process, say},
    support::{rows, set},
};
use cheque::store::{Redb, Store, StoreError, Table};
use redb::{BackendError, StorageBackend, backends::FileBackend};
use std::{
    fs::File,
    io,
    ops::Bound,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(crate) fn keeps_every_table_when_reopened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not/yet/there/store.redb");
    for round in 0..3u8 {
        let store = Redb::open(&path).unwrap();
        assert_eq!(store.path(), path);
        for table in Table::ALL {
            assert_eq!(rows(&store, table, b"").len(), usize::from(round));
            set(&store, table, &[round], b"value");
        }
    }
}

pub(crate) fn opens_an_existing_store_without_creating_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing/store.redb");
    let absent = Redb::open_existing(&path).unwrap_err();
    assert!(matches!(&absent, StoreError::Absent { path: named } if *named == path));
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    set(&Redb::open(&path).unwrap(), Table::ALL[0], b"key", b"value");
    let store = Redb::open_existing(&path).unwrap();
    assert_eq!(rows(&store, Table::ALL[0], b"").len(), 1);
}

#[cfg(unix)]
pub(crate) fn creates_file_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(Redb::open(&path).unwrap());
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

pub(crate) fn refuses_a_second_instance_while_the_first_lives() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let first = Redb::open(&path).unwrap();
    let refused = Redb::open(&path).unwrap_err();
    assert!(matches!(&refused, StoreError::Locked { path: named } if *named == path));
    assert!(refused.to_string().contains("store.redb"));
    assert!(refused.to_string().contains("another process"));
    drop(first);
    Redb::open(&path).unwrap();
}

const STORE: &str = "CHEQUE_TEST_STORE";

/// Role: opens the store, writes a row and ends without running any destructor, like a killed process.
pub(crate) fn run_opener() {
    match Redb::open(std::env::var_os(STORE).unwrap()) {
        Ok(store) => {
            set(&store, Table::Accounts, b"left", b"behind");
            say("opened");
            std::process::exit(0);
        }
        Err(StoreError::Locked { .. }) => say("locked"),
        Err(error) => say(&error.to_string()),
    }
}

/// Opens the store in another process, and returns the answer of [`run_opener`].
fn open_in_another_process(path: &Path) -> String {
    let mut process = Process::start("opener", &[(STORE, path.to_str().unwrap())]);
    process.finish().concat()
}

pub(crate) fn refuses_a_second_process_while_the_first_has_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let store = Redb::open(&path).unwrap();
    assert_eq!(open_in_another_process(&path), "locked");
    drop(store);
    assert_eq!(open_in_another_process(&path), "opened");
}

/// A file on a disk whose free space the test controls.
#[derive(Debug)]
struct Filling {
    file: FileBackend,
    is_full: Arc<AtomicBool>,
}

impl StorageBackend for Filling {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}

/// Opens a store in a file, and returns the switch that makes its disk full.
fn filling(path: &Path) -> (Redb, Arc<AtomicBool>) {
    drop(Redb::open(path).unwrap());
    let file = File::options().read(true).write(true).open(path).unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let filling = Filling {
        file: FileBackend::new(file).unwrap(),
        is_full: is_full.clone(),
    };
    let store = Redb::open_on(filling, path).unwrap();
    (store.with_reopen_interval(Duration::ZERO), is_full)
}

pub(crate) fn keeps_file_locked_while_it_reopens_after_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let (store, is_full) = filling(&path);
    for round in 0..3 {
        is_full.store(true, Ordering::SeqCst);
        let failed = store.compare_and_set(Table::Trees, &[round], None, b"value");
        assert!(matches!(failed, Err(StoreError::Unknown { .. })));
        assert_eq!(
            open_in_another_process(&path),
            "locked",
            "after the failed write"
        );
        let closed = store.compare_and_set(Table::Trees, &[round], None, b"value");
        assert!(matches!(closed, Err(StoreError::Unreachable { .. })));
        assert_eq!(
            open_in_another_process(&path),
            "locked",
            "while the store is closed"
        );
        is_full.store(false, Ordering::SeqCst);
        set(&store, Table::Trees, &[round], b"value");
        assert_eq!(
            open_in_another_process(&path),
            "locked",
            "after the store has reopened"
        );
    }
    drop(store);
    assert_eq!(open_in_another_process(&path), "opened");
}

pub(crate) fn reports_file_emptied_during_full_disk_as_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let (store, is_full) = filling(&path);
    set(&store, Table::Trees, b"key", b"value");
    is_full.store(true, Ordering::SeqCst);
    let failed = store.compare_and_set(Table::Accounts, b"key", None, b"value");
    assert!(matches!(failed, Err(StoreError::Unknown { .. })));
    // The operator empties the file to make space; the store must not take the file for a new store.
    File::create(&path).unwrap();
    is_full.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        let read = store.get(Table::Trees, b"key").map(drop);
        let written = store.compare_and_set(Table::Accounts, b"key", None, b"value");
        for refused in [read, written.map(drop)] {
            let Err(StoreError::Unreachable { cause, .. }) = refused else {
                panic!("{refused:?}");
            };
            let damaged = cause.downcast_ref::<StoreError>();
            assert!(
                matches!(damaged, Some(StoreError::Damaged { .. })),
                "{cause}"
            );
        }
    }
}

pub(crate) fn keeps_writes_of_a_process_that_ends_without_closing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    assert_eq!(open_in_another_process(&path), "opened");
    let store = Redb::open(&path).unwrap();
    let left = store.get(Table::Accounts, b"left").unwrap().unwrap();
    assert_eq!(left, b"behind");
}

pub(crate) fn refuses_foreign_files_and_leaves_them_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("foreign-file");
    for contents in [
        b"x".to_vec(),
        b"text of a letter\n".repeat(500),
        vec![0; 4096],
    ] {
        std::fs::write(&path, &contents).unwrap();
        let refused = Redb::open(&path).unwrap_err();
        assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
        assert!(refused.to_string().contains("foreign-file"));
        assert_eq!(std::fs::read(&path).unwrap(), contents);
    }
}

pub(crate) fn refuses_redb_files_of_other_programs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.redb");
    let table = redb::TableDefinition::<u64, u64>::new("numbers");
    let database = redb::Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(table).unwrap().insert(1, 2).unwrap();
    write.commit().unwrap();
    drop(database);
    let refused = Redb::open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
}

pub(crate) fn refuses_a_newer_format_and_names_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(Redb::open(&path).unwrap());
    let about = redb::TableDefinition::<&str, u32>::new("cheque-store");
    let database = redb::Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(about)
        .unwrap()
        .insert("format", Redb::FORMAT + 1)
        .unwrap();
    write.commit().unwrap();
    drop(database);
    let refused = Redb::open(&path).unwrap_err();
    assert!(matches!(
        refused,
        StoreError::Newer { found, known, .. } if found == known + 1
    ));
    assert!(refused.to_string().contains("use a newer program"));
}

pub(crate) fn creates_missing_directories_of_a_store() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/c/store.redb");
    set(&Redb::open(&path).unwrap(), Table::Trees, b"key", b"value");
    let again = Redb::open(&path).unwrap();
    let value = again.get(Table::Trees, b"key").unwrap();
    assert_eq!(value.as_deref(), Some(&b"value"[..]));
    // A file in place of a directory is an error.
    let refused = Redb::open(path.join("store.redb")).unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
}

pub(crate) fn takes_an_emptied_file_for_no_new_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    set(&Redb::open(&path).unwrap(), Table::Trees, b"key", b"value");
    File::create(&path).unwrap();
    for _ in 0..2 {
        let refused = Redb::open(&path).unwrap_err();
        assert!(matches!(refused, StoreError::Emptied { .. }), "{refused}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
    std::fs::remove_file(&path).unwrap();
    drop(Redb::open(&path).unwrap());
}

pub(crate) fn creates_a_store_after_an_interrupted_creation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    for left in [&b""[..], &[7; 5_000]] {
        std::fs::write(directory.path().join("store.redb.unfinished"), left).unwrap();
        set(&Redb::open(&path).unwrap(), Table::Trees, b"key", b"value");
        let files = std::fs::read_dir(directory.path()).unwrap();
        assert_eq!(files.count(), 1);
        std::fs::remove_file(&path).unwrap();
    }
}

pub(crate) fn creates_one_store_for_many_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    for _ in 0..20 {
        let opened: Vec<_> = std::thread::scope(|scope| {
            let open = || scope.spawn(|| Redb::open(&path));
            let threads: Vec<_> = (0..4).map(|_| open()).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let stores: Vec<_> = opened
            .into_iter()
            .filter_map(|opened| match opened {
                Ok(store) => Some(store),
                Err(error) => {
                    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
                    None
                }
            })
            .collect();
        assert_eq!(stores.len(), 1);
        set(&stores[0], Table::Trees, b"key", b"value");
        drop(stores);
        let again = Redb::open(&path).unwrap();
        assert!(again.get(Table::Trees, b"key").unwrap().is_some());
        drop(again);
        std::fs::remove_file(&path).unwrap();
    }
}
