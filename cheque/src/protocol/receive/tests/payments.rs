//! Payments that count, and what they are worth.

use super::*;

#[test]
fn values_of_all_payments_add_up_to_the_net_expected_value() {
    let scene = scene();
    let mut position = None;
    let mut credited = 0;
    for (number, spent) in [
        1_000, 1_001, 50_000, 99_999, 100_000, 100_001, 700_000, 1_000_000,
    ]
    .into_iter()
    .enumerate()
    {
        let proof = if number == 0 {
            scene.opening(spent)
        } else {
            scene.later(spent)
        };
        let received = scene.receive(&proof, position.as_ref()).unwrap();
        credited += received.value().get();
        assert_eq!(credited, scene.worth(spent));
        assert_eq!(received.position().credited().get(), credited);
        assert_eq!(received.credit_to(), scene.key.address());
        assert_eq!(received.key().deposit, scene.id());
        position = Some(received.position().clone());
    }
}

#[test]
fn the_cost_to_redeem_stays_that_of_the_first_payment() {
    let mut scene = scene();
    let position = scene.position(&scene.opening(300_000), None);
    scene.view.redeem_cost = None;
    let again = scene
        .receive(&scene.later(400_000), Some(&position))
        .unwrap();
    assert_eq!(again.position().redeem_cost(), Amount::new(1_000));
    assert_eq!(
        position.credited().get() + again.value().get(),
        scene.worth(400_000)
    );
}

#[test]
fn an_older_cheque_is_stale_and_tells_the_newest() {
    let scene = scene();
    let position = scene.position(&scene.opening(300_000), None);
    assert_eq!(
        scene.rejects(&scene.later(299_999), Some(&position)),
        Rejection::Stale {
            total: Amount::new(299_999),
            newest_total: Amount::new(300_000),
            newest: Box::new(*position.newest()),
            shown: (0, B256::ZERO),
        }
    );
    assert_eq!(
        scene.rejects(&scene.later(300_000), Some(&position)),
        Rejection::Replay
    );
    assert_eq!(
        scene.rejects(&scene.opening(300_000), Some(&position)),
        Rejection::Replay
    );
}

#[test]
fn an_older_cheque_with_a_garbage_signature_learns_nothing() {
    let scene = scene();
    let position = scene.position(&scene.opening(300_000), None);
    let mut cheque = scene.cheque(1_000, None);
    let mut bytes = *cheque.signature.as_bytes();
    bytes[5] ^= 1;
    cheque.signature = crate::protocol::signature::Signature::from_bytes(bytes);
    assert!(matches!(
        scene.rejects(&Proof::Cheque(scene.id(), cheque), Some(&position)),
        Rejection::WrongSigner { .. } | Rejection::BadSignature(_)
    ));
}

#[test]
fn streams_pay_step_by_step_in_any_stride() {
    let scene = scene();
    let stream = Stream::new(B256::repeat_byte(7), 100).unwrap();
    let terms = Some((stream.anchor(), Amount::new(2_000)));
    let step = |k| Proof::Step {
        deposit: scene.id(),
        k,
        x: stream.show(k).unwrap(),
    };
    let position = scene.position(&scene.opening(300_000), None);

    // An equal total is fine if it begins a stream.
    let begun = scene.cheque(300_000, terms);
    let received = scene
        .receive(&Proof::Cheque(scene.id(), begun), Some(&position))
        .unwrap();
    assert_eq!(received.value(), Amount::ZERO);
    let mut position = received.position().clone();
    for k in [1, 2, 10, 100] {
        position = scene.position(&step(k), Some(&position));
        assert_eq!(position.total().get(), 300_000 + 2_000 * u128::from(k));
        assert_eq!(
            position.credited().get(),
            scene.worth(position.total().get())
        );
        assert_eq!(scene.rejects(&step(k), Some(&position)), Rejection::Replay);
    }
    assert!(matches!(
        scene.rejects(&step(10), Some(&position)),
        Rejection::Stale { .. }
    ));
    let forged = Proof::Step {
        deposit: scene.id(),
        k: 10,
        x: B256::repeat_byte(1),
    };
    assert_eq!(
        scene.rejects(&forged, Some(&position)),
        Rejection::WrongStep
    );

    // The next cheque starts from what the steps have paid.
    assert!(matches!(
        scene.rejects(&scene.later(499_999), Some(&position)),
        Rejection::Stale { .. }
    ));
    let reused = scene.cheque(500_001, terms);
    assert_eq!(
        scene.rejects(&Proof::Cheque(scene.id(), reused), Some(&position)),
        Rejection::AnchorReused
    );
    let position = scene.position(&scene.later(500_001), Some(&position));
    assert_eq!(
        scene.rejects(&step(100), Some(&position)),
        Rejection::NoStream(scene.id())
    );
}

#[test]
fn a_stream_may_begin_with_nothing_spent_but_a_plain_cheque_may_not() {
    let scene = scene();
    assert_eq!(
        scene.rejects(&scene.opening(0), None),
        Rejection::NothingSpent
    );
    let stream = Stream::new(B256::repeat_byte(7), 10).unwrap();
    let cheque = scene.cheque(0, Some((stream.anchor(), Amount::new(30_000))));
    let begin = Proof::Opening(Box::new(scene.opening_with(cheque)));
    let received = scene.receive(&begin, None).unwrap();
    assert_eq!(received.value(), Amount::ZERO);
    let step = Proof::Step {
        deposit: scene.id(),
        k: 1,
        x: stream.show(1).unwrap(),
    };
    let paid = scene.receive(&step, Some(received.position())).unwrap();
    assert_eq!(paid.value().get(), scene.worth(30_000));
}

#[test]
fn needs_an_opening_first_and_the_right_meta_later() {
    let scene = scene();
    let unknown = Rejection::UnknownDeposit(scene.id());
    assert_eq!(scene.rejects(&scene.later(1_000), None), unknown);
    let step = Proof::Step {
        deposit: scene.id(),
        k: 1,
        x: B256::ZERO,
    };
    assert_eq!(scene.rejects(&step, None), unknown);

    let other = scene_with(|deposit| deposit.lane = 2);
    let position = other.position(&other.opening(300_000), None);
    assert_eq!(
        scene.rejects(&scene.opening(300_000), Some(&position)),
        Rejection::WrongMeta {
            found: other.id(),
            expected: scene.id()
        }
    );
}

#[test]
fn meta_survives_its_bytes_and_refuses_others() {
    let scene = scene();
    let stream = Stream::new(B256::repeat_byte(7), 10).unwrap();
    let cheque = scene.cheque(300_000, Some((stream.anchor(), Amount::new(5))));
    let begin = Proof::Opening(Box::new(scene.opening_with(cheque)));
    let begun = scene.position(&begin, None);
    let step = Proof::Step {
        deposit: scene.id(),
        k: 3,
        x: stream.show(3).unwrap(),
    };
    for position in [begun.clone(), scene.position(&step, Some(&begun))] {
        let bytes = position.to_bytes();
        assert_eq!(Position::from_bytes(&bytes), Ok(position));
        let mut newer = bytes.clone();
        newer[0] = 2;
        assert_eq!(
            Position::from_bytes(&newer),
            Err(PositionError::UnknownVersion(2))
        );
        for length in 0..bytes.len() {
            assert!(Position::from_bytes(&bytes[..length]).is_err());
        }
    }
}

#[test]
fn a_payer_that_lost_its_records_resumes_from_a_stale_rejection() {
    let scene = scene();
    let stream = Stream::new(B256::repeat_byte(7), 10).unwrap();
    let begun = scene.cheque(300_000, Some((stream.anchor(), Amount::new(5_000))));
    let position = scene.position(&Proof::Opening(Box::new(scene.opening_with(begun))), None);
    let step = Proof::Step {
        deposit: scene.id(),
        k: 3,
        x: stream.show(3).unwrap(),
    };
    let position = scene.position(&step, Some(&position));

    let context = ChequeContext {
        key: &scene.key,
        bank: &scene.bank,
        deposit: scene.id(),
        payee: scene.payee,
    };
    let lost = Account::new(Amount::new(1_000_000));
    let account = lost.write_cheque(Amount::new(10), &context).unwrap();
    let proof = account.last_proof(scene.id()).unwrap();
    let Rejection::Stale { newest, shown, .. } = scene.rejects(&proof, Some(&position)) else {
        panic!("an older cheque is stale");
    };
    let account = account.resume(&newest, shown, &context).unwrap();
    assert_eq!(account.total(), Amount::new(315_000));
    let account = account.write_cheque(Amount::new(10), &context).unwrap();
    let position = scene.position(&account.last_proof(scene.id()).unwrap(), Some(&position));
    assert_eq!(position.total(), Amount::new(315_010));
}
