//! Environment variables unknown to the parser of the flags.

use super::{
    payee::PAYEE_VARIABLE,
    store::STORE_VARIABLES,
    wallet::{KEY_VARIABLES, PASSWORD_VARIABLES},
};

/// The environment variables with the same effect as a flag.
pub(crate) fn variables_of(flag: &str) -> &'static [&'static str] {
    match flag {
        "account" | "keystore" => &KEY_VARIABLES,
        "password-file" => &PASSWORD_VARIABLES,
        "payee" => &[PAYEE_VARIABLE],
        "store" | "store-file" => &STORE_VARIABLES,
        _ => &[],
    }
}
