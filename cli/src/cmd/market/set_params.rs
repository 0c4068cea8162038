//! `cheque market set-params`.

use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use super::{
    operator::OperatorOpts,
    show::{object, parse_param},
};
use crate::output::Output;

/// Set capacity, prices and tags of clients: of those named and of those that have all of the tags
///
/// Capacity and prices need a connection and end with it; tags stay.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market set-params --id 0x5f3c... capacity=2000000 userTags=vip,eu
  cheque market set-params --tag '$connected' pricing/timeFactor=5 pricing/negative/timeFactor=9

Parameters:    capacity, userTags, pricing/timeFactor, pricing/capacityFactor,
               pricing/requestCostFactor, and these three as pricing/negative/...
Prices are tokens per second, per second and 10^6 of capacity, and per second of service.")]
pub(super) struct SetParamsArgs {
    /// What to set
    #[arg(value_name = "NAME=VALUE", required = true, value_parser = parse_param)]
    params: Vec<(String, Value)>,

    /// A client's id; repeat for more
    #[arg(long = "id", value_name = "ID", required_unless_present = "tags")]
    ids: Vec<String>,

    /// A tag; repeat to name clients that have all
    #[arg(long = "tag", id = "tags", value_name = "TAG")]
    tags: Vec<String>,

    #[command(flatten)]
    operator: OperatorOpts,
}

impl SetParamsArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let operator = self.operator.connect().await?;
        let arguments = [json!(self.ids), json!(self.tags), object(self.params)];
        operator.call("les_setClientParams", &arguments).await?;
        out.result(&json!({ "set": arguments[2] }), || "set".to_owned())
    }
}
