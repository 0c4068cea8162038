//! The stored record of a transaction.

use crate::store::{
    async_store::{AsyncStore, StoredError},
    codec::{RecordError, decode, encode},
    table::Table,
};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// A transaction that may have been sent. Stored before the transaction leaves the process, so a restart neither loses the
/// transaction nor sends a second for the same purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxRecord {
    /// The sending account.
    pub from: Address,
    /// The account's nonce. All replacements share the nonce, so at most one of the transactions is mined.
    pub nonce: u64,
    /// The time when the first transaction was signed, in seconds since 1970.
    pub since: u64,
    /// The time when the newest replacement was signed, in seconds since 1970.
    pub at: u64,
    /// The hashes of the transaction and its replacements, oldest first.
    pub hashes: Vec<B256>,
    /// The hashes of the cancellations, oldest first: replacements that only use the nonce.
    pub cancelled_by: Vec<B256>,
    /// The newest replacement or cancellation, signed and encoded (EIP-2718).
    pub raw: Bytes,
}

impl TxRecord {
    /// Returns the hash of the newest cancellation, else of the newest replacement.
    pub(crate) fn newest_hash(&self) -> B256 {
        let newest = self.cancelled_by.last().or(self.hashes.last());
        newest.copied().unwrap_or_default()
    }

    /// Returns the hashes of all transactions that share the nonce: replacements, then cancellations, each oldest first.
    pub(crate) fn all_hashes(&self) -> Vec<B256> {
        [&self.hashes[..], &self.cancelled_by].concat()
    }

    /// Encodes the record for the store.
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

    /// Decodes a stored record.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are not a transaction record of this version.
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
    fn encodes_and_decodes_tx_records() {
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
