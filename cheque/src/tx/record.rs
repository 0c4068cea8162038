//! The stored record of a transaction.

use crate::store::{
    Table,
    async_store::{AsyncStore, StoredError},
    codec::{RecordError, decode, encode},
};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// A transaction that may have been sent: kept before it leaves the process, so that a restart neither forgets it nor
/// sends a second one for the same purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxRecord {
    /// The account it is from.
    pub from: Address,
    /// Its number among that account's transactions. All replacements share it, so at most one of them counts.
    pub nonce: u64,
    /// The head when it was made, before all replacements.
    pub since: u64,
    /// The head when the newest replacement was made.
    pub at: u64,
    /// The hashes of the transaction and its replacements, oldest first.
    pub hashes: Vec<B256>,
    /// The hashes of its cancellations, oldest first: replacements that do nothing but use the nonce.
    pub cancelled_by: Vec<B256>,
    /// The newest of all, signed and encoded (EIP-2718).
    pub raw: Bytes,
}

impl TxRecord {
    /// The value to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&TxRow {
            from: self.from,
            nonce: self.nonce,
            since: self.since,
            at: self.at,
            hashes: self.hashes.clone(),
            cancelled_by: self.cancelled_by.clone(),
            raw: self.raw.clone(),
        })
    }

    /// Reads a stored value.
    ///
    /// # Errors
    ///
    /// If the bytes are no transaction record of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let row: TxRow = decode(bytes)?;
        Ok(Self {
            from: row.from,
            nonce: row.nonce,
            since: row.since,
            at: row.at,
            hashes: row.hashes,
            cancelled_by: row.cancelled_by,
            raw: row.raw,
        })
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct TxRow {
    from: Address,
    nonce: u64,
    since: u64,
    at: u64,
    hashes: Vec<B256>,
    cancelled_by: Vec<B256>,
    raw: Bytes,
}

/// Reads the transaction stored under a key of the outbox.
pub(crate) async fn stored_tx(
    store: &AsyncStore,
    key: &[u8],
) -> Result<Option<TxRecord>, StoredError> {
    let bytes = store.get(Table::Outbox, key.to_vec()).await?;
    Ok(bytes.as_deref().map(TxRecord::from_bytes).transpose()?)
}

/// Reads the transactions whose keys begin with `prefix`, in ascending order of keys.
pub(crate) async fn stored_txs(
    store: &AsyncStore,
    prefix: Vec<u8>,
) -> Result<Vec<(Vec<u8>, TxRecord)>, StoredError> {
    store
        .scan(Table::Outbox, prefix, |key, value| {
            Ok((key.to_vec(), TxRecord::from_bytes(value)?))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_records_survive_the_round_trip() {
        let pending = TxRecord {
            from: Address::repeat_byte(1),
            nonce: 0,
            since: 12,
            at: 22,
            hashes: vec![B256::repeat_byte(1), B256::repeat_byte(2)],
            cancelled_by: Vec::new(),
            raw: Bytes::from_static(&[2, 3, 4]),
        };
        assert_eq!(
            TxRecord::from_bytes(&pending.to_bytes()),
            Ok(pending.clone())
        );
        let cancelled = TxRecord {
            cancelled_by: vec![B256::repeat_byte(3)],
            ..pending
        };
        assert_eq!(TxRecord::from_bytes(&cancelled.to_bytes()), Ok(cancelled));
    }
}
