//! Full disks: payer and payee acknowledge only stored records, and continue without a restart when there is space
//! again.

use crate::disk::Disk;
use crate::fixtures::{Fixture, HOUR, open_deposit, pay, poll};
use crate::host_balance::{BALANCE, credit, units};
use crate::node::coins;
use cheque::store::{Redb, StoreError};
use cheque::{Amount, Rejection};
use cheque::{payee::ReceiveError, payer::PayerError, store::StoredError};
use std::{sync::Arc, time::Duration};

fn store(disk: &Disk) -> Arc<Redb> {
    let store = Redb::open_on(disk.clone(), "disk").unwrap();
    Arc::new(store.with_reopen_interval(Duration::ZERO))
}

/// Limits the disk to this many more writes. `None`: no limit.
fn limit(disk: &Disk, writes: Option<u64>) {
    disk.0.lock().unwrap().writes_left = writes;
}

/// Numbers of writes before the disk is full. A commit takes a few.
const WRITES: std::ops::Range<u64> = 0..8;

fn is_unknown(error: &StoredError) -> bool {
    matches!(error, StoredError::Store(StoreError::Unknown { .. }))
}

#[tokio::test]
async fn acknowledges_no_payment_on_full_disk() {
    // The same payment is accepted once there is space again.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let id = open_deposit(world, &payer, &fixture.request(HOUR)).await.id;
    let account = &fixture.payees[0];
    let disk = Disk::default();
    let payee = world.payee(account, store(&disk));
    let (mut credited, mut refusals) = (Amount::ZERO, 0);
    for writes in WRITES {
        let payment = payer.write_cheque(id, account.address, coins(1)).await;
        let proof = payment.unwrap().proof;
        limit(&disk, Some(writes));
        let taken = match payee.receive_payment(None, &proof).await {
            Ok(taken) => Some(taken.value),
            Err(ReceiveError::Stored(error)) => {
                assert!(is_unknown(&error), "{error}");
                // A retry fails, too, while the disk is full.
                let again = payee.receive_payment(None, &proof).await;
                assert!(matches!(again, Err(ReceiveError::Stored(_))), "{again:?}");
                refusals += 1;
                None
            }
            Err(error) => panic!("{error}"),
        };
        limit(&disk, None);
        match (payee.receive_payment(None, &proof).await, taken) {
            (Ok(taken), None) => credited = credited.checked_add(taken.value).unwrap(),
            (Err(ReceiveError::Rejected(Rejection::Replay)), Some(value)) => {
                credited = credited.checked_add(value).unwrap();
            }
            (other, _) => panic!("{other:?}"),
        }
        let held = payee.position(id).await.unwrap().unwrap();
        assert_eq!(held.total(), coins(u128::from(writes) + 1));
        assert_eq!(held.credited(), credited);
    }
    assert!(refusals > 2, "only {refusals} refusals by a full disk");
}

#[tokio::test]
async fn hands_out_no_cheque_on_full_disk() {
    // The payer pays again once there is space.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let disk = Disk::default();
    let payer = world.payer(&fixture.payer, store(&disk));
    let id = open_deposit(world, &payer, &fixture.request(HOUR)).await.id;
    let (_, payees) = fixture.actors();
    let address = fixture.payees[0].address;
    let (mut spent, mut refusals) = (Amount::ZERO, 0);
    for writes in WRITES {
        // Refreshes the chain snapshot before the disk is full.
        poll(&payer).await;
        limit(&disk, Some(writes));
        let payment = payer.write_cheque(id, address, coins(1)).await;
        limit(&disk, None);
        match payment {
            Ok(payment) => {
                spent = payment.spent;
                let proof = payment.proof;
                payees[0].receive_payment(None, &proof).await.unwrap();
            }
            Err(PayerError::Stored(error)) => {
                assert!(is_unknown(&error), "{error}");
                refusals += 1;
            }
            Err(error) => panic!("{error}"),
        }
        let known = payer.spent_and_left(id, address).await.unwrap().unwrap();
        assert_eq!(known.0, spent, "a cheque was recorded and not handed out");
        let (payment, _) = pay(&payer, &payees[0], id, coins(1)).await;
        spent = payment.spent;
    }
    assert!(refusals > 2, "only {refusals} refusals by a full disk");
    let held = payees[0].position(id).await.unwrap().unwrap();
    assert_eq!(held.total(), spent);
}

#[tokio::test]
async fn stores_position_and_balance_together_or_neither() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let id = open_deposit(world, &payer, &fixture.request(HOUR)).await.id;
    let account = &fixture.payees[0];
    let disk = Disk::default();
    let payee = world.payee(account, store(&disk));
    let mut failures = 0;
    for writes in WRITES {
        let payment = payer.write_cheque(id, account.address, coins(1)).await;
        let proof = payment.unwrap().proof;
        limit(&disk, Some(writes));
        let taken = payee.receive_payment_with(None, &proof, credit).await;
        failures += u32::from(taken.is_err());
        limit(&disk, None);
        // As after a restart: what the disk has.
        let stored = Redb::open_on(Disk::holding(disk.after_exit()), "copy").unwrap();
        let stored = world.payee(account, Arc::new(stored));
        let position = stored.position(id).await.unwrap();
        let credited = position.map_or(0, |position| position.credited().get());
        let balance = stored.app_records().get(BALANCE).await.unwrap();
        assert_eq!(units(balance.as_deref()), credited, "after {writes} writes");
        if taken.is_err() {
            let again = payee.receive_payment_with(None, &proof, credit).await;
            assert!(
                matches!(
                    &again,
                    Ok(_) | Err(ReceiveError::Rejected(Rejection::Replay))
                ),
                "{again:?}"
            );
        }
    }
    assert!(failures > 2, "only {failures} failures by a full disk");
    let held = payee.position(id).await.unwrap().unwrap();
    let balance = payee.app_records().get(BALANCE).await.unwrap();
    assert_eq!(held.total(), coins(8));
    assert_eq!(units(balance.as_deref()), held.credited().get());
}

#[cfg(feature = "service")]
#[tokio::test]
async fn shows_in_health_of_an_idle_service_that_the_disk_is_full() {
    use cheque::payee::{PayeeService, PayeeSettings};
    let fixture = Fixture::new().await;
    let disk = Disk::default();
    let payee = fixture.world.payee(&fixture.payees[0], store(&disk));
    let settings = PayeeSettings::new(payee.policy(), payee.reader().profile());
    let service = PayeeService::new(payee, settings);
    let until = async |wanted: &dyn Fn() -> bool| {
        for _ in 0..600 {
            if wanted() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{:?}", service.health());
    };
    let work = async {
        until(&|| service.health().ok).await;
        limit(&disk, Some(0));
        let is_ill = || {
            let health = service.health();
            !health.ok && health.reason.starts_with("cannot write to its store")
        };
        until(&is_ill).await;
        limit(&disk, None);
        until(&|| service.health().ok).await;
    };
    service.run(work).await.unwrap();
}
