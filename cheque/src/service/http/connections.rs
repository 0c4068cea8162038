//! The open connections, and the choice of one to close for a new one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

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
    /// The number of requests so far.
    requests: AtomicUsize,
    trusted: AtomicBool,
    evicted: Notify,
    answers: Mutex<Vec<Weak<AnswerClock>>>,
}

/// The moment since which an answer waits for its caller to take a part. `None`: the caller waits.
#[derive(Debug, Default)]
pub(super) struct AnswerClock(Mutex<Option<Instant>>);

impl AnswerClock {
    pub(super) fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn has_waited(&self, time: Duration) -> bool {
        let since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() >= time)
    }
}

/// A request without a complete answer.
pub(super) struct Busy(Arc<Connection>);

impl Connection {
    /// Counts a request.
    pub(super) fn begin(connection: &Arc<Self>) -> Busy {
        connection.requests.fetch_add(1, Ordering::AcqRel);
        connection.busy.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(connection))
    }

    /// True after the first complete header.
    pub(super) fn has_called(&self) -> bool {
        self.requests() > 0
    }

    /// The number of complete headers.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    /// Counts the time for which the parts of an answer wait.
    pub(super) fn clock(&self) -> Arc<AnswerClock> {
        let clock = Arc::new(AnswerClock::default());
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|clock| clock.strong_count() > 0);
        answers.push(Arc::downgrade(&clock));
        clock
    }

    /// True if a part of an answer has waited so long for the caller.
    pub(super) fn has_unread(&self, time: Duration) -> bool {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut clocks = answers.iter().filter_map(Weak::upgrade);
        clocks.any(|clock| clock.has_waited(time))
    }

    /// Waits until the connection has to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    pub(super) fn trust(&self) {
        self.trusted.store(true, Ordering::Release);
    }

    fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Acquire)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// All open connections, up to a bound for all and one for the strangers of a source.
pub(super) struct Connections {
    max: usize,
    max_strangers: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    next: u64,
    by_age: BTreeMap<u64, (Source, Arc<Connection>)>,
    by_source: HashMap<Source, BTreeSet<u64>>,
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
        locked(&self.open).remove(self.number);
    }
}

/// The bound for which a connection had to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MadeRoom {
    /// That of all connections.
    Full,
    /// That of the strangers of one source.
    OfSource,
}

impl Connections {
    /// `max_strangers` bounds the callers of one source that have not shown the token. The own machine has no such bound.
    pub(super) fn new(max: usize, max_strangers: Option<usize>) -> Self {
        Self {
            max,
            max_strangers: max_strangers.unwrap_or(usize::MAX),
            open: Arc::default(),
        }
    }

    /// Gives a new connection a place, and tells if another one has to make room. `None` if all others are busy with requests of
    /// trusted callers.
    pub(super) fn admit(
        &self,
        source: Source,
        is_trusted: bool,
    ) -> Option<(Slot, Option<MadeRoom>)> {
        let mut open = locked(&self.open);
        let is_bounded = !is_trusted && !source.0.is_loopback();
        let made_room = if is_bounded && open.evict_of(source, self.max_strangers) {
            Some(MadeRoom::OfSource)
        } else if open.by_age.len() < self.max {
            None
        } else if open.evict() {
            Some(MadeRoom::Full)
        } else {
            return None;
        };
        let (number, connection) = (open.next, Arc::new(Connection::default()));
        if is_trusted {
            connection.trust();
        }
        open.insert(number, source, &connection);
        drop(open);
        let slot = Slot {
            number,
            connection,
            open: Arc::clone(&self.open),
        };
        Some((slot, made_room))
    }

    /// Closes the connection that a new one would replace.
    pub(super) fn evict(&self) {
        locked(&self.open).evict();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        locked(&self.open).by_age.len()
    }
}

impl Open {
    fn insert(&mut self, number: u64, source: Source, connection: &Arc<Connection>) {
        self.next = number.wrapping_add(1);
        self.by_age.insert(number, (source, Arc::clone(connection)));
        self.by_source.entry(source).or_default().insert(number);
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Connection>> {
        let (source, connection) = self.by_age.remove(&number)?;
        if let Entry::Occupied(mut of_source) = self.by_source.entry(source) {
            of_source.get_mut().remove(&number);
            if of_source.get().is_empty() {
                of_source.remove();
            }
        }
        Some(connection)
    }

    fn evict(&mut self) -> bool {
        let number = self.stranger().or_else(|| self.idle());
        number.is_some_and(|number| self.close(number))
    }

    /// Closes the oldest stranger of a source that has `max` of them.
    fn evict_of(&mut self, source: Source, max: usize) -> bool {
        // Most sources have few connections, trusted ones included.
        let of_source = self.by_source.get(&source);
        let Some(of_source) = of_source.filter(|numbers| numbers.len() >= max) else {
            return false;
        };
        let is_stranger = |number: &&u64| {
            let found = self.by_age.get(number);
            found.is_some_and(|(_, connection)| !connection.is_trusted())
        };
        let mut strangers = of_source.iter().filter(is_stranger);
        let oldest = strangers.next().copied();
        // The oldest, and so many others.
        let others = strangers.count();
        oldest.is_some_and(|oldest| others.saturating_add(1) >= max && self.close(oldest))
    }

    fn close(&mut self, number: u64) -> bool {
        let closed = self.remove(number);
        closed.is_some_and(|connection| {
            connection.evicted.notify_one();
            true
        })
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
        let connections = Connections::new(4, None);
        let few = connections.admit(source("192.0.2.1"), false).unwrap().0;
        let many: Vec<_> = (0..3)
            .map(|_| connections.admit(source("192.0.2.2"), false).unwrap().0)
            .collect();
        let made_room = connections.admit(source("192.0.2.3"), false).unwrap().1;
        assert_eq!(made_room, Some(MadeRoom::Full));
        assert!(!is_evicted(&few), "of an address with one connection");
        assert!(is_evicted(&many[0]) && !is_evicted(&many[1]));
    }

    #[test]
    fn closes_trusted_connections_last_and_never_busy_ones() {
        let connections = Connections::new(3, None);
        let admit = || connections.admit(source("192.0.2.1"), false);
        let (busy, idle, stranger) = (admit().unwrap().0, admit().unwrap().0, admit().unwrap().0);
        busy.connection().trust();
        idle.connection().trust();
        let request = Connection::begin(busy.connection());
        let second = admit().unwrap().0;
        assert!(is_evicted(&stranger) && !is_evicted(&idle));
        second.connection().trust();
        let answering = Connection::begin(second.connection());
        let third = admit().unwrap().0;
        assert!(is_evicted(&idle) && !is_evicted(&busy));
        third.connection().trust();
        let last = Connection::begin(third.connection());
        assert!(admit().is_none(), "all are busy");
        drop(request);
        assert!(admit().is_some());
        assert!(is_evicted(&busy) && !is_evicted(&second));
        drop((answering, last));
    }

    #[test]
    fn gives_places_of_ended_connections_to_new_ones() {
        let connections = Connections::new(1, None);
        let first = connections.admit(source("192.0.2.1"), false).unwrap();
        drop(first);
        let (_slot, made_room) = connections.admit(source("192.0.2.1"), false).unwrap();
        assert_eq!(made_room, None);
        assert_eq!(locked(&connections.open).by_source.len(), 1);
    }

    #[test]
    fn bounds_the_strangers_of_each_source() {
        let connections = Connections::new(100, Some(2));
        let admit = |text| connections.admit(source(text), false).unwrap();
        let trusted = admit("2001:db8::1").0;
        trusted.connection().trust();
        let (first, second) = (admit("2001:db8::2"), admit("2001:db8::3"));
        assert_eq!((first.1, second.1), (None, None));
        let others = [admit("2001:db8:0:1::1"), admit("192.0.2.1")];
        let third = admit("2001:db8::4");
        assert_eq!(third.1, Some(MadeRoom::OfSource));
        assert!(is_evicted(&first.0), "the oldest stranger of the network");
        let kept = [&trusted, &second.0, &third.0, &others[0].0, &others[1].0];
        assert!(!kept.into_iter().any(is_evicted));
        // Who shows the token counts no more.
        second.0.connection().trust();
        assert_eq!(admit("2001:db8::5").1, None);
        let own: Vec<_> = (0..10).map(|_| admit("127.0.0.1")).collect();
        assert!(own.iter().all(|(_, made_room)| made_room.is_none()));
    }

    #[test]
    fn trusts_connections_of_proxies_from_their_start() {
        let connections = Connections::new(3, Some(1));
        let proxied = || connections.admit(source("10.0.0.1"), true).unwrap();
        let (first, second) = (proxied(), proxied());
        assert_eq!((first.1, second.1), (None, None), "no bound of a source");
        let stranger = connections.admit(source("192.0.2.1"), false).unwrap().0;
        let third = proxied();
        assert_eq!(third.1, Some(MadeRoom::Full));
        assert!(is_evicted(&stranger) && !is_evicted(&first.0));
    }
}
