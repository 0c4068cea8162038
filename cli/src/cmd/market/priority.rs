//! `cheque market priority`.

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::{operator::OperatorOpts, show};
use crate::output::Output;

/// List clients that have tokens, connected or not, in order of their ids
///
/// If there are more than --max, the next one is named without anything else: go on from there.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market priority 0x0000...                       with as many digits as ids have
  cheque market priority 0x5f3c... 0x8000... --max 20    from one id to below another")]
pub(super) struct PriorityArgs {
    /// The first id
    #[arg(value_name = "START")]
    start: String,

    /// The id to stop at [default: none, which is written as zeros]
    #[arg(value_name = "STOP")]
    stop: Option<String>,

    /// How many at most
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
        out.result(&found, || show::clients(&found))
    }
}
