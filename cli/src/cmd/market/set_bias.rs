//! `cheque market set-bias`.

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::operator::OperatorOpts;
use crate::output::Output;

/// The longest time in the market's nanoseconds.
const MAX_SECONDS: i64 = i64::MAX / NS_PER_SECOND;
const NS_PER_SECOND: i64 = 1_000_000_000;

/// Set the time for which a challenger must stay ahead
///
/// A client that wants more capacity must stay ahead of the clients it would displace for this time. With a longer
/// time, capacity changes hands less often. The market stores the setting.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market set-bias 180")]
pub(super) struct SetBiasArgs {
    /// Time in whole seconds
    #[arg(value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=MAX_SECONDS))]
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
