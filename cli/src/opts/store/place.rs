//! The place of a store as typed: a directory, or the address of a database.

use std::{
    fs,
    path::{Path, PathBuf},
};

use eyre::{Result, WrapErr, bail, ensure};

/// The beginnings of a database's address.
const SCHEMES: [&str; 2] = ["postgres", "postgresql"];

/// The place of a store. Hides a database's address, which may have a password.
#[derive(PartialEq, Eq)]
pub(super) enum Place {
    Directory(PathBuf),
    /// A PostgreSQL database, by its address.
    Database(String),
}

impl Place {
    /// Tells directories from addresses of databases. A text that looks like another kind of address is an error and no
    /// directory: otherwise a typing error would begin an empty store. No error repeats the text, which may have a password.
    pub(super) fn parse(typed: &Path) -> Result<Self> {
        ensure!(
            typed != Path::new(""),
            "the name of the store is empty; name a directory, or postgres://USER@HOST/NAME"
        );
        let Some(text) = typed.to_str() else {
            return Ok(Self::Directory(typed.to_owned()));
        };
        let word = text.split(|c: char| !c.is_ascii_alphanumeric() && !"+-_.".contains(c));
        let word = word.into_iter().next().unwrap_or_default();
        let rest = &text[word.len()..];
        if rest.starts_with("://") && SCHEMES.contains(&word) {
            return Ok(Self::Database(text.to_owned()));
        }
        // A drive of Windows has one letter.
        let is_other = word.len() > 1 && rest.starts_with(':');
        if is_other || text.contains("://") || has_password(text) {
            bail!(
                "the store is an address of no known kind; write postgres://USER@HOST/NAME, or a directory (./NAME:... if \
                 its name has a colon)"
            );
        }
        if !word.is_empty() && rest.trim_start().starts_with('=') {
            bail!(
                "the store is a list of settings of a database; write postgres://USER@HOST/NAME, or a directory (./NAME=... \
                 if its name has an equals sign)"
            );
        }
        ensure!(
            !typed.is_file(),
            "the store {} is a file; name its directory",
            typed.display()
        );
        Ok(Self::Directory(typed.to_owned()))
    }

    /// Reads the place from a file with one line.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let name = file.display();
        let text = fs::read_to_string(file)
            .wrap_err_with(|| format!("cannot read the name of the store from {name}"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
        ensure!(
            text.lines().count() == 1,
            "{name} does not hold the name of a store; write one line"
        );
        Self::parse(Path::new(text)).wrap_err_with(|| name.to_string())
    }
}

/// True if the text has a password as addresses have it: `:password@` without a slash in between.
fn has_password(text: &str) -> bool {
    let mut parts = text.split('/');
    parts.any(|part| {
        part.split_once(':')
            .is_some_and(|(_, rest)| rest.contains('@'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Place, String> {
        Place::parse(Path::new(text)).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn tells_directories_from_databases() {
        for text in [
            "store",
            "./a=b",
            "/var/lib/cheque",
            "a/b=c",
            "../x",
            "C:\\cheque",
            "a b",
            ".hidden",
        ] {
            assert!(parsed(text) == Ok(Place::Directory(text.into())), "{text}");
        }
        for text in ["postgres://me:pw@host/db", "postgresql:///db?host=/run"] {
            assert!(
                parsed(text) == Ok(Place::Database(text.to_owned())),
                "{text}"
            );
        }
    }

    #[test]
    fn takes_no_other_address_for_a_directory() {
        for text in [
            "",
            "mysql://me:hunter2@host/db",
            "sqlite:///var/lib/hunter2",
            "sqlite:hunter2",
            "file:///var/lib/hunter2",
            "postgresql+psycopg://me:hunter2@host/db",
            "Postgres://me:hunter2@host/db",
            "postgres:/hunter2",
            "me:hunter2@host/db",
            "//me:hunter2@host/db",
            " mysql://me:hunter2@host/db",
            "host=localhost password=hunter2",
            "dbname = hunter2",
        ] {
            let Err(error) = parsed(text) else {
                panic!("{text} is no store");
            };
            assert!(
                error.contains("postgres://USER@HOST/NAME"),
                "{text}: {error}"
            );
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn reads_one_line_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store");
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            Place::read(&file).map_err(|error| format!("{error:#}"))
        };
        let database = || Place::Database("postgres://me:hunter2@host/db".to_owned());
        assert!(read("postgres://me:hunter2@host/db\n") == Ok(database()));
        assert!(read("\u{feff}postgres://me:hunter2@host/db\r\n") == Ok(database()));
        for text in [
            "",
            "\n",
            "postgres://me:hunter2@host/db\nmore",
            "mysql://hunter2",
        ] {
            let Err(error) = read(text) else {
                panic!("{text} is no store");
            };
            assert!(error.contains("store"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(
            Place::parse(&file).is_err_and(|error| error.to_string().contains("its directory"))
        );
    }
}
