//! Forgetting what is over.

use crate::{
    payer::{
        Payer,
        create::{open_key, reclaim_key},
        error::PayerError,
        records::{DepositRecord, stored_accounts},
    },
    protocol::terms::DepositId,
    store::{Swap, Table, async_store::OwnedChange, keys::deposit_key},
};
use alloy_primitives::Address;
use std::collections::BTreeMap;

/// So many accounts are forgotten in one write.
const AT_ONCE: usize = 1_000;

impl Payer {
    /// Forgets deposits that are settled, by blocks that nothing can replace, and whose last block to redeem is before
    /// `block`: their terms, allowances and accounts. Returns how many.
    ///
    /// What was sent for one and is not known to be over keeps it. The last one of each purse stays, since it tells where
    /// money may be left. Does not look at the chain: [`Payer::poll`] settles deposits.
    pub async fn prune_before(&self, block: u64) -> Result<usize, PayerError> {
        let deposits = self.deposits().await?;
        let mut last = BTreeMap::new();
        for (id, record) in &deposits {
            let draw = (record.deposit.drawBlock, *id);
            let of_purse = last.entry(purse(record)).or_insert(draw);
            *of_purse = draw.max(*of_purse);
        }
        let mut pruned = 0;
        for (id, record) in deposits {
            let is_last = last
                .get(&purse(&record))
                .is_some_and(|(_, last)| *last == id);
            if record.settled && record.deposit.lastRedeemBlock < block && !is_last {
                pruned += usize::from(self.forget(id, &record).await?);
            }
        }
        Ok(pruned)
    }

    /// `false`: it is still needed, or somebody else has just changed it. The deposit's record goes last, so that the
    /// next call goes on where this one was interrupted.
    async fn forget(&self, id: DepositId, record: &DepositRecord) -> Result<bool, PayerError> {
        for key in [open_key(id), reclaim_key(id)] {
            if self.store.get(Table::Outbox, key).await?.is_some() {
                return Ok(false);
            }
        }
        let removed = |table, (key, value): (Vec<u8>, Vec<u8>)| OwnedChange {
            table,
            key,
            old: Some(value),
            new: None,
        };
        let accounts = stored_accounts(&self.store, id).await?;
        for part in accounts.chunks(AT_ONCE) {
            let part = part.iter().cloned();
            let part = part.map(|row| removed(Table::Accounts, row));
            if self.store.swap(part.collect()).await? != Swap::Done {
                return Ok(false);
            }
        }
        let key = deposit_key(self.reader.bank(), id).to_vec();
        let list = self.store.get(Table::Trees, key.clone()).await?;
        let list = list.map(|list| removed(Table::Trees, (key.clone(), list)));
        let mut changes: Vec<_> = list.into_iter().collect();
        changes.push(removed(Table::Deposits, (key, record.to_bytes())));
        Ok(self.store.swap(changes).await? == Swap::Done)
    }
}

fn purse(record: &DepositRecord) -> (Address, Address, u64) {
    let terms = &record.deposit;
    (terms.payer, terms.token, terms.lane)
}
