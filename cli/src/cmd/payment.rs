//! Payments from a deposit, as several verbs make, print and explain them.

use alloy::primitives::Address;
use cheque::{
    Amount, DepositId,
    payer::{DepositState, Payer, PayerError, Payment},
};
use eyre::{Report, Result, eyre};
use serde_json::json;

use crate::{
    amount::{AmountText, Token},
    output::Output,
    token::token_at,
};

/// Finds the token of a deposit. Queries its decimals only if an amount needs them.
pub(crate) async fn token_of(
    payer: &Payer,
    id: DepositId,
    amounts: &[&AmountText],
) -> Result<Token> {
    let address = payer.deposit(id).await?.deposit.token;
    if address.is_zero() || amounts.iter().any(|amount| amount.needs_decimals()) {
        return token_at(address, payer.reader()).await;
    }
    Ok(Token {
        address,
        decimals: 0,
        symbol: "units".to_owned(),
    })
}

/// Explains why nothing was paid, with the next step.
pub(crate) async fn unpaid(payer: &Payer, error: PayerError, id: DepositId) -> Report {
    match error {
        PayerError::NotActive(id) => match inactive(payer, id).await {
            Ok(reason) | Err(reason) => reason,
        },
        PayerError::NotCoveredByDeposit { left, needed, .. } => {
            let shown = shown_in_token(payer, id, [left, needed]).await;
            let [left, needed] =
                shown.unwrap_or_else(|_| [left, needed].map(|units| format!("{units} units")));
            eyre!("nothing was paid: {left} is left of the payee's allowance, less than {needed}")
        }
        error => error.into(),
    }
}

/// Formats amounts of a deposit, by the decimals of its token.
async fn shown_in_token<const N: usize>(
    payer: &Payer,
    id: DepositId,
    amounts: [Amount; N],
) -> Result<[String; N]> {
    let address = payer.deposit(id).await?.deposit.token;
    let token = token_at(address, payer.reader()).await?;
    Ok(amounts.map(|amount| token.show_amount(amount)))
}

/// The reason why a deposit cannot be paid from, by its state on the chain.
async fn inactive(payer: &Payer, id: DepositId) -> Result<Report> {
    let polled = payer.poll().await?;
    if let Some((_, error)) = polled.errors.into_iter().find(|(of, _)| *of == id) {
        return Ok(eyre!(
            "nothing was paid: deposit {id} cannot be read from the chain: {error}"
        ));
    }
    Ok(match payer.deposit(id).await?.state {
        DepositState::Active => {
            eyre!("nothing was paid: deposit {id} is active only now; repeat the command")
        }
        DepositState::Pending => eyre!(
            "nothing was paid: deposit {id} is not confirmed yet; run `cheque deposit wait {id}` first"
        ),
        state => eyre!(
            "nothing was paid: deposit {id} is {}; open another with `cheque deposit create` or `reopen`",
            state.name()
        ),
    })
}

/// Prints a proof alone; with `--json` also its totals.
pub(crate) fn print(payment: &Payment, payee: Address, out: &Output) -> Result<()> {
    let proof = payment.proof.to_string();
    let json = json!({
        "deposit": payment.deposit,
        "payee": payee,
        "spent": payment.spent,
        "left": payment.left,
        "proof": proof,
    });
    out.result(&json, || proof.clone())
}
