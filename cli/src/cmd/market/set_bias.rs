//! `cheque market set-bias`.

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::operator::OperatorOpts;
use crate::output::Output;

/// The longest that fits into the market's nanoseconds.
const MOST_SECONDS: i64 = i64::MAX / NS_PER_SECOND;
const NS_PER_SECOND: i64 = 1_000_000_000;

/// Set for how long a client that wants more capacity must stay ahead of those who would have to give way
///
/// With a longer time, capacity changes hands less often. It is stored.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market set-bias 180")]
pub(super) struct SetBiasArgs {
    /// Whole seconds
    #[arg(value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=MOST_SECONDS))]
    seconds: i64,

    #[command(flatten)]
    operator: OperatorOpts,
}

impl SetBiasArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let operator = self.operator.connect().await?;
        let bias_ns = json!(self.seconds * NS_PER_SECOND);
        operator.call("les_setConnectedBias", &[bias_ns]).await?;
        out.result(&json!({ "set": self.seconds }), || "set".to_owned())
    }
}
