//! Removes old deposits from the store.

use crate::{
    payer::{
        Payer,
        create::{open_key, reclaim_key},
        error::PayerError,
        records::DepositRecord,
        stored::stored_accounts,
    },
    protocol::terms::DepositId,
    store::{async_store::OwnedChange, change::Swap, keys::deposit_key, table::Table},
};
use alloy_primitives::Address;
use std::collections::BTreeMap;

/// Number of accounts removed per write.
const BATCH: usize = 1_000;

impl Payer {
    /// Removes settled deposits whose redemption window ended before `time`, in seconds since 1970: terms, allowances
    /// and accounts. Settled means closed by a block that no reorganisation can replace. Returns the number of
    /// removed deposits.
    ///
    /// A deposit with a stored transaction stays, and so does the last deposit of each purse, which tells where
    /// money may be left. Does not query the node: [`Payer::poll`] settles deposits.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`]. Deposits removed before the error stay removed; a deposit removed in part is
    /// completed by the next call.
    pub async fn prune_before(&self, time: u64) -> Result<usize, PayerError> {
        let is_old = |record: &DepositRecord| record.deposit.redeemUntil < time;
        self.prune_if(is_old).await
    }

    /// Removes the settled deposits of which `is_old` is true. Otherwise like [`Payer::prune_before`].
    pub(super) async fn prune_if(
        &self,
        is_old: impl Fn(&DepositRecord) -> bool,
    ) -> Result<usize, PayerError> {
        let deposits = self.deposits().await?;
        let mut last = BTreeMap::new();
        for (id, record) in &deposits {
            let draw = (record.deposit.drawTime, *id);
            let newest = last.entry(purse(record)).or_insert(draw);
            *newest = draw.max(*newest);
        }
        let mut pruned = 0;
        for (id, record) in deposits {
            let is_last = last
                .get(&purse(&record))
                .is_some_and(|(_, last)| *last == id);
            if record.settled && is_old(&record) && !is_last {
                pruned += usize::from(self.remove_deposit(id, &record).await?);
            }
        }
        Ok(pruned)
    }

    /// Removes one deposit. `false` if a transaction still needs its record, or if another process has changed
    /// the record or an account meanwhile. The deposit's own record goes last, so that the next call can
    /// complete an interrupted removal.
    async fn remove_deposit(
        &self,
        id: DepositId,
        record: &DepositRecord,
    ) -> Result<bool, PayerError> {
        for key in [open_key(id), reclaim_key(id)] {
            if self.store.get(Table::Outbox, key).await?.is_some() {
                return Ok(false);
            }
        }
        let removal = |table, (key, value): (Vec<u8>, Vec<u8>)| OwnedChange {
            table,
            key,
            old: Some(value),
            new: None,
        };
        let accounts = stored_accounts(&self.store, id).await?;
        for batch in accounts.chunks(BATCH) {
            let rows = batch.iter().cloned();
            let changes = rows.map(|row| removal(Table::Accounts, row));
            if self.store.swap(changes.collect()).await? != Swap::Done {
                return Ok(false);
            }
        }
        let key = deposit_key(self.reader.bank(), id).to_vec();
        let list = self.store.get(Table::Trees, key.clone()).await?;
        let list = list.map(|list| removal(Table::Trees, (key.clone(), list)));
        let mut changes: Vec<_> = list.into_iter().collect();
        changes.push(removal(Table::Deposits, (key, record.to_bytes())));
        Ok(self.store.swap(changes).await? == Swap::Done)
    }
}

fn purse(record: &DepositRecord) -> (Address, Address, u64) {
    let terms = &record.deposit;
    (terms.payer, terms.token, terms.lane)
}
