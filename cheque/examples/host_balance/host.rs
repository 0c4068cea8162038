//! A host that keeps what it owes its customers in its own SQL database, and the payee's metas beside it.
//!
//! `receive_payment` is a function: it takes the old meta and returns the new one with the value to credit. The host puts
//! both into one transaction of its own, so no crash can leave a payment that is kept but not credited, or the other way
//! round.

use alloy_primitives::{Address, B256};
use cheque::{
    Amount, Policy, Position, PositionError, PositionKey, Proof, Rejection, View, receive_payment,
};
use tokio_postgres::{Client, Transaction};

/// `units` has room for any amount. The columns behind the meta are for sums only: the meta decides.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS customer (
        account bytea PRIMARY KEY,
        units numeric(39) NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS payment_meta (
        bank bytea, deposit bytea, payee bytea,
        position bytea NOT NULL,
        signer bytea NOT NULL, token bytea NOT NULL, draw_block numeric(20) NOT NULL, amount numeric(39) NOT NULL,
        PRIMARY KEY (bank, deposit, payee)
    );
    CREATE INDEX IF NOT EXISTS payment_meta_by_signer ON payment_meta (signer, token, draw_block);";

/// Why a payment was not credited. Nothing has changed, unless the connection broke at the very end: then ask for the
/// balance before trying again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreditError {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error("the database failed: {0}")]
    Database(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Position(#[from] PositionError),
    #[error("the database holds a sum that is no amount: {0}")]
    Sum(String),
    #[error("the meta was changed by somebody who does not lock the customer")]
    Changed,
}

/// Judges a payment, keeps its meta and credits its value, all in one transaction. Returns the value.
///
/// `view` is what the host's node says of the deposit's purse; its exposure is filled in here.
pub(crate) async fn credit(
    client: &mut Client,
    proof: &Proof,
    view: &View,
    policy: &Policy,
) -> Result<Amount, CreditError> {
    let transaction = client.transaction().await?;
    let signer = match proof {
        Proof::Opening(opening) => opening.deposit.signer,
        other => signer_of(&transaction, other, policy).await?,
    };
    // Payments of one signer are judged one after the other, by however many workers: their sums count, too.
    let lock = "INSERT INTO customer (account) VALUES ($1) ON CONFLICT (account) DO UPDATE SET account = $1";
    transaction.execute(lock, &[&signer.as_slice()]).await?;

    let old = stored(&transaction, proof.deposit_id().0, policy).await?;
    let mut view = view.clone();
    if let Proof::Opening(opening) = proof {
        let terms = &opening.deposit;
        let others = "SELECT coalesce(sum(amount), 0)::text FROM payment_meta
            WHERE signer = $1 AND token = $2 AND draw_block = $3::text::numeric AND deposit <> $4";
        let (token, block) = (terms.token, terms.drawBlock.to_string());
        let id = proof.deposit_id().0;
        let row = transaction
            .query_one(
                others,
                &[
                    &signer.as_slice(),
                    &token.as_slice(),
                    &block,
                    &id.as_slice(),
                ],
            )
            .await?;
        view.exposure = amount(row.try_get(0)?)?;
    }
    let old_meta = old.as_deref().map(Position::from_bytes).transpose()?;
    let received = receive_payment(None, proof, old_meta.as_ref(), &view, policy)?;

    keep(
        &transaction,
        received.key(),
        old.as_deref(),
        received.position(),
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

/// What a customer has, in token units.
pub(crate) async fn balance(client: &Client, account: Address) -> Result<Amount, CreditError> {
    let query = "SELECT units::text FROM customer WHERE account = $1";
    match client.query_opt(query, &[&account.as_slice()]).await? {
        Some(row) => amount(row.try_get(0)?),
        None => Ok(Amount::ZERO),
    }
}

/// Whose deposit a later cheque is from.
async fn signer_of(
    transaction: &Transaction<'_>,
    proof: &Proof,
    policy: &Policy,
) -> Result<Address, CreditError> {
    let id = proof.deposit_id();
    let stored = stored(transaction, id.0, policy).await?;
    let stored = stored.ok_or(Rejection::UnknownDeposit(id))?;
    Ok(Position::from_bytes(&stored)?.deposit().signer)
}

async fn stored(
    transaction: &Transaction<'_>,
    deposit: B256,
    policy: &Policy,
) -> Result<Option<Vec<u8>>, CreditError> {
    let query = "SELECT meta FROM payment_meta WHERE deposit = $1 AND payee = $2";
    let row = transaction
        .query_opt(query, &[&deposit.as_slice(), &policy.payee.as_slice()])
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Compare-and-set of the new meta on the old one. The lock makes a conflict impossible as long as everybody takes it.
async fn keep(
    transaction: &Transaction<'_>,
    key: PositionKey,
    old: Option<&[u8]>,
    position: &Position,
) -> Result<(), CreditError> {
    let (bank, deposit, payee) = (key.bank, key.deposit.0, key.payee);
    let new = position.to_bytes();
    let changed = match old {
        Some(old) => {
            let update = "UPDATE payment_meta SET position = $5
                WHERE bank = $1 AND deposit = $2 AND payee = $3 AND position = $4";
            let key = (bank.as_slice(), deposit.as_slice(), payee.as_slice());
            transaction
                .execute(update, &[&key.0, &key.1, &key.2, &old, &new])
                .await?
        }
        None => {
            let insert = "INSERT INTO payment_meta VALUES
                ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8::text::numeric) ON CONFLICT DO NOTHING";
            let terms = position.deposit();
            let (signer, token) = (terms.signer, terms.token);
            let (block, amount) = (terms.drawBlock.to_string(), terms.amount.to_string());
            let key = (bank.as_slice(), deposit.as_slice(), payee.as_slice());
            let sums = (signer.as_slice(), token.as_slice());
            transaction
                .execute(
                    insert,
                    &[
                        &key.0, &key.1, &key.2, &new, &sums.0, &sums.1, &block, &amount,
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
