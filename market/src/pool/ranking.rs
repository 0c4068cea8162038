//! Clients by rank, while ranks change with time.

use super::types::Priorities;
use crate::balance::priority::Priority;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

/// A client's place: lower places yield first. True for the client of a request, which yields last at equal priority
/// because the bias is already against it.
pub(super) type Rank<Id> = (Priority, bool, Id);

/// Order of clients: which of two leads, and until when.
pub(super) trait Order<Id> {
    /// Returns true if the first client leads, and a moment before which the order does not change by itself.
    fn leads(&self, first: &Id, second: &Id) -> (bool, u64);

    fn now_ns(&self) -> u64;
}

/// A tournament: a binary tree whose inner nodes have the leader of their part, and the moment until which the part
/// is in order. A change of one client plays again on one path. Passing time plays again where the moment is over.
#[derive(Clone, Debug)]
pub(super) struct Ranking<Id> {
    clients: Vec<Option<Id>>,
    places: BTreeMap<Id, usize>,
    free: Vec<usize>,
    /// Node 1 is the root, and the children of node i are 2i and 2i + 1. Numbers from the length on are places of
    /// clients.
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    leader: Option<usize>,
    until_ns: u64,
}

const EMPTY: Node = Node {
    leader: None,
    until_ns: u64::MAX,
};

impl<Id: Ord + Clone> Ranking<Id> {
    pub(super) const fn new() -> Self {
        Self {
            clients: Vec::new(),
            places: BTreeMap::new(),
            free: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Returns the first client. Valid after [`refresh`](Self::refresh).
    pub(super) fn leader(&self) -> Option<&Id> {
        self.client(self.part(1).leader?)
    }

    /// Returns a moment before which the order does not change by itself.
    pub(super) fn until_ns(&self) -> u64 {
        self.part(1).until_ns
    }

    pub(super) fn insert(&mut self, id: &Id, order: &impl Order<Id>) {
        if self.places.contains_key(id) {
            return self.touch(id, order);
        }
        if self.free.is_empty() {
            self.grow();
        }
        let Some(place) = self.free.pop() else {
            return;
        };
        self.clients[place] = Some(id.clone());
        self.places.insert(id.clone(), place);
        self.play_path(place, order);
    }

    pub(super) fn remove(&mut self, id: &Id, order: &impl Order<Id>) {
        if let Some(place) = self.places.remove(id) {
            self.clients[place] = None;
            self.free.push(place);
            self.play_path(place, order);
        }
    }

    /// Ranks a client again, if present.
    pub(super) fn touch(&mut self, id: &Id, order: &impl Order<Id>) {
        if let Some(place) = self.places.get(id) {
            self.play_path(*place, order);
        }
    }

    /// Brings all parts in order whose moment is over.
    pub(super) fn refresh(&mut self, order: &impl Order<Id>) {
        self.refresh_part(1, order);
    }

    /// Starts a walk over the clients from the first on, in the order of `rank`, which must be that of the ranking.
    pub(super) fn walk(&self, rank: impl Fn(&Id) -> Rank<Id>) -> Walk<Id> {
        let mut walk = Walk {
            ahead: BinaryHeap::new(),
        };
        walk.look(self, 1, &rank);
        walk
    }

    fn refresh_part(&mut self, node: usize, order: &impl Order<Id>) {
        if node < self.nodes.len() && self.nodes[node].until_ns <= order.now_ns() {
            self.refresh_part(2 * node, order);
            self.refresh_part(2 * node + 1, order);
            self.play(node, order);
        }
    }

    fn play_path(&mut self, place: usize, order: &impl Order<Id>) {
        let mut node = (self.nodes.len() + place) / 2;
        while node > 0 {
            self.play(node, order);
            node /= 2;
        }
    }

    fn play(&mut self, node: usize, order: &impl Order<Id>) {
        let (first, second) = (self.part(2 * node), self.part(2 * node + 1));
        let pair = first.leader.zip(second.leader);
        let clients = pair.and_then(|(one, two)| self.client(one).zip(self.client(two)));
        let (leader, until_ns) = match clients {
            None => (first.leader.or(second.leader), u64::MAX),
            Some((one, two)) => match order.leads(one, two) {
                (true, until_ns) => (first.leader, until_ns),
                (false, until_ns) => (second.leader, until_ns),
            },
        };
        let until_ns = until_ns.min(first.until_ns).min(second.until_ns);
        self.nodes[node] = Node { leader, until_ns };
    }

    /// Returns an inner node, or the client at a place as one.
    fn part(&self, node: usize) -> Node {
        if let Some(node) = self.nodes.get(node) {
            return *node;
        }
        let place = node - self.nodes.len();
        Node {
            leader: self.client(place).map(|_| place),
            ..EMPTY
        }
    }

    fn client(&self, place: usize) -> Option<&Id> {
        self.clients.get(place)?.as_ref()
    }

    /// Doubles the places. The tree becomes the left half of a larger one, without playing again.
    fn grow(&mut self) {
        let before = self.nodes.len();
        let after = (2 * before).max(2);
        let mut nodes = vec![EMPTY; after];
        for (node, content) in self.nodes.iter().enumerate().skip(1) {
            nodes[node + (1 << node.ilog2())] = *content;
        }
        if before > 0 {
            nodes[1] = self.part(1);
        }
        self.nodes = nodes;
        self.free.extend((self.clients.len()..after).rev());
        self.clients.resize(after, None);
    }
}

/// A walk over a [`Ranking`].
pub(super) struct Walk<Id> {
    /// Leaders of parts that have not been walked: rank, place, node of the part.
    ahead: BinaryHeap<Reverse<(Rank<Id>, usize, usize)>>,
}

impl<Id: Ord + Clone> Walk<Id> {
    /// Returns the next client.
    pub(super) fn next(
        &mut self,
        ranking: &Ranking<Id>,
        rank: impl Fn(&Id) -> Rank<Id>,
    ) -> Option<Rank<Id>> {
        let Reverse((next, place, mut node)) = self.ahead.pop()?;
        while node < ranking.nodes.len() {
            let [one, two] = [2 * node, 2 * node + 1];
            let (with, without) = match ranking.part(one).leader == Some(place) {
                true => (one, two),
                false => (two, one),
            };
            self.look(ranking, without, &rank);
            node = with;
        }
        Some(next)
    }

    fn look(&mut self, ranking: &Ranking<Id>, node: usize, rank: impl Fn(&Id) -> Rank<Id>) {
        let leader = ranking.part(node).leader;
        if let Some((place, id)) = leader.and_then(|place| Some((place, ranking.client(place)?))) {
            self.ahead.push(Reverse((rank(id), place, node)));
        }
    }
}

/// Order of active clients: the lowest priority at the present capacity first.
pub(super) struct LowestActive<'a, Id, P> {
    pub(super) capacities: &'a BTreeMap<Id, u64>,
    pub(super) priorities: &'a P,
}

impl<Id: Ord, P: Priorities<Id>> Order<Id> for LowestActive<'_, Id, P> {
    fn leads(&self, first: &Id, second: &Id) -> (bool, u64) {
        let [one, two] = [first, second].map(|id| {
            let capacity = self.capacities.get(id).copied().unwrap_or(0);
            (id, capacity)
        });
        let rank = |(id, capacity)| (self.priorities.priority(id, capacity), id);
        match rank(one) < rank(two) {
            true => (true, self.priorities.stays_until(one, two)),
            false => (false, self.priorities.stays_until(two, one)),
        }
    }

    fn now_ns(&self) -> u64 {
        self.priorities.now_ns()
    }
}

/// Order of waiting clients: the highest priority at the minimum capacity first, and the smallest id among equal ones.
/// Nothing is charged to them, so time alone changes no order.
pub(super) struct HighestWaiting<'a, P> {
    pub(super) min_capacity: u64,
    pub(super) priorities: &'a P,
}

impl<Id: Ord, P: Priorities<Id>> Order<Id> for HighestWaiting<'_, P> {
    fn leads(&self, first: &Id, second: &Id) -> (bool, u64) {
        let rank = |id| (Reverse(self.priorities.priority(id, self.min_capacity)), id);
        let until_ns = match self.priorities.tells_changes() {
            true => u64::MAX,
            false => self.priorities.now_ns(),
        };
        (rank(first) < rank(second), until_ns)
    }

    fn now_ns(&self) -> u64 {
        self.priorities.now_ns()
    }
}
