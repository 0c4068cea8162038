//! `cheque market watch`.

use clap::Args;
use eyre::{Result, bail};
use serde_json::{Value, json};

use super::operator::OperatorOpts;
use crate::output::Output;

/// Print events of clients and of the total capacity
///
/// Runs until Ctrl-C. Events of clients are connect, disconnect, updateCapacity and priceUpdate; the last is a change
/// of balance or prices by you, or a notice of `cheque market notify`. A reduction of the total capacity is announced a
/// second before clients are displaced.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market watch
  cheque market watch --tag vip --only-shortage --json     one JSON object in each line")]
pub(super) struct WatchArgs {
    /// Print only clients with TAG; repeat to require several [default: all]
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// Print capacity changes only if the total falls below the use
    #[arg(long)]
    only_shortage: bool,

    #[command(flatten)]
    operator: OperatorOpts,
}

impl WatchArgs {
    pub(super) async fn run(mut self, out: &Output) -> Result<()> {
        if self.tags.is_empty() {
            self.tags.push("$all".to_owned());
        }
        let operator = self.operator.connect().await?;
        let arguments = [json!(self.tags), json!(self.only_shortage)];
        let mut events = operator.subscribe(&arguments).await?;
        while let Some(event) = events.next().await {
            let event = event?;
            out.event(&event, || line(&event))?;
        }
        bail!("the subscription was ended by the market; run the command again")
    }
}

fn line(event: &Value) -> String {
    let totals = format!(
        "{} of {} in use, {} with tokens",
        event["totalConnectedCapacity"], event["totalCapacity"], event["priorityConnectedCapacity"]
    );
    match (event["clientEvent"].as_str(), event["clientId"].as_str()) {
        (Some(kind), Some(id)) => {
            let charged = &event["clientInfo"]["pricing/totalAmount"];
            format!("{id}  {kind}  charged {charged}  ({totals})")
        }
        _ => format!("total capacity  ({totals})"),
    }
}
