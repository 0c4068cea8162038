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
fn refuses_a_second_allowance_of_the_same_deposit() {
    // A hand-made tree can list the payee twice.
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
fn refuses_a_stale_view_to_the_second() {
    let at = |now| Fixture::refused(|fixture| fixture.view.now = now);
    assert!(matches!(at(NOW + 61), Rejection::StaleView { .. }));
    assert!(matches!(at(NOW - 61), Rejection::StaleView { .. }));
    let mut fixture = fixture();
    for now in [NOW - 60, NOW + 60] {
        fixture.view.now = now;
        assert!(fixture.receive(&fixture.opening(300_000), None).is_ok());
    }
    fixture.policy.stale_after = None;
    fixture.view.now = 0;
    assert!(fixture.receive(&fixture.opening(300_000), None).is_ok());
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
fn refuses_payments_from_the_cutoff_on() {
    let mut fixture = fixture();
    fixture.view.head = fixture.deposit.drawBlock - 129;
    let position = fixture.position(&fixture.opening(300_000), None);
    for head in [
        fixture.deposit.drawBlock - 128,
        fixture.deposit.drawBlock + 9,
    ] {
        fixture.view.head = head;
        let past = Rejection::PastCutoff {
            head,
            draw_block: fixture.deposit.drawBlock,
            cutoff: 128,
        };
        assert_eq!(fixture.rejects(&fixture.opening(300_000), None), past);
        assert_eq!(
            fixture.rejects(&fixture.later(400_000), Some(&position)),
            past
        );
    }
}

#[test]
fn refuses_payments_once_a_rollups_seed_may_be_public() {
    let mut fixture = fixture_with(|deposit| {
        deposit.drawBlock = HEAD + 3_000;
        deposit.lastRedeemBlock = HEAD + 3_000 + HISTORY_WINDOW;
    });
    let profile = ChainProfile::of(8453).unwrap();
    fixture.policy = Policy::new(fixture.payee, fixture.bank, profile);
    let public = NOW + 3_000 * 2 - 3_336;
    fixture.policy.stale_after = None;
    fixture.view.now = public - 1;
    assert!(fixture.receive(&fixture.opening(300_000), None).is_ok());
    fixture.view.now = public;
    assert_eq!(
        fixture.rejects(&fixture.opening(300_000), None),
        Rejection::SeedMayBePublic {
            draw_block: HEAD + 3_000,
            public,
            now: public
        }
    );
}

#[test]
fn refuses_draws_too_far_ahead() {
    let latest = HEAD + 7 * 7_200;
    let far = |draw_block| {
        let fixture = fixture_with(|deposit| {
            deposit.drawBlock = draw_block;
            deposit.lastRedeemBlock = draw_block + HISTORY_WINDOW;
        });
        fixture.receive(&fixture.opening(300_000), None)
    };
    assert!(far(latest).is_ok());
    assert_eq!(
        far(latest + 1),
        Err(Rejection::HorizonTooLong {
            draw_block: latest + 1,
            latest
        })
    );
}

#[test]
fn refuses_windows_too_short_to_redeem() {
    let window = |blocks| {
        let fixture = fixture_with(|deposit| deposit.lastRedeemBlock = deposit.drawBlock + blocks);
        fixture.receive(&fixture.opening(300_000), None)
    };
    assert!(window(7_200).is_ok());
    assert_eq!(
        window(7_199),
        Err(Rejection::WindowTooShort {
            window: 7_199,
            min: 7_200
        })
    );
    // A window counts only as far as the chain remembers the seed.
    let mut fixture = fixture_with(|deposit| deposit.lastRedeemBlock = u64::MAX);
    fixture.policy.min_window = HISTORY_WINDOW + 1;
    assert!(matches!(
        fixture.rejects(&fixture.opening(300_000), None),
        Rejection::WindowTooShort {
            window: HISTORY_WINDOW,
            ..
        }
    ));
}

#[test]
fn refuses_deposits_and_exposures_beyond_the_tokens_limits() {
    let limit = |deposit, exposure| {
        move |fixture: &mut Fixture| {
            let limits = TokenLimits {
                max_deposit: Amount::new(deposit),
                max_exposure: Amount::new(exposure),
            };
            fixture.policy.tokens.insert(Address::ZERO, limits);
            fixture.view.exposure = Amount::new(7);
        }
    };
    let amount = fixture().deposit.amount;
    assert!(matches!(
        Fixture::refused(limit(amount - 1, amount + 7)),
        Rejection::DepositTooLarge { .. }
    ));
    assert!(matches!(
        Fixture::refused(limit(amount, amount + 6)),
        Rejection::ExposureTooLarge { .. }
    ));
    let mut fixture = fixture();
    limit(amount, amount + 7)(&mut fixture);
    assert!(fixture.receive(&fixture.opening(300_000), None).is_ok());
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
