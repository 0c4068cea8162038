//! Backup and restore, between all kinds of stores.

use crate::support::{Kind, rows, set};
use cheque::store::{
    BackupError, BackupSize, Memory, Redb, RestoreError, Store, StoreError, Swap, Table, backup,
    restore,
};
use std::io::{self, Cursor, Write};

/// Makes a store with rows of many lengths in every table.
fn filled() -> Memory {
    let store = Memory::new();
    for (number, table) in (1u8..).zip(Table::ALL) {
        for row in 0..31 * number {
            let value = vec![row; usize::from(row) * 20];
            set(&store, table, &[number, row], &value);
        }
    }
    set(&store, Table::Trees, b"", b"");
    store
}

fn backed_up(store: &dyn Store) -> Vec<u8> {
    let mut file = Vec::new();
    let copied = backup(store, &mut file).unwrap();
    assert_eq!(copied.bytes, file.len() as u64);
    file
}

/// Makes the pairs of this kind with itself and with each local kind, in both directions.
pub(crate) fn restores_backup_of_any_store_into_any_other(kind: Kind) {
    let original = filled();
    let file = backed_up(&original);
    for other in [Kind::Memory, Kind::Redb, kind] {
        for (from, to) in [(kind, other), (other, kind)] {
            let (from, to) = (from.open(), to.open());
            let copied = restore(Cursor::new(&file), &*from).unwrap();
            assert_eq!(copied.records, 1_117);
            for table in Table::ALL {
                assert_eq!(rows(&*from, table, b""), rows(&original, table, b""));
            }
            assert!(rows(&*from, Table::Marks, b"").is_empty());
            // The backup of the restored store equals the original byte by byte.
            assert_eq!(backed_up(&*from), file);
            restore(Cursor::new(backed_up(&*from)), &*to).unwrap();
            assert_eq!(backed_up(&*to), file);
        }
    }
}

pub(crate) fn restores_empty_backup_to_an_empty_store() {
    let file = backed_up(&Memory::new());
    let store = Memory::new();
    let copied = restore(Cursor::new(&file), &store).unwrap();
    assert_eq!(copied.records, 0);
    assert_ne!(
        copied,
        BackupSize::default(),
        "an empty backup has a head and an end"
    );
}

pub(crate) fn restores_many_records_in_several_writes(to: &dyn Store) {
    let store = Memory::new();
    for number in 0..2_500u32 {
        set(&store, Table::Positions, &number.to_be_bytes(), &[9; 30]);
    }
    let file = backed_up(&store);
    assert_eq!(restore(Cursor::new(&file), to).unwrap().records, 2_500);
    assert_eq!(backed_up(to), file);
}

pub(crate) fn restores_only_into_an_empty_store(store: &dyn Store) {
    let file = backed_up(&filled());
    set(store, Table::Outbox, b"mine", b"1");
    let refused = restore(Cursor::new(&file), store).unwrap_err();
    let outbox = Table::Outbox;
    assert!(matches!(refused, RestoreError::NotEmpty { table } if table == outbox));
    assert!(refused.to_string().contains("outbox"), "{refused}");
    let left = [(b"mine".to_vec(), b"1".to_vec())];
    assert_eq!(rows(store, Table::Outbox, b""), left);
    assert!(rows(store, Table::Trees, b"").is_empty());
}

pub(crate) fn refuses_backup_with_any_byte_changed_or_missing() {
    let original = Memory::new();
    set(&original, Table::Deposits, b"a", b"1");
    set(&original, Table::Positions, b"bc", b"23");
    let file = backed_up(&original);
    let untouched = |store: &Memory| {
        let mut count = 0;
        let mut visit = |_: Table, _: &[u8], _: &[u8]| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        };
        store.scan_all(&mut visit).unwrap();
        count == 0 && rows(store, Table::Marks, b"").is_empty()
    };
    let store = Memory::new();
    for at in 0..file.len() {
        for bit in [1, 128] {
            let mut changed = file.clone();
            changed[at] ^= bit;
            let refused = restore(Cursor::new(&changed), &store);
            assert!(refused.is_err(), "byte {at}");
        }
        let cut = restore(Cursor::new(&file[..at]), &store).unwrap_err();
        let known = matches!(cut, RestoreError::Damaged { .. } | RestoreError::Foreign);
        assert!(known, "{at}: {cut}");
    }
    let longer = [&file[..], b"x"].concat();
    let refused = restore(Cursor::new(&longer), &store).unwrap_err();
    assert!(matches!(
        refused,
        RestoreError::Damaged {
            what: "more than the end",
            ..
        }
    ));
    assert!(untouched(&store));
    restore(Cursor::new(&file), &store).unwrap();
}

pub(crate) fn refuses_other_files_and_newer_formats() {
    let store = Memory::new();
    let letter = restore(Cursor::new(b"a letter of some length"), &store).unwrap_err();
    assert!(matches!(letter, RestoreError::Foreign));
    let mut newer = backed_up(&Memory::new());
    newer[17] = 2;
    let refused = restore(Cursor::new(&newer), &store).unwrap_err();
    assert!(matches!(refused, RestoreError::Newer { found: 2 }));
    assert!(refused.to_string().contains("use a newer program"));
}

/// A writer with room for this many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn reports_full_disk_at_any_byte_of_the_backup() {
    let store = Memory::new();
    set(&store, Table::Deposits, b"a", b"1");
    let length = backed_up(&store).len();
    for room in 0..length {
        let failed = backup(&store, Full(room)).unwrap_err();
        assert!(matches!(failed, BackupError::Write(_)), "{failed}");
    }
    backup(&store, Full(length)).unwrap();
}

/// A reader that returns only half of the backup at the second pass, like a failing medium.
struct Fading(Cursor<Vec<u8>>);

impl io::Read for Fading {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl io::Seek for Fading {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let half = self.0.get_ref().len() / 2;
        self.0.get_mut().truncate(half);
        self.0.seek(to)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        self.0.stream_position()
    }
}

/// Restores a backup that fails at its second pass, after some of its records were written.
fn restore_in_part(store: &dyn Store) {
    let original = Memory::new();
    for number in 0..3_000u32 {
        set(&original, Table::Positions, &number.to_be_bytes(), b"value");
    }
    let file = backed_up(&original);
    let failed = restore(Fading(Cursor::new(file)), store).unwrap_err();
    assert!(matches!(failed, RestoreError::Interrupted(_)), "{failed}");
    assert!(!rows(store, Table::Positions, b"").is_empty());
}

pub(crate) fn refuses_partly_restored_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let store = Redb::open(&path).unwrap();
    restore_in_part(&store);
    drop(store);
    let refused = Redb::open(&path).unwrap_err();
    assert!(
        matches!(refused, StoreError::HalfRestored { .. }),
        "{refused}"
    );
}

#[cfg(feature = "postgres")]
pub(crate) fn refuses_partly_restored_database() {
    use cheque::store::Postgres;
    let server = crate::postgres::Server::shared();
    let database = server.database();
    restore_in_part(&Postgres::open(&database).unwrap());
    let refused = Postgres::open(&database).unwrap_err();
    assert!(
        matches!(refused, StoreError::HalfRestored { .. }),
        "{refused}"
    );
}

pub(crate) fn refuses_a_second_restore_at_a_time() {
    let store = Memory::new();
    let begun = store.compare_and_set(Table::Marks, b"restoring", None, b"");
    assert_eq!(begun.unwrap(), Swap::Done);
    let file = backed_up(&filled());
    let refused = restore(Cursor::new(&file), &store).unwrap_err();
    assert!(matches!(refused, RestoreError::Begun), "{refused}");
}
