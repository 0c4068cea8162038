//! Payments that do not count.

use super::*;

#[test]
fn refuses_steps_beyond_policy_and_allowance() {
    let mut scene = scene();
    let stream = Stream::new(B256::repeat_byte(7), 2_000).unwrap();
    let step = |k| Proof::Step {
        deposit: scene.id(),
        k,
        x: stream.show(k).unwrap(),
    };
    let begin = |step| {
        let cheque = scene.cheque(900_000, Some((stream.anchor(), Amount::new(step))));
        Proof::Opening(Box::new(scene.opening_with(cheque)))
    };
    let position = scene.position(&begin(1), None);
    assert_eq!(
        scene.rejects(&step(1_025), Some(&position)),
        Rejection::StreamTooLong {
            steps: 1_025,
            limit: 1_024
        }
    );
    let wide = scene.position(&begin(1_000), None);
    let huge = scene.position(&begin(u128::MAX), None);
    assert_eq!(
        scene.rejects(&step(101), Some(&wide)),
        Rejection::OverAllowance {
            spent: Amount::new(1_001_000),
            allowance: Amount::new(1_000_000)
        }
    );
    assert!(matches!(
        scene.rejects(&step(1), Some(&huge)),
        Rejection::OverAllowance { .. }
    ));
    assert_eq!(
        scene.position(&step(100), Some(&wide)).total(),
        Amount::new(1_000_000)
    );
    let last = step(2_000);
    scene.policy.max_steps = 4_096;
    assert!(scene.receive(&last, Some(&position)).is_ok());
}

#[test]
fn refuses_lone_anchors_and_lone_steps() {
    let scene = scene();
    let position = scene.position(&scene.opening(300_000), None);
    for terms in [
        (B256::repeat_byte(1), Amount::ZERO),
        (B256::ZERO, Amount::new(1)),
    ] {
        let cheque = scene.cheque(400_000, Some(terms));
        let later = Proof::Cheque(scene.id(), cheque);
        let opening = Proof::Opening(Box::new(scene.opening_with(cheque)));
        for rejection in [
            scene.rejects(&later, Some(&position)),
            scene.rejects(&opening, None),
        ] {
            assert!(matches!(rejection, Rejection::BadStreamTerms(_)));
        }
    }
}

#[test]
fn refuses_more_than_the_allowance() {
    let scene = scene();
    let over = Rejection::OverAllowance {
        spent: Amount::new(1_000_001),
        allowance: Amount::new(1_000_000),
    };
    assert_eq!(scene.rejects(&scene.opening(1_000_001), None), over);
    let position = scene.position(&scene.opening(1_000_000), None);
    assert_eq!(
        scene.rejects(&scene.later(1_000_001), Some(&position)),
        over
    );
}

#[test]
fn refuses_whom_it_does_not_know() {
    let scene = scene();
    let opening = scene.opening(300_000);
    let with = |change: &dyn Fn(&mut Policy)| {
        let mut policy = scene.policy.clone();
        change(&mut policy);
        receive_payment(None, &opening, None, &scene.view, &policy).unwrap_err()
    };
    let other = Address::repeat_byte(0xee);
    assert_eq!(
        with(&|policy| policy.payee = other),
        Rejection::WrongPayee {
            found: scene.payee,
            expected: other
        }
    );
    assert_eq!(
        with(&|policy| policy.banks = vec![Bank::new(1, other)]),
        Rejection::BankNotAccepted(scene.bank.address())
    );
    assert_eq!(
        with(&|policy| policy.banks = vec![Bank::new(10, scene.bank.address())]),
        Rejection::ChainNotAccepted(1)
    );
    assert_eq!(
        with(&|policy| policy.tokens.clear()),
        Rejection::TokenNotAccepted(Address::ZERO)
    );
}

#[test]
fn refuses_a_sender_other_than_the_signer_even_with_its_cheque() {
    let scene = scene();
    let from = |address, proof: &Proof, old: Option<&Position>| {
        receive_payment(Some(address), proof, old, &scene.view, &scene.policy)
    };
    let (signer, thief) = (scene.key.address(), Address::repeat_byte(0xee));
    let wrong = Rejection::WrongFrom {
        from: thief,
        signer,
    };
    let opening = scene.opening(300_000);
    assert_eq!(from(thief, &opening, None), Err(wrong.clone()));
    let position = from(signer, &opening, None).unwrap().position().clone();
    assert_eq!(
        from(thief, &scene.later(400_000), Some(&position)),
        Err(wrong)
    );
    assert!(from(signer, &scene.later(400_000), Some(&position)).is_ok());
}

#[test]
fn refuses_a_cheque_signed_by_anybody_else() {
    let scene = scene();
    let thief = SigningKey::from_bytes(&[2; 32]).unwrap();
    let forged = SignedCheque::sign(
        &thief,
        &scene.bank,
        scene.id(),
        scene.payee,
        Amount::new(400_000),
        None,
    );
    let wrong = Rejection::WrongSigner {
        found: thief.address(),
        expected: scene.key.address(),
    };
    let opening = Proof::Opening(Box::new(scene.opening_with(forged)));
    assert_eq!(scene.rejects(&opening, None), wrong);
    let position = scene.position(&scene.opening(300_000), None);
    let later = Proof::Cheque(scene.id(), forged);
    assert_eq!(scene.rejects(&later, Some(&position)), wrong);
}

#[test]
fn refuses_cheques_of_other_payees_deposits_and_banks() {
    let scene = scene();
    let position = scene.position(&scene.opening(300_000), None);
    let spent = Amount::new(400_000);
    let (other, bank) = (
        Address::repeat_byte(0x22),
        Bank::new(1, Address::repeat_byte(1)),
    );
    let elsewhere = DepositId(B256::repeat_byte(5));
    for cheque in [
        SignedCheque::sign(&scene.key, &scene.bank, scene.id(), other, spent, None),
        SignedCheque::sign(&scene.key, &scene.bank, elsewhere, scene.payee, spent, None),
        SignedCheque::sign(&scene.key, &bank, scene.id(), scene.payee, spent, None),
    ] {
        let rejection = scene.rejects(&Proof::Cheque(scene.id(), cheque), Some(&position));
        assert!(matches!(rejection, Rejection::WrongSigner { .. }));
    }
}

#[test]
fn refuses_a_second_allowance_of_the_same_deposit() {
    // A tree that lists the payee twice, which only a hand-made one can.
    let mut scene = scene();
    let position = scene.position(&scene.opening(300_000), None);
    let master = MasterSalt::from_bytes([8; 32]);
    scene.tree = AllowanceTree::build(scene.tree.iter(), &master).unwrap();
    assert_eq!(
        scene.rejects(&scene.opening(400_000), Some(&position)),
        Rejection::SecondAllowance(scene.id())
    );
}

#[test]
fn refuses_a_stale_view_to_the_second() {
    let at = |now| Scene::refused(|scene| scene.view.now = now);
    assert!(matches!(at(NOW + 61), Rejection::StaleView { .. }));
    assert!(matches!(at(NOW - 61), Rejection::StaleView { .. }));
    let mut scene = scene();
    for now in [NOW - 60, NOW + 60] {
        scene.view.now = now;
        assert!(scene.receive(&scene.opening(300_000), None).is_ok());
    }
    scene.policy.stale_after = None;
    scene.view.now = 0;
    assert!(scene.receive(&scene.opening(300_000), None).is_ok());
}

#[test]
fn refuses_a_deposit_that_the_purse_does_not_hold() {
    let id = scene().id();
    for purse in [
        Purse::Idle(Amount::new(5)),
        Purse::Open(DepositId(B256::repeat_byte(1))),
    ] {
        assert_eq!(
            Scene::refused(|scene| scene.view.purse = purse.word()),
            Rejection::NotConfirmed(id)
        );
    }
    // Also when it is gone later.
    let mut scene = scene();
    let position = scene.position(&scene.opening(300_000), None);
    scene.view.purse = Purse::Idle(Amount::ZERO).word();
    assert_eq!(
        scene.rejects(&scene.later(400_000), Some(&position)),
        Rejection::NotConfirmed(id)
    );
}

#[test]
fn the_cutoff_refuses_from_draw_block_minus_cutoff_on() {
    let mut scene = scene();
    scene.view.head = scene.deposit.drawBlock - 129;
    let position = scene.position(&scene.opening(300_000), None);
    for head in [scene.deposit.drawBlock - 128, scene.deposit.drawBlock + 9] {
        scene.view.head = head;
        let past = Rejection::PastCutoff {
            head,
            draw_block: scene.deposit.drawBlock,
            cutoff: 128,
        };
        assert_eq!(scene.rejects(&scene.opening(300_000), None), past);
        assert_eq!(scene.rejects(&scene.later(400_000), Some(&position)), past);
    }
}

#[test]
fn on_a_rollup_the_seed_counts_as_public_long_before_the_draw() {
    let mut scene = scene_with(|deposit| {
        deposit.drawBlock = HEAD + 3_000;
        deposit.lastRedeemBlock = HEAD + 3_000 + HISTORY_WINDOW;
    });
    let profile = ChainProfile::of(8453).unwrap();
    scene.policy = Policy::new(scene.payee, scene.bank, profile);
    let public = NOW + 3_000 * 2 - 3_336;
    scene.policy.stale_after = None;
    scene.view.now = public - 1;
    assert!(scene.receive(&scene.opening(300_000), None).is_ok());
    scene.view.now = public;
    assert_eq!(
        scene.rejects(&scene.opening(300_000), None),
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
        let scene = scene_with(|deposit| {
            deposit.drawBlock = draw_block;
            deposit.lastRedeemBlock = draw_block + HISTORY_WINDOW;
        });
        scene.receive(&scene.opening(300_000), None)
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
        let scene = scene_with(|deposit| deposit.lastRedeemBlock = deposit.drawBlock + blocks);
        scene.receive(&scene.opening(300_000), None)
    };
    assert!(window(7_200).is_ok());
    assert_eq!(
        window(7_199),
        Err(Rejection::WindowTooShort {
            window: 7_199,
            least: 7_200
        })
    );
    // A window beyond what the chain remembers counts only that far.
    let mut scene = scene_with(|deposit| deposit.lastRedeemBlock = u64::MAX);
    scene.policy.min_window = HISTORY_WINDOW + 1;
    assert!(matches!(
        scene.rejects(&scene.opening(300_000), None),
        Rejection::WindowTooShort {
            window: HISTORY_WINDOW,
            ..
        }
    ));
}

#[test]
fn refuses_deposits_and_exposures_beyond_the_tokens_limits() {
    let limit = |deposit, exposure| {
        move |scene: &mut Scene| {
            let limits = TokenLimits {
                max_deposit: Amount::new(deposit),
                max_exposure: Amount::new(exposure),
            };
            scene.policy.tokens.insert(Address::ZERO, limits);
            scene.view.exposure = Amount::new(7);
        }
    };
    let amount = scene().deposit.amount;
    assert!(matches!(
        Scene::refused(limit(amount - 1, amount + 7)),
        Rejection::DepositTooLarge { .. }
    ));
    assert!(matches!(
        Scene::refused(limit(amount, amount + 6)),
        Rejection::ExposureTooLarge { .. }
    ));
    let mut scene = scene();
    limit(amount, amount + 7)(&mut scene);
    assert!(scene.receive(&scene.opening(300_000), None).is_ok());
}

#[test]
fn refuses_prizes_that_are_not_worth_their_gas() {
    let at = |cost| {
        let mut scene = scene();
        scene.view.redeem_cost = Some(Amount::new(cost));
        scene.receive(&scene.opening(1_000), None)
    };
    // The smallest payout is 200,000, the policy wants ten times the cost.
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
        Scene::refused(|scene| scene.view.redeem_cost = None),
        Rejection::TokenWithoutRate(Address::ZERO)
    );
}

#[test]
fn refuses_impossible_terms_and_false_allowances() {
    let scene = scene_with(|deposit| deposit.lane = 0);
    assert!(matches!(
        scene.rejects(&scene.opening(300_000), None),
        Rejection::BadTerms(_)
    ));
    let scene = scene_with(|deposit| deposit.amount += 1);
    assert!(matches!(
        scene.rejects(&scene.opening(300_000), None),
        Rejection::BadAllowanceProof(_)
    ));
}
