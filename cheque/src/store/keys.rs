//! The keys of records.

#[cfg(feature = "client")]
use crate::protocol::beacon::Beacon;
use crate::{
    protocol::terms::{Bank, DepositId},
    store::codec::RecordError,
};
use alloy_primitives::{Address, B256};

/// Returns the prefix of the keys of a bank's deposits: chain id (8 bytes, big-endian) ‖ address (20).
pub fn bank_key(bank: &Bank) -> [u8; 28] {
    let mut key = [0; 28];
    key[..8].copy_from_slice(&bank.chain_id().to_be_bytes());
    key[8..].copy_from_slice(bank.address().as_slice());
    key
}

/// Returns the key of a deposit in [`Table::Deposits`](crate::store::Table::Deposits) and
/// [`Table::Trees`](crate::store::Table::Trees): bank key (28 bytes) ‖ id (32).
pub fn deposit_key(bank: &Bank, id: DepositId) -> [u8; 60] {
    let mut key = [0; 60];
    key[..28].copy_from_slice(&bank_key(bank));
    key[28..].copy_from_slice(id.0.as_slice());
    key
}

/// Returns the deposit of a key that [`deposit_key`] made.
///
/// # Errors
///
/// [`RecordError::WrongKey`] if the key does not have 60 bytes. Does not check the bank.
pub fn deposit_of_key(key: &[u8]) -> Result<DepositId, RecordError> {
    let id = key.get(28..60).filter(|_| key.len() == 60);
    id.map(|id| DepositId(B256::from_slice(id)))
        .ok_or(RecordError::WrongKey)
}

/// Returns the key of an account in [`Table::Accounts`](crate::store::Table::Accounts): id (32 bytes) ‖ payee (20).
/// Needs no bank, because ids differ between banks.
pub fn account_key(id: DepositId, payee: Address) -> [u8; 52] {
    let mut key = [0; 52];
    key[..32].copy_from_slice(id.0.as_slice());
    key[32..].copy_from_slice(payee.as_slice());
    key
}

/// Returns the payee of a key that [`account_key`] made.
///
/// # Errors
///
/// [`RecordError::WrongKey`] if the key does not have 52 bytes.
pub fn payee_of_key(key: &[u8]) -> Result<Address, RecordError> {
    let payee = key.get(32..52).filter(|_| key.len() == 52);
    payee.map(Address::from_slice).ok_or(RecordError::WrongKey)
}

/// Returns the key of a position in [`Table::Positions`](crate::store::Table::Positions): bank's address (20 bytes) ‖
/// id (32) ‖ payee (20).
pub fn position_key(bank: Address, id: DepositId, payee: Address) -> [u8; 72] {
    let mut key = [0; 72];
    key[..20].copy_from_slice(bank.as_slice());
    key[20..52].copy_from_slice(id.0.as_slice());
    key[52..].copy_from_slice(payee.as_slice());
    key
}

/// Returns the prefix of the keys of a beacon's rounds: the hash by which relays name its chain (32 bytes).
#[cfg(feature = "client")]
pub(crate) fn beacon_key(beacon: &Beacon) -> [u8; 32] {
    beacon.chain_hash().0
}

/// Returns the key of a round in [`Table::Seeds`](crate::store::Table::Seeds): beacon key (32 bytes) ‖ draw time (8,
/// big-endian).
#[cfg(feature = "client")]
pub(crate) fn seed_key(beacon: &Beacon, draw_time: u64) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(&beacon_key(beacon));
    key[32..].copy_from_slice(&draw_time.to_be_bytes());
    key
}

/// Returns the draw time of a key that [`seed_key`] made.
///
/// # Errors
///
/// [`RecordError::WrongKey`] if the key does not have 40 bytes.
#[cfg(feature = "client")]
pub(crate) fn draw_time_of_key(key: &[u8]) -> Result<u64, RecordError> {
    match key.split_last_chunk::<8>() {
        Some((beacon, time)) if beacon.len() == 32 => Ok(u64::from_be_bytes(*time)),
        _ => Err(RecordError::WrongKey),
    }
}

/// Returns the key of a receipt in [`Table::Receipts`](crate::store::Table::Receipts): bank key (28 bytes) ‖ 0 ‖ hash of the
/// signer and the payment's name (32).
#[cfg(feature = "client")]
pub(crate) fn receipt_key(bank: &Bank, name: B256) -> [u8; 61] {
    let mut key = [0; 61];
    key[..28].copy_from_slice(&bank_key(bank));
    key[29..].copy_from_slice(name.as_slice());
    key
}

/// Returns the prefix of the keys that list a bank's receipts by time: bank key (28 bytes) ‖ 1.
#[cfg(feature = "client")]
pub(crate) fn receipt_times_key(bank: &Bank) -> [u8; 29] {
    let mut key = [1; 29];
    key[..28].copy_from_slice(&bank_key(bank));
    key
}

/// Returns the key that lists a receipt by its time: prefix (29 bytes) ‖ time (8, big-endian) ‖ hash of the payment's name
/// (32).
#[cfg(feature = "client")]
pub(crate) fn receipt_time_key(bank: &Bank, time: u64, name: B256) -> [u8; 69] {
    let mut key = [0; 69];
    key[..29].copy_from_slice(&receipt_times_key(bank));
    key[29..37].copy_from_slice(&time.to_be_bytes());
    key[37..].copy_from_slice(name.as_slice());
    key
}

/// Returns time and hash of a key that [`receipt_time_key`] made.
///
/// # Errors
///
/// [`RecordError::WrongKey`] if the key does not have 69 bytes.
#[cfg(feature = "client")]
pub(crate) fn receipt_of_time_key(key: &[u8]) -> Result<(u64, B256), RecordError> {
    let parts = key.split_at_checked(29);
    let parts = parts.and_then(|(_, rest)| rest.split_first_chunk::<8>());
    match parts {
        Some((time, name)) if name.len() == 32 => {
            Ok((u64::from_be_bytes(*time), B256::from_slice(name)))
        }
        _ => Err(RecordError::WrongKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovers_ids_and_payees_from_keys() {
        let bank = Bank::new(1, Address::repeat_byte(9));
        let (id, payee) = (DepositId(B256::repeat_byte(5)), Address::repeat_byte(6));
        let key = deposit_key(&bank, id);
        assert!(key.starts_with(&bank_key(&bank)));
        assert_eq!(deposit_of_key(&key), Ok(id));
        assert_eq!(payee_of_key(&account_key(id, payee)), Ok(payee));
        assert_eq!(deposit_of_key(&key[1..]), Err(RecordError::WrongKey));
        assert_eq!(payee_of_key(&[]), Err(RecordError::WrongKey));
    }

    #[cfg(feature = "client")]
    #[test]
    fn recovers_draw_times_from_keys() {
        let beacon = Beacon::quicknet();
        let key = seed_key(&beacon, 1_692_806_364);
        assert!(key.starts_with(&beacon_key(&beacon)));
        assert_eq!(draw_time_of_key(&key), Ok(1_692_806_364));
        assert_eq!(draw_time_of_key(&key[1..]), Err(RecordError::WrongKey));
    }
    #[cfg(feature = "client")]
    #[test]
    fn lists_receipts_by_time_apart_from_their_names() {
        let bank = Bank::new(1, Address::repeat_byte(9));
        let name = B256::repeat_byte(1);
        let key = receipt_time_key(&bank, 7, name);
        assert!(key.starts_with(&receipt_times_key(&bank)));
        assert_eq!(receipt_of_time_key(&key), Ok((7, name)));
        assert!(!receipt_key(&bank, name).starts_with(&receipt_times_key(&bank)));
        assert_eq!(receipt_of_time_key(&key[1..]), Err(RecordError::WrongKey));
        assert_eq!(receipt_of_time_key(&[]), Err(RecordError::WrongKey));
    }
}
