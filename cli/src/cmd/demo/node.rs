//! The demo's node.

use std::{
    env,
    path::{Path, PathBuf},
};

use alloy::{
    node_bindings::{Anvil, AnvilInstance},
    signers::local::PrivateKeySigner,
};
use eyre::{Result, WrapErr, eyre};

/// A node and a key with money on its chain.
pub(super) struct Node {
    pub(super) url: String,
    pub(super) key: PrivateKeySigner,
    /// A private node's process, ended by drop.
    _process: Option<AnvilInstance>,
}

/// The private key, which is public knowledge, of the first account of every development node ("test test test ...
/// junk").
pub(super) fn dev_key() -> Result<PrivateKeySigner> {
    let key = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    key.parse().wrap_err("the development key")
}

impl Node {
    /// Starts anvil on a free port.
    pub(super) async fn start() -> Result<Self> {
        let path = find()?;
        let start = move || {
            Anvil::at(&path)
                .args(["--hardfork", "osaka"])
                .try_spawn()
                .wrap_err_with(|| format!("cannot start {}", path.display()))
        };
        let process = tokio::task::spawn_blocking(start).await??;
        Ok(Self {
            url: process.endpoint(),
            key: dev_key()?,
            _process: Some(process),
        })
    }

    /// Uses a running node.
    pub(super) const fn running(url: String, key: PrivateKeySigner) -> Self {
        Self {
            url,
            key,
            _process: None,
        }
    }
}

/// Finds anvil on PATH, or in the project of a program that cargo has built: its folder `target` is beside `node_modules`.
/// No other folder is searched, since anybody may have put a program there.
fn find() -> Result<PathBuf> {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let program = env::current_exe().unwrap_or_default();
    let mut candidates = env::split_paths(&on_path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("anvil"))
        .chain(of_project(&program));
    candidates.find(|path| path.is_file()).ok_or_else(|| {
        eyre!(
            "the development node `anvil` is missing; run `make demo` in the project's folder, install Foundry \
             (https://getfoundry.sh), or name a running node with --rpc-url"
        )
    })
}

/// The project's anvil, for the program `PROJECT/target/PROFILE/cheque`.
fn of_project(program: &Path) -> Option<PathBuf> {
    let target = program.parent()?.parent()?;
    let is_target = target.file_name()? == "target";
    is_target.then(|| target.with_file_name("node_modules/.bin/anvil"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_no_anvil_of_another_folder() {
        let of = |program: &str| of_project(Path::new(program));
        let own = Some(PathBuf::from("/src/cheque/node_modules/.bin/anvil"));
        assert_eq!(of("/src/cheque/target/release/cheque"), own);
        for program in [
            "/src/cheque/bin/cheque",
            "/usr/local/bin/cheque",
            "/cheque",
            "",
        ] {
            assert_eq!(of(program), None, "{program}");
        }
    }
}
