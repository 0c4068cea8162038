//! `cheque market set-tags`.

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::{operator::OperatorOpts, selection::Selection};
use crate::output::Output;

/// Replace the tags of clients
///
/// A tag selects many clients at once, in --tag of several commands. Tags are stored and need no connection. All
/// selected clients get the tags, or none.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market set-tags vip eu --id 0x5f3c... --id 0x81d0...
  cheque market set-tags vip --tag eu --tag '$priority'     clients with both tags
  cheque market set-tags --none --tag vip                   remove all their tags")]
pub(super) struct SetTagsArgs {
    #[command(flatten)]
    tags: Tags,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    operator: OperatorOpts,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Tags {
    /// Tag to set, not starting with $
    #[arg(value_name = "TAG")]
    set: Vec<String>,

    /// Remove all tags
    #[arg(long)]
    none: bool,
}

impl SetTagsArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let operator = self.operator.connect().await?;
        operator
            .set(&self.selection, json!({ "userTags": self.tags.set }), out)
            .await
    }
}
