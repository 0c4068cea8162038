//! Flags that say which clients a command is about.

use clap::Args;
use serde_json::{Value, json};

/// Those named and those that have all of the tags.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Clients")]
#[group(required = true, multiple = true)]
pub(super) struct Selection {
    /// A client's id; repeat for more
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,

    /// Clients with this tag; repeat for those that have all
    ///
    /// Automatic tags are $all, $connected, $disconnected, $priority and $free.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

impl Selection {
    /// The arguments of a call that sets parameters.
    pub(super) fn with(&self, params: Value) -> [Value; 3] {
        [json!(self.ids), json!(self.tags), params]
    }
}
