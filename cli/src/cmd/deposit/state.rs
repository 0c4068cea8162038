//! The states of deposits, as several verbs read and print them.

use cheque::payer::{DepositState, Payer};
use eyre::Result;
use serde_json::{Value, json};

use crate::output::Output;

/// Updates the states of all deposits from the chain, and warns of unreadable deposits.
pub(super) async fn update_states(payer: &Payer, out: &Output) -> Result<()> {
    for (id, error) in payer.poll().await?.errors {
        out.warn(format!(
            "deposit {id} cannot be read from the chain: {error}"
        ));
    }
    Ok(())
}

/// Adds the state and its details to a deposit's JSON.
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

/// Describes the state in a few words.
pub(super) fn state_text(state: &DepositState) -> String {
    match state {
        DepositState::Drawn { winner: None } => "drawn, no winner".to_owned(),
        DepositState::Drawn {
            winner: Some(winner),
        } => format!("drawn, winner {winner}"),
        DepositState::Redeemed { payee, payout } => {
            format!("redeemed, {payout} units to {payee}")
        }
        state => state.name().to_owned(),
    }
}
