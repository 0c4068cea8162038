//! The status of a stored transaction on the chain.

use crate::{
    tx::error::TxError,
    tx::{
        record::TxRecord,
        wallet::{MinedTx, Wallet},
    },
};
use std::time::Duration;

/// How long to check if another transaction has used the nonce.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(60);

/// The status of a stored transaction on the chain.
pub(crate) enum ChainStatus {
    /// The transaction is in a block.
    Mined(Box<MinedTx>),
    /// A cancellation of the transaction is in a block.
    Cancelled(Box<MinedTx>),
    /// The transaction is in a block, and reverted.
    Failed,
    /// Another transaction seems to have used the nonce, since there is no receipt.
    Unproven,
    /// The transaction is another account's, which has not used the nonce yet: it may still be mined, and cannot be replaced.
    Foreign,
    /// The transaction may still be mined.
    Pending,
}

/// Asks the node for the status of a stored transaction.
pub(crate) async fn chain_status(
    wallet: &Wallet,
    record: &TxRecord,
) -> Result<ChainStatus, TxError> {
    let hashes = record.all_hashes();
    let ours = record.from == wallet.address();
    let used = wallet.mined_nonce_of(record.from).await? > record.nonce;
    let resolved = if used {
        // The node may count the nonce before it returns the receipt.
        wallet
            .resolve(record.from, &hashes, record.nonce, RESOLVE_TIMEOUT)
            .await?
    } else {
        wallet.find_mined(&hashes).await?
    };
    Ok(match resolved {
        Some(Ok(mined)) if record.cancelled_by.contains(&mined.hash) => {
            ChainStatus::Cancelled(Box::new(mined))
        }
        Some(Ok(mined)) => ChainStatus::Mined(Box::new(mined)),
        Some(Err(TxError::Failed(_))) => ChainStatus::Failed,
        Some(Err(_)) => ChainStatus::Unproven,
        None if !ours => ChainStatus::Foreign,
        None => ChainStatus::Pending,
    })
}
