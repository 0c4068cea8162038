//! Rejected payments.

use super::*;

#[test]
fn refuses_steps_beyond_policy_and_allowance() {
    let mut fixture = fixture();
    let stream = Stream::new(B256::repeat_byte(7), 2_000).unwrap();
    let step = |k| Proof::Step {
        deposit: fixture.id(),
        k,
        x: stream.show(k).unwrap(),
    };
    let begin = |step| {
        let cheque = fixture.cheque(900_000, Some((stream.anchor(), Amount::new(step))));
        Proof::Opening(Box::new(fixture.opening_with(cheque)))
    };
    let position = fixture.position(&begin(1), None);
    assert_eq!(
        fixture.rejects(&step(1_025), Some(&position)),
        Rejection::StreamTooLong {
            steps: 1_025,
            limit: 1_024
        }
    );
    let wide = fixture.position(&begin(1_000), None);
    let huge = fixture.position(&begin(u128::MAX), None);
    assert_eq!(
        fixture.rejects(&step(101), Some(&wide)),
        Rejection::OverAllowance {
            spent: Amount::new(1_001_000),
            allowance: Amount::new(1_000_000)
        }
    );
    assert!(matches!(
        fixture.rejects(&step(1), Some(&huge)),
        Rejection::OverAllowance { .. }
    ));
    assert_eq!(
        fixture.position(&step(100), Some(&wide)).total(),
        Amount::new(1_000_000)
    );
    let last = step(2_000);
    fixture.policy.max_steps = 4_096;
    assert!(fixture.receive(&last, Some(&position)).is_ok());
}

#[test]
fn refuses_lone_anchors_and_lone_steps() {
    let fixture = fixture();
    let position = fixture.position(&fixture.opening(300_000), None);
    for terms in [
        (B256::repeat_byte(1), Amount::ZERO),
        (B256::ZERO, Amount::new(1)),
    ] {
        let cheque = fixture.cheque(400_000, Some(terms));
        let later = Proof::Cheque(fixture.id(), cheque);
        let opening = Proof::Opening(Box::new(fixture.opening_with(cheque)));
        for rejection in [
            fixture.rejects(&later, Some(&position)),
            fixture.rejects(&opening, None),
        ] {
            assert!(matches!(rejection, Rejection::BadStreamTerms(_)));
        }
    }
}

#[test]
fn refuses_more_than_the_allowance() {
    let fixture = fixture();
    let over = Rejection::OverAllowance {
        spent: Amount::new(1_000_001),
        allowance: Amount::new(1_000_000),
    };
    assert_eq!(fixture.rejects(&fixture.opening(1_000_001), None), over);
    let position = fixture.position(&fixture.opening(1_000_000), None);
    let later = fixture.later(1_000_001);
    assert_eq!(fixture.rejects(&later, Some(&position)), over);
}

#[test]
fn refuses_unknown_payee_bank_chain_and_token() {
    let fixture = fixture();
    let opening = fixture.opening(300_000);
    let with = |change: &dyn Fn(&mut Policy)| {
        let mut policy = fixture.policy.clone();
        change(&mut policy);
        receive_payment(None, &opening, None, &fixture.view, &policy).unwrap_err()
    };
    let other = Address::repeat_byte(0xee);
    assert_eq!(
        with(&|policy| policy.payee = other),
        Rejection::WrongPayee {
            found: fixture.payee,
            expected: other
        }
    );
    assert_eq!(
        with(&|policy| policy.banks = vec![Bank::new(1, other)]),
        Rejection::BankNotAccepted(fixture.bank.address())
    );
    assert_eq!(
        with(&|policy| policy.banks = vec![Bank::new(10, fixture.bank.address())]),
        Rejection::ChainNotAccepted(1)
    );
    assert_eq!(
        with(&|policy| policy.tokens.clear()),
        Rejection::TokenNotAccepted(Address::ZERO)
    );
}

#[test]
fn refuses_a_sender_other_than_the_signer_even_with_its_cheque() {
    let fixture = fixture();
    let from = |address, proof: &Proof, old: Option<&Position>| {
        receive_payment(Some(address), proof, old, &fixture.view, &fixture.policy)
    };
    let (signer, thief) = (fixture.key.address(), Address::repeat_byte(0xee));
    let wrong = Rejection::WrongFrom {
        from: thief,
        signer,
    };
    let opening = fixture.opening(300_000);
    assert_eq!(from(thief, &opening, None), Err(wrong.clone()));
    let position = from(signer, &opening, None).unwrap().position().clone();
    let later = fixture.later(400_000);
    assert_eq!(from(thief, &later, Some(&position)), Err(wrong));
    assert!(from(signer, &later, Some(&position)).is_ok());
}

#[test]
fn refuses_a_cheque_of_another_signer() {
    let fixture = fixture();
    let thief = SigningKey::from_bytes(&[2; 32]).unwrap();
    let forged = SignedCheque::sign(
        &thief,
        &fixture.bank,
        fixture.id(),
        fixture.payee,
        Amount::new(400_000),
        None,
    );
    let wrong = Rejection::WrongSigner {
        found: thief.address(),
        expected: fixture.key.address(),
    };
    let opening = Proof::Opening(Box::new(fixture.opening_with(forged)));
    assert_eq!(fixture.rejects(&opening, None), wrong);
    let position = fixture.position(&fixture.opening(300_000), None);
    let later = Proof::Cheque(fixture.id(), forged);
    assert_eq!(fixture.rejects(&later, Some(&position)), wrong);
}

#[test]
fn refuses_cheques_of_other_payees_deposits_and_banks() {
    let fixture = fixture();
    let position = fixture.position(&fixture.opening(300_000), None);
    let spent = Amount::new(400_000);
    let (other, bank) = (
        Address::repeat_byte(0x22),
        Bank::new(1, Address::repeat_byte(1)),
    );
    let elsewhere = DepositId(B256::repeat_byte(5));
    let sign =
        |bank: &Bank, id, payee| SignedCheque::sign(&fixture.key, bank, id, payee, spent, None);
    for cheque in [
        sign(&fixture.bank, fixture.id(), other),
        sign(&fixture.bank, elsewhere, fixture.payee),
        sign(&bank, fixture.id(), fixture.payee),
    ] {
        let rejection = fixture.rejects(&Proof::Cheque(fixture.id(), cheque), Some(&position));
        assert!(matches!(rejection, Rejection::WrongSigner { .. }));
    }
}

#[test]
fn refuses_a_proof_other_than_that_of_the_position() {
    // Before its hashes are checked: this one does not lead to the root.
    let mut fixture = fixture();
    let position = fixture.position(&fixture.opening(300_000), None);
    let master = MasterSalt::from_bytes([8; 32]);
    fixture.tree = AllowanceTree::build(fixture.tree.iter(), &master).unwrap();
    assert_eq!(
        fixture.rejects(&fixture.opening(400_000), Some(&position)),
        Rejection::SecondAllowance(fixture.id())
    );
}

#[test]
fn refuses_a_deposit_that_the_purse_does_not_hold() {
    let id = fixture().id();
    for purse in [
        Purse::Idle(Amount::new(5)),
        Purse::Open(DepositId(B256::repeat_byte(1))),
    ] {
        assert_eq!(
            Fixture::refused(|fixture| fixture.view.purse = purse.word()),
            Rejection::NotConfirmed(id)
        );
    }
    // A deposit that has left the purse later is refused, too.
    let mut fixture = fixture();
    let position = fixture.position(&fixture.opening(300_000), None);
    fixture.view.purse = Purse::Idle(Amount::ZERO).word();
    assert_eq!(
        fixture.rejects(&fixture.later(400_000), Some(&position)),
        Rejection::NotConfirmed(id)
    );
}

#[test]
fn refuses_payments_from_the_cutoff_on_to_the_second() {
    let mut fixture = fixture();
    let at = |now| clocks(now, now, now);
    fixture.view.now = at(DRAW - 31);
    fixture.view.final_time = None;
    let position = fixture.position(&fixture.opening(300_000), None);
    assert!(
        fixture
            .receive(&fixture.later(400_000), Some(&position))
            .is_ok()
    );
    for now in [
        DRAW - 30,
        DRAW - 29,
        DRAW - 1,
        DRAW,
        DRAW + 1,
        DRAW + 86_401,
        u64::MAX,
    ] {
        fixture.view.now = at(now);
        let past = Rejection::PastCutoff {
            now,
            draw_time: DRAW,
            cutoff: 30,
        };
        assert_eq!(fixture.rejects(&fixture.opening(300_000), None), past);
        assert_eq!(
            fixture.rejects(&fixture.later(400_000), Some(&position)),
            past
        );
    }
}

#[test]
fn refuses_a_draw_within_the_first_seconds_of_time() {
    let mut fixture = fixture_with(|deposit| {
        deposit.drawTime = 30;
        deposit.redeemUntil = 86_430;
    });
    fixture.policy.freshness = None;
    fixture.view.now = clocks(0, 0, 0);
    assert!(matches!(
        fixture.rejects(&fixture.opening(300_000), None),
        Rejection::PastCutoff { now: 0, .. }
    ));
}

#[test]
fn refuses_draws_too_far_ahead_to_the_second() {
    let latest = NOW + 7 * 86_400;
    let far = |draw_time| {
        let fixture = fixture_with(|deposit| {
            deposit.drawTime = draw_time;
            deposit.redeemUntil = draw_time + 86_400;
        });
        fixture.receive(&fixture.opening(300_000), None)
    };
    assert!(far(latest - 1).is_ok());
    assert!(far(latest).is_ok());
    assert_eq!(
        far(latest + 1),
        Err(Rejection::HorizonTooLong {
            draw_time: latest + 1,
            latest
        })
    );
}

#[test]
fn measures_the_horizon_by_the_latest_clock() {
    let mut fixture = fixture_with(|deposit| {
        deposit.drawTime = NOW + 7 * 86_400 + 10;
        deposit.redeemUntil = NOW + 8 * 86_400 + 10;
    });
    fixture.view.now = clocks(NOW, NOW + 10, NOW);
    assert!(fixture.receive(&fixture.opening(300_000), None).is_ok());
    fixture.view.now = clocks(NOW, NOW + 9, NOW);
    assert!(matches!(
        fixture.rejects(&fixture.opening(300_000), None),
        Rejection::HorizonTooLong { .. }
    ));
}

#[test]
fn refuses_windows_too_short_to_redeem_to_the_second() {
    let window = |seconds| {
        let fixture = fixture_with(|deposit| deposit.redeemUntil = DRAW + seconds);
        fixture.receive(&fixture.opening(300_000), None)
    };
    // Six hours on layer 1.
    assert!(window(21_601).is_ok());
    assert!(window(21_600).is_ok());
    assert_eq!(
        window(21_599),
        Err(Rejection::WindowTooShort {
            window: 21_599,
            min: 21_600
        })
    );
}

#[test]
fn refuses_deposits_beyond_the_tokens_limit_if_there_is_one() {
    let amount = fixture().deposit.amount;
    let limited = |max_deposit: Option<u128>| {
        move |fixture: &mut Fixture| {
            let limits = TokenLimits {
                max_deposit: max_deposit.map(Amount::new),
                max_exposure: Amount::MAX,
            };
            fixture.policy.tokens.insert(Address::ZERO, limits);
        }
    };
    assert_eq!(
        Fixture::refused(limited(Some(amount - 1))),
        Rejection::DepositTooLarge {
            amount: Amount::new(amount),
            limit: Amount::new(amount - 1)
        }
    );
    for enough in [Some(amount), None] {
        let mut fixture = fixture();
        limited(enough)(&mut fixture);
        assert!(fixture.receive(&fixture.opening(300_000), None).is_ok());
    }
}

#[test]
fn refuses_a_chain_that_does_not_finalize_to_the_second() {
    let at = |final_time| {
        let mut fixture = fixture();
        fixture.view.final_time = final_time;
        fixture.receive(&fixture.opening(300_000), None)
    };
    // 1,536 seconds on layer 1.
    assert!(at(Some(NOW - 1_536)).is_ok());
    assert_eq!(
        at(Some(NOW - 1_537)),
        Err(Rejection::ChainNotFinal {
            final_time: NOW - 1_537,
            now: NOW,
            limit: 1_536
        })
    );
    // A node without the tag tells nothing; a final block of the future is young.
    assert!(at(None).is_ok());
    assert!(at(Some(u64::MAX)).is_ok());
}

#[test]
fn refuses_payouts_not_worth_their_gas() {
    let at = |cost| {
        let mut fixture = fixture();
        fixture.view.redeem_cost = Some(Amount::new(cost));
        fixture.receive(&fixture.opening(1_000), None)
    };
    // The smallest payout is 200,000; the policy requires ten times the cost.
    assert!(at(20_000).is_ok());
    assert!(matches!(at(20_001), Err(Rejection::PayoutTooSmall { .. })));
    assert!(matches!(
        at(u128::MAX),
        Err(Rejection::PayoutTooSmall { .. })
    ));
}

#[test]
fn refuses_a_token_without_a_rate() {
    assert_eq!(
        Fixture::refused(|fixture| fixture.view.redeem_cost = None),
        Rejection::TokenWithoutRate(Address::ZERO)
    );
}

#[test]
fn refuses_impossible_terms_and_false_allowances() {
    let fixture = fixture_with(|deposit| deposit.lane = 0);
    assert!(matches!(
        fixture.rejects(&fixture.opening(300_000), None),
        Rejection::BadTerms(_)
    ));
    let fixture = fixture_with(|deposit| deposit.amount += 1);
    assert!(matches!(
        fixture.rejects(&fixture.opening(300_000), None),
        Rejection::BadAllowanceProof(_)
    ));
}
