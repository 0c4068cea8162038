//! The open connections, and the choice of one to close for a new one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// The origin of connections: an IPv4 address, or the network of 64 bits of an IPv6 address, whose holder has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Source(IpAddr);

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        let network = |address: Ipv6Addr| Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
        Self(match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => IpAddr::V6(network(address)),
            address => address,
        })
    }
}

/// The state of a connection, shared with its requests.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// The number of requests without a complete answer.
    busy: AtomicUsize,
    called: AtomicBool,
    trusted: AtomicBool,
    evicted: Notify,
}

/// A request without a complete answer.
pub(super) struct Busy(Arc<Connection>);

impl Connection {
    /// Counts a request.
    pub(super) fn begin(connection: &Arc<Self>) -> Busy {
        connection.called.store(true, Ordering::Release);
        connection.busy.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(connection))
    }

    /// True after the first complete header.
    pub(super) fn has_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Waits until the connection has to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Acquire)
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The connection of a request, as an extension of the request.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Connection>);

impl Caller {
    pub(super) const fn new(connection: Arc<Connection>) -> Self {
        Self(connection)
    }

    /// Records that the caller has shown the token, or needs none. Its connection then makes room for a new one only between
    /// two requests, and only where no stranger could.
    pub fn trust(&self) {
        self.0.trusted.store(true, Ordering::Release);
    }
}

/// All open connections, up to a bound.
pub(super) struct Connections {
    max: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    next: u64,
    by_age: BTreeMap<u64, (Source, Arc<Connection>)>,
}

/// A connection's place among the open ones, given up when dropped.
pub(super) struct Slot {
    number: u64,
    connection: Arc<Connection>,
    open: Arc<Mutex<Open>>,
}

impl Slot {
    pub(super) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        locked(&self.open).by_age.remove(&self.number);
    }
}

impl Connections {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            open: Arc::default(),
        }
    }

    /// Gives a new connection a place, and true if another one has to make room. `None` if all others are busy with requests of
    /// trusted callers.
    pub(super) fn admit(&self, source: Source) -> Option<(Slot, bool)> {
        let mut open = locked(&self.open);
        let is_full = open.by_age.len() >= self.max;
        if is_full && !open.evict() {
            return None;
        }
        let (number, connection) = (open.next, Arc::new(Connection::default()));
        open.next = open.next.wrapping_add(1);
        open.by_age
            .insert(number, (source, Arc::clone(&connection)));
        drop(open);
        let slot = Slot {
            number,
            connection,
            open: Arc::clone(&self.open),
        };
        Some((slot, is_full))
    }

    /// Closes the connection that a new one would replace.
    pub(super) fn evict(&self) {
        locked(&self.open).evict();
    }
}

impl Open {
    fn evict(&mut self) -> bool {
        let Some(number) = self.stranger().or_else(|| self.idle()) else {
            return false;
        };
        if let Some((_, connection)) = self.by_age.remove(&number) {
            connection.evicted.notify_one();
        }
        true
    }

    /// The oldest connection without trust of the source that has most of these.
    fn stranger(&self) -> Option<u64> {
        let strangers = self.by_age.iter();
        let strangers = strangers.filter(|(_, (_, connection))| !connection.is_trusted());
        let strangers: Vec<_> = strangers
            .map(|(number, (source, _))| (*number, *source))
            .collect();
        let mut counts: HashMap<Source, usize> = HashMap::new();
        for (_, source) in &strangers {
            *counts.entry(*source).or_default() += 1;
        }
        let of_source = |source: &Source| counts.get(source).copied();
        let found = strangers.iter();
        let found = found.max_by_key(|(number, source)| (of_source(source), Reverse(*number)));
        found.map(|(number, _)| *number)
    }

    /// The oldest trusted connection without a request.
    fn idle(&self) -> Option<u64> {
        let mut open = self.by_age.iter();
        let idle = open.find(|(_, (_, connection))| !connection.is_busy());
        idle.map(|(number, _)| *number)
    }
}

fn locked(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    fn is_evicted(slot: &Slot) -> bool {
        !locked(&slot.open).by_age.contains_key(&slot.number)
    }

    #[test]
    fn counts_networks_of_ipv6_and_single_ipv4_addresses() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn closes_the_oldest_stranger_of_the_largest_source() {
        let connections = Connections::new(4);
        let few = connections.admit(source("192.0.2.1")).unwrap().0;
        let many: Vec<_> = (0..3)
            .map(|_| connections.admit(source("192.0.2.2")).unwrap().0)
            .collect();
        assert!(connections.admit(source("192.0.2.3")).unwrap().1);
        assert!(!is_evicted(&few), "of an address with one connection");
        assert!(is_evicted(&many[0]) && !is_evicted(&many[1]));
    }

    #[test]
    fn closes_trusted_connections_last_and_never_busy_ones() {
        let connections = Connections::new(3);
        let admit = || connections.admit(source("192.0.2.1"));
        let (busy, idle, stranger) = (admit().unwrap().0, admit().unwrap().0, admit().unwrap().0);
        Caller::new(Arc::clone(busy.connection())).trust();
        Caller::new(Arc::clone(idle.connection())).trust();
        let request = Connection::begin(busy.connection());
        let second = admit().unwrap().0;
        assert!(is_evicted(&stranger) && !is_evicted(&idle));
        Caller::new(Arc::clone(second.connection())).trust();
        let answering = Connection::begin(second.connection());
        let third = admit().unwrap().0;
        assert!(is_evicted(&idle) && !is_evicted(&busy));
        Caller::new(Arc::clone(third.connection())).trust();
        let last = Connection::begin(third.connection());
        assert!(admit().is_none(), "all are busy");
        drop(request);
        assert!(admit().is_some());
        assert!(is_evicted(&busy) && !is_evicted(&second));
        drop((answering, last));
    }

    #[test]
    fn gives_places_of_ended_connections_to_new_ones() {
        let connections = Connections::new(1);
        let first = connections.admit(source("192.0.2.1")).unwrap();
        drop(first);
        let (_slot, has_evicted) = connections.admit(source("192.0.2.1")).unwrap();
        assert!(!has_evicted);
    }
}
