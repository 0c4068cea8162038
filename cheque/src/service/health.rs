//! Whether a service does its work.

use serde::Serialize;

/// How a service is, for those who watch it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether it follows the chain. What single deposits wait for is no illness: their status says it.
    pub ok: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// The newest block at the last look at the chain that succeeded.
    pub head: Option<u64>,
    /// How long ago that look was, in seconds.
    pub head_age: Option<u64>,
    /// The last error, whether or not it is over.
    pub last_error: Option<String>,
}
