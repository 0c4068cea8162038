//! A beacon that has stopped: rounds that it lacks hold up no known one.

use super::*;
use crate::{
    bank::{fake_bank::BANK, stopped_relay::StoppedBeacon},
    payee::service::{HoldingState, PayeeService, PayeeSettings},
    protocol::{
        now::Now,
        receive::{judge::receive_payment, policy::View},
        terms::Purse,
    },
    store::keys::position_key,
};

const PAYMENT: u128 = 10_000_000;

impl Fixture {
    /// Puts the position of a payment into the store, as if it had come an hour before the draw.
    fn keep(&self, opened: &Opened) {
        let time = opened.terms.drawTime - 3_600;
        let view = View {
            now: Now {
                clock: time,
                head_time: time,
                round_time: None,
            },
            final_time: None,
            purse: Purse::Open(opened.id).word(),
            settled: true,
            redeem_cost: Some(Amount::new(1)),
            exposure: Amount::ZERO,
            unsettled: Amount::ZERO,
        };
        let proof = self.opening(opened, PAYMENT);
        let received = receive_payment(None, &proof, None, &view, &self.policy).unwrap();
        let key = position_key(BANK, opened.id, PAYEE);
        let bytes = received.position().to_bytes();
        let set = self
            .store
            .compare_and_set(Table::Positions, &key, None, &bytes);
        assert_eq!(set.unwrap(), Swap::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_a_stored_win_while_newer_rounds_are_missing() {
    let beacon = StoppedBeacon::start().await;
    let fixture = Fixture::new().await;
    let draw = beacon.stopped_at - 300;
    let won = fixture.open_for(true, 1, draw);
    fixture.keep(&won);
    fixture.publish(draw);
    for number in 1..=20 {
        let late = beacon.stopped_at + number * PERIOD;
        fixture.keep(&fixture.open(2, number, late));
    }
    let payee = fixture.restarted().await;
    let payee = payee.with_beacon(beacon.client()).unwrap();
    let settings = PayeeSettings::new(&fixture.policy, &fixture.profile);
    let service = PayeeService::new(payee, settings);
    for _ in 0..3 {
        service.step().await.unwrap();
    }
    let statuses = service.status().await.unwrap();
    let is_won = |id| {
        let mut all = statuses.iter();
        let status = all.find(|status| status.position.deposit_id() == id);
        matches!(status.unwrap().state, HoldingState::Won(_))
    };
    assert!(is_won(won.id));
    let wins = statuses
        .iter()
        .filter(|status| is_won(status.position.deposit_id()));
    assert_eq!((wins.count(), statuses.len()), (1, 21));
}
