//! `cheque market set-defaults`.

use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use super::{
    operator::OperatorOpts,
    params::{params_object, parse_param},
};
use crate::output::Output;

/// Set the prices of future connections
///
/// All named prices are set, or none; other prices stay. The market stores them. Connected clients keep their prices.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market set-defaults pricing/timeFactor=5 pricing/negative/timeFactor=9

For the names of prices see `cheque market set-params --help`.")]
pub(super) struct SetDefaultsArgs {
    /// Price to set
    #[arg(value_name = "NAME=VALUE", required = true, value_parser = parse_param)]
    params: Vec<(String, Value)>,

    #[command(flatten)]
    operator: OperatorOpts,
}

impl SetDefaultsArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let operator = self.operator.connect().await?;
        let params = params_object(self.params);
        let set = operator.call("les_setDefaultParams", std::slice::from_ref(&params));
        set.await?;
        out.result(&json!({ "set": params }), || "set".to_owned())
    }
}
