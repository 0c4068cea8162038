//! The health of a service, as monitoring reads it.

use serde::Serialize;

/// The health of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// True if the service follows the chain, even if single deposits wait; their status has the reason.
    pub ok: bool,
    /// The reason, as a sentence.
    pub reason: String,
    /// The number of the head at the last successful poll of the chain.
    pub head: Option<u64>,
    /// The age of the last successful poll, in seconds.
    pub head_age: Option<u64>,
    /// What does not work while the service does, such as payments in a token whose rate is too old.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The last error, resolved or not.
    pub last_error: Option<String>,
}
