//! The file of a store, and its directories.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// The end of the name of a store that is being created.
const UNFINISHED: &str = ".unfinished";

/// Opens a file; `None` if it does not exist.
pub(super) fn open_existing(path: &Path) -> io::Result<Option<File>> {
    match options().open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Begins a store in an empty, locked file of another name. It gets the store's name once it is one: so an empty file of that
/// name was a store, and has lost its contents. `None` if another process creates the same store.
pub(super) fn begin(path: &Path) -> io::Result<Option<File>> {
    if let Some(directory) = path.parent() {
        create_directories(directory)?;
    }
    let file = options()
        .create(true)
        .truncate(false)
        .open(unfinished(path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // The process that held the lock may have finished the store, and this is its file.
    if path.try_exists()? {
        let _of_no_use = fs::remove_file(unfinished(path));
        return Ok(None);
    }
    // What an interrupted creation has left.
    file.set_len(0)?;
    Ok(Some(file))
}

/// Gives a finished store its name, durably. Fails if another process was faster.
pub(super) fn finish(path: &Path) -> io::Result<()> {
    fs::hard_link(unfinished(path), path)?;
    sync_directory(path)?;
    fs::remove_file(unfinished(path))
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Creates the missing directories of a path, and makes the name of each durable.
fn create_directories(path: &Path) -> io::Result<()> {
    if path == Path::new("") || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_directories(parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => sync_directory(path),
        // Another process was faster.
        Err(_) if path.is_dir() => sync_directory(path),
        Err(error) => Err(error),
    }
}

/// Makes the name of a new file or directory durable, by a sync of its parent. Does nothing outside Unix.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let directory = path.parent().filter(|parent| *parent != Path::new(""));
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
