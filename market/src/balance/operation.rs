//! Changes of a balance that are stored before they take effect.

use super::{
    client_balance::ClientBalance,
    error::{ChangeBalanceError, LoadBalanceError, NotConnected},
    expiration::Expiration,
    tracker::BalanceTracker,
    types::{Added, BalanceEvent, Balances, Sign},
};
use crate::{
    id::PeerId,
    store::interface::{Batch, Store},
    value::expiring::ExpiringValue,
};

/// A change of one client's balances; see [`BalanceTracker::operation`](super::BalanceTracker::operation).
#[derive(Debug)]
pub struct BalanceOperation<'a> {
    pub(super) balance: ClientBalance,
    pub(super) expiration: &'a Expiration,
    pub(super) now_ns: u64,
    pub(super) extra: Batch,
    /// Balances of at most this many tokens are not kept.
    pub(super) drop: u64,
}

impl BalanceOperation<'_> {
    /// Returns the present balances, including changes of this operation.
    pub fn balances(&self) -> Balances {
        let (positive, negative) = self.balance.values(self.expiration, self.now_ns);
        Balances { positive, negative }
    }

    /// Adds tokens to the positive balance or, if `amount` is negative, subtracts them down to 0.
    ///
    /// # Errors
    ///
    /// [`ChangeBalanceError::Overflow`] if the balance would be too large.
    pub fn add(&mut self, amount: i64) -> Result<Added, ChangeBalanceError> {
        let added = self.balance.add(amount, self.expiration, self.now_ns);
        let (old, new) = added.ok_or_else(|| ChangeBalanceError::Overflow {
            balance: self.balances().positive,
            amount: amount.unsigned_abs(),
        })?;
        let kept = if new > self.drop { new } else { 0 };
        Ok(Added { old, new: kept })
    }

    /// Replaces both balances.
    ///
    /// # Errors
    ///
    /// [`ChangeBalanceError::Overflow`] if a balance would be too large.
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

    /// Returns further writes for the transaction of the balance, such as the payment behind the change. The tracker
    /// overwrites its own keys in them.
    pub const fn extra_writes(&mut self) -> &mut Batch {
        &mut self.extra
    }
}

impl<Id: PeerId, S: Store> BalanceTracker<Id, S> {
    /// Changes a client's balances, connected or not. Stores the balances, the offsets and the [extra
    /// writes](BalanceOperation::extra_writes) in one transaction before the change takes effect.
    ///
    /// `address` selects the negative balance of a client that is not connected; without an address the negative
    /// balance is 0 and is not stored. A connected client has the negative balance of its own address.
    ///
    /// # Errors
    ///
    /// Those of `f` and of the store; nothing changes.
    pub fn operation<R, E: From<LoadBalanceError>>(
        &mut self,
        id: &Id,
        address: Option<&[u8]>,
        now_ns: u64,
        f: impl FnOnce(&mut BalanceOperation<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let connected = self.clients.get(id).map(|client| client.address.clone());
        let address = connected.as_deref().or(address);
        let balance = match self.charged_balance(id, now_ns) {
            Ok(balance) => balance,
            Err(NotConnected) => self.load(id, address, now_ns)?,
        };
        let mut operation = BalanceOperation {
            balance,
            expiration: &self.expiration,
            now_ns,
            extra: Batch::new(),
            // The memory of a connection has every balance.
            drop: match connected {
                Some(_) => 0,
                None => self.settings.positive_drop,
            },
        };
        let result = f(&mut operation)?;
        let (changed, mut batch) = (operation.balance, operation.extra);
        self.put_balance(&mut batch, id, address, &changed, now_ns);
        let written = self.records.write(batch, &self.expiration, now_ns);
        written.map_err(LoadBalanceError::from)?;
        self.adopt(id, address, balance, changed, now_ns);
        Ok(result)
    }

    /// Adds to a client's positive balance in an [operation](Self::operation), or subtracts from it down to 0.
    ///
    /// # Errors
    ///
    /// [`ChangeBalanceError`] if the balance would be too large or the store fails.
    pub fn add_balance(
        &mut self,
        id: &Id,
        amount: i64,
        now_ns: u64,
    ) -> Result<Added, ChangeBalanceError> {
        self.operation(id, None, now_ns, |balance| balance.add(amount))
    }

    /// Returns the tokens of a client, connected or not, after all charges until `now_ns`.
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails or has a damaged record.
    pub fn tokens(&self, id: &Id, now_ns: u64) -> Result<u64, LoadBalanceError> {
        match self.charged_balance(id, now_ns) {
            Ok(balance) => Ok(balance.values(&self.expiration, now_ns).0),
            Err(NotConnected) => {
                let stored = self.records.balance(Sign::Positive, id.as_ref())?;
                Ok(stored.value(self.expiration.positive.offset_at(now_ns)))
            }
        }
    }

    /// Loads the balances of a client that is not connected.
    fn load(
        &self,
        id: &Id,
        address: Option<&[u8]>,
        now_ns: u64,
    ) -> Result<ClientBalance, LoadBalanceError> {
        let positive = self.records.balance(Sign::Positive, id.as_ref())?;
        let negative = match address {
            None => ExpiringValue::ZERO,
            Some(address) => self.debt(address)?,
        };
        Ok(ClientBalance::new(
            positive,
            negative,
            self.records.tally(id.as_ref())?,
            self.settings.prices,
            now_ns,
        ))
    }

    /// Applies a stored change of a client's balances in memory.
    fn adopt(
        &mut self,
        id: &Id,
        address: Option<&[u8]>,
        before: ClientBalance,
        changed: ClientBalance,
        now_ns: u64,
    ) {
        if self.records.is_staging()
            && let Some(undo) = &mut self.undo
        {
            // Both are at most 2^63 - 1.
            let [old, new] =
                [before, changed].map(|balance| balance.values(&self.expiration, now_ns).0);
            undo.credits
                .push((id.clone(), new.cast_signed() - old.cast_signed()));
        }
        if let Some(from) = address.and_then(|address| self.addresses.get_mut(address)) {
            from.debt = changed.negative;
            self.changed.extend(from.clients.iter().cloned());
        }
        if let Some(address) = address {
            self.share(address);
        }
        if let Some(client) = self.clients.get_mut(id) {
            client.balance = changed;
            self.upkeep
                .replace_active(before.positive, changed.positive);
            self.events.push(BalanceEvent::Changed(id.clone()));
            self.changed.insert(id.clone());
            self.check_balance(id, now_ns);
            return;
        }
        self.inactive.sub_exp(before.positive);
        if changed.values(&self.expiration, now_ns).0 > self.settings.positive_drop {
            self.inactive.add_exp(changed.positive);
        }
    }
}
