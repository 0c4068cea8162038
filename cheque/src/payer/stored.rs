//! Reads a payer's records from the store.

use crate::{
    payer::{allowance_list::AllowanceList, records::DepositRecord},
    protocol::{
        account::Account,
        amount::Amount,
        terms::{Bank, DepositId},
    },
    store::{
        async_store::{AsyncStore, StoredError},
        keys::{bank_key, deposit_key, deposit_of_key, payee_of_key},
        table::Table,
    },
};
use alloy_primitives::Address;

/// Reads one deposit.
pub(super) async fn stored_deposit(
    store: &AsyncStore,
    bank: &Bank,
    id: DepositId,
) -> Result<Option<DepositRecord>, StoredError> {
    let key = deposit_key(bank, id).to_vec();
    let bytes = store.get(Table::Deposits, key).await?;
    let record = bytes.as_deref().map(DepositRecord::from_bytes);
    Ok(record.transpose()?)
}

/// Reads all deposits of a bank, ordered by id.
pub(super) async fn stored_deposits(
    store: &AsyncStore,
    bank: &Bank,
) -> Result<Vec<(DepositId, DepositRecord)>, StoredError> {
    store
        .scan(Table::Deposits, bank_key(bank).to_vec(), |key, value| {
            Ok((deposit_of_key(key)?, DepositRecord::from_bytes(value)?))
        })
        .await
}

/// Reads the allowance list of a deposit.
pub(super) async fn stored_list(
    store: &AsyncStore,
    bank: &Bank,
    id: DepositId,
) -> Result<Option<AllowanceList>, StoredError> {
    let key = deposit_key(bank, id).to_vec();
    let bytes = store.get(Table::Trees, key).await?;
    let list = bytes.as_deref().map(AllowanceList::from_bytes);
    Ok(list.transpose()?)
}

/// Reads the total paid to each payee that has an account in the deposit.
pub(super) async fn stored_totals(
    store: &AsyncStore,
    id: DepositId,
) -> Result<Vec<(Address, Amount)>, StoredError> {
    store
        .scan(Table::Accounts, id.0.to_vec(), |key, value| {
            Ok((payee_of_key(key)?, Account::from_bytes(value)?.total()))
        })
        .await
}

/// Reads the accounts of a deposit as raw keys and values.
pub(super) async fn stored_accounts(
    store: &AsyncStore,
    id: DepositId,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoredError> {
    let read = |key: &[u8], value: &[u8]| Ok((key.to_vec(), value.to_vec()));
    store.scan(Table::Accounts, id.0.to_vec(), read).await
}
