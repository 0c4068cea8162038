//! The money at risk with one signer: exposure, and totals in deposits that are not settled.

use super::*;

impl Fixture {
    fn with_exposure(mut self, exposure: u128, max_exposure: u128) -> Self {
        let limits = TokenLimits::exposure(Amount::new(max_exposure));
        self.policy.tokens.insert(Address::ZERO, limits);
        self.view.exposure = Amount::new(exposure);
        self
    }

    /// A deposit that is not settled, beside others with totals of `unsettled`.
    fn with_unsettled(mut self, unsettled: u128) -> Self {
        self.view.settled = false;
        self.view.unsettled = Amount::new(unsettled);
        self
    }
}

const EXPOSED: Rejection = Rejection::ExposureTooLarge {
    exposure: Amount::new(400_008),
    limit: Amount::new(400_007),
};

#[test]
fn counts_totals_and_not_amounts_against_exposure() {
    // The deposit has 2,000,000 units: five times the limit.
    let fixture = fixture().with_exposure(100_007, 400_007);
    assert!(fixture.receive(&fixture.opening(300_000), None).is_ok());
    assert_eq!(fixture.rejects(&fixture.opening(300_001), None), EXPOSED);
}

#[test]
fn limits_exposure_at_every_payment() {
    let stream = Stream::new(B256::repeat_byte(7), 10).unwrap();
    let mut fixture = fixture().with_exposure(100_007, 400_007);
    let cheque = fixture.cheque(299_990, Some((stream.anchor(), Amount::new(5))));
    let begin = Proof::Opening(Box::new(fixture.opening_with(cheque)));
    let position = fixture.position(&begin, None);
    assert!(
        fixture
            .receive(&fixture.step(&stream, 2), Some(&position))
            .is_ok()
    );
    assert!(
        fixture
            .receive(&fixture.later(300_000), Some(&position))
            .is_ok()
    );
    assert_eq!(
        fixture.rejects(&fixture.later(300_001), Some(&position)),
        EXPOSED
    );
    assert!(matches!(
        fixture.rejects(&fixture.step(&stream, 3), Some(&position)),
        Rejection::ExposureTooLarge { .. }
    ));
    // Exposure that other deposits add later counts, too; a lost or redeemed one frees it.
    fixture.view.exposure = Amount::new(100_008);
    assert_eq!(
        fixture.rejects(&fixture.later(300_000), Some(&position)),
        EXPOSED
    );
    fixture.view.exposure = Amount::ZERO;
    assert!(
        fixture
            .receive(&fixture.later(400_007), Some(&position))
            .is_ok()
    );
}

#[test]
fn keeps_exposure_from_strangers_without_the_hash_chain() {
    let stream = Stream::new(B256::repeat_byte(7), 10).unwrap();
    let fixture = fixture().with_exposure(0, 300_000);
    let cheque = fixture.cheque(300_000, Some((stream.anchor(), Amount::new(5))));
    let begin = Proof::Opening(Box::new(fixture.opening_with(cheque)));
    let position = fixture.position(&begin, None);
    let forged = Proof::Step {
        deposit: fixture.id(),
        k: 1,
        x: B256::ZERO,
    };
    assert_eq!(
        fixture.rejects(&forged, Some(&position)),
        Rejection::WrongStep
    );
    assert_eq!(
        fixture.rejects(&fixture.step(&stream, 1), Some(&position)),
        Rejection::ExposureTooLarge {
            exposure: Amount::new(300_005),
            limit: Amount::new(300_000)
        }
    );
}

#[test]
fn takes_fifty_costs_from_deposits_that_are_not_settled() {
    // A cost of 1,000, fifty times.
    let fixture = fixture().with_unsettled(20_000);
    assert!(fixture.receive(&fixture.opening(30_000), None).is_ok());
    let too_large = Rejection::UnsettledTooLarge {
        unsettled: Amount::new(50_001),
        limit: Amount::new(50_000),
    };
    assert_eq!(fixture.rejects(&fixture.opening(30_001), None), too_large);
    let position = fixture.position(&fixture.opening(29_999), None);
    assert!(
        fixture
            .receive(&fixture.later(30_000), Some(&position))
            .is_ok()
    );
    assert_eq!(
        fixture.rejects(&fixture.later(30_001), Some(&position)),
        too_large
    );
}

#[test]
fn limits_a_settled_deposit_by_exposure_alone() {
    let mut fixture = fixture().with_unsettled(u128::MAX);
    fixture.view.settled = true;
    assert!(fixture.receive(&fixture.opening(1_000_000), None).is_ok());
}

#[test]
fn takes_nothing_unsettled_where_redeeming_is_free() {
    let mut fixture = fixture().with_unsettled(0);
    fixture.view.redeem_cost = Some(Amount::ZERO);
    assert_eq!(
        fixture.rejects(&fixture.opening(1), None),
        Rejection::UnsettledTooLarge {
            unsettled: Amount::new(1),
            limit: Amount::ZERO
        }
    );
    fixture.view.settled = true;
    assert!(fixture.receive(&fixture.opening(1), None).is_ok());
}

#[test]
fn keeps_the_unsettled_limit_of_the_first_payments_cost() {
    let mut fixture = fixture().with_unsettled(0);
    let position = fixture.position(&fixture.opening(30_000), None);
    fixture.view.redeem_cost = Some(Amount::new(1));
    assert!(
        fixture
            .receive(&fixture.later(50_000), Some(&position))
            .is_ok()
    );
    fixture.view.redeem_cost = Some(Amount::MAX);
    assert!(
        fixture
            .receive(&fixture.later(50_001), Some(&position))
            .is_err()
    );
}

#[test]
fn adds_up_the_largest_amounts_without_overflow() {
    let fixture = fixture().with_exposure(u128::MAX, u128::MAX - 1);
    assert_eq!(
        fixture.rejects(&fixture.opening(300_000), None),
        Rejection::ExposureTooLarge {
            exposure: Amount::MAX,
            limit: Amount::new(u128::MAX - 1)
        }
    );
    let fixture = fixture_with(|_| {}).with_unsettled(u128::MAX);
    assert!(matches!(
        fixture.rejects(&fixture.opening(1), None),
        Rejection::UnsettledTooLarge { .. }
    ));
}

#[test]
fn counts_a_stream_by_its_steps_shown() {
    let stream = Stream::new(B256::repeat_byte(7), 10).unwrap();
    let fixture = fixture().with_exposure(0, 10_000);
    let cheque = fixture.cheque(0, Some((stream.anchor(), Amount::new(5_000))));
    let begin = Proof::Opening(Box::new(fixture.opening_with(cheque)));
    let position = fixture.position(&begin, None);
    let position = fixture.position(&fixture.step(&stream, 2), Some(&position));
    assert_eq!(
        fixture.rejects(&fixture.step(&stream, 3), Some(&position)),
        Rejection::ExposureTooLarge {
            exposure: Amount::new(15_000),
            limit: Amount::new(10_000)
        }
    );
}
