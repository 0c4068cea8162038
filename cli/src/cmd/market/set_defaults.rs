//! `cheque market set-defaults`.

use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use super::{
    operator::OperatorOpts,
    show::{object, parse_param},
};
use crate::output::Output;

/// Set the prices of clients that connect from now on: all that are named, or nothing
///
/// They are stored, and those that are not named stay as they are. Connected clients keep theirs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market set-defaults pricing/timeFactor=5 pricing/negative/timeFactor=9

Parameters are the prices of `cheque market set-params`.")]
pub(super) struct SetDefaultsArgs {
    /// What to set
    #[arg(value_name = "NAME=VALUE", required = true, value_parser = parse_param)]
    params: Vec<(String, Value)>,

    #[command(flatten)]
    operator: OperatorOpts,
}

impl SetDefaultsArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let operator = self.operator.connect().await?;
        let params = object(self.params);
        let set = operator.call("les_setDefaultParams", std::slice::from_ref(&params));
        set.await?;
        out.result(&json!({ "set": params }), || "set".to_owned())
    }
}
