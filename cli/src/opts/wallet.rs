//! Whose key signs.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use alloy::{primitives::B256, signers::local::PrivateKeySigner};
use clap::Args;
use eyre::{Result, WrapErr, bail, ensure, eyre};

use crate::output::ask_secret;

/// The environment variable that may hold the key itself.
const KEY_VARIABLE: &str = "ETH_PRIVATE_KEY";

/// The environment variables that name a wallet.
pub(super) const KEY_VARIABLES: [&str; 3] = [KEY_VARIABLE, "ETH_KEYSTORE", "ETH_KEYSTORE_ACCOUNT"];

/// The environment variable that names the file with the keystore's password.
pub(super) const PASSWORD_VARIABLE: &str = "ETH_PASSWORD";

/// A private key is never taken from the command line, where other users of the machine and the shell's history see
/// it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Wallet (or the private key in ETH_PRIVATE_KEY)")]
pub(crate) struct WalletOpts {
    /// Ask for the private key on the terminal
    #[arg(long, short = 'i', alias = "interactive", conflicts_with_all = ["keystore", "account"])]
    private_key: bool,

    /// Use the encrypted key in this keystore file [env: ETH_KEYSTORE]
    #[arg(long, value_name = "PATH", conflicts_with = "account")]
    keystore: Option<PathBuf>,

    /// Use the account of this name from Foundry's keystores, ~/.foundry/keystores [env: ETH_KEYSTORE_ACCOUNT]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// Read the keystore's password from this file instead of asking [env: ETH_PASSWORD]
    #[arg(long, value_name = "PATH")]
    password_file: Option<PathBuf>,
}

impl WalletOpts {
    /// Unlocks the wallet: the one a flag names, else the one the environment names. The environment is not read by the
    /// parser of the flags, because a flag must win over a variable of another kind.
    pub(crate) fn unlock(&self) -> Result<PrivateKeySigner> {
        if self.private_key {
            return parse_key(&ask_secret("private key")?);
        }
        if let Some(path) = &self.keystore {
            return self.decrypt(path);
        }
        if let Some(name) = &self.account {
            return self.decrypt(&account_path(name)?);
        }
        match env::var(KEY_VARIABLE) {
            Ok(key) => return parse_key(&key).wrap_err(KEY_VARIABLE),
            Err(env::VarError::NotUnicode(_)) => bail!("{KEY_VARIABLE} is not a private key"),
            Err(env::VarError::NotPresent) => {}
        }
        if let Some(path) = env::var_os("ETH_KEYSTORE") {
            return self.decrypt(Path::new(&path));
        }
        if let Ok(name) = env::var("ETH_KEYSTORE_ACCOUNT") {
            return self.decrypt(&account_path(&name)?);
        }
        bail!(
            "this needs a key: name one with --account or --keystore, set {KEY_VARIABLE}, or have it asked for with \
             --private-key"
        )
    }

    /// Whether a flag or the environment names a wallet.
    pub(crate) fn is_named(&self) -> bool {
        self.private_key
            || self.keystore.is_some()
            || self.account.is_some()
            || KEY_VARIABLES.iter().any(|name| env::var_os(name).is_some())
    }

    fn decrypt(&self, path: &Path) -> Result<PrivateKeySigner> {
        ensure!(
            path.is_file(),
            "there is no keystore file {}",
            path.display()
        );
        let password = self.password(path)?;
        PrivateKeySigner::decrypt_keystore(path, password)
            .wrap_err_with(|| format!("cannot unlock the keystore {}", path.display()))
    }

    fn password(&self, keystore: &Path) -> Result<String> {
        let named = env::var_os(PASSWORD_VARIABLE).map(PathBuf::from);
        let Some(path) = self.password_file.clone().or(named) else {
            return ask_secret(&format!("password of {}", keystore.display()));
        };
        let text = fs::read_to_string(&path)
            .wrap_err_with(|| format!("cannot read the password file {}", path.display()))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// The key that writes cheques, where it is not the wallet's.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Signer")]
pub(crate) struct SignerOpts {
    /// Write cheques with the encrypted key in this keystore file [default: with the wallet's key]
    #[arg(long, value_name = "PATH")]
    signer_keystore: Option<PathBuf>,

    /// Read its password from this file [default: the one that ETH_PASSWORD names]
    #[arg(long, value_name = "PATH", requires = "signer_keystore")]
    signer_password_file: Option<PathBuf>,
}

impl SignerOpts {
    /// The signer's key. `None`: it is the wallet's.
    pub(crate) fn unlock(&self) -> Result<Option<PrivateKeySigner>> {
        let Some(path) = &self.signer_keystore else {
            return Ok(None);
        };
        let opts = WalletOpts {
            password_file: self.signer_password_file.clone(),
            ..WalletOpts::default()
        };
        opts.decrypt(path).map(Some)
    }
}

/// The keystore of an account that Foundry's `cast wallet` keeps.
fn account_path(name: &str) -> Result<PathBuf> {
    let folder = match env::var_os("FOUNDRY_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => env::home_dir()
            .ok_or_else(|| eyre!("--account: there is no home directory; use --keystore PATH"))?
            .join(".foundry"),
    };
    let keystores = folder.join("keystores");
    let path = keystores.join(name);
    ensure!(
        path.is_file(),
        "there is no account `{name}` in {}: `cast wallet import {name}` makes one",
        keystores.display()
    );
    Ok(path)
}

/// The text never becomes part of an error.
fn parse_key(text: &str) -> Result<PrivateKeySigner> {
    let bytes: B256 = text
        .trim()
        .parse()
        .map_err(|_| eyre!("a private key is 32 bytes: 64 hex digits"))?;
    PrivateKeySigner::from_bytes(&bytes).map_err(|_| eyre!("this number is not a private key"))
}

/// A wallet and how to use it, for verbs that send a transaction.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SendOpts {
    #[command(flatten)]
    pub(crate) wallet: WalletOpts,

    /// Check and price the transaction on the node, but send nothing and record nothing
    #[arg(long, help_heading = "Transaction")]
    pub(crate) dry_run: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_key_is_refused_without_repeating_it() {
        for key in [
            "",
            "0x12",
            "zz",
            &"0".repeat(64),
            &"f".repeat(64),
            &"1".repeat(66),
        ] {
            let error = format!("{:?}", parse_key(key).unwrap_err());
            assert!(key.len() < 3 || !error.contains(key), "{error}");
        }
        assert!(parse_key(&format!(" 0x{}\n", "1".repeat(64))).is_ok());
    }
}
