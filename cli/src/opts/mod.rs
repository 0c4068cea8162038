//! Flags that several verbs share.

mod chain;
mod payee;
mod store;
mod wallet;

pub(crate) use chain::{ChainOpts, OfflineChainOpts, supported};
pub(crate) use payee::{PayeeOpts, PolicyOpts};
pub(crate) use store::StoreOpts;
pub(crate) use wallet::{SendOpts, SignerOpts, WalletOpts};

/// The variables of the environment that verbs read themselves, and that settle this flag as the flag itself would.
pub(crate) fn own_variables(flag: &str) -> &'static [&'static str] {
    match flag {
        "account" | "keystore" => &wallet::KEY_VARIABLES,
        "password-file" => &[wallet::PASSWORD_VARIABLE],
        "payee" => &[payee::PAYEE_VARIABLE],
        _ => &[],
    }
}
