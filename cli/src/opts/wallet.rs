//! Private keys: the wallet's and the signer's.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use alloy::{
    primitives::B256,
    signers::local::{LocalSignerError, PrivateKeySigner},
};
use cheque::SigningKey;
use clap::Args;
use eth_keystore::{EthKeystore, KdfparamsType, KeystoreError};
use eyre::{Report, Result, WrapErr, bail, ensure, eyre};

use crate::output::ask_secret;

/// The environment variable of the key itself.
const KEY_VARIABLE: &str = "ETH_PRIVATE_KEY";

/// The environment variables of a wallet.
pub(super) const KEY_VARIABLES: [&str; 3] = [KEY_VARIABLE, "ETH_KEYSTORE", "ETH_KEYSTORE_ACCOUNT"];

/// The environment variables of the file with the keystore's password. The second is Foundry's: `cast` takes it for a path
/// too, but refuses to run if it is set and no keystore is named, so the help names the first.
pub(super) const PASSWORD_VARIABLES: [&str; 2] = ["CHEQUE_PASSWORD_FILE", "ETH_PASSWORD"];

/// The wallet's key. The command line never takes the key itself: other users of the machine and the shell's history
/// would see it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Wallet (or the private key in ETH_PRIVATE_KEY)")]
pub(crate) struct WalletOpts {
    /// Ask for the private key on the terminal
    #[arg(long, short = 'i', conflicts_with_all = ["keystore", "account"])]
    interactive: bool,

    /// Use the encrypted key in the keystore file PATH [env: ETH_KEYSTORE]
    #[arg(long, value_name = "PATH", conflicts_with = "account")]
    keystore: Option<PathBuf>,

    /// Use an account of Foundry's keystores, ~/.foundry/keystores [env: ETH_KEYSTORE_ACCOUNT]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// Read the keystore's password from PATH instead of asking [env: CHEQUE_PASSWORD_FILE]
    #[arg(long, value_name = "PATH")]
    password_file: Option<PathBuf>,
}

impl WalletOpts {
    /// Unlocks the wallet of a flag, else of the environment. The parser of the flags does not read these variables,
    /// because a flag must win over a variable of another kind.
    pub(crate) fn unlock(&self) -> Result<PrivateKeySigner> {
        if self.interactive {
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
            "the wallet's key is not named; name it with --account or --keystore, set {KEY_VARIABLE}, or enter it with \
             --interactive"
        )
    }

    /// True if a flag or the environment names a wallet.
    pub(crate) fn is_named(&self) -> bool {
        self.interactive
            || self.keystore.is_some()
            || self.account.is_some()
            || KEY_VARIABLES.iter().any(|name| env::var_os(name).is_some())
    }

    fn decrypt(&self, path: &Path) -> Result<PrivateKeySigner> {
        ensure!(
            path.is_file(),
            "the keystore file {} does not exist",
            path.display()
        );
        check_keystore(path)?;
        let file = self.password_file();
        let password = match &file {
            Some(file) => password_of(file)?,
            None => ask_secret(&format!("password of {}", path.display()))?,
        };
        let unlocked = PrivateKeySigner::decrypt_keystore(path, password);
        unlocked.map_err(|error| match error {
            LocalSignerError::EthKeystoreError(KeystoreError::MacMismatch) => eyre!(
                "the password is not that of the keystore {}; {}",
                path.display(),
                match file {
                    Some(file) => format!("check the password file {}", file.display()),
                    None => "enter it again".to_owned(),
                }
            ),
            error => Report::new(error)
                .wrap_err(format!("cannot unlock the keystore {}", path.display())),
        })
    }

    fn password_file(&self) -> Option<PathBuf> {
        let mut named = PASSWORD_VARIABLES.iter().filter_map(env::var_os);
        let flag = self.password_file.clone();
        flag.or_else(|| named.next().map(PathBuf::from))
    }
}

/// Fails unless the file is a keystore whose key can be derived, before anybody is asked for its password.
fn check_keystore(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path)
        .wrap_err_with(|| format!("cannot read the keystore {}", path.display()))?;
    ensure!(
        !text.starts_with(BYTE_ORDER_MARK),
        "the keystore {} begins with a byte order mark; save it as UTF-8 without one",
        path.display()
    );
    let keystore: EthKeystore = serde_json::from_str(&text)
        .wrap_err_with(|| format!("{} is not a keystore of an Ethereum key", path.display()))?;
    let crypto = &keystore.crypto;
    let (KdfparamsType::Pbkdf2 { dklen, .. } | KdfparamsType::Scrypt { dklen, .. }) =
        &crypto.kdfparams;
    ensure!(
        crypto.cipher == "aes-128-ctr" && *dklen >= 32 && crypto.cipherparams.iv.len() == 16,
        "the keystore {} is of no known kind: a key of at least 32 bytes and the cipher aes-128-ctr are; export the key \
         again, for example with `cast wallet import`",
        path.display()
    );
    Ok(())
}

/// What editors of Windows put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a password: the text of a file without the line breaks at its end, and without a byte order mark.
fn password_of(path: &Path) -> Result<String> {
    let bytes = fs::read(path)
        .wrap_err_with(|| format!("cannot read the password file {}", path.display()))?;
    ensure!(
        !bytes.starts_with(&[0xff, 0xfe]) && !bytes.starts_with(&[0xfe, 0xff]),
        "the password file {} is in UTF-16; save it as UTF-8",
        path.display()
    );
    let text = String::from_utf8(bytes)
        .map_err(|_| eyre!("the password file {} is not UTF-8 text", path.display()))?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The key that signs cheques, if other than the wallet's.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Signer")]
pub(crate) struct SignerOpts {
    /// Sign cheques with the encrypted key in the keystore file PATH [default: the wallet's key]
    #[arg(long, value_name = "PATH")]
    signer_keystore: Option<PathBuf>,

    /// Read the signer's password from PATH [default: the file of CHEQUE_PASSWORD_FILE]
    #[arg(long, value_name = "PATH", requires = "signer_keystore")]
    signer_password_file: Option<PathBuf>,
}

impl SignerOpts {
    /// Unlocks the signer's key. `None`: the wallet's key signs.
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

/// Converts a wallet's key to the type for cheques, agreements and consents.
pub(crate) fn signing_key(key: &PrivateKeySigner) -> Result<SigningKey> {
    SigningKey::from_bytes(&key.to_bytes().0).wrap_err("the wallet's key")
}

/// The keystore of an account of Foundry's `cast wallet`.
fn account_path(name: &str) -> Result<PathBuf> {
    let folder = match env::var_os("FOUNDRY_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => env::home_dir()
            .ok_or_else(|| eyre!("the home directory is unknown; use --keystore PATH"))?
            .join(".foundry"),
    };
    let keystores = folder.join("keystores");
    let path = keystores.join(name);
    ensure!(
        path.is_file(),
        "there is no account `{name}` in {}; create it with `cast wallet import {name}`",
        keystores.display()
    );
    Ok(path)
}

/// Parses a private key. No error contains its text.
fn parse_key(text: &str) -> Result<PrivateKeySigner> {
    let bytes: B256 = text
        .trim()
        .parse()
        .map_err(|_| eyre!("the private key is malformed; it has 32 bytes, as 64 hex digits"))?;
    PrivateKeySigner::from_bytes(&bytes)
        .map_err(|_| eyre!("the private key is out of range; use another"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_bad_key_without_repeating_it() {
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
