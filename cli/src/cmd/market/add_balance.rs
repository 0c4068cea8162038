//! `cheque market add-balance`.

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::operator::OperatorOpts;
use crate::output::{Output, fields};

/// Add tokens to a client's balance, or take tokens away
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market add-balance 0x5f3c... 5000000
  cheque market add-balance 0x5f3c... -2000000")]
pub(super) struct AddBalanceArgs {
    /// Client's id
    #[arg(value_name = "ID")]
    id: String,

    /// Tokens to add; a negative number takes tokens away, down to zero
    #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
    tokens: i64,

    #[command(flatten)]
    operator: OperatorOpts,
}

impl AddBalanceArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let operator = self.operator.connect().await?;
        let arguments = [json!(self.id), json!(self.tokens)];
        let added = operator.call("les_addBalance", &arguments).await?;
        let (before, after) = (&added[0], &added[1]);
        out.result(&json!({ "before": before, "after": after }), || {
            fields(&[("before", before.to_string()), ("after", after.to_string())])
        })
    }
}
