//! Environment variables unknown to the parser of the flags.

use super::{
    payee::PAYEE_VARIABLE,
    wallet::{KEY_VARIABLES, PASSWORD_VARIABLE},
};

/// The environment variables with the same effect as a flag.
pub(crate) fn variables_of(flag: &str) -> &'static [&'static str] {
    match flag {
        "account" | "keystore" => &KEY_VARIABLES,
        "password-file" => &[PASSWORD_VARIABLE],
        "payee" => &[PAYEE_VARIABLE],
        _ => &[],
    }
}
