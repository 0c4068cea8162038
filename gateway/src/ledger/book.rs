//! The records that a decision reads and changes. A decision works on a [`Book`]; its changes are written as one batch.

use crate::ledger::{
    account::AccountKey,
    fault::LedgerFault,
    payment::{AuthorizationId, IdempotencyKey, PaymentId},
    records::{
        account::AccountRecord, authorization::AuthorizationRecord, codec::Record,
        deposit::DepositRecord, key::KeyRecord, keys::Keys, payment::PaymentRecord,
        reservation::ReservationRecord,
    },
};
use alloy_primitives::Address;
use cheque::{
    DepositId, Position,
    store::{Change, StoreError, Table, position_key},
};
use std::collections::BTreeMap;

/// The value of the end of a record: all that counts is in its key.
const END: [u8; 1] = [1];

/// Reads a record; `None`: no record.
pub(super) type Read<'a> = dyn Fn(Table, &[u8]) -> Result<Option<Vec<u8>>, StoreError> + 'a;

/// Records as read, with the changes of a decision. Reads each record once.
pub(super) struct Book<'a> {
    read: &'a Read<'a>,
    keys: Keys,
    payee: Address,
    entries: BTreeMap<(Table, Vec<u8>), Entry>,
}

struct Entry {
    old: Option<Vec<u8>>,
    new: Option<Vec<u8>>,
}

impl<'a> Book<'a> {
    pub(super) fn new(payee: Address, read: &'a Read<'a>) -> Self {
        Self {
            read,
            keys: Keys::new(payee),
            payee,
            entries: BTreeMap::new(),
        }
    }

    pub(super) fn account(&mut self, key: &AccountKey) -> Result<AccountRecord, LedgerFault> {
        let key = self.keys.account(key);
        Ok(self.record(key)?.unwrap_or_default())
    }

    pub(super) fn set_account(&mut self, key: &AccountKey, account: &AccountRecord) {
        self.set(self.keys.account(key), Some(account.encode()));
    }

    pub(super) fn deposit(&mut self, id: DepositId) -> Result<Option<DepositRecord>, LedgerFault> {
        self.record(self.keys.deposit(id))
    }

    pub(super) fn set_deposit(&mut self, id: DepositId, deposit: &DepositRecord) {
        self.set(self.keys.deposit(id), Some(deposit.encode()));
    }

    pub(super) fn remove_deposit(&mut self, id: DepositId) {
        self.set(self.keys.deposit(id), None);
    }

    pub(super) fn payment(&mut self, id: &PaymentId) -> Result<Option<PaymentRecord>, LedgerFault> {
        self.record(self.keys.payment(id))
    }

    pub(super) fn set_payment(&mut self, id: &PaymentId, payment: &PaymentRecord) {
        self.set(self.keys.payment(id), Some(payment.encode()));
    }

    pub(super) fn reservation(
        &mut self,
        holder: &PaymentId,
    ) -> Result<Option<ReservationRecord>, LedgerFault> {
        self.record(self.keys.reservation(holder))
    }

    pub(super) fn set_reservation(&mut self, holder: &PaymentId, new: Option<&ReservationRecord>) {
        self.set(self.keys.reservation(holder), new.map(Record::encode));
    }

    /// Reads the stored answer of a request.
    pub(super) fn answer(
        &mut self,
        until: u64,
        holder: &PaymentId,
    ) -> Result<Option<Vec<u8>>, LedgerFault> {
        let key = self.keys.answer(until, holder);
        Ok(self.bytes(Table::App, key)?)
    }

    pub(super) fn set_answer(&mut self, until: u64, holder: &PaymentId, answer: Vec<u8>) {
        self.set(self.keys.answer(until, holder), Some(answer));
    }

    /// Reads the record of an account's idempotency key.
    pub(super) fn key(
        &mut self,
        account: &AccountKey,
        key: IdempotencyKey,
    ) -> Result<Option<KeyRecord>, LedgerFault> {
        self.record(self.keys.idempotency(account, key.0))
    }

    /// Sets a record that was read before.
    pub(super) fn set_key(
        &mut self,
        account: &AccountKey,
        key: IdempotencyKey,
        new: Option<&KeyRecord>,
    ) {
        self.set(
            self.keys.idempotency(account, key.0),
            new.map(Record::encode),
        );
    }

    /// Notes the second until which a key counts, for the upkeep.
    pub(super) fn add_key_end(
        &mut self,
        until: u64,
        account: &AccountKey,
        key: IdempotencyKey,
    ) -> Result<(), LedgerFault> {
        self.add_end(self.keys.key_end(until, account, key.0))
    }

    /// Removes the end of a key, and the key's record if that ends with it.
    pub(super) fn remove_key_end(&mut self, end: Vec<u8>) -> Result<(), LedgerFault> {
        let until = self.keys.until_of(&end);
        if let Some(key) = self.keys.of_key_end(&end)
            && let Some(record) = self.record::<KeyRecord>(key.clone())?
            && Some(record.until) == until
        {
            self.set(key, None);
        }
        self.remove(end)
    }

    /// Reads the record of an authorization of a transfer.
    pub(super) fn authorization(
        &mut self,
        id: AuthorizationId,
    ) -> Result<Option<AuthorizationRecord>, LedgerFault> {
        self.record(self.keys.authorization(id))
    }

    /// Sets a record that was read before.
    pub(super) fn set_authorization(
        &mut self,
        id: AuthorizationId,
        new: Option<&AuthorizationRecord>,
    ) {
        self.set(self.keys.authorization(id), new.map(Record::encode));
    }

    /// Notes the second from which an authorization is not needed, for the upkeep.
    pub(super) fn add_authorization_end(
        &mut self,
        until: u64,
        id: AuthorizationId,
    ) -> Result<(), LedgerFault> {
        self.add_end(self.keys.authorization_end(until, id))
    }

    /// Removes the end of an authorization, and its record if that ends with it.
    pub(super) fn remove_authorization_end(
        &mut self,
        end: Vec<u8>,
        now: u64,
    ) -> Result<(), LedgerFault> {
        let until = self.keys.until_of(&end);
        if let Some(id) = self.keys.of_authorization_end(&end)
            && let Some(mut record) = self.authorization(id)?
            && Some(record.until) == until
        {
            if record.lease_until > now {
                // In use: the next round of upkeep finds it again.
                record.until = record.lease_until;
                self.add_authorization_end(record.until, id)?;
                self.set_authorization(id, Some(&record));
            } else {
                self.set_authorization(id, None);
            }
        }
        self.remove(end)
    }

    fn add_end(&mut self, end: Vec<u8>) -> Result<(), LedgerFault> {
        self.bytes(Table::App, end.clone())?;
        self.set(end, Some(Vec::from(END)));
        Ok(())
    }

    /// Reads the bytes of the payee's position in a deposit.
    pub(super) fn position_bytes(
        &mut self,
        bank: Address,
        id: DepositId,
    ) -> Result<Option<Vec<u8>>, LedgerFault> {
        let key = position_key(bank, id, self.payee).to_vec();
        Ok(self.bytes(Table::Positions, key)?)
    }

    pub(super) fn position(
        &mut self,
        bank: Address,
        id: DepositId,
    ) -> Result<Option<Position>, LedgerFault> {
        let bytes = self.position_bytes(bank, id)?;
        Ok(bytes.as_deref().map(Position::from_bytes).transpose()?)
    }

    /// Sets a position that was read before.
    pub(super) fn set_position(&mut self, position: &Position) {
        let (bank, id) = (position.bank().address(), position.deposit_id());
        let key = position_key(bank, id, self.payee).to_vec();
        if let Some(entry) = self.entries.get_mut(&(Table::Positions, key)) {
            entry.new = Some(position.to_bytes());
        }
    }

    /// Removes records of the ledger by their keys.
    pub(super) fn remove(&mut self, key: Vec<u8>) -> Result<(), LedgerFault> {
        self.bytes(Table::App, key.clone())?;
        self.set(key, None);
        Ok(())
    }

    /// True if the decision changes a record.
    pub(super) fn is_changed(&self) -> bool {
        self.entries.values().any(|entry| entry.old != entry.new)
    }

    /// The records as they were read: a batch that changes nothing.
    pub(super) fn reads(&self) -> Vec<Change<'_>> {
        let mut all = self.changes();
        for change in &mut all {
            change.new = change.old;
        }
        all
    }

    /// The records that were read or changed. Their batch is written only if all of them still hold what was read.
    pub(super) fn changes(&self) -> Vec<Change<'_>> {
        let change = self.entries.iter().map(|((table, key), entry)| Change {
            table: *table,
            key,
            old: entry.old.as_deref(),
            new: entry.new.as_deref(),
        });
        change.collect()
    }

    /// Reads all records a second time. True if each holds what it held before: then they held that at the same time.
    pub(super) fn is_current(&self) -> Result<bool, StoreError> {
        for ((table, key), entry) in &self.entries {
            if (self.read)(*table, key)? != entry.old {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn record<R: Record>(&mut self, key: Vec<u8>) -> Result<Option<R>, LedgerFault> {
        let bytes = self.bytes(Table::App, key)?;
        Ok(bytes.as_deref().map(R::decode).transpose()?)
    }

    fn bytes(&mut self, table: Table, key: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        let place = (table, key);
        if let Some(entry) = self.entries.get(&place) {
            return Ok(entry.new.clone());
        }
        let old = (self.read)(table, &place.1)?;
        let new = old.clone();
        self.entries.insert(
            place,
            Entry {
                old: old.clone(),
                new,
            },
        );
        Ok(old)
    }

    /// Sets a record. A record that was not read is taken as absent: the batch conflicts if it is there.
    fn set(&mut self, key: Vec<u8>, new: Option<Vec<u8>>) {
        let entry = self.entries.entry((Table::App, key));
        entry
            .or_insert(Entry {
                old: None,
                new: None,
            })
            .new = new;
    }
}
