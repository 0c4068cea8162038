//! The printed result of a verb's transaction.

use cheque::tx::{Estimate, MinedTx};
use serde_json::{Value, json};

use crate::amount::Token;

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum TxReport {
    /// Mined, and succeeded.
    Mined(Box<MinedTx>),
    /// Not sent because of `--dry-run`; would succeed now at this cost.
    DryRun(Estimate),
    /// None was needed.
    NotNeeded,
}

impl TxReport {
    /// As JSON.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Mined(mined) => json!({
                "sent": true,
                "hash": mined.hash,
                "block": mined.block,
                "gas": mined.gas_used,
                "fee": mined.fee.to_string(),
            }),
            Self::DryRun(estimate) => json!({
                "sent": false,
                "gas": estimate.gas,
                "max_cost": estimate.max_cost.to_string(),
            }),
            Self::NotNeeded => json!({ "sent": false }),
        }
    }

    /// As lines of a list of fields.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let coin = Token::coin();
        match self {
            Self::Mined(mined) => vec![
                ("transaction", mined.hash.to_string()),
                ("block", mined.block.to_string()),
                (
                    "gas",
                    format!("{}, {}", mined.gas_used, coin.show(mined.fee)),
                ),
            ],
            Self::DryRun(estimate) => vec![
                (
                    "transaction",
                    "not sent (--dry-run); it would succeed now".to_owned(),
                ),
                (
                    "gas",
                    format!(
                        "at most {}, with the value at most {}",
                        estimate.gas,
                        coin.show(estimate.max_cost)
                    ),
                ),
            ],
            Self::NotNeeded => Vec::new(),
        }
    }
}
