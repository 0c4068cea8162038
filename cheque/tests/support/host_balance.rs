//! A host that keeps one balance for all senders: 16 bytes, big-endian.

use cheque::{
    payee::{Accepted, ApplicationError},
    store::{AppChange, AppRecordsReader},
};

/// The key of the balance.
pub(crate) const BALANCE: &[u8] = b"balance";

/// Reads the balance of a record.
pub(crate) fn units(record: Option<&[u8]>) -> u128 {
    record.map_or(0, |bytes| u128::from_be_bytes(bytes.try_into().unwrap()))
}

/// Adds a payment to the balance.
pub(crate) fn credit(
    payment: &Accepted,
    records: &AppRecordsReader<'_>,
) -> Result<Vec<AppChange>, ApplicationError> {
    let old = records.get(BALANCE)?;
    let balance = units(old.as_deref()) + payment.value.get();
    Ok(vec![AppChange {
        key: BALANCE.to_vec(),
        old,
        new: Some(balance.to_be_bytes().to_vec()),
    }])
}
