//! An application with customer balances in its own SQL database, and the payee's positions beside them.
//!
//! `receive_payment` is a pure function: from the old position and a proof of payment it computes the new position and
//! the value to credit. The application writes both in a single transaction, so no crash can separate a stored payment
//! from its credit.

use alloy_primitives::{Address, B256};
use cheque::{
    Amount, Policy, Position, PositionError, PositionKey, Proof, Rejection, View, receive_payment,
};
use tokio_postgres::{Client, Transaction};

/// The tables. `units` has room for any amount. The columns after `position` serve sums only; payments are judged by the
/// position alone. The application deletes a position once its deposit is redeemed or known to be lost.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS customer (
        account bytea PRIMARY KEY,
        units numeric(39) NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS payment_position (
        bank bytea, deposit bytea, payee bytea,
        position bytea NOT NULL,
        signer bytea NOT NULL, token bytea NOT NULL, total numeric(39) NOT NULL, settled boolean NOT NULL,
        PRIMARY KEY (bank, deposit, payee)
    );
    CREATE INDEX IF NOT EXISTS payment_position_by_signer ON payment_position (signer, token);";

/// A payment not credited. The database is unchanged, unless the connection broke during the commit. After
/// [`CreditError::Database`], read the balance before a retry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreditError {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error("the database failed: {0}")]
    Database(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Position(#[from] PositionError),
    #[error("sum {0:?} in the database is not an amount; restore the database")]
    Sum(String),
    #[error(
        "the stored position changed during the transaction; lock the customer in every writer"
    )]
    Changed,
}

/// Judges a payment, stores its position and credits its value in a single transaction. Returns the value.
///
/// `view` is the view of clocks and chain, with any sums of other deposits; this function computes the sums.
///
/// # Errors
///
/// Returns [`CreditError`] if the payment is rejected or the database fails.
pub(crate) async fn credit(
    client: &mut Client,
    proof: &Proof,
    view: &View,
    policy: &Policy,
) -> Result<Amount, CreditError> {
    let transaction = client.transaction().await?;
    let (signer, token) = match proof {
        Proof::Opening(opening) => (opening.deposit.signer, opening.deposit.token),
        other => parties_of(&transaction, other, policy).await?,
    };
    // The lock serializes the payments of a signer across all workers, because their deposits share the exposure limit.
    let lock = "INSERT INTO customer (account) VALUES ($1) ON CONFLICT (account) DO UPDATE SET account = $1";
    transaction.execute(lock, &[&signer.as_slice()]).await?;

    let old = stored(&transaction, proof.deposit_id().0, policy).await?;
    let mut view = view.clone();
    let others = "SELECT coalesce(sum(total), 0)::text, coalesce(sum(total) FILTER (WHERE NOT settled), 0)::text
        FROM payment_position WHERE signer = $1 AND token = $2 AND deposit <> $3";
    let id = proof.deposit_id().0;
    let of = (signer.as_slice(), token.as_slice(), id.as_slice());
    let sums = transaction
        .query_one(others, &[&of.0, &of.1, &of.2])
        .await?;
    view.exposure = amount(sums.try_get(0)?)?;
    view.unsettled = amount(sums.try_get(1)?)?;
    let old_position = old.as_deref().map(Position::from_bytes).transpose()?;
    let received = receive_payment(None, proof, old_position.as_ref(), &view, policy)?;

    store(
        &transaction,
        received.key(),
        old.as_deref(),
        received.position(),
        view.settled,
    )
    .await?;
    let credit = "UPDATE customer SET units = units + $2::text::numeric WHERE account = $1";
    let (account, value) = (received.credit_to(), received.value());
    transaction
        .execute(credit, &[&account.as_slice(), &value.get().to_string()])
        .await?;
    transaction.commit().await?;
    Ok(value)
}

/// Returns a customer's balance in token units.
pub(crate) async fn balance(client: &Client, account: Address) -> Result<Amount, CreditError> {
    let query = "SELECT units::text FROM customer WHERE account = $1";
    match client.query_opt(query, &[&account.as_slice()]).await? {
        Some(row) => amount(row.try_get(0)?),
        None => Ok(Amount::ZERO),
    }
}

/// Returns signer and token of a known deposit.
async fn parties_of(
    transaction: &Transaction<'_>,
    proof: &Proof,
    policy: &Policy,
) -> Result<(Address, Address), CreditError> {
    let id = proof.deposit_id();
    let stored = stored(transaction, id.0, policy).await?;
    let stored = stored.ok_or(Rejection::UnknownDeposit(id))?;
    let position = Position::from_bytes(&stored)?;
    Ok((position.deposit().signer, position.deposit().token))
}

async fn stored(
    transaction: &Transaction<'_>,
    deposit: B256,
    policy: &Policy,
) -> Result<Option<Vec<u8>>, CreditError> {
    let query = "SELECT position FROM payment_position WHERE deposit = $1 AND payee = $2";
    let row = transaction
        .query_opt(query, &[&deposit.as_slice(), &policy.payee.as_slice()])
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Replaces the old position by the new position. A conflict is impossible if every writer takes the customer's lock.
async fn store(
    transaction: &Transaction<'_>,
    key: PositionKey,
    old: Option<&[u8]>,
    position: &Position,
    settled: bool,
) -> Result<(), CreditError> {
    let (bank, deposit, payee) = (key.bank, key.deposit.0, key.payee);
    let (new, total) = (position.to_bytes(), position.total().to_string());
    let changed = match old {
        Some(old) => {
            let update =
                "UPDATE payment_position SET position = $5, total = $6::text::numeric, settled = $7
                WHERE bank = $1 AND deposit = $2 AND payee = $3 AND position = $4";
            let key = (bank.as_slice(), deposit.as_slice(), payee.as_slice());
            transaction
                .execute(
                    update,
                    &[&key.0, &key.1, &key.2, &old, &new, &total, &settled],
                )
                .await?
        }
        None => {
            let insert = "INSERT INTO payment_position VALUES
                ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8) ON CONFLICT DO NOTHING";
            let terms = position.deposit();
            let (signer, token) = (terms.signer, terms.token);
            let key = (bank.as_slice(), deposit.as_slice(), payee.as_slice());
            let parties = (signer.as_slice(), token.as_slice());
            transaction
                .execute(
                    insert,
                    &[
                        &key.0, &key.1, &key.2, &new, &parties.0, &parties.1, &total, &settled,
                    ],
                )
                .await?
        }
    };
    match changed {
        1 => Ok(()),
        _ => Err(CreditError::Changed),
    }
}

fn amount(text: String) -> Result<Amount, CreditError> {
    let units = text.parse().map_err(|_| CreditError::Sum(text))?;
    Ok(Amount::new(units))
}
