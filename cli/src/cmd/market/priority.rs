//! `cheque market priority`.

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::{client_table::client_table, operator::OperatorOpts};
use crate::output::Output;

/// List clients with tokens, connected or not, in order of ids
///
/// If there are more than --max, the last line has only an id, to continue from.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market priority 0x0000...                       from the first id, with all its digits
  cheque market priority 0x5f3c... 0x8000... --max 20    from one id up to another, exclusive")]
pub(super) struct PriorityArgs {
    /// First id
    #[arg(value_name = "START")]
    start: String,

    /// Id to stop before; zeros for none [default: none]
    #[arg(value_name = "STOP")]
    stop: Option<String>,

    /// List at most this many clients
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    max: u64,

    #[command(flatten)]
    operator: OperatorOpts,
}

impl PriorityArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let stop = self.stop.unwrap_or_else(|| {
            let digits = self.start.chars().count().saturating_sub(2);
            format!("0x{}", "0".repeat(digits))
        });
        let operator = self.operator.connect().await?;
        let arguments = [json!(self.start), json!(stop), json!(self.max)];
        let found = operator.call("les_priorityClientInfo", &arguments).await?;
        out.result(&found, || client_table(&found))
    }
}
