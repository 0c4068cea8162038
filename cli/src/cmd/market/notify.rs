//! `cheque market notify`.

use std::num::NonZeroU64;

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::{operator::OperatorOpts, selection::Selection};
use crate::output::Output;

/// Have `cheque market watch` tell of what clients are charged
///
/// What a client was charged in all (`charged` of `cheque market clients`, pricing/totalAmount) only grows. It counts tokens
/// taken from its balance, and those it owes beyond it. A client has one notice at a time: a new one takes its place.
/// Notices are stored, and need no connection. They come as events priceUpdate.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market notify --every 1000000 --tag '$priority'   each time that so much more was charged
  cheque market notify --above 50000000 --id 0x5f3c...     once; if it is more already, at once
  cheque market notify --off --tag '$all'")]
pub(super) struct NotifyArgs {
    #[command(flatten)]
    notice: Notice,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    operator: OperatorOpts,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Notice {
    /// Once: when a client was charged more than so many tokens in all
    #[arg(long, value_name = "TOKENS")]
    above: Option<NonZeroU64>,

    /// Each time that a client was charged so many tokens more
    #[arg(long, value_name = "TOKENS")]
    every: Option<NonZeroU64>,

    /// No more
    #[arg(long)]
    off: bool,
}

impl NotifyArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let params = match (self.notice.above, self.notice.every) {
            (Some(tokens), _) => json!({ "pricing/alert": tokens }),
            (None, Some(tokens)) => json!({ "pricing/periodicUpdate": tokens }),
            (None, None) => json!({ "pricing/alert": 0 }),
        };
        let operator = self.operator.connect().await?;
        operator.set(&self.selection, params, out).await
    }
}
