//! The states of deposits, as several verbs read and print them.

use cheque::{
    DepositId,
    payer::{DepositRecord, DepositState, Payer},
};
use eyre::Result;
use serde_json::{Value, json};

use crate::{amount::Token, format, output::Output, token::Tokens};

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

/// Describes the state in a few words, of a deposit of this token.
pub(super) fn state_text(state: &DepositState, token: &Token) -> String {
    match state {
        DepositState::Drawn { winner: None } => "drawn, no winner".to_owned(),
        DepositState::Drawn {
            winner: Some(winner),
        } => format!("drawn, winner {winner}"),
        DepositState::Redeemed { payee, payout } => {
            format!("redeemed, {} to {payee}", token.show_amount(*payout))
        }
        state => state.name().to_owned(),
    }
}

/// Describes the state for a table, with the payout in the unit of the row. `deposit show` tells who won.
pub(super) fn state_cell(state: &DepositState, decimals: u8) -> String {
    match state {
        DepositState::Drawn { winner: None } => "drawn, no winner".to_owned(),
        DepositState::Drawn { winner: Some(_) } => "drawn, won".to_owned(),
        DepositState::Redeemed { payout, .. } => {
            format!("redeemed, {}", format::rounded(payout.to_u256(), decimals))
        }
        state => state.name().to_owned(),
    }
}

/// Reads the tokens of deposits.
pub(super) async fn tokens_of(
    payer: &Payer,
    records: &[(DepositId, DepositRecord)],
) -> Result<Tokens> {
    let tokens = records.iter().map(|(_, record)| record.deposit.token);
    Tokens::read(payer.reader(), tokens).await
}
