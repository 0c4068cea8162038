//! Stored balances and offsets: a version byte, then integers of 8 bytes, big-endian.

use super::{
    error::LoadBalanceError,
    expiration::Expiration,
    tally::Tally,
    types::{Charged, Sign, VERSION},
};
use crate::{
    id::PeerId,
    store::interface::{Batch, Store, StoreError, Visit},
    value::{
        expirer::{ExpirationRate, Expirer},
        expiring::ExpiringValue,
    },
};
use std::ops::ControlFlow;

const POSITIVE: &[u8] = b"pb:";
const NEGATIVE: &[u8] = b"nb:";
const CHARGED: &[u8] = b"charged:";
const EXPIRATION: &[u8] = b"expiration:";

/// Rows of a market's balances.
#[derive(Debug)]
pub(super) struct Records<S> {
    store: S,
    prefix: Vec<u8>,
    /// Writes that are collected for one batch.
    staged: Option<Batch>,
    /// Writes that have failed and will be made.
    owed: Option<Batch>,
}

impl Sign {
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Positive => POSITIVE,
            Self::Negative => NEGATIVE,
        }
    }
}

impl<S: Store> Records<S> {
    pub(super) fn new(store: S, prefix: &[u8]) -> Self {
        Self {
            store,
            prefix: prefix.to_vec(),
            staged: None,
            owed: None,
        }
    }

    /// Loads the offsets of all values.
    pub(super) fn expiration(
        &self,
        positive: ExpirationRate,
        negative: ExpirationRate,
        now_ns: u64,
    ) -> Result<Expiration, LoadBalanceError> {
        let stored = self.store.get(&[&self.prefix, EXPIRATION].concat())?;
        let offsets = stored.as_deref().map(numbers).transpose()?;
        let load = |bytes: Option<[u8; 8]>, rate| {
            let expirer = Expirer::load(bytes.as_ref().map(<[u8; 8]>::as_slice), rate, now_ns);
            expirer.map_err(|_| LoadBalanceError::Damaged { length: 17 })
        };
        Ok(Expiration {
            positive: load(offsets.map(|(one, _)| one), positive)?,
            negative: load(offsets.map(|(_, two)| two), negative)?,
        })
    }

    pub(super) fn balance(&self, sign: Sign, of: &[u8]) -> Result<ExpiringValue, LoadBalanceError> {
        let stored = self.get(&self.key(sign, of))?;
        stored.map_or(Ok(ExpiringValue::ZERO), |bytes| value(&bytes))
    }

    pub(super) fn tally(&self, of: &[u8]) -> Result<Tally, LoadBalanceError> {
        let stored = self.get(&self.charged_key(of))?;
        stored.map_or(Ok(Tally::default()), |bytes| Tally::from_bytes(&bytes))
    }

    /// Returns the clients with a stored total or notice.
    pub(super) fn charged<Id: PeerId>(&self) -> Result<Vec<Id>, LoadBalanceError> {
        let prefix = self.charged_key(&[]);
        let (mut found, mut damaged) = (Vec::new(), None);
        self.store.scan(&prefix, &[], &mut |key, _| {
            let id = key.get(prefix.len()..).unwrap_or_default();
            match Id::try_from(id) {
                Ok(id) => found.push(id),
                Err(_) => damaged = Some(id.len()),
            }
            ControlFlow::Continue(())
        })?;
        match damaged {
            Some(length) => Err(LoadBalanceError::Damaged { length }),
            None => Ok(found),
        }
    }

    /// Adds a tally to a batch if it must be stored.
    pub(super) fn put_tally(&self, batch: &mut Batch, of: &[u8], tally: Tally) {
        let key = self.charged_key(of);
        if tally.charged == Charged::default() {
            batch.delete(key);
        } else if tally.is_kept {
            batch.put(key, tally.to_bytes());
        }
    }

    /// Calls `each` with stored balances in order of their ids or addresses, starting at `from`, until it breaks.
    pub(super) fn scan(
        &self,
        sign: Sign,
        from: &[u8],
        mut each: impl FnMut(&[u8], ExpiringValue) -> ControlFlow<()>,
    ) -> Result<(), LoadBalanceError> {
        let prefix = self.key(sign, &[]);
        let mut failed = Ok(());
        let visit: &mut Visit<'_> = &mut |key, bytes| {
            let of = key.get(prefix.len()..).unwrap_or_default();
            match value(bytes) {
                Ok(value) => each(of, value),
                Err(error) => {
                    failed = Err(error);
                    ControlFlow::Break(())
                }
            }
        };
        self.store.scan(&prefix, from, visit)?;
        failed
    }

    /// Adds a balance to a batch; a balance worth at most `drop` is deleted.
    pub(super) fn put(
        &self,
        batch: &mut Batch,
        sign: Sign,
        of: &[u8],
        balance: ExpiringValue,
        worth: u64,
        drop: u64,
    ) {
        let key = self.key(sign, of);
        if worth <= drop {
            batch.delete(key);
            return;
        }
        batch.put(
            key,
            record(balance.base().to_be_bytes(), balance.exp().to_be_bytes()),
        );
    }

    pub(super) fn delete(&self, batch: &mut Batch, sign: Sign, of: &[u8]) {
        batch.delete(self.key(sign, of));
    }

    /// Writes a batch, or stages it, together with the offsets of the moment. A balance read at an offset older than its own write
    /// would be too large.
    pub(super) fn write(
        &mut self,
        mut batch: Batch,
        expiration: &Expiration,
        now_ns: u64,
    ) -> Result<(), StoreError> {
        let key = [&self.prefix, EXPIRATION].concat();
        let positive = expiration.positive.to_bytes(now_ns);
        batch.put(key, record(positive, expiration.negative.to_bytes(now_ns)));
        self.write_rows(batch)
    }

    /// Writes a batch as it is, or stages it.
    pub(super) fn write_rows(&mut self, batch: Batch) -> Result<(), StoreError> {
        match &mut self.staged {
            Some(staged) => {
                staged.append(batch);
                Ok(())
            }
            None => self.store.write(&batch),
        }
    }

    /// Lets reads of single records see an owed batch.
    pub(super) fn show(&mut self, owed: Option<Batch>) {
        self.owed = owed;
    }

    /// Collects all writes from now on.
    pub(super) fn stage(&mut self) {
        self.staged.get_or_insert_default();
    }

    pub(super) const fn is_staging(&self) -> bool {
        self.staged.is_some()
    }

    /// Returns the collected writes, and makes later ones at once.
    pub(super) fn take_staged(&mut self) -> Option<Batch> {
        self.staged.take()
    }

    pub(super) const fn store(&self) -> &S {
        &self.store
    }

    /// Returns the value of a key, as if collected writes were made.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let unwritten = [&self.staged, &self.owed].into_iter().flatten();
        let mut found = unwritten.filter_map(|batch| batch.get(key));
        match found.next() {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.store.get(key),
        }
    }

    fn charged_key(&self, of: &[u8]) -> Vec<u8> {
        [&self.prefix, CHARGED, of].concat()
    }

    fn key(&self, sign: Sign, of: &[u8]) -> Vec<u8> {
        [&self.prefix, sign.prefix(), of].concat()
    }
}

fn record(one: [u8; 8], two: [u8; 8]) -> Vec<u8> {
    [&[VERSION][..], &one, &two].concat()
}

fn numbers(bytes: &[u8]) -> Result<([u8; 8], [u8; 8]), LoadBalanceError> {
    let damaged = LoadBalanceError::Damaged {
        length: bytes.len(),
    };
    match bytes.split_first() {
        None => Err(damaged),
        Some((&VERSION, numbers)) => match numbers.as_chunks() {
            ([one, two], []) => Ok((*one, *two)),
            _ => Err(damaged),
        },
        Some((&found, _)) => Err(LoadBalanceError::Version { found }),
    }
}

fn value(bytes: &[u8]) -> Result<ExpiringValue, LoadBalanceError> {
    let (base, exp) = numbers(bytes)?;
    Ok(ExpiringValue::new(
        u64::from_be_bytes(base),
        u64::from_be_bytes(exp),
    ))
}
