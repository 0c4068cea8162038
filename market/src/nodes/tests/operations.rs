//! Changes, and who is told of them in which order.

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
fn each_flag_with_or_without_timeout_calls_its_subscriber() {
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
fn a_subscriber_sees_the_flags_of_its_mask_and_no_other_changes() {
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
fn what_is_both_set_and_reset_is_set() {
    let f = fixture();
    let [a, b, _] = &f.flags;
    let mut machine = start(&f.setup, &f.store);
    let ab = a.or(b).unwrap();
    machine.set_state(&id(1), a, &ab, None).unwrap();
    assert_eq!(machine.state(&id(1)).unwrap(), *a);
}

#[test]
fn a_node_without_flags_takes_no_field() {
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
fn the_last_flag_takes_the_fields_with_it_and_tells_their_subscribers() {
    let f = fixture();
    let (a, log, none) = (&f.flags[0], Log::default(), Flags::none());
    let mut machine = prepare(&f.setup, &f.store);
    log.follow_field(&mut machine, &f.field);
    log.follow_state(&mut machine, a);
    let mut machine = machine.start(0).unwrap();
    machine.set_state(&id(1), a, &none, Some(SECOND)).unwrap();
    machine.set_field(&id(1), &f.field, Some(5)).unwrap();
    machine.set_state(&id(1), &none, a, None).unwrap();
    let told = log.take();
    assert_eq!(
        told,
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
fn setting_a_field_to_what_it_is_tells_nobody() {
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
    let told = log.take();
    assert_eq!(
        told,
        [
            "1[a]: None -> Some(1)",
            "1[a]: Some(1) -> Some(2)",
            "1[a]: Some(2) -> None"
        ]
    );
}

/// Depth first, the last subscriber would hear of c before it hears of b and a.
#[test]
fn causes_are_told_before_their_effects() {
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
    let told = log.take();
    assert_eq!(
        told,
        ["1: [] -> [a]", "1: [a] -> [a, b]", "1: [a, b] -> [a, b, c]"]
    );
}

#[test]
fn reads_in_a_callback_may_be_ahead_of_what_it_is_told() {
    let f = fixture();
    let [a, b, _] = f.flags.clone();
    let log = Log::default();
    let mut machine = prepare(&f.setup, &f.store);
    let seen = log.clone();
    machine
        .subscribe_state(&a.or(&b).unwrap(), move |ctx, id, _, new| {
            seen.add(format!("told {new}, is {}", ctx.state(id)));
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
        ["told [a], is [a, b]", "told [a, b], is [a, b]"]
    );
}

#[test]
fn a_callback_may_change_other_nodes() {
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
fn an_error_of_a_callback_comes_back_and_keeps_nobody_else_from_being_told() {
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
fn nodes_are_found_by_what_they_have_and_have_not() {
    let f = fixture();
    let [a, b, c] = &f.flags;
    let (mut machine, none) = (start(&f.setup, &f.store), Flags::none());
    for (n, flags) in [(3, a), (1, &a.or(b).unwrap()), (2, &b.or(c).unwrap())] {
        machine.set_state(&id(n), flags, &none, None).unwrap();
    }
    let found = |require, exclude| -> Vec<(u8, String)> {
        let nodes = machine.nodes(require, exclude).unwrap();
        nodes
            .map(|(id, flags)| (id[0], flags.to_string()))
            .collect()
    };
    assert_eq!(found(a, &none), [(1, "[a, b]".into()), (3, "[a]".into())]);
    assert_eq!(found(b, c), [(1, "[a, b]".into())]);
    assert_eq!(found(&none, &none).len(), 3);
}

#[test]
fn a_stopped_machine_answers_nothing() {
    let f = fixture();
    let (a, none) = (&f.flags[0], Flags::none());
    let mut machine = start(&f.setup, &f.store);
    machine.set_state(&id(1), a, &none, Some(SECOND)).unwrap();
    machine.stop().unwrap();
    let closed = [
        machine.state(&id(1)).err(),
        machine.field(&id(1), &f.field).err(),
        machine.nodes(a, &none).err(),
        machine.set_state(&id(1), a, &none, None).err(),
        machine.set_field(&id(1), &f.field, None).err(),
        machine.add_timeout(&id(1), a, 1).err(),
        machine.operation(|_| Ok(())).err(),
        machine.advance(SECOND).err(),
        machine.persist(&id(1)).err(),
        machine.persist_all().err(),
        machine.stop().err(),
    ];
    for (n, error) in closed.iter().enumerate() {
        assert!(matches!(error, Some(OperationError::Closed)), "call {n}");
    }
    assert_eq!(machine.next_timeout(), None);
}
