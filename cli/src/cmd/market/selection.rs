//! Flags that select clients.

use clap::Args;
use serde_json::{Value, json};

/// Clients of the ids, and clients with all of the tags.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Clients")]
#[group(required = true, multiple = true)]
pub(super) struct Selection {
    /// Select a client; repeatable
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,

    /// Select clients with TAG; repeat to require several
    ///
    /// Automatic tags are $all, $connected, $disconnected, $priority and $free.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

impl Selection {
    /// Builds the arguments of a call that sets parameters.
    pub(super) fn with(&self, params: Value) -> [Value; 3] {
        [json!(self.ids), json!(self.tags), params]
    }
}
