//! The owner of clients, capacities and the sale.

use super::{
    error::HallError,
    limits::AnnouncedLimits,
    sale::{Expiration, SaleTerms, TokenSale},
};
use crate::{
    balance::{
        error::{ConnectError, DisconnectError, LoadBalanceError},
        types::Added,
    },
    id::PeerId,
    pool::{
        clients::{ClientPool, PoolEvent},
        types::Limits,
    },
    store::interface::{Batch, Store, StoreError},
    tokens::FreeRatio,
};

const SALE: &[u8] = b"sale";
/// Time between two ticks of the sale.
const TICK_NS: u64 = 10_000_000_000;

/// A provider's clients, capacities and sale of tokens; see the [module](super).
#[derive(Debug)]
pub struct Hall<Id, S> {
    pub(super) clients: ClientPool<Id, S>,
    announced: AnnouncedLimits,
    pub(super) sale: Option<TokenSale>,
    /// The sale before the first operation of the open batch.
    pub(super) sale_before: Option<TokenSale>,
    pub(super) sale_key: Vec<u8>,
    tick_at: u64,
}

impl<Id: PeerId, S: Store> Hall<Id, S> {
    /// Takes over a pool. No tokens are sold.
    pub fn new(clients: ClientPool<Id, S>) -> Self {
        Self {
            announced: AnnouncedLimits::new(clients.pool().limits()),
            clients,
            sale: None,
            sale_before: None,
            sale_key: Vec::new(),
            tick_at: u64::MAX,
        }
    }

    /// Starts selling tokens, or goes on from the record under `prefix` in `store`, which must be the prefix and the
    /// store of the pool's tracker.
    ///
    /// # Errors
    ///
    /// [`HallError`] if the store fails, the record is damaged, or the terms contradict themselves.
    pub fn with_sale(
        mut self,
        store: &S,
        prefix: &[u8],
        terms: SaleTerms,
        now_ns: u64,
    ) -> Result<Self, HallError> {
        self.sale_key = [prefix, SALE].concat();
        let sale = TokenSale::read(store, &self.sale_key, terms, now_ns)?;
        let rate = sale.expiration().rate;
        self.clients
            .tracker_mut()
            .set_positive_expiration(rate, now_ns);
        self.sale = Some(sale);
        self.tick_at = now_ns;
        Ok(self)
    }

    /// Returns the pool.
    pub const fn clients(&self) -> &ClientPool<Id, S> {
        &self.clients
    }

    /// Returns the pool, for requesting capacity and operations. Connect, disconnect, poll and set limits through the
    /// hall instead.
    pub const fn clients_mut(&mut self) -> &mut ClientPool<Id, S> {
        &mut self.clients
    }

    /// Returns the sale, in token mode.
    pub const fn sale(&self) -> Option<&TokenSale> {
        self.sale.as_ref()
    }

    /// Returns the announced rate of expiration; `None` without a sale.
    pub fn expiration(&self) -> Option<Expiration> {
        self.sale.as_ref().map(TokenSale::expiration)
    }

    /// Returns the announced total capacity.
    pub const fn capacity(&self) -> u64 {
        self.announced.capacity()
    }

    /// Calls [`ClientPool::connect`].
    ///
    /// # Errors
    ///
    /// Those of [`ClientPool::connect`].
    pub fn connect(&mut self, id: &Id, address: &[u8], now_ns: u64) -> Result<u64, ConnectError> {
        self.clients.connect(id.clone(), address, now_ns)
    }

    /// Calls [`ClientPool::disconnect`].
    ///
    /// # Errors
    ///
    /// Those of [`ClientPool::disconnect`].
    pub fn disconnect(&mut self, id: &Id, now_ns: u64) -> Result<(), DisconnectError> {
        self.clients.disconnect(id, now_ns)
    }

    /// Announces the limits. An increase takes effect at once. A decrease takes effect a second later, in
    /// [`poll`](Self::poll). The number of slots takes effect at once. Returns true if the capacity changes.
    pub fn set_limits(&mut self, limits: Limits, now_ns: u64) -> bool {
        let before = self.announced.capacity();
        self.announced.announce(limits, now_ns);
        self.enforce(now_ns);
        limits.capacity != before
    }

    /// Returns the moment of the next work for [`poll`](Self::poll), possibly now.
    pub fn next_event(&self) -> u64 {
        let limits = self.announced.next_event();
        limits.min(self.clients.next_event()).min(self.tick_at)
    }

    /// Applies a due decrease of the total capacity, calls [`ClientPool::poll`] and, when due, [`tick`](Self::tick).
    ///
    /// # Errors
    ///
    /// Those of [`ClientPool::poll`].
    pub fn poll(&mut self, now_ns: u64) -> Result<Vec<PoolEvent<Id>>, LoadBalanceError> {
        self.enforce(now_ns);
        let happened = self.clients.poll(now_ns)?;
        if self.tick_at <= now_ns {
            self.tick(now_ns)?;
        }
        Ok(happened)
    }

    /// Moves the sale to the present free share of the capacity and to the tokens in all balances, and stores it.
    /// Announces a rate of expiration when the last one is over. Does nothing without a sale.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the next tick catches up.
    pub fn tick(&mut self, now_ns: u64) -> Result<(), StoreError> {
        let Some(sale) = &self.sale else {
            return Ok(());
        };
        let pool = self.clients.pool();
        let max = pool.limits().capacity;
        let free = max.saturating_sub(pool.total_capacity());
        let free = FreeRatio::of_capacity(free, sale.terms().free_client_capacity, max);
        let mut next = sale.clone();
        let tracker = self.clients.tracker_mut();
        let announces = next.tick(free, tracker.total_tokens(now_ns), now_ns);
        let mut batch = Batch::new();
        next.put(&mut batch, &self.sale_key, now_ns);
        tracker.write(batch, now_ns)?;
        if announces {
            tracker.set_positive_expiration(next.expiration().rate, now_ns);
        }
        self.sale = Some(next);
        self.tick_at = now_ns.saturating_add(TICK_NS);
        Ok(())
    }

    /// Credits a client, connected or not, with tokens for a payment, in one batch with `extra` writes: the record of
    /// the payment.
    ///
    /// # Errors
    ///
    /// [`HallError`] if the balance would be too large or cannot be read or written.
    pub fn pay(
        &mut self,
        id: &Id,
        tokens: i64,
        extra: Batch,
        now_ns: u64,
    ) -> Result<Added, HallError> {
        self.clients
            .tracker_mut()
            .operation(id, None, now_ns, |balance| {
                balance.extra_writes().append(extra);
                Ok(balance.add(tokens)?)
            })
    }

    /// Returns the value of a key of the store, with the writes of the open batch: for the record of a payment, which may
    /// have been replaced in this batch.
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails.
    pub fn stored(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LoadBalanceError> {
        self.clients.tracker().stored(key)
    }

    /// Charges a connected client for a request and returns the tokens left. Charges are stored every five minutes and
    /// with the next payment.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](crate::balance::NotConnected).
    pub fn served(
        &mut self,
        id: &Id,
        cost: u64,
        now_ns: u64,
    ) -> Result<u64, crate::balance::NotConnected> {
        self.clients.tracker_mut().request_served(id, cost, now_ns)
    }

    fn enforce(&mut self, now_ns: u64) {
        let limits = self.announced.in_force(now_ns);
        if limits != self.clients.pool().limits() {
            self.clients.set_limits(limits, now_ns);
        }
    }
}
