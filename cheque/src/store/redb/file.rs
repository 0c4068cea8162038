//! The file of a store, and its directories.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

pub(super) fn open_file(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        create_directories(directory)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
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
