//! Passwords in libpq's password file, `~/.pgpass`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The login for which a password is sought.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) host: String,
    pub(super) port: String,
    pub(super) database: String,
    pub(super) user: String,
}

/// The reason why a password file was left alone.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassfileError {
    #[error("the password file {path} is readable by others and was not used; run chmod 600 on it")]
    Open { path: PathBuf },
    #[error("the password file {path} is no regular file and was not used")]
    NoFile { path: PathBuf },
    #[error("the password file {path} cannot be read: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// Finds the password of the first login that has one. `None` without a file or a line for a login.
///
/// Like libpq, leaves a file alone that other users may read. libpq tells that on the terminal; here it is an error, for the
/// caller to tell if the server demands a password.
pub(super) fn password_in(path: &Path, logins: &[Login]) -> Result<Option<Vec<u8>>, PassfileError> {
    let text = match read(path) {
        Err(PassfileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        text => text?,
    };
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    let found = logins.iter().find_map(|login| {
        let mut lines = lines.iter();
        lines.find_map(|line| password_of(line, login))
    });
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, PassfileError> {
    let failed = |source| PassfileError::Io {
        path: path.to_owned(),
        source,
    };
    let about = fs::metadata(path).map_err(failed)?;
    let path = path.to_owned();
    if !about.is_file() {
        return Err(PassfileError::NoFile { path });
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o077 != 0 {
        return Err(PassfileError::Open { path });
    }
    fs::read(&path).map_err(failed)
}

/// Returns the password of a line `host:port:database:user:password`, if the line is about the login.
fn password_of(line: &[u8], login: &Login) -> Option<Vec<u8>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.starts_with(b"#") {
        return None;
    }
    let mut left = line;
    for wanted in [&login.host, &login.port, &login.database, &login.user] {
        let (field, rest) = field(left)?;
        if left.strip_suffix(rest)? != b"*:" && field != wanted.as_bytes() {
            return None;
        }
        left = rest;
    }
    let password = unescaped(left, None).0;
    (!password.is_empty()).then_some(password)
}

/// Splits a field and its colon off. `None` without a colon.
fn field(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (field, length) = unescaped(line, Some(b':'));
    let rest = line.get(length..)?.strip_prefix(b":")?;
    Some((field, rest))
}

/// Returns the bytes up to `end`, without the backslashes that escape others, and the length of their text.
fn unescaped(text: &[u8], end: Option<u8>) -> (Vec<u8>, usize) {
    let mut read = Vec::new();
    let mut length = 0;
    while let Some(byte) = text.get(length) {
        if Some(*byte) == end {
            break;
        }
        if *byte == b'\\'
            && let Some(escaped) = text.get(length + 1)
        {
            read.push(*escaped);
            length += 2;
            continue;
        }
        read.push(*byte);
        length += 1;
    }
    (read, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(host: &str, port: u16, database: &str, user: &str) -> Login {
        Login {
            host: host.to_owned(),
            port: port.to_string(),
            database: database.to_owned(),
            user: user.to_owned(),
        }
    }

    fn file_of(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        }
        file
    }

    #[test]
    fn finds_the_first_line_of_a_login() {
        let text = "# host:5432:db:user:comment\n\
                    host:5432:db:user:first\n\
                    host:5432:db:user:second\n\
                    *:5433:*:user:any host\r\n\
                    ::1:5432:db:user:unescaped\n\
                    \\:\\:1:5432:db:user:a\\:b:c\\\\\n\
                    star:5432:\\*:user:star\n\
                    host:5432:db:nobody:\n\
                    short:5432\n";
        let file = file_of(text, 0o600);
        for (login, password) in [
            (login("host", 5432, "db", "user"), Some("first")),
            (login("other", 5433, "x", "user"), Some("any host")),
            (login("::1", 5432, "db", "user"), Some("a:b:c\\")),
            (login("star", 5432, "*", "user"), Some("star")),
            (login("star", 5432, "db", "user"), None),
            (login("host", 5432, "db", "nobody"), None),
            (login("host", 5432, "db", "other"), None),
            (login("short", 5432, "db", "user"), None),
        ] {
            let found = password_in(file.path(), std::slice::from_ref(&login)).unwrap();
            assert_eq!(
                found,
                password.map(|text| text.as_bytes().to_vec()),
                "{login:?}"
            );
        }
        let both = [login("none", 1, "", ""), login("host", 5432, "db", "user")];
        assert_eq!(
            password_in(file.path(), &both).unwrap(),
            Some(b"first".to_vec())
        );
    }

    #[cfg(unix)]
    #[test]
    fn uses_no_file_that_others_may_read() {
        for mode in [0o640, 0o604, 0o660, 0o601] {
            let file = file_of("*:*:*:*:secret\n", mode);
            let refused = password_in(file.path(), &[login("h", 1, "d", "u")]).unwrap_err();
            assert!(matches!(refused, PassfileError::Open { .. }), "{mode:o}");
            assert!(!refused.to_string().contains("secret"));
        }
        let file = file_of("*:*:*:*:secret\n", 0o400);
        let found = password_in(file.path(), &[login("h", 1, "d", "u")]);
        assert_eq!(found.unwrap(), Some(b"secret".to_vec()));
    }

    #[test]
    fn needs_no_password_file() {
        let directory = tempfile::tempdir().unwrap();
        let login = [login("h", 1, "d", "u")];
        let absent = password_in(&directory.path().join("none"), &login).unwrap();
        assert_eq!(absent, None);
        let refused = password_in(directory.path(), &login).unwrap_err();
        assert!(matches!(refused, PassfileError::NoFile { .. }), "{refused}");
    }
}
