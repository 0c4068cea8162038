//! `cheque market clients`.

use clap::Args;
use eyre::Result;
use serde_json::json;

use super::{client_table::client_table, operator::OperatorOpts};
use crate::output::Output;

/// List clients by id or tag [default: all connected clients]
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market clients
  cheque market clients --tag '$priority' --tag vip     with both tags
  cheque market clients 0x5f3c... --json                with connection time and prices")]
pub(super) struct ClientsArgs {
    /// Clients' ids, connected or not
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// List clients with TAG; repeat to require several
    ///
    /// Automatic tags are $all, $connected, $disconnected, $priority and $free.
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
        out.result(&found, || client_table(&found))
    }
}
