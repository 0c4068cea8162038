//! Accepted payments and their values.

use super::*;

#[test]
fn credits_the_net_expected_value_over_all_payments() {
    let fixture = fixture();
    let mut position = None;
    let mut credited = 0;
    for (number, spent) in [
        1_000, 1_001, 50_000, 99_999, 100_000, 100_001, 700_000, 1_000_000,
    ]
    .into_iter()
    .enumerate()
    {
        let proof = if number == 0 {
            fixture.opening(spent)
        } else {
            fixture.later(spent)
        };
        let received = fixture.receive(&proof, position.as_ref()).unwrap();
        credited += received.value().get();
        assert_eq!(credited, worth(spent));
        assert_eq!(received.position().credited().get(), credited);
        assert_eq!(received.credit_to(), fixture.key.address());
        assert_eq!(received.key().deposit, fixture.id());
        position = Some(received.position().clone());
    }
}

#[test]
fn keeps_the_value_of_the_newest_payment() {
    let fixture = fixture();
    let first = fixture.position(&fixture.opening(300_000), None);
    assert_eq!(first.last_value(), first.credited());
    let second = fixture.position(&fixture.later(400_000), Some(&first));
    let value = worth(400_000) - worth(300_000);
    assert_eq!(second.last_value().get(), value);
    let stored = Position::from_bytes(&second.to_bytes()).unwrap();
    assert_eq!(stored.last_value().get(), value);
    // Also shown as an opening, the newest cheque is the newest payment.
    assert!(second.is_newest(&fixture.later(400_000)));
    assert!(second.is_newest(&fixture.opening(400_000)));
    assert!(!second.is_newest(&fixture.opening(300_000)));
    assert!(!second.is_newest(&fixture.later(400_001)));
}

#[test]
fn keeps_the_redeem_cost_of_the_first_payment() {
    let mut fixture = fixture();
    let position = fixture.position(&fixture.opening(300_000), None);
    fixture.view.redeem_cost = None;
    let again = fixture
        .receive(&fixture.later(400_000), Some(&position))
        .unwrap();
    assert_eq!(again.position().redeem_cost(), Amount::new(1_000));
    assert_eq!(
        position.credited().get() + again.value().get(),
        worth(400_000)
    );
}

#[test]
fn rejects_an_older_cheque_as_stale_with_the_newest() {
    let fixture = fixture();
    let position = fixture.position(&fixture.opening(300_000), None);
    assert_eq!(
        fixture.rejects(&fixture.later(299_999), Some(&position)),
        Rejection::Stale {
            total: Amount::new(299_999),
            newest_total: Amount::new(300_000),
            newest: Box::new(*position.newest()),
            shown: (0, B256::ZERO),
        }
    );
    assert_eq!(
        fixture.rejects(&fixture.later(300_000), Some(&position)),
        Rejection::Replay
    );
    assert_eq!(
        fixture.rejects(&fixture.opening(300_000), Some(&position)),
        Rejection::Replay
    );
}

#[test]
fn tells_nothing_to_an_older_cheque_with_bad_signature() {
    let fixture = fixture();
    let position = fixture.position(&fixture.opening(300_000), None);
    let mut cheque = fixture.cheque(1_000, None);
    let mut bytes = *cheque.signature.as_bytes();
    bytes[5] ^= 1;
    cheque.signature = crate::protocol::signature::Signature::from_bytes(bytes);
    assert!(matches!(
        fixture.rejects(&Proof::Cheque(fixture.id(), cheque), Some(&position)),
        Rejection::WrongSigner { .. } | Rejection::BadSignature(_)
    ));
}

#[test]
fn takes_an_equal_total_with_the_newest_anchor_as_a_replay() {
    let fixture = fixture();
    let stream = Stream::new(B256::repeat_byte(7), 100).unwrap();
    let anchor = stream.anchor();
    let over = |spent, anchor, step| {
        let cheque = fixture.cheque(spent, Some((anchor, Amount::new(step))));
        Proof::Cheque(fixture.id(), cheque)
    };
    let position = fixture.position(&fixture.opening(300_000), None);
    let begun = fixture.position(&over(300_000, anchor, 2_000), Some(&position));
    for k in [0_u32, 1, 7] {
        let position = match k {
            0 => begun.clone(),
            k => fixture.position(&fixture.step(&stream, k), Some(&begun)),
        };
        let total = 300_000 + 2_000 * u128::from(k);
        // Whatever its step: the steps of this anchor are known.
        for step in [2_000, 3_000] {
            let equal = fixture.rejects(&over(total, anchor, step), Some(&position));
            assert_eq!(equal, Rejection::Replay, "after {k} steps");
            let higher = fixture.rejects(&over(total + 1, anchor, step), Some(&position));
            assert_eq!(higher, Rejection::AnchorReused, "after {k} steps");
        }
        let other = over(total, B256::repeat_byte(8), 2_000);
        assert!(fixture.receive(&other, Some(&position)).is_ok());
    }
}

#[test]
fn accepts_stream_steps_in_any_stride() {
    let fixture = fixture();
    let stream = Stream::new(B256::repeat_byte(7), 100).unwrap();
    let terms = Some((stream.anchor(), Amount::new(2_000)));
    let step = |k| fixture.step(&stream, k);
    let position = fixture.position(&fixture.opening(300_000), None);

    // A cheque over an equal total is accepted if it begins a stream.
    let begun = fixture.cheque(300_000, terms);
    let received = fixture
        .receive(&Proof::Cheque(fixture.id(), begun), Some(&position))
        .unwrap();
    assert_eq!(received.value(), Amount::ZERO);
    let mut position = received.position().clone();
    for k in [1, 2, 10, 100] {
        position = fixture.position(&step(k), Some(&position));
        assert_eq!(position.total().get(), 300_000 + 2_000 * u128::from(k));
        assert_eq!(position.credited().get(), worth(position.total().get()));
        assert_eq!(
            fixture.rejects(&step(k), Some(&position)),
            Rejection::Replay
        );
    }
    assert!(matches!(
        fixture.rejects(&step(10), Some(&position)),
        Rejection::Stale { .. }
    ));
    let forged = Proof::Step {
        deposit: fixture.id(),
        k: 10,
        x: B256::repeat_byte(1),
    };
    assert_eq!(
        fixture.rejects(&forged, Some(&position)),
        Rejection::WrongStep
    );

    // The next cheque continues from the total of the steps.
    assert!(matches!(
        fixture.rejects(&fixture.later(499_999), Some(&position)),
        Rejection::Stale { .. }
    ));
    let reused = fixture.cheque(500_001, terms);
    assert_eq!(
        fixture.rejects(&Proof::Cheque(fixture.id(), reused), Some(&position)),
        Rejection::AnchorReused
    );
    let position = fixture.position(&fixture.later(500_001), Some(&position));
    assert_eq!(
        fixture.rejects(&step(100), Some(&position)),
        Rejection::NoStream(fixture.id())
    );
}

#[test]
fn accepts_nothing_spent_only_with_a_stream() {
    let fixture = fixture();
    assert_eq!(
        fixture.rejects(&fixture.opening(0), None),
        Rejection::NothingSpent
    );
    let stream = Stream::new(B256::repeat_byte(7), 10).unwrap();
    let cheque = fixture.cheque(0, Some((stream.anchor(), Amount::new(30_000))));
    let begin = Proof::Opening(Box::new(fixture.opening_with(cheque)));
    let received = fixture.receive(&begin, None).unwrap();
    assert_eq!(received.value(), Amount::ZERO);
    let step = fixture.step(&stream, 1);
    let paid = fixture.receive(&step, Some(received.position())).unwrap();
    assert_eq!(paid.value().get(), worth(30_000));
}

#[test]
fn requires_an_opening_first_and_its_position_later() {
    let fixture = fixture();
    let unknown = Rejection::UnknownDeposit(fixture.id());
    assert_eq!(fixture.rejects(&fixture.later(1_000), None), unknown);
    let step = Proof::Step {
        deposit: fixture.id(),
        k: 1,
        x: B256::ZERO,
    };
    assert_eq!(fixture.rejects(&step, None), unknown);

    let other = fixture_with(|deposit| deposit.lane = 2);
    let position = other.position(&other.opening(300_000), None);
    assert_eq!(
        fixture.rejects(&fixture.opening(300_000), Some(&position)),
        Rejection::WrongPosition {
            found: other.id(),
            expected: fixture.id()
        }
    );
}

#[test]
fn decodes_a_position_from_its_own_bytes_only() {
    let fixture = fixture();
    let stream = Stream::new(B256::repeat_byte(7), 10).unwrap();
    let cheque = fixture.cheque(300_000, Some((stream.anchor(), Amount::new(5))));
    let begin = Proof::Opening(Box::new(fixture.opening_with(cheque)));
    let begun = fixture.position(&begin, None);
    let step = fixture.step(&stream, 3);
    for position in [begun.clone(), fixture.position(&step, Some(&begun))] {
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
fn resumes_a_payer_without_records_from_stale_rejection() {
    let fixture = fixture();
    let stream = Stream::new(B256::repeat_byte(7), 10).unwrap();
    let begun = fixture.cheque(300_000, Some((stream.anchor(), Amount::new(5_000))));
    let position = fixture.position(&Proof::Opening(Box::new(fixture.opening_with(begun))), None);
    let step = fixture.step(&stream, 3);
    let position = fixture.position(&step, Some(&position));

    let context = ChequeContext {
        key: &fixture.key,
        bank: &fixture.bank,
        deposit: fixture.id(),
        payee: fixture.payee,
    };
    let lost = Account::new(Amount::new(1_000_000));
    let account = lost.write_cheque(Amount::new(10), &context).unwrap();
    let proof = account.last_proof(fixture.id()).unwrap();
    let Rejection::Stale { newest, shown, .. } = fixture.rejects(&proof, Some(&position)) else {
        panic!("the older cheque is not rejected as stale");
    };
    let account = account.resume(&newest, shown, &context).unwrap();
    assert_eq!(account.total(), Amount::new(315_000));
    let account = account.write_cheque(Amount::new(10), &context).unwrap();
    let position = fixture.position(&account.last_proof(fixture.id()).unwrap(), Some(&position));
    assert_eq!(position.total(), Amount::new(315_010));
}
