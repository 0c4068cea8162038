//! `cheque market clients`.

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::{operator::OperatorOpts, show};
use crate::output::Output;

/// Show clients: those named and those that have all of the tags [default: all that are connected]
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market clients
  cheque market clients --tag '$priority' --tag vip     those that have both
  cheque market clients 0x5f3c... --json                with connection time and prices")]
pub(super) struct ClientsArgs {
    /// Ids of clients, connected or not
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// A tag; automatic are $all, $connected, $disconnected, $priority and $free
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    #[command(flatten)]
    operator: OperatorOpts,
}

impl ClientsArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let operator = self.operator.connect().await?;
        let arguments = [json!(self.ids), json!(self.tags)];
        let found = operator.call("les_clientInfo", &arguments).await?;
        out.result(&found, || show::clients(&found))
    }
}
