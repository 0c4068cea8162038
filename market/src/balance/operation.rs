//! Changes of a balance that are stored before they are seen.

use super::{
    node::{Expiration, NodeBalance},
    records::{LoadBalanceError, Sign},
    tracker::{BalanceEvent, BalanceTracker, NotConnected},
};
use crate::{
    id::NodeId,
    store::{Batch, Store, StoreError},
    value::ExpiredValue,
};

/// A change of one client's balances; see [`BalanceTracker::operation`](super::BalanceTracker::operation).
#[derive(Debug)]
pub struct BalanceOperation<'a> {
    pub(super) balance: NodeBalance,
    pub(super) expiration: &'a Expiration,
    pub(super) now_ns: u64,
    pub(super) also: Batch,
}

/// A client's balances in tokens at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// What it can spend.
    pub positive: u64,
    /// What it, or anybody at its address, has used beyond that.
    pub negative: u64,
}

/// The positive balance before and after a change, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Before.
    pub old: u64,
    /// After.
    pub new: u64,
}

/// Why a balance was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeBalanceError {
    /// The balance would be too large.
    #[error(
        "a balance is at most {} tokens, and this one would be {balance} and {amount} more: add less",
        ExpiredValue::LIMIT
    )]
    Overflow {
        /// The balance there is; 0, if it was to be replaced.
        balance: u64,
        /// What was to be added.
        amount: u64,
    },
    /// The stored balance cannot be read.
    #[error(transparent)]
    Load(#[from] LoadBalanceError),
}

impl From<StoreError> for ChangeBalanceError {
    fn from(error: StoreError) -> Self {
        Self::Load(error.into())
    }
}

impl BalanceOperation<'_> {
    /// The balances as they are now, changes of this operation included.
    pub fn balances(&self) -> Balances {
        let (positive, negative) = self.balance.values(self.expiration, self.now_ns);
        Balances { positive, negative }
    }

    /// Adds tokens to the positive balance or, if `amount` is negative, takes them away, down to none.
    ///
    /// # Errors
    ///
    /// [`ChangeBalanceError::Overflow`].
    pub fn add(&mut self, amount: i64) -> Result<Added, ChangeBalanceError> {
        let added = self.balance.add(amount, self.expiration, self.now_ns);
        let (old, new) = added.ok_or_else(|| ChangeBalanceError::Overflow {
            balance: self.balances().positive,
            amount: amount.unsigned_abs(),
        })?;
        Ok(Added { old, new })
    }

    /// Replaces both balances.
    ///
    /// # Errors
    ///
    /// [`ChangeBalanceError::Overflow`].
    pub fn set(&mut self, balances: Balances) -> Result<(), ChangeBalanceError> {
        let Balances { positive, negative } = balances;
        let set = self
            .balance
            .set(positive, negative, self.expiration, self.now_ns);
        set.ok_or(ChangeBalanceError::Overflow {
            balance: 0,
            amount: positive.max(negative),
        })
    }

    /// What is written in the same transaction as the balance, such as the payment that it comes from. Keys of the
    /// tracker itself are overwritten by it.
    pub const fn also(&mut self) -> &mut Batch {
        &mut self.also
    }
}

impl<Id: NodeId, S: Store> BalanceTracker<Id, S> {
    /// Changes a client's balances, connected or not, and stores them, the offsets and what the operation writes
    /// [also](BalanceOperation::also) in one transaction before anything of it is seen.
    ///
    /// `address` says which negative balance belongs to a client that is not connected; without it that is none, and is
    /// not stored. A connected client has that of the address it came from. If `f` or the store fails, nothing changes.
    pub fn operation<R, E: From<LoadBalanceError>>(
        &mut self,
        id: &Id,
        address: Option<&[u8]>,
        now_ns: u64,
        f: impl FnOnce(&mut BalanceOperation<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let connected = self.clients.get(id).map(|client| client.address.clone());
        let address = connected.as_deref().or(address);
        let balance = match self.settled(id, now_ns) {
            Ok(balance) => balance,
            Err(NotConnected) => self.load(id, address, now_ns)?,
        };
        let mut operation = BalanceOperation {
            balance,
            expiration: &self.expiration,
            now_ns,
            also: Batch::new(),
        };
        let result = f(&mut operation)?;
        let (changed, mut batch) = (operation.balance, operation.also);
        self.put_balance(&mut batch, id, address, &changed, now_ns);
        let written = self.records.write(batch, &self.expiration, now_ns);
        written.map_err(LoadBalanceError::from)?;
        self.adopt(id, address, balance, changed, now_ns);
        Ok(result)
    }

    /// An [operation](Self::operation) that adds to a client's positive balance or takes from it, down to none.
    pub fn add_balance(
        &mut self,
        id: &Id,
        amount: i64,
        now_ns: u64,
    ) -> Result<Added, ChangeBalanceError> {
        self.operation(id, None, now_ns, |balance| balance.add(amount))
    }

    /// The tokens of a client, connected or not, charged up to now.
    pub fn tokens(&self, id: &Id, now_ns: u64) -> Result<u64, LoadBalanceError> {
        match self.settled(id, now_ns) {
            Ok(balance) => Ok(balance.values(&self.expiration, now_ns).0),
            Err(NotConnected) => {
                let stored = self.records.balance(Sign::Positive, id.as_ref())?;
                Ok(stored.value(self.expiration.positive.offset_at(now_ns)))
            }
        }
    }

    /// The balances of a client that is not connected.
    fn load(
        &self,
        id: &Id,
        address: Option<&[u8]>,
        now_ns: u64,
    ) -> Result<NodeBalance, LoadBalanceError> {
        let positive = self.records.balance(Sign::Positive, id.as_ref())?;
        let negative = match address {
            None => ExpiredValue::ZERO,
            Some(address) => self.debt(address)?,
        };
        Ok(NodeBalance::new(
            positive,
            negative,
            self.records.tally(id.as_ref())?,
            self.settings.prices,
            now_ns,
        ))
    }

    /// Makes a stored change of a client's balances the present ones.
    fn adopt(
        &mut self,
        id: &Id,
        address: Option<&[u8]>,
        before: NodeBalance,
        changed: NodeBalance,
        now_ns: u64,
    ) {
        if let Some(from) = address.and_then(|address| self.addresses.get_mut(address)) {
            from.debt = changed.negative;
        }
        if let Some(client) = self.clients.get_mut(id) {
            client.balance = changed;
            self.upkeep.moved(before.positive, changed.positive);
            self.events.push(BalanceEvent::Changed(id.clone()));
            self.look(id, now_ns);
            return;
        }
        self.inactive.sub_exp(before.positive);
        if changed.values(&self.expiration, now_ns).0 > self.settings.positive_drop {
            self.inactive.add_exp(changed.positive);
        }
    }
}
