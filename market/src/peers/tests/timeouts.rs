//! Timeouts of flags.

use super::*;

fn fixture() -> (Setup, [Flags; 3]) {
    let mut setup = SetupBuilder::new(1);
    let flags = ["a", "b", "c"].map(|name| setup.flag(name).unwrap());
    (setup.build(), flags)
}

fn state(machine: &Machine) -> String {
    machine.state(&id(1)).unwrap().to_string()
}

#[test]
fn resets_flag_exactly_at_its_timeout() {
    let (setup, [a, b, _]) = fixture();
    let none = Flags::none();
    let mut machine = prepare(&setup, &Arc::default()).start(5 * SECOND).unwrap();
    machine.set_state(&id(1), &a, &none, Some(SECOND)).unwrap();
    machine.set_state(&id(1), &b, &none, None).unwrap();
    assert_eq!(machine.next_timeout(), Some(6 * SECOND));
    machine.advance(6 * SECOND - 1).unwrap();
    assert_eq!(state(&machine), "[a, b]");
    machine.advance(6 * SECOND).unwrap();
    assert_eq!(state(&machine), "[b]");
    assert_eq!(machine.next_timeout(), None);
}

#[test]
fn cancels_timeout_when_flag_is_set_or_reset() {
    let (setup, [a, b, c]) = fixture();
    let none = Flags::none();
    let mut machine = start(&setup, &Arc::default());
    machine.set_state(&id(1), &c, &none, None).unwrap();
    machine.set_state(&id(1), &a, &none, Some(SECOND)).unwrap();
    machine.set_state(&id(1), &a, &none, None).unwrap();
    assert_eq!(machine.next_timeout(), None);
    machine.set_state(&id(1), &b, &none, Some(SECOND)).unwrap();
    machine.set_state(&id(1), &none, &b, None).unwrap();
    assert_eq!(machine.next_timeout(), None);
    machine.set_state(&id(1), &b, &none, Some(SECOND)).unwrap();
    machine
        .set_state(&id(1), &b, &none, Some(3 * SECOND))
        .unwrap();
    machine.advance(2 * SECOND).unwrap();
    assert_eq!(state(&machine), "[a, b, c]");
    machine.advance(3 * SECOND).unwrap();
    assert_eq!(state(&machine), "[a, c]");
}

#[test]
fn keeps_shared_timeout_for_remaining_flags() {
    let (setup, [a, b, c]) = fixture();
    let mut machine = start(&setup, &Arc::default());
    let all = Flags::merge([&a, &b, &c]).unwrap();
    let none = Flags::none();
    machine
        .set_state(&id(1), &all, &none, Some(SECOND))
        .unwrap();
    machine.set_state(&id(1), &b, &none, None).unwrap();
    machine
        .set_state(&id(1), &c, &none, Some(2 * SECOND))
        .unwrap();
    machine.advance(SECOND).unwrap();
    assert_eq!(state(&machine), "[b, c]");
    machine.advance(2 * SECOND).unwrap();
    assert_eq!(state(&machine), "[b]");
}

#[test]
fn adds_timeout_only_to_flags_that_are_set() {
    let (setup, [a, b, _]) = fixture();
    let none = Flags::none();
    let mut machine = start(&setup, &Arc::default());
    machine.add_timeout(&id(1), &a, SECOND).unwrap();
    assert_eq!(machine.next_timeout(), None);
    machine.set_state(&id(1), &a, &none, None).unwrap();
    machine
        .add_timeout(&id(1), &a.or(&b).unwrap(), SECOND)
        .unwrap();
    machine.set_state(&id(1), &b, &none, None).unwrap();
    machine.advance(SECOND).unwrap();
    assert_eq!(state(&machine), "[b]");
}

#[test]
fn runs_timeouts_in_order_each_at_its_own_moment() {
    let (setup, [a, b, c]) = fixture();
    let log = Log::default();
    let mut machine = prepare(&setup, &Arc::default());
    let seen = log.clone();
    let again = c.clone();
    machine
        .subscribe_state(
            &Flags::merge([&a, &b, &c]).unwrap(),
            move |ctx, id, old, new| {
                seen.add(format!(
                    "{}s {}: {old} -> {new}",
                    ctx.now_ns() / SECOND,
                    id[0]
                ));
                match new.is_empty() && old.has_none(&again) {
                    true => ctx.set_state(id, &again, &Flags::none(), Some(SECOND)),
                    false => Ok(()),
                }
            },
        )
        .unwrap();
    let mut machine = machine.start(0).unwrap();
    let none = Flags::none();
    machine
        .set_state(&id(2), &a, &none, Some(4 * SECOND))
        .unwrap();
    machine
        .set_state(&id(1), &a, &none, Some(4 * SECOND))
        .unwrap();
    machine
        .set_state(&id(3), &b, &none, Some(2 * SECOND))
        .unwrap();
    log.take();
    machine.advance(10 * SECOND).unwrap();
    let reported = log.take();
    let expected = [
        "2s 3: [b] -> []",
        "2s 3: [] -> [c]",
        "3s 3: [c] -> []",
        "4s 2: [a] -> []",
        "4s 2: [] -> [c]",
        "4s 1: [a] -> []",
        "4s 1: [] -> [c]",
        "5s 2: [c] -> []",
        "5s 1: [c] -> []",
    ];
    assert_eq!(reported, expected);
}

#[test]
fn never_moves_time_back() {
    let (setup, [a, _, _]) = fixture();
    let none = Flags::none();
    let mut machine = start(&setup, &Arc::default());
    machine.advance(5 * SECOND).unwrap();
    machine.advance(SECOND).unwrap();
    machine.set_state(&id(1), &a, &none, Some(SECOND)).unwrap();
    assert_eq!(machine.next_timeout(), Some(6 * SECOND));
    machine
        .set_state(&id(1), &a, &none, Some(u64::MAX))
        .unwrap();
    assert_eq!(machine.next_timeout(), Some(u64::MAX));
}
