//! `cheque market info`.

use clap::Args;
use eyre::Result;

use super::operator::OperatorOpts;
use crate::output::{Output, fields};

/// Show the total capacity and its use
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque market info
  cheque market info --url wss://provider.example --api-token-file token")]
pub(super) struct InfoArgs {
    #[command(flatten)]
    operator: OperatorOpts,
}

impl InfoArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let operator = self.operator.connect().await?;
        let info = operator.call("les_serverInfo", &[]).await?;
        out.result(&info, || {
            let lines = info.as_object().into_iter().flatten();
            let lines: Vec<_> = lines
                .map(|(name, value)| (name.as_str(), value.to_string()))
                .collect();
            fields(&lines)
        })
    }
}
