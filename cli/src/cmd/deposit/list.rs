//! `cheque deposit list`.

use cheque::Amount;
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use super::state::{add_state, state_text, update_states};
use crate::{
    format,
    opts::{chain::ChainOpts, store::StoreOpts},
    output::{Output, table},
};

/// List the deposits of the store and their states
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit list
  cheque deposit list --state active --json")]
pub(super) struct ListArgs {
    /// List only deposits in this state
    #[arg(long, value_name = "STATE", value_parser = STATES)]
    state: Option<String>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,
}

/// All names of [`cheque::payer::DepositState::name`].
const STATES: [&str; 8] = [
    "pending",
    "active",
    "past_cutoff",
    "drawn",
    "redeemed",
    "reclaimable",
    "reclaimed",
    "never_opened",
];

impl ListArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let payer = self.store.payer(self.chain.reader().await?).await?;
        update_states(&payer, out).await?;
        let mut deposits = payer.deposits().await?;
        deposits.retain(|(_, record)| {
            let state = self.state.as_deref();
            state.is_none_or(|state| state == record.state.name())
        });
        deposits.sort_by_key(|(id, record)| (record.deposit.drawBlock, *id));
        let json: Vec<_> = deposits
            .iter()
            .map(|(id, record)| {
                let mut json = format::terms(&record.deposit);
                json["id"] = json!(id);
                add_state(&mut json, &record.state);
                json
            })
            .collect();
        out.result(&Value::Array(json), || {
            let rows: Vec<_> = deposits
                .iter()
                .map(|(id, record)| {
                    let terms = &record.deposit;
                    vec![
                        id.to_string(),
                        format::units(Amount::new(terms.amount), terms.token),
                        terms.lane.to_string(),
                        terms.drawBlock.to_string(),
                        state_text(&record.state),
                    ]
                })
                .collect();
            table(&["deposit", "amount", "lane", "draw", "state"], &rows)
        })
    }
}
