//! `cheque market set-params`.

use clap::Args;
use eyre::Result;
use serde_json::Value;

use super::{
    operator::OperatorOpts,
    params::{params_object, parse_param},
    selection::Selection,
};
use crate::output::Output;

/// Set capacity, prices, tags and notices of clients
///
/// All named parameters of all selected clients are set, or none. Capacity and prices last as long as the connection.
/// Tags and notices are stored; `cheque market set-tags` and `cheque market notify` set them, too.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market set-params --id 0x5f3c... capacity=2000000 userTags=vip,eu
  cheque market set-params --tag '$connected' pricing/timeFactor=5 pricing/negative/timeFactor=9
  cheque market set-params --tag vip pricing/periodicUpdate=1000000

Parameters:    capacity, userTags, pricing/timeFactor, pricing/capacityFactor,
               pricing/requestCostFactor, and these three as pricing/negative/...;
               pricing/alert or pricing/periodicUpdate, 0 for neither
Prices are tokens per second, per second and 10^6 of capacity, and per second of service.")]
pub(super) struct SetParamsArgs {
    /// Parameter to set
    #[arg(value_name = "NAME=VALUE", required = true, value_parser = parse_param)]
    params: Vec<(String, Value)>,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    operator: OperatorOpts,
}

impl SetParamsArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let operator = self.operator.connect().await?;
        operator
            .set(&self.selection, params_object(self.params), out)
            .await
    }
}
