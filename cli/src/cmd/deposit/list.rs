//! `cheque deposit list`.

use cheque::{Amount, payer::DepositState};
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};

use crate::{
    opts::{ChainOpts, StoreOpts},
    output::{Output, table},
    payer::look,
    show,
};

/// List the deposits of this store and where they stand
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit list
  cheque deposit list --state active --json")]
pub(super) struct ListArgs {
    /// Only those in this state: pending, active, expired, drawn, redeemed, reclaimable, reclaimed, lost
    #[arg(long, value_name = "STATE", value_parser = STATES)]
    state: Option<String>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,
}

/// The names of all states, as [`DepositState::name`] gives them.
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
        look(&payer, out).await?;
        let mut deposits = payer.deposits().await?;
        deposits.retain(|(_, record)| {
            let state = self.state.as_deref();
            state.is_none_or(|state| state == record.state.name())
        });
        deposits.sort_by_key(|(id, record)| (record.deposit.drawBlock, *id));
        let json: Vec<_> = deposits
            .iter()
            .map(|(id, record)| {
                let mut json = show::terms(&record.deposit);
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
                        show::units(Amount::new(terms.amount), terms.token),
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

/// Adds the state and what belongs to it.
pub(crate) fn add_state(json: &mut Value, state: &DepositState) {
    json["state"] = json!(state.name());
    match state {
        DepositState::Drawn { winner } => json["winner"] = json!(winner),
        DepositState::Redeemed { payee, payout } => {
            json["winner"] = json!(payee);
            json["payout"] = json!(payout);
        }
        _ => {}
    }
}

/// The state in a few words.
pub(super) fn state_text(state: &DepositState) -> String {
    match state {
        DepositState::Drawn { winner: None } => "drawn, nobody wins".to_owned(),
        DepositState::Drawn {
            winner: Some(winner),
        } => format!("drawn, {winner} wins"),
        DepositState::Redeemed { payee, payout } => format!("redeemed, {payee} got {payout} units"),
        state => state.name().to_owned(),
    }
}
