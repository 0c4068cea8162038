//! What the store in one file adds.

use crate::conformance::{rows, set};
use cheque::store::{FORMAT, Redb, Store, StoreError, Table};
use redb::{BackendError, StorageBackend, backends::FileBackend};
use std::{
    fs::File,
    io,
    ops::Bound,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

#[test]
fn a_reopened_file_has_everything() {
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

#[cfg(unix)]
#[test]
fn a_new_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(Redb::open(&path).unwrap());
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn a_second_instance_is_refused_while_the_first_lives() {
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

const OTHER_PROCESS: &str = "CHEQUE_TEST_STORE";

/// Not a statement of its own: what the two tests below run as another process.
#[test]
fn other_process() {
    let Some(path) = std::env::var_os(OTHER_PROCESS) else {
        return;
    };
    let store = match Redb::open(path) {
        Ok(store) => store,
        Err(StoreError::Locked { .. }) => std::process::exit(11),
        Err(_) => std::process::exit(12),
    };
    set(&store, Table::Accounts, b"left", b"behind");
    // Ends without running any destructor, as a killed process does.
    std::process::exit(13);
}

fn open_in_another_process(path: &Path) -> Option<i32> {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "file::other_process"])
        .env(OTHER_PROCESS, path)
        .output()
        .unwrap()
        .status
        .code()
}

#[test]
fn a_second_process_is_refused_while_the_first_has_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let store = Redb::open(&path).unwrap();
    assert_eq!(open_in_another_process(&path), Some(11));
    drop(store);
    assert_eq!(open_in_another_process(&path), Some(13));
}

/// A file on a disk that is full when it is told to be.
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

/// A store in a file, and whether its disk is full.
fn filling(path: &Path) -> (Redb, Arc<AtomicBool>) {
    drop(Redb::open(path).unwrap());
    let file = File::options().read(true).write(true).open(path).unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let filling = Filling {
        file: FileBackend::new(file).unwrap(),
        is_full: is_full.clone(),
    };
    let store = Redb::open_on(filling, path).unwrap();
    (store.with_pause(Duration::ZERO), is_full)
}

#[test]
fn a_file_that_is_opened_again_after_its_disk_was_full_is_never_free_for_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let (store, is_full) = filling(&path);
    for round in 0..3 {
        is_full.store(true, Ordering::SeqCst);
        let failed = store.compare_and_set(Table::Trees, &[round], None, b"value");
        assert!(matches!(failed, Err(StoreError::Unknown { .. })));
        assert_eq!(open_in_another_process(&path), Some(11), "it has failed");
        let closed = store.compare_and_set(Table::Trees, &[round], None, b"value");
        assert!(matches!(closed, Err(StoreError::Unreachable { .. })));
        assert_eq!(open_in_another_process(&path), Some(11), "it is closed");
        is_full.store(false, Ordering::SeqCst);
        set(&store, Table::Trees, &[round], b"value");
        assert_eq!(open_in_another_process(&path), Some(11), "it is open again");
    }
    drop(store);
    assert_eq!(open_in_another_process(&path), Some(13));
}

#[test]
fn a_file_that_was_emptied_while_its_disk_was_full_is_damaged_and_no_new_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let (store, is_full) = filling(&path);
    set(&store, Table::Trees, b"key", b"value");
    is_full.store(true, Ordering::SeqCst);
    let failed = store.compare_and_set(Table::Accounts, b"key", None, b"value");
    assert!(matches!(failed, Err(StoreError::Unknown { .. })));
    // Somebody has made space.
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

#[test]
fn a_process_that_ends_without_closing_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    assert_eq!(open_in_another_process(&path), Some(13));
    let store = Redb::open(&path).unwrap();
    let left = store.get(Table::Accounts, b"left").unwrap().unwrap();
    assert_eq!(left, b"behind");
}

#[test]
fn refuses_files_that_are_not_its_own_and_leaves_them_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("somebody-elses");
    for contents in [
        b"x".to_vec(),
        b"text of a letter\n".repeat(500),
        vec![0; 4096],
    ] {
        std::fs::write(&path, &contents).unwrap();
        let refused = Redb::open(&path).unwrap_err();
        assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
        assert!(refused.to_string().contains("somebody-elses"));
        assert_eq!(std::fs::read(&path).unwrap(), contents);
    }
}

#[test]
fn refuses_the_redb_files_of_other_programs() {
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

#[test]
fn refuses_a_newer_format_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(Redb::open(&path).unwrap());
    let about = redb::TableDefinition::<&str, u32>::new("cheque-store");
    let database = redb::Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(about)
        .unwrap()
        .insert("format", FORMAT + 1)
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

#[test]
fn a_store_several_missing_directories_down_is_made_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/c/store.redb");
    set(&Redb::open(&path).unwrap(), Table::Trees, b"key", b"value");
    let again = Redb::open(&path).unwrap();
    let value = again.get(Table::Trees, b"key").unwrap();
    assert_eq!(value.as_deref(), Some(&b"value"[..]));
    // A file in the way is no directory.
    let refused = Redb::open(path.join("store.redb")).unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
}
