//! Upkeep of the ledger: leases that ended, answers that nobody asked for, ids of closed deposits.

use crate::ledger::{
    book::Book,
    fault::{LedgerFault, joined},
    lookup::Rules,
    payment::PaymentId,
    records::{
        codec::Record, deposit::DepositRecord, keys::Keys, payment::PaymentState,
        reservation::ReservationRecord,
    },
    settlement::release_expired,
    shell::Ledger,
};
use cheque::{
    DepositId,
    store::{Table, position_key},
};
use std::ops::ControlFlow;

/// The largest number of records that one batch of upkeep removes.
const BATCH: usize = 256;

/// What a round of upkeep has done. Plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// The number of reservations whose lease had ended, and which were released.
    pub released: usize,
    /// The number of stored answers that were removed.
    pub forgotten: usize,
    /// The number of idempotency keys that ended.
    pub keys: usize,
}

/// The reason why the records of a deposit are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prune {
    /// The deposit's records are removed.
    Done,
    /// The payee still has the deposit's position, so its ids can be shown.
    HasPosition,
    /// A request that one of its ids pays for is in progress.
    InProgress,
}

impl Ledger {
    /// Releases reservations whose worker has stopped, and removes old answers and keys. Every worker may call it, some times a
    /// minute.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn sweep(&self, now: u64) -> Result<Upkeep, LedgerFault> {
        let mut done = Upkeep::default();
        for holder in self.expired(now).await? {
            done.released += usize::from(self.release_expired(holder, now).await?);
        }
        loop {
            let old = self.old(self.keys().answers(), now).await?;
            if old.is_empty() {
                break;
            }
            done.forgotten += old.len();
            self.repeat(move |book, _| remove_all(book, &old)).await?;
        }
        loop {
            let ended = self.old(self.keys().authorization_ends(), now).await?;
            if ended.is_empty() {
                break;
            }
            let remove = move |book: &mut Book<'_>, _: Rules<'_>| {
                let mut ended = ended.iter();
                ended.try_for_each(|end| book.remove_authorization_end(end.clone(), now))
            };
            self.repeat(remove).await?;
        }
        loop {
            let ended = self.old(self.keys().key_ends(), now).await?;
            if ended.is_empty() {
                return Ok(done);
            }
            done.keys += ended.len();
            let remove = move |book: &mut Book<'_>, _: Rules<'_>| {
                let mut ended = ended.iter();
                ended.try_for_each(|end| book.remove_key_end(end.clone()))
            };
            self.repeat(remove).await?;
        }
    }

    /// Releases the reservations of all other workers, whose leases may last. Call it at the start of a worker that is alone
    /// on its store: the others have stopped. Returns the number of reservations.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn release_abandoned(&self) -> Result<usize, LedgerFault> {
        let worker = self.shared.settings.worker;
        let is_other =
            move |_: &[u8], value: &[u8]| Ok(ReservationRecord::decode(value)?.worker != worker);
        let found = self.scan(self.keys().reservations(), usize::MAX, is_other);
        let mut released = 0;
        for key in found.await? {
            if let Some(holder) = PaymentId::from_key(&key) {
                // Every lease has ended at the end of time.
                released += usize::from(self.release_expired(holder, u64::MAX).await?);
            }
        }
        Ok(released)
    }

    /// Removes the ids of a deposit, once the payee has dropped its position. Nothing can be paid from the deposit then, so
    /// no id of it can be shown again. The account stays.
    ///
    /// # Errors
    ///
    /// Fails if the store fails. Call again then.
    pub async fn prune(&self, id: DepositId) -> Result<Prune, LedgerFault> {
        loop {
            let keys = self.keys().payments(id);
            let found = self.scan(keys, BATCH, |_, _| Ok(true)).await?;
            let is_last = found.len() < BATCH;
            let pruned = self.repeat(move |book, _| prune(book, id, &found, is_last));
            let pruned = pruned.await?;
            if is_last || pruned != Prune::Done {
                return Ok(pruned);
            }
        }
    }

    /// Removes the ids of all deposits whose positions the payee has dropped. Returns the number of these deposits.
    ///
    /// # Errors
    ///
    /// Fails if the store fails. Call again then.
    pub async fn prune_all(&self) -> Result<usize, LedgerFault> {
        let (shared, prefix) = (self.shared.clone(), self.keys().deposits());
        let length = prefix.len();
        let is_dropped = move |key: &[u8], value: &[u8]| {
            let bank = DepositRecord::decode(value)?.bank.address();
            let Some(id) = deposit_of(key, length) else {
                return Ok(false);
            };
            let position = position_key(bank, id, shared.judge.payee());
            let position = shared.pipeline.store().get(Table::Positions, &position)?;
            Ok(position.is_none())
        };
        let mut pruned = 0;
        for key in self.scan(prefix, usize::MAX, is_dropped).await? {
            if let Some(id) = deposit_of(&key, length)
                && self.prune(id).await? == Prune::Done
            {
                pruned += 1;
            }
        }
        Ok(pruned)
    }

    /// Releases one reservation whose lease has ended. Returns false without such a reservation.
    pub(super) async fn release_expired(
        &self,
        holder: PaymentId,
        now: u64,
    ) -> Result<bool, LedgerFault> {
        self.repeat(move |book, rules: Rules<'_>| release_expired(book, rules, &holder, now))
            .await
    }

    async fn expired(&self, now: u64) -> Result<Vec<PaymentId>, LedgerFault> {
        let is_expired =
            move |_: &[u8], value: &[u8]| Ok(ReservationRecord::decode(value)?.lease_until <= now);
        let found = self.scan(self.keys().reservations(), usize::MAX, is_expired);
        let keys = found.await?;
        Ok(keys
            .iter()
            .filter_map(|key| PaymentId::from_key(key))
            .collect())
    }

    /// The keys of answers, or of ends of idempotency keys, whose time has come.
    async fn old(&self, prefix: Vec<u8>, now: u64) -> Result<Vec<Vec<u8>>, LedgerFault> {
        let keys = self.keys();
        let is_old =
            move |key: &[u8], _: &[u8]| Ok(keys.until_of(key).is_some_and(|until| until <= now));
        self.scan(prefix, BATCH, is_old).await
    }

    fn keys(&self) -> Keys {
        Keys::new(self.shared.judge.payee())
    }

    /// Reads the keys of at most `max` wanted records, in ascending order.
    async fn scan(
        &self,
        prefix: Vec<u8>,
        max: usize,
        wanted: impl Fn(&[u8], &[u8]) -> Result<bool, LedgerFault> + Send + 'static,
    ) -> Result<Vec<Vec<u8>>, LedgerFault> {
        let shared = self.shared.clone();
        let work = move || {
            let mut found = Vec::new();
            let mut fault = None;
            let mut visit = |key: &[u8], value: &[u8]| {
                match wanted(key, value) {
                    Ok(true) => found.push(key.to_vec()),
                    Ok(false) => {}
                    Err(error) => fault = Some(error),
                }
                match fault.is_some() || found.len() >= max {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            };
            shared
                .pipeline
                .store()
                .scan(Table::App, &prefix, &mut visit)?;
            fault.map_or(Ok(found), Err)
        };
        joined(tokio::task::spawn_blocking(work).await)?
    }
}

/// The deposit in the key of its record, behind a prefix of so many bytes.
fn deposit_of(key: &[u8], prefix: usize) -> Option<DepositId> {
    let id: [u8; 32] = key.get(prefix..)?.try_into().ok()?;
    Some(DepositId(id.into()))
}

fn remove_all(book: &mut Book<'_>, keys: &[Vec<u8>]) -> Result<(), LedgerFault> {
    keys.iter().try_for_each(|key| book.remove(key.clone()))
}

fn prune(
    book: &mut Book<'_>,
    id: DepositId,
    payments: &[Vec<u8>],
    is_last: bool,
) -> Result<Prune, LedgerFault> {
    let Some(deposit) = book.deposit(id)? else {
        return Ok(Prune::Done);
    };
    if book.position_bytes(deposit.bank.address(), id)?.is_some() {
        return Ok(Prune::HasPosition);
    }
    for id in payments.iter().filter_map(|key| PaymentId::from_key(key)) {
        let state = book.payment(&id)?.map(|payment| payment.state);
        // A released payment is valid after the cutoff, so one may be in use even now.
        if matches!(state, Some(PaymentState::Reserved { .. })) {
            return Ok(Prune::InProgress);
        }
    }
    remove_all(book, payments)?;
    if is_last {
        book.remove_deposit(id);
    }
    Ok(Prune::Done)
}
