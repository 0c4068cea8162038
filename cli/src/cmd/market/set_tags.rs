//! `cheque market set-tags`.

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::{operator::OperatorOpts, selection::Selection};
use crate::output::Output;

/// Give clients tags of your own, in the place of those they have
///
/// A tag names many clients at once, in --tag of this and other commands. Tags are stored, and need no connection. All of
/// the clients get them, or none.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market set-tags vip eu --id 0x5f3c... --id 0x81d0...
  cheque market set-tags vip --tag eu --tag '$priority'     those that have both
  cheque market set-tags --none --tag vip                   take all of their tags away")]
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
    /// The tags; they cannot start with $
    #[arg(value_name = "TAG")]
    set: Vec<String>,

    /// Leave no tags
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
