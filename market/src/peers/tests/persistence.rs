//! State after a restart.

use super::*;

struct Fixture {
    setup: Setup,
    /// Not stored.
    a: Flags,
    /// Stored.
    b: Flags,
    /// Stored.
    c: Flags,
    /// Stored.
    number: Field<u64>,
    /// Stored.
    text: Field<String>,
    /// Not stored.
    loose: Field<u64>,
    store: Arc<Memory>,
    none: Flags,
}

fn fixture_of(version: u32) -> Fixture {
    let mut setup = SetupBuilder::new(version);
    let a = setup.flag("a").unwrap();
    let b = setup.persistent_flag("b").unwrap();
    let c = setup.persistent_flag("c").unwrap();
    let number = setup.persistent_field("number", encode_u64, decode_u64);
    let text = setup.persistent_field(
        "text",
        |text: &String| text.as_bytes().to_vec(),
        |bytes| String::from_utf8(bytes.to_vec()).ok(),
    );
    let loose = setup.field("loose");
    Fixture {
        a,
        b,
        c,
        number: number.unwrap(),
        text: text.unwrap(),
        loose: loose.unwrap(),
        setup: setup.build(),
        store: Arc::default(),
        none: Flags::none(),
    }
}

fn fixture() -> Fixture {
    fixture_of(1)
}

fn key(n: u8) -> Vec<u8> {
    [PREFIX, &id(n)].concat()
}

#[test]
fn saves_only_peers_with_persistent_flags_without_timeout() {
    let f = fixture();
    let mut machine = start(&f.setup, &f.store);
    machine
        .set_state(&id(1), &f.b, &f.none, Some(SECOND))
        .unwrap();
    machine.set_state(&id(2), &f.a, &f.none, None).unwrap();
    machine.set_state(&id(3), &f.b, &f.none, None).unwrap();
    machine.set_state(&id(4), &f.b, &f.none, None).unwrap();
    machine.set_state(&id(5), &f.b, &f.none, None).unwrap();
    machine.persist(&id(5)).unwrap();
    assert_eq!(stored(&f.store), [5]);
    // An unchanged peer is not written again.
    let mut batch = Batch::new();
    batch.put(key(5), *b"untouched");
    f.store.write(&batch).unwrap();
    machine.stop().unwrap();
    assert_eq!(stored(&f.store), [3, 4, 5]);
    assert_eq!(f.store.get(&key(5)).unwrap().unwrap(), b"untouched");
}

#[test]
fn restores_only_persistent_flags_and_fields() {
    let f = fixture();
    let mut machine = start(&f.setup, &f.store);
    let all = Flags::merge([&f.a, &f.b, &f.c]).unwrap();
    machine.set_state(&id(1), &all, &f.none, None).unwrap();
    machine.add_timeout(&id(1), &f.c, SECOND).unwrap();
    machine
        .set_field(&id(1), &f.number, Some(u64::MAX))
        .unwrap();
    machine
        .set_field(&id(1), &f.text, Some(String::new()))
        .unwrap();
    machine.set_field(&id(1), &f.loose, Some(1)).unwrap();
    machine.set_state(&id(2), &f.c, &f.none, None).unwrap();
    machine.stop().unwrap();

    let machine = start(&f.setup, &f.store);
    assert_eq!(machine.loaded().peers, 2);
    assert_eq!(machine.state(&id(1)).unwrap(), f.b);
    let number = machine.field(&id(1), &f.number).unwrap();
    assert_eq!(number.as_deref(), Some(&u64::MAX));
    let text = machine.field(&id(1), &f.text).unwrap();
    assert_eq!(text.as_deref().map(String::as_str), Some(""));
    assert_eq!(machine.field(&id(1), &f.loose).unwrap(), None);
    assert_eq!(machine.state(&id(2)).unwrap(), f.c);
    assert_eq!(machine.field(&id(2), &f.text).unwrap(), None);
}

#[test]
fn leaves_peer_in_memory_unchanged_by_saving() {
    let f = fixture();
    let mut machine = start(&f.setup, &f.store);
    let ab = f.a.or(&f.b).unwrap();
    machine
        .set_state(&id(1), &ab, &f.none, Some(SECOND))
        .unwrap();
    machine.set_field(&id(1), &f.loose, Some(1)).unwrap();
    machine.persist_all().unwrap();
    assert!(stored(&f.store).is_empty());
    assert_eq!(machine.state(&id(1)).unwrap(), ab);
    assert_eq!(machine.next_timeout(), Some(SECOND));
    assert!(machine.field(&id(1), &f.loose).unwrap().is_some());
}

#[test]
fn deletes_record_once_no_persistent_flag_remains() {
    let f = fixture();
    let mut machine = start(&f.setup, &f.store);
    machine.set_state(&id(1), &f.b, &f.none, None).unwrap();
    machine.persist(&id(1)).unwrap();
    assert_eq!(stored(&f.store), [1]);
    // A timeout removes the flag from the record; its end restores the flag.
    machine.add_timeout(&id(1), &f.b, SECOND).unwrap();
    assert_eq!(stored(&f.store), [1]);
    machine.persist(&id(1)).unwrap();
    assert!(stored(&f.store).is_empty());
    machine.set_state(&id(1), &f.b, &f.none, None).unwrap();
    machine.persist(&id(1)).unwrap();
    assert_eq!(stored(&f.store), [1]);
    machine.set_state(&id(1), &f.a, &f.b, None).unwrap();
    machine.stop().unwrap();
    assert!(stored(&f.store).is_empty());
}

#[test]
fn deletes_record_with_last_flag_even_if_peer_returns() {
    let f = fixture();
    let mut machine = start(&f.setup, &f.store);
    for n in 1..=3 {
        machine.set_state(&id(n), &f.b, &f.none, None).unwrap();
    }
    machine.persist_all().unwrap();
    machine.set_state(&id(1), &f.none, &f.b, None).unwrap();
    assert_eq!(stored(&f.store), [2, 3]);
    let outcome = machine.operation(|ctx| {
        ctx.set_state(&id(2), &f.none, &f.b, None)?;
        ctx.set_state(&id(2), &f.c, &f.none, None)
    });
    outcome.unwrap();
    assert_eq!(stored(&f.store), [3]);
    machine.stop().unwrap();
    assert_eq!(stored(&f.store), [2, 3]);
    let machine = start(&f.setup, &f.store);
    assert_eq!(machine.state(&id(2)).unwrap(), f.c);
}

#[test]
fn keeps_saved_changes_and_loses_unsaved_ones() {
    let f = fixture();
    let mut machine = start(&f.setup, &f.store);
    machine.set_state(&id(1), &f.b, &f.none, None).unwrap();
    machine.set_field(&id(1), &f.number, Some(1)).unwrap();
    machine.persist(&id(1)).unwrap();
    machine.set_field(&id(1), &f.number, Some(2)).unwrap();
    machine.set_state(&id(2), &f.b, &f.none, None).unwrap();
    drop(machine);
    let machine = start(&f.setup, &f.store);
    assert_eq!(machine.state(&id(2)).unwrap(), f.none);
    let number = machine.field(&id(1), &f.number).unwrap();
    assert_eq!(number.as_deref(), Some(&1));
}

#[test]
fn deletes_records_of_another_version() {
    let old = fixture_of(1);
    let mut machine = start(&old.setup, &old.store);
    machine.set_state(&id(1), &old.b, &old.none, None).unwrap();
    machine.stop().unwrap();
    let mut other_format = old.store.get(&key(1)).unwrap().unwrap();
    other_format[0] += 1;
    let mut batch = Batch::new();
    batch.put(key(2), other_format);
    old.store.write(&batch).unwrap();

    let new = fixture_of(2);
    let machine = start(&new.setup, &old.store);
    assert_eq!(machine.state(&id(1)).unwrap(), new.none);
    assert!(stored(&old.store).is_empty());
    let loaded = Loaded {
        deleted: 2,
        ..Loaded::default()
    };
    assert_eq!(machine.loaded(), loaded);
}

#[test]
fn skips_unreadable_records() {
    let f = fixture();
    let mut machine = start(&f.setup, &f.store);
    for n in 1..=6 {
        machine.set_state(&id(n), &f.b, &f.none, None).unwrap();
        machine.set_field(&id(n), &f.number, Some(7)).unwrap();
    }
    machine.stop().unwrap();
    let good = f.store.get(&key(1)).unwrap().unwrap();
    // [version, list, setup, state, list, [list, index, string of 8, ...]]
    assert_eq!(good[..9], [1, 0xce, 1, 4, 0xcb, 0xca, 0x80, 0x88, 0]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut batch = Batch::new();
    batch.put(key(2), with(3, 2)); // a flag that is not persistent
    batch.put(key(3), with(3, 0x80)); // no flag
    batch.put(key(4), with(6, 3)); // an unknown field
    batch.put(key(5), with(6, 2)); // a field that is not persistent
    let not_text = [&good[..6], &[1, 0x88], &[0xff; 8]].concat();
    batch.put(key(6), not_text);
    batch.put([PREFIX, b"short id"].concat(), good.clone());
    batch.put(key(7), [good.clone(), vec![0]].concat());
    batch.put(key(8), [1]);
    batch.put(key(9), []);
    f.store.write(&batch).unwrap();

    let machine = start(&f.setup, &f.store);
    let loaded = Loaded {
        peers: 1,
        deleted: 0,
        skipped: 9,
    };
    assert_eq!(machine.loaded(), loaded);
    assert_eq!(stored(&f.store).len(), 10);
    assert_eq!(machine.peers(&f.none, &f.none).unwrap().count(), 1);
}

#[test]
fn notifies_of_peers_going_online_and_offline() {
    let mut setup = SetupBuilder::new(1);
    let b = setup.persistent_flag("b").unwrap();
    let with_offline = b.or(&setup.offline_flag()).unwrap();
    let field = setup
        .persistent_field("number", encode_u64, decode_u64)
        .unwrap();
    let (setup, store, none) = (setup.build(), Arc::default(), Flags::none());
    let log = Log::default();
    let prepared = || {
        let mut machine = prepare(&setup, &store);
        log.follow_state(&mut machine, &with_offline);
        log.follow_state(&mut machine, &b);
        log.follow_field(&mut machine, &field);
        machine
    };

    let mut machine = prepared().start(0).unwrap();
    machine.set_state(&id(1), &b, &none, None).unwrap();
    machine.set_field(&id(1), &field, Some(100)).unwrap();
    let reported = log.take();
    assert_eq!(
        reported,
        ["1: [] -> [b]", "1: [] -> [b]", "1[b]: None -> Some(100)"]
    );
    machine.stop().unwrap();
    let reported = log.take();
    assert_eq!(
        reported,
        [
            "1: [b] -> [offline]",
            "1: [b] -> []",
            "1[offline]: Some(100) -> None"
        ]
    );

    let mut machine = prepared().start(0).unwrap();
    let reported = log.take();
    assert_eq!(
        reported,
        [
            "1: [offline] -> [b]",
            "1: [] -> [b]",
            "1[offline]: None -> Some(100)"
        ]
    );
    machine.set_state(&id(1), &none, &b, None).unwrap();
    let reported = log.take();
    assert_eq!(
        reported,
        ["1: [b] -> []", "1: [b] -> []", "1[]: Some(100) -> None"]
    );
    machine.stop().unwrap();
    assert!(log.take().is_empty());
}

#[test]
fn does_not_store_changes_by_callbacks_during_stop() {
    let f = fixture();
    let mut machine = prepare(&f.setup, &f.store);
    let (b, a) = (f.b.clone(), f.a.clone());
    machine
        .subscribe_state(&f.b, move |ctx, id, old, _| match old.has_all(&b) {
            true => ctx.set_state(id, &a, &b, None),
            false => Ok(()),
        })
        .unwrap();
    let mut machine = machine.start(0).unwrap();
    machine.set_state(&id(1), &f.b, &f.none, None).unwrap();
    machine.stop().unwrap();
    assert_eq!(start(&f.setup, &f.store).state(&id(1)).unwrap(), f.b);
}

#[test]
fn retries_writes_after_a_store_failure() {
    let f = fixture();
    let store = Arc::new(Failing::default());
    let begin = || PeerStateMachine::<Id, _>::prepare(&f.setup, Arc::clone(&store), PREFIX);
    let mut machine = begin().start(0).unwrap();
    machine.set_state(&id(1), &f.b, &f.none, None).unwrap();
    machine.set_state(&id(2), &f.b, &f.none, None).unwrap();
    machine.persist_all().unwrap();

    store.fail(true);
    let failed = machine.set_state(&id(1), &f.none, &f.b, None);
    assert_eq!(
        failed.unwrap_err().to_string(),
        "the store failed: disk full"
    );
    assert!(machine.state(&id(1)).unwrap().is_empty());
    machine.set_state(&id(2), &f.c, &f.none, None).unwrap_err();
    assert!(matches!(machine.stop(), Err(OperationError::Store(_))));
    let both = f.b.or(&f.c).unwrap();
    assert_eq!(machine.state(&id(2)).unwrap(), both);
    assert_eq!(stored(&store), [1, 2]);

    store.fail(false);
    machine.stop().unwrap();
    assert_eq!(stored(&store), [2]);
    let machine = begin().start(0).unwrap();
    assert_eq!(machine.state(&id(2)).unwrap(), both);
}
