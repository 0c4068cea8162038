//! Payments recorded together with records of the application.

use super::{
    host_balance::{BALANCE, credit, units},
    *,
};
use crate::store::{AppChange, AppRecordsReader, StoredError};
use std::sync::atomic::{AtomicU32, Ordering};

const PAYMENT: u128 = 10_000_000;

impl Fixture {
    fn balance(&self) -> u128 {
        units(self.store.get(Table::App, BALANCE).unwrap().as_deref())
    }

    /// The sum of what was credited by the stored positions.
    async fn credited(&self) -> u128 {
        let positions = self.payee.positions().await.unwrap();
        let credited = positions.iter().map(|position| position.credited().get());
        credited.sum()
    }
}

/// Payments of many senders change the same record: each is credited once, whatever the order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn credits_payments_at_once_to_one_balance() {
    let fixture = Fixture::with(|policy| limit(policy, u128::MAX)).await;
    let mut paid = Vec::new();
    for signer in 1..=40 {
        let opened = fixture.open(signer, 1, fixture.draw);
        let (payee, proof) = (fixture.payee.clone(), fixture.opening(&opened, PAYMENT));
        paid.push(tokio::spawn(async move {
            let from = Some(opened.key.address());
            payee.receive_payment_with(from, &proof, credit).await
        }));
    }
    let mut values = 0;
    for paid in paid {
        values += paid.await.unwrap().unwrap().value.get();
    }
    assert!(values > 0);
    assert_eq!(fixture.balance(), values);
    assert_eq!(fixture.credited().await, values);
}

#[tokio::test]
async fn credits_no_payment_again_that_was_counted() {
    let fixture = Fixture::new().await;
    let opened = fixture.open(1, 1, fixture.draw);
    let proof = fixture.opening(&opened, PAYMENT);
    let payee = &fixture.payee;
    let first = payee.receive_payment_with(None, &proof, credit).await;
    let value = first.unwrap().value.get();
    let again = payee.receive_payment_with(None, &proof, |_, _| panic!("credited again"));
    assert_eq!(code(again.await), "replay");
    assert_eq!(fixture.balance(), value);
    // A change of the record between reading and writing.
    let tries = Arc::new(AtomicU32::new(0));
    let store = fixture.store.clone();
    let raced = {
        let tries = tries.clone();
        move |payment: &Accepted, records: &AppRecordsReader<'_>| {
            let changes = credit(payment, records)?;
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                let (old, new) = (changes[0].old.as_deref(), 7_u128.to_be_bytes());
                assert_eq!(
                    store.compare_and_set(Table::App, BALANCE, old, &new)?,
                    Swap::Done
                );
            }
            Ok(changes)
        }
    };
    let more = fixture.opening(&opened, 2 * PAYMENT);
    let second = payee
        .receive_payment_with(None, &more, raced)
        .await
        .unwrap();
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    assert_eq!(fixture.balance(), 7 + second.value.get());
    assert_eq!(fixture.credited().await, value + second.value.get());
}

/// The application refuses: nothing is stored, and the payment is no exposure.
#[tokio::test]
async fn gives_exposure_back_if_the_application_refuses() {
    let fixture = Fixture::with(|policy| limit(policy, 2 * PAYMENT)).await;
    let opened = fixture.open(1, 1, fixture.draw);
    let proof = fixture.opening(&opened, 2 * PAYMENT);
    let payee = &fixture.payee;
    let refused = payee.receive_payment_with(None, &proof, |_, _| Err("closed".into()));
    match refused.await {
        Err(ReceiveError::Application(error)) => assert_eq!(error.to_string(), "closed"),
        other => panic!("{other:?}"),
    }
    // An error of the store stays one, and a bad change is one.
    let failed = payee.receive_payment_with(None, &proof, |_, _| {
        Err(crate::store::StoreError::BadAddress.into())
    });
    assert!(matches!(
        failed.await,
        Err(ReceiveError::Stored(StoredError::Store(_)))
    ));
    let too_long = |_: &Accepted, _: &AppRecordsReader<'_>| {
        Ok(vec![AppChange {
            key: vec![0; 2_000],
            old: None,
            new: None,
        }])
    };
    let failed = payee.receive_payment_with(None, &proof, too_long).await;
    assert!(matches!(
        failed,
        Err(ReceiveError::Stored(StoredError::Store(_)))
    ));
    assert_eq!(fixture.credited().await, 0);
    assert_eq!(payee.position(opened.id).await.unwrap(), None);
    let other = fixture.open(1, 2, fixture.draw);
    let paid = fixture.opening(&other, 2 * PAYMENT);
    let paid = payee.receive_payment_with(None, &paid, credit).await;
    assert_eq!(code(paid), "accepted");
}

/// An application that writes positions itself, and whose transaction was rolled back.
#[tokio::test]
async fn gives_exposure_back_if_nothing_was_stored() {
    let fixture = Fixture::with(|policy| limit(policy, 2 * PAYMENT)).await;
    let opened = fixture.open(1, 1, fixture.draw);
    let proof = fixture.opening(&opened, 2 * PAYMENT);
    let judged = fixture.payee.judge(None, &proof, None).await.unwrap();
    judged.add_exposure();
    let other = fixture.open(1, 2, fixture.draw);
    let refused = fixture.pay(&other, 2 * PAYMENT).await;
    assert_eq!(code(refused), "exposure_too_large");
    judged.give_back();
    assert_eq!(code(fixture.pay(&other, 2 * PAYMENT).await), "accepted");
}
