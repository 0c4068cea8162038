//! `cheque deposit list`.

use cheque::{Amount, DepositId, payer::DepositRecord};
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use super::state::{add_state, state_cell, tokens_of, update_states};
use crate::{
    amount::Token,
    format,
    opts::{beacon::BeaconOpts, chain::ChainOpts, store::StoreOpts, time::show_time},
    output::{Output, table},
};

/// List the deposits of the store and their states
///
/// The table has the first digits of each id, which every command takes for the id, and amounts rounded down; --json has all
/// digits.
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

const HEAD: [&str; 7] = [
    "deposit",
    "amount",
    "unit",
    "lane",
    "draw",
    "pays until",
    "state",
];

/// A deposit's line of the table, with all amounts in one unit.
fn row(id: DepositId, record: &DepositRecord, expiry: Option<u64>, token: &Token) -> Vec<String> {
    let terms = &record.deposit;
    let amount = Amount::new(terms.amount).to_u256();
    let (decimals, unit) = token.unit_for(amount);
    vec![
        format::short_id(id),
        format::rounded(amount, decimals),
        format::short_unit(unit),
        terms.lane.to_string(),
        show_time(terms.drawTime),
        expiry.map_or_else(|| "-".to_owned(), show_time),
        state_cell(&record.state, decimals),
    ]
}

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
        let tokens = tokens_of(&payer, &deposits).await?;
        out.result(&Value::Array(json), || {
            let lines = deposits.iter().zip(&expiries);
            let rows: Vec<_> = lines
                .map(|((id, record), expiry)| {
                    row(*id, record, *expiry, &tokens.get(record.deposit.token))
                })
                .collect();
            table(&HEAD, &rows)
        })
    }
}
