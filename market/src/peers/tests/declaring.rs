//! Setups, and the algebra of flags.

use super::*;

const NAMES: [&str; 64] = {
    let mut names = [""; 64];
    let all = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";
    let (mut rest, mut at) = (all, 0);
    while at < 64 {
        let (name, after) = rest.split_at(1);
        names[at] = name;
        rest = after;
        at += 1;
    }
    names
};

#[test]
fn rejects_duplicate_names() {
    let mut setup = SetupBuilder::new(1);
    setup.flag("a").unwrap();
    setup.persistent_flag("b").unwrap();
    for name in ["a", "b", "offline"] {
        let refused = SetupError::DuplicateFlag { name };
        assert_eq!(setup.flag(name), Err(refused));
        assert_eq!(setup.persistent_flag(name), Err(refused));
    }
    setup.field::<u8>("a").unwrap();
    let refused = SetupError::DuplicateField { name: "a" };
    assert_eq!(setup.field::<u64>("a").unwrap_err(), refused);
    let again = setup.persistent_field("a", encode_u64, decode_u64);
    assert_eq!(again.unwrap_err(), refused);
}

#[test]
fn allows_64_flags_including_the_offline_flag() {
    let mut setup = SetupBuilder::new(1);
    let mut flags = vec![setup.offline_flag()];
    for name in &NAMES[..63] {
        flags.push(setup.flag(name).unwrap());
    }
    assert_eq!(
        setup.flag(NAMES[63]),
        Err(SetupError::TooManyFlags { name: "-" })
    );
    assert_eq!(
        SetupError::TooManyFlags { name: "-" }.to_string(),
        "flag \"-\" would be number 65 of at most 64, including \"offline\"; use a field, or two machines"
    );
    let all = Flags::merge(&flags).unwrap();
    for (n, flag) in flags.iter().enumerate() {
        assert!(all.has_all(flag));
        assert!(flags[n + 1..].iter().all(|other| flag.has_none(other)));
    }
    assert!(all.to_string().ends_with(", 9, +]"), "{all}");
}

#[test]
fn combines_flags_as_sets() {
    let mut setup = SetupBuilder::new(1);
    let [a, b, c] = ["a", "b", "c"].map(|name| setup.flag(name).unwrap());
    let ab = a.or(&b).unwrap();
    let bc = Flags::merge([&b, &c]).unwrap();
    assert_eq!(ab.and(&bc).unwrap(), b);
    assert_eq!(ab.and_not(&bc).unwrap(), a);
    assert_eq!(ab.xor(&bc).unwrap(), a.or(&c).unwrap());
    assert!(ab.has_all(&a) && ab.has_all(&ab) && !ab.has_all(&bc));
    assert!(ab.has_none(&c) && !ab.has_none(&bc));
    assert!(ab.equals(&b.or(&a).unwrap()) && !ab.equals(&a));
    assert!(a.and(&b).unwrap().is_empty() && !a.is_empty());
    let shown = [&ab, &c, &Flags::none(), &a.and(&b).unwrap()].map(Flags::to_string);
    assert_eq!(shown, ["[a, b]", "[c]", "[]", "[]"]);
    assert_eq!(setup.offline_flag().to_string(), "[offline]");
}

#[test]
fn treats_empty_set_as_part_of_every_setup() {
    let mut setup = SetupBuilder::new(1);
    let [a, b] = ["a", "b"].map(|name| setup.flag(name).unwrap());
    let none = Flags::none();
    assert_eq!(a.and(&b).unwrap(), none);
    assert_eq!(a.or(&none).unwrap(), a);
    assert_eq!(none.or(&a).unwrap(), a);
    assert!(a.has_all(&none) && a.has_none(&none) && none.has_none(&a) && !none.has_all(&a));
    assert_eq!(Flags::merge([]).unwrap(), none);
}

#[test]
fn rejects_combining_flags_of_two_setups() {
    let mut one = SetupBuilder::new(1);
    let mut two = SetupBuilder::new(1);
    let (a, foreign) = (one.flag("a").unwrap(), two.flag("a").unwrap());
    for combined in [
        a.and(&foreign),
        a.and_not(&foreign),
        a.or(&foreign),
        a.xor(&foreign),
        Flags::merge([&a, &foreign]),
    ] {
        assert_eq!(combined, Err(ForeignFlags));
    }
    assert!(!a.has_all(&foreign) && a.has_none(&foreign));
    assert_ne!(a, foreign);
}

#[test]
fn rejects_flags_and_fields_of_another_setup() {
    let mut one = SetupBuilder::new(1);
    let mut two = SetupBuilder::new(1);
    let (a, foreign) = (one.flag("a").unwrap(), two.flag("a").unwrap());
    let field = two.field::<u64>("field").unwrap();
    let offline = one.offline_flag();
    let none = Flags::none();

    let mut machine = prepare(&one.build(), &Arc::default());
    let refused = machine.subscribe_state(&foreign, |_, _, _, _| Ok(()));
    assert_eq!(refused, Err(ChangeError::ForeignFlags));
    let refused = machine.subscribe_field(&field, |_, _, _, _, _| Ok(()));
    assert_eq!(refused, Err(ChangeError::ForeignField));

    let mut machine = machine.start(0).unwrap();
    machine.set_state(&id(1), &a, &none, None).unwrap();
    let outcome = machine.operation(|ctx| {
        let foreign_flags = Err(ChangeError::ForeignFlags);
        assert_eq!(ctx.set_state(&id(1), &foreign, &a, None), foreign_flags);
        assert_eq!(ctx.set_state(&id(1), &none, &foreign, None), foreign_flags);
        assert_eq!(ctx.add_timeout(&id(1), &foreign, 1), foreign_flags);
        assert_eq!(ctx.peers(&foreign, &none).map(|_| ()), foreign_flags);
        assert_eq!(ctx.peers(&none, &foreign).map(|_| ()), foreign_flags);
        let foreign_field = ChangeError::ForeignField;
        assert_eq!(ctx.set_field(&id(1), &field, Some(1)), Err(foreign_field));
        assert_eq!(ctx.field(&id(1), &field), Err(foreign_field));
        let reserved = Err(ChangeError::OfflineFlag);
        assert_eq!(ctx.set_state(&id(1), &offline, &none, None), reserved);
        assert_eq!(ctx.set_state(&id(1), &a, &offline, None), reserved);
        assert_eq!(ctx.add_timeout(&id(1), &offline, 1), reserved);
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(machine.state(&id(1)).unwrap(), a);
    assert_eq!(machine.next_timeout(), None);
}
