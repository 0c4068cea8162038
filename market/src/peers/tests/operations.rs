//! Changes, and the order of their callbacks.

use super::*;

struct Fixture {
    setup: Setup,
    flags: [Flags; 3],
    field: Field<u64>,
    store: Arc<Memory>,
}

fn fixture() -> Fixture {
    let mut setup = SetupBuilder::new(1);
    let flags = ["a", "b", "c"].map(|name| setup.flag(name).unwrap());
    let field = setup.field("field").unwrap();
    Fixture {
        setup: setup.build(),
        flags,
        field,
        store: Arc::default(),
    }
}

#[test]
fn notifies_subscriber_of_each_flag_and_timeout() {
    let f = fixture();
    let [a, b, c] = &f.flags;
    let log = Log::default();
    let mut machine = prepare(&f.setup, &f.store);
    for flag in &f.flags {
        log.follow_state(&mut machine, flag);
    }
    let mut machine = machine.start(0).unwrap();
    let none = Flags::none();
    machine.set_state(&id(1), a, &none, None).unwrap();
    machine.set_state(&id(1), b, &none, Some(SECOND)).unwrap();
    machine
        .set_state(&id(1), c, &none, Some(2 * SECOND))
        .unwrap();
    assert_eq!(log.take(), ["1: [] -> [a]", "1: [] -> [b]", "1: [] -> [c]"]);
    machine.advance(2 * SECOND).unwrap();
    assert_eq!(log.take(), ["1: [b] -> []", "1: [c] -> []"]);
    assert_eq!(machine.state(&id(1)).unwrap(), *a);
}

#[test]
fn limits_callbacks_to_the_flags_of_the_mask() {
    let f = fixture();
    let [a, b, c] = &f.flags;
    let (log, none) = (Log::default(), Flags::none());
    let mut machine = prepare(&f.setup, &f.store);
    log.follow_state(&mut machine, &a.or(b).unwrap());
    let mut machine = machine.start(0).unwrap();
    machine
        .set_state(&id(1), &a.or(c).unwrap(), &none, None)
        .unwrap();
    machine.set_state(&id(1), b, c, None).unwrap();
    assert_eq!(log.take(), ["1: [] -> [a]", "1: [a] -> [a, b]"]);
    machine.set_state(&id(1), c, &none, None).unwrap();
    machine.set_state(&id(1), a, &none, None).unwrap();
    assert!(log.take().is_empty());
}

#[test]
fn sets_a_flag_that_is_both_set_and_reset() {
    let f = fixture();
    let [a, b, _] = &f.flags;
    let mut machine = start(&f.setup, &f.store);
    let ab = a.or(b).unwrap();
    machine.set_state(&id(1), a, &ab, None).unwrap();
    assert_eq!(machine.state(&id(1)).unwrap(), *a);
}

#[test]
fn ignores_field_of_peer_without_flags() {
    let f = fixture();
    let mut machine = start(&f.setup, &f.store);
    machine.set_field(&id(1), &f.field, Some(5)).unwrap();
    assert_eq!(machine.field(&id(1), &f.field).unwrap(), None);
    machine
        .set_state(&id(1), &f.flags[0], &Flags::none(), None)
        .unwrap();
    assert_eq!(machine.field(&id(1), &f.field).unwrap(), None);
    machine.set_field(&id(1), &f.field, Some(5)).unwrap();
    assert_eq!(
        machine.field(&id(1), &f.field).unwrap().as_deref(),
        Some(&5)
    );
}

#[test]
fn removes_fields_with_the_last_flag_and_notifies() {
    let f = fixture();
    let (a, log, none) = (&f.flags[0], Log::default(), Flags::none());
    let mut machine = prepare(&f.setup, &f.store);
    log.follow_field(&mut machine, &f.field);
    log.follow_state(&mut machine, a);
    let mut machine = machine.start(0).unwrap();
    machine.set_state(&id(1), a, &none, Some(SECOND)).unwrap();
    machine.set_field(&id(1), &f.field, Some(5)).unwrap();
    machine.set_state(&id(1), &none, a, None).unwrap();
    let reported = log.take();
    assert_eq!(
        reported,
        [
            "1: [] -> [a]",
            "1[a]: None -> Some(5)",
            "1: [a] -> []",
            "1[]: Some(5) -> None"
        ]
    );
    assert_eq!(machine.next_timeout(), None);
    machine.set_state(&id(1), a, &none, None).unwrap();
    assert_eq!(machine.field(&id(1), &f.field).unwrap(), None);
}

#[test]
fn does_not_notify_of_an_equal_field_value() {
    let f = fixture();
    let log = Log::default();
    let mut machine = prepare(&f.setup, &f.store);
    log.follow_field(&mut machine, &f.field);
    let mut machine = machine.start(0).unwrap();
    machine
        .set_state(&id(1), &f.flags[0], &Flags::none(), None)
        .unwrap();
    for value in [None, Some(1), Some(1), Some(2), None, None] {
        machine.set_field(&id(1), &f.field, value).unwrap();
    }
    let reported = log.take();
    assert_eq!(
        reported,
        [
            "1[a]: None -> Some(1)",
            "1[a]: Some(1) -> Some(2)",
            "1[a]: Some(2) -> None"
        ]
    );
}

/// Depth first, the last subscriber would see c before b and a.
#[test]
fn notifies_of_causes_before_their_effects() {
    let f = fixture();
    let [a, b, c] = f.flags.clone();
    let log = Log::default();
    let mut machine = prepare(&f.setup, &f.store);
    let set = |flag: Flags| {
        move |ctx: &mut Ctx<'_, Id>, id: &Id, _: &Flags, _: &Flags| {
            ctx.set_state(id, &flag, &Flags::none(), None)
        }
    };
    machine.subscribe_state(&a, set(b.clone())).unwrap();
    machine.subscribe_state(&b, set(c.clone())).unwrap();
    log.follow_state(&mut machine, &Flags::merge(&f.flags).unwrap());
    let mut machine = machine.start(0).unwrap();
    machine.set_state(&id(1), &a, &Flags::none(), None).unwrap();
    let reported = log.take();
    assert_eq!(
        reported,
        ["1: [] -> [a]", "1: [a] -> [a, b]", "1: [a, b] -> [a, b, c]"]
    );
}

#[test]
fn reads_newest_state_inside_a_callback() {
    let f = fixture();
    let [a, b, _] = f.flags.clone();
    let log = Log::default();
    let mut machine = prepare(&f.setup, &f.store);
    let seen = log.clone();
    machine
        .subscribe_state(&a.or(&b).unwrap(), move |ctx, id, _, new| {
            seen.add(format!("reported {new}, is {}", ctx.state(id)));
            Ok(())
        })
        .unwrap();
    let mut machine = machine.start(0).unwrap();
    let outcome = machine.operation(|ctx| {
        ctx.set_state(&id(1), &a, &Flags::none(), None)?;
        ctx.set_state(&id(1), &b, &Flags::none(), None)
    });
    outcome.unwrap();
    assert_eq!(
        log.take(),
        ["reported [a], is [a, b]", "reported [a, b], is [a, b]"]
    );
}

#[test]
fn changes_other_peers_from_a_callback() {
    let f = fixture();
    let [a, b, _] = f.flags.clone();
    let log = Log::default();
    let mut machine = prepare(&f.setup, &f.store);
    log.follow_state(&mut machine, &b);
    let (given, field) = (b.clone(), f.field.clone());
    machine
        .subscribe_state(&a, move |ctx, at, _, _| {
            ctx.set_state(&id(at[0] + 1), &given, &Flags::none(), None)?;
            ctx.set_field(&id(at[0] + 1), &field, Some(7))
        })
        .unwrap();
    let mut machine = machine.start(0).unwrap();
    machine.set_state(&id(1), &a, &Flags::none(), None).unwrap();
    assert_eq!(log.take(), ["2: [] -> [b]"]);
    assert_eq!(
        machine.field(&id(2), &f.field).unwrap().as_deref(),
        Some(&7)
    );
}

#[test]
fn returns_callback_error_after_notifying_all_others() {
    let f = fixture();
    let a = f.flags[0].clone();
    let log = Log::default();
    let foreign = SetupBuilder::new(1).flag("a").unwrap();
    let mut machine = prepare(&f.setup, &f.store);
    machine
        .subscribe_state(&a, move |ctx, id, _, _| {
            ctx.set_state(id, &foreign, &Flags::none(), None)
        })
        .unwrap();
    log.follow_state(&mut machine, &a);
    let mut machine = machine.start(0).unwrap();
    let failed = machine.set_state(&id(1), &a, &Flags::none(), None);
    assert!(matches!(
        failed,
        Err(OperationError::Change(ChangeError::ForeignFlags))
    ));
    assert_eq!(log.take(), ["1: [] -> [a]"]);
    assert_eq!(machine.state(&id(1)).unwrap(), a);
}

#[test]
fn finds_peers_by_required_and_excluded_flags() {
    let f = fixture();
    let [a, b, c] = &f.flags;
    let (mut machine, none) = (start(&f.setup, &f.store), Flags::none());
    for (n, flags) in [(3, a), (1, &a.or(b).unwrap()), (2, &b.or(c).unwrap())] {
        machine.set_state(&id(n), flags, &none, None).unwrap();
    }
    let found = |require, exclude| -> Vec<(u8, String)> {
        let peers = machine.peers(require, exclude).unwrap();
        peers
            .map(|(id, flags)| (id[0], flags.to_string()))
            .collect()
    };
    assert_eq!(found(a, &none), [(1, "[a, b]".into()), (3, "[a]".into())]);
    assert_eq!(found(b, c), [(1, "[a, b]".into())]);
    assert_eq!(found(&none, &none).len(), 3);
}

#[test]
fn rejects_every_call_after_stop() {
    let f = fixture();
    let (a, none) = (&f.flags[0], Flags::none());
    let mut machine = start(&f.setup, &f.store);
    machine.set_state(&id(1), a, &none, Some(SECOND)).unwrap();
    machine.stop().unwrap();
    let stopped = [
        machine.state(&id(1)).err(),
        machine.field(&id(1), &f.field).err(),
        machine.peers(a, &none).err(),
        machine.set_state(&id(1), a, &none, None).err(),
        machine.set_field(&id(1), &f.field, None).err(),
        machine.add_timeout(&id(1), a, 1).err(),
        machine.operation(|_| Ok(())).err(),
        machine.advance(SECOND).err(),
        machine.persist(&id(1)).err(),
        machine.persist_all().err(),
        machine.stop().err(),
    ];
    for (n, error) in stopped.iter().enumerate() {
        assert!(matches!(error, Some(OperationError::Stopped)), "call {n}");
    }
    assert_eq!(machine.next_timeout(), None);
}
