//! `cheque deposit list`.

use cheque::Amount;
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use super::state::{add_state, state_text, update_states};
use crate::{
    format,
    opts::{beacon::BeaconOpts, chain::ChainOpts, store::StoreOpts, time::show_time},
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

    #[command(flatten)]
    relays: BeaconOpts,
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
        let payer = self
            .store
            .payer(self.chain.reader().await?, &self.relays)
            .await?;
        update_states(&payer, out).await?;
        let mut deposits = payer.deposits().await?;
        deposits.retain(|(_, record)| {
            let state = self.state.as_deref();
            state.is_none_or(|state| state == record.state.name())
        });
        deposits.sort_by_key(|(id, record)| (record.deposit.drawTime, *id));
        let mut json = Vec::with_capacity(deposits.len());
        let mut expiries = Vec::with_capacity(deposits.len());
        for (id, record) in &deposits {
            let expiry = payer.estimated_expiry(*id).await?;
            let mut terms = format::terms(&record.deposit);
            terms["id"] = json!(id);
            terms["estimated_expiry"] = json!(expiry);
            add_state(&mut terms, &record.state);
            json.push(terms);
            expiries.push(expiry);
        }
        out.result(&Value::Array(json), || {
            let rows: Vec<_> = deposits
                .iter()
                .zip(&expiries)
                .map(|((id, record), expiry)| {
                    let terms = &record.deposit;
                    vec![
                        id.to_string(),
                        format::units(Amount::new(terms.amount), terms.token),
                        terms.lane.to_string(),
                        show_time(terms.drawTime),
                        expiry.map_or_else(|| "-".to_owned(), show_time),
                        state_text(&record.state),
                    ]
                })
                .collect();
            table(
                &["deposit", "amount", "lane", "draw", "pays until", "state"],
                &rows,
            )
        })
    }
}
