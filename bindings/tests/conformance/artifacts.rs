//! Artifacts of forge.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("bindings/ lies in the repository")
        .into()
}

/// The text of a file of the repository. `hint` tells how to make the file.
pub(crate) fn read(path: &str, hint: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; {hint}", path.display()))
}

/// The artifact of a contract, compiled with the release profile.
pub(crate) fn artifact(contract: &str) -> Value {
    let text = read(
        &format!("out/{contract}.sol/{contract}.json"),
        "compile the contracts first: `make test-contracts` or `forge build`",
    );
    serde_json::from_str(&text).expect("an artifact is JSON")
}
