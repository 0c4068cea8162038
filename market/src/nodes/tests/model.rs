//! The machine against a model that keeps everything in the simplest way.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Flags 0 and 1 are stored, flag 2 is not.
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
    let (node, mask) = (0u8..3, 0u8..8);
    let step = prop_oneof![
        6 => (node.clone(), mask.clone(), mask.clone(), proptest::option::of(0u64..6))
            .prop_map(|(n, set, reset, time)| Step::Set(n, set, reset, time)),
        2 => (node.clone(), mask, 0u64..6).prop_map(|(n, mask, time)| Step::Timeout(n, mask, time)),
        3 => (node.clone(), proptest::option::of(0u64..3)).prop_map(|(n, v)| Step::Field(n, v)),
        3 => (0u64..5).prop_map(Step::Advance),
        1 => node.prop_map(Step::Persist),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A node: its flags, when each of them ends, and its field. A node without flags is not in the model.
#[derive(Clone, Debug, Default, PartialEq)]
struct Node {
    flags: u8,
    ends: [Option<u64>; 3],
    field: Option<u64>,
}

#[derive(Default)]
struct Model {
    now: u64,
    nodes: BTreeMap<u8, Node>,
    stored: BTreeMap<u8, (u8, Option<u64>)>,
    told: Vec<String>,
}

impl Model {
    fn set(&mut self, n: u8, set: u8, reset: u8, timeout: Option<u64>) {
        let mut node = self.nodes.remove(&n).unwrap_or_default();
        let new = node.flags & !reset | set;
        if node.flags != new {
            self.told
                .push(format!("{n}: {} -> {}", show(node.flags), show(new)));
        }
        node.flags = new;
        for bit in (0..3).filter(|bit| (set | reset) >> bit & 1 == 1) {
            node.ends[bit] = match set >> bit & 1 {
                1 => timeout.map(|timeout| self.now + timeout),
                _ => None,
            };
        }
        if new != 0 {
            self.nodes.insert(n, node);
            return;
        }
        if let Some(value) = node.field {
            self.told.push(format!("{n}[]: Some({value}) -> None"));
        }
        self.stored.remove(&n);
    }

    fn field(&mut self, n: u8, value: Option<u64>) {
        let Some(node) = self.nodes.get_mut(&n) else {
            return;
        };
        if node.field != value {
            let state = show(node.flags);
            self.told
                .push(format!("{n}{state}: {:?} -> {value:?}", node.field));
        }
        node.field = value;
    }

    /// Moment by moment; of what ends in one moment, the flags of one node end in one or more steps, which the order
    /// of being told does not decide: only what is the case after each moment is compared.
    fn advance(&mut self, to: u64) {
        while self.now < to {
            self.expire();
            self.now += 1;
        }
        self.expire();
    }

    fn expire(&mut self) {
        for n in self.nodes.keys().copied().collect::<Vec<_>>() {
            let ends = self.nodes[&n].ends;
            let over = (0..3).filter(|bit| ends[*bit].is_some_and(|end| end <= self.now));
            let over = over.fold(0, |mask, bit| mask | 1 << bit);
            if over != 0 {
                self.set(n, 0, over, None);
            }
        }
    }

    fn save(&mut self, n: u8) {
        let Some(node) = self.nodes.get(&n) else {
            return;
        };
        let kept = (0..3).filter(|bit| node.ends[*bit].is_none());
        let image = kept.fold(0, |mask, bit| mask | 1 << bit) & node.flags & STORED;
        match image {
            0 => self.stored.remove(&n),
            flags => self.stored.insert(n, (flags, node.field)),
        };
    }

    fn load(&mut self) {
        self.nodes.clear();
        for (n, (flags, field)) in &self.stored {
            let node = Node {
                flags: *flags,
                ends: [None; 3],
                field: *field,
            };
            self.nodes.insert(*n, node);
            self.told.push(format!("{n}: [] -> {}", show(*flags)));
            if let Some(value) = field {
                self.told
                    .push(format!("{n}[offline]: None -> Some({value})"));
            }
        }
    }

    fn unload(&mut self) {
        for n in 0..3 {
            self.save(n);
        }
        for (n, node) in &self.nodes {
            self.told.push(format!("{n}: {} -> []", show(node.flags)));
            if let Some(value) = node.field {
                self.told
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
    fn the_machine_does_what_the_model_does(steps in steps()) {
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
                    if let Some(node) = model.nodes.get(&n) {
                        let there = node.flags & mask;
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
                    // Each compares its own order in tests of timeouts.
                    log.take();
                    model.told.clear();
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
            prop_assert_eq!(log.take(), std::mem::take(&mut model.told), "{:?}", step);
            for n in 0..3 {
                let node = model.nodes.get(&n).cloned().unwrap_or_default();
                prop_assert_eq!(machine.state(&id(n)).unwrap().to_string(), show(node.flags));
                let value = machine.field(&id(n), &field).unwrap();
                prop_assert_eq!(value.as_deref(), node.field.as_ref());
            }
            let ends = model.nodes.values().flat_map(|node| node.ends).flatten();
            prop_assert_eq!(machine.next_timeout(), ends.min());
            prop_assert_eq!(super::stored(&store), model.stored.keys().copied().collect::<Vec<_>>());
        }
    }
}
