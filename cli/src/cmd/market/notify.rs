//! `cheque market notify`.

use std::num::NonZeroU64;

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::{operator::OperatorOpts, selection::Selection};
use crate::output::Output;

/// Announce clients' charges in `cheque market watch`
///
/// A client's total charge (`charged` of `cheque market clients`, pricing/totalAmount) never shrinks. It counts tokens
/// taken from the client's balance and tokens owed in excess. A client has one notice: a new notice replaces the old.
/// Notices are stored and need no connection. They arrive as events priceUpdate.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market notify --every 1000000 --tag '$priority'   at each further million
  cheque market notify --above 50000000 --id 0x5f3c...     once; at once if already above
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
    /// Announce once that a client's total charge exceeds this
    #[arg(long, value_name = "TOKENS")]
    above: Option<NonZeroU64>,

    /// Announce each further charge of this many tokens
    #[arg(long, value_name = "TOKENS")]
    every: Option<NonZeroU64>,

    /// Announce nothing
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
