//! The machine against a simple model.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Flags 0 and 1 are persistent, flag 2 is not.
const STORED: u8 = 0b011;

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u8, u8, Option<u64>),
    Timeout(u8, u8, u64),
    Field(u8, Option<u64>),
    Advance(u64),
    Persist(u8),
    Restart,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (peer, mask) = (0u8..3, 0u8..8);
    let step = prop_oneof![
        6 => (peer.clone(), mask.clone(), mask.clone(), proptest::option::of(0u64..6))
            .prop_map(|(n, set, reset, time)| Step::Set(n, set, reset, time)),
        2 => (peer.clone(), mask, 0u64..6).prop_map(|(n, mask, time)| Step::Timeout(n, mask, time)),
        3 => (peer.clone(), proptest::option::of(0u64..3)).prop_map(|(n, v)| Step::Field(n, v)),
        3 => (0u64..5).prop_map(Step::Advance),
        1 => peer.prop_map(Step::Persist),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A peer: its flags, the timeout of each flag, and its field. The model has no peers without flags.
#[derive(Clone, Debug, Default, PartialEq)]
struct Peer {
    flags: u8,
    ends: [Option<u64>; 3],
    field: Option<u64>,
}

#[derive(Default)]
struct Model {
    now: u64,
    peers: BTreeMap<u8, Peer>,
    stored: BTreeMap<u8, (u8, Option<u64>)>,
    reported: Vec<String>,
}

impl Model {
    fn set(&mut self, n: u8, set: u8, reset: u8, timeout: Option<u64>) {
        let mut peer = self.peers.remove(&n).unwrap_or_default();
        let new = peer.flags & !reset | set;
        if peer.flags != new {
            self.reported
                .push(format!("{n}: {} -> {}", show(peer.flags), show(new)));
        }
        peer.flags = new;
        for bit in (0..3).filter(|bit| (set | reset) >> bit & 1 == 1) {
            peer.ends[bit] = match set >> bit & 1 {
                1 => timeout.map(|timeout| self.now + timeout),
                _ => None,
            };
        }
        if new != 0 {
            self.peers.insert(n, peer);
            return;
        }
        if let Some(value) = peer.field {
            self.reported.push(format!("{n}[]: Some({value}) -> None"));
        }
        self.stored.remove(&n);
    }

    fn field(&mut self, n: u8, value: Option<u64>) {
        let Some(peer) = self.peers.get_mut(&n) else {
            return;
        };
        if peer.field != value {
            let state = show(peer.flags);
            self.reported
                .push(format!("{n}{state}: {:?} -> {value:?}", peer.field));
        }
        peer.field = value;
    }

    /// Advances moment by moment. The model ignores the order of timeouts within one moment: the test compares only
    /// the state after each moment.
    fn advance(&mut self, to: u64) {
        while self.now < to {
            self.expire();
            self.now += 1;
        }
        self.expire();
    }

    fn expire(&mut self) {
        for n in self.peers.keys().copied().collect::<Vec<_>>() {
            let ends = self.peers[&n].ends;
            let over = (0..3).filter(|bit| ends[*bit].is_some_and(|end| end <= self.now));
            let over = over.fold(0, |mask, bit| mask | 1 << bit);
            if over != 0 {
                self.set(n, 0, over, None);
            }
        }
    }

    fn save(&mut self, n: u8) {
        let Some(peer) = self.peers.get(&n) else {
            return;
        };
        let kept = (0..3).filter(|bit| peer.ends[*bit].is_none());
        let image = kept.fold(0, |mask, bit| mask | 1 << bit) & peer.flags & STORED;
        match image {
            0 => self.stored.remove(&n),
            flags => self.stored.insert(n, (flags, peer.field)),
        };
    }

    fn load(&mut self) {
        self.peers.clear();
        for (n, (flags, field)) in &self.stored {
            let peer = Peer {
                flags: *flags,
                ends: [None; 3],
                field: *field,
            };
            self.peers.insert(*n, peer);
            self.reported.push(format!("{n}: [] -> {}", show(*flags)));
            if let Some(value) = field {
                self.reported
                    .push(format!("{n}[offline]: None -> Some({value})"));
            }
        }
    }

    fn unload(&mut self) {
        for n in 0..3 {
            self.save(n);
        }
        for (n, peer) in &self.peers {
            self.reported
                .push(format!("{n}: {} -> []", show(peer.flags)));
            if let Some(value) = peer.field {
                self.reported
                    .push(format!("{n}[offline]: Some({value}) -> None"));
            }
        }
    }
}

fn show(flags: u8) -> String {
    let names = ["a", "b", "c"].iter().enumerate();
    let set = names.filter(|(bit, _)| flags >> bit & 1 == 1);
    format!(
        "[{}]",
        set.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    )
}

proptest! {
    #[test]
    fn behaves_like_the_model(steps in steps()) {
        let mut setup = SetupBuilder::new(1);
        let flags = [
            setup.persistent_flag("a").unwrap(),
            setup.persistent_flag("b").unwrap(),
            setup.flag("c").unwrap(),
        ];
        let field = setup.persistent_field("number", encode_u64, decode_u64).unwrap();
        let all = Flags::merge(&flags).unwrap();
        let (setup, store, log) = (setup.build(), Arc::default(), Log::default());
        let of = |mask: u8| {
            let chosen = flags.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
            Flags::merge(chosen.map(|(_, flag)| flag)).unwrap()
        };
        let begin = |now| {
            let mut machine = prepare(&setup, &store);
            log.follow_state(&mut machine, &all);
            log.follow_field(&mut machine, &field);
            machine.start(now).unwrap()
        };
        let (mut machine, mut model) = (begin(0), Model::default());
        for step in steps {
            match step.clone() {
                Step::Set(n, set, reset, timeout) => {
                    machine.set_state(&id(n), &of(set), &of(reset), timeout).unwrap();
                    model.set(n, set, reset, timeout);
                }
                Step::Timeout(n, mask, timeout) => {
                    machine.add_timeout(&id(n), &of(mask), timeout).unwrap();
                    if let Some(peer) = model.peers.get(&n) {
                        let there = peer.flags & mask;
                        model.set(n, there, 0, Some(timeout));
                    }
                }
                Step::Field(n, value) => {
                    machine.set_field(&id(n), &field, value).unwrap();
                    model.field(n, value);
                }
                Step::Advance(by) => {
                    machine.advance(model.now + by).unwrap();
                    model.advance(model.now + by);
                    // The tests of timeouts compare the order of callbacks.
                    log.take();
                    model.reported.clear();
                }
                Step::Persist(n) => {
                    machine.persist(&id(n)).unwrap();
                    model.save(n);
                }
                Step::Restart => {
                    machine.stop().unwrap();
                    machine = begin(model.now);
                    model.unload();
                    model.load();
                }
                Step::Crash => {
                    machine = begin(model.now);
                    model.load();
                }
            }
            prop_assert_eq!(log.take(), std::mem::take(&mut model.reported), "{:?}", step);
            for n in 0..3 {
                let peer = model.peers.get(&n).cloned().unwrap_or_default();
                prop_assert_eq!(machine.state(&id(n)).unwrap().to_string(), show(peer.flags));
                let value = machine.field(&id(n), &field).unwrap();
                prop_assert_eq!(value.as_deref(), peer.field.as_ref());
            }
            let ends = model.peers.values().flat_map(|peer| peer.ends).flatten();
            prop_assert_eq!(machine.next_timeout(), ends.min());
            prop_assert_eq!(super::stored(&store), model.stored.keys().copied().collect::<Vec<_>>());
        }
    }
}
