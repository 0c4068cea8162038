//! Disks that fill up under payer and payee: nothing is acknowledged that is not kept, and the same payer and payee go on
//! as soon as there is space again.

use crate::cast::{Cast, opened, pay, poll};
use crate::disk::Disk;
use crate::node::coins;
use cheque::store::{Redb, StoreError};
use cheque::{Amount, Rejection};
use cheque::{payee::ReceiveError, payer::PayerError, store::StoredError};
use std::{sync::Arc, time::Duration};

fn store(disk: &Disk) -> Arc<Redb> {
    let store = Redb::open_on(disk.clone(), "disk").unwrap();
    Arc::new(store.with_pause(Duration::ZERO))
}

/// Lets so many more writes succeed; `None`: there is space again.
fn limit(disk: &Disk, writes: Option<u64>) {
    disk.0.lock().unwrap().writes_left = writes;
}

/// How many writes succeed before the disk is full: a commit takes a few.
const WRITES: std::ops::Range<u64> = 0..8;

fn is_unknown(error: &StoredError) -> bool {
    matches!(error, StoredError::Store(StoreError::Unknown { .. }))
}

#[tokio::test]
async fn a_payee_with_a_full_disk_acknowledges_nothing_and_takes_the_payment_later() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let id = opened(world, &payer, &cast.request(60)).await.id;
    let party = &cast.payees[0];
    let disk = Disk::default();
    let payee = world.payee(party, store(&disk));
    let (mut credited, mut refusals) = (Amount::ZERO, 0);
    for writes in WRITES {
        let payment = payer.write_cheque(id, party.address, coins(1)).await;
        let proof = payment.unwrap().proof.unwrap();
        limit(&disk, Some(writes));
        let taken = match payee.receive_payment(None, &proof).await {
            Ok(taken) => Some(taken.value),
            Err(ReceiveError::Stored(error)) => {
                assert!(is_unknown(&error), "{error}");
                // Nor later, while it is full.
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
        let held = payee.holding(id).await.unwrap().unwrap();
        assert_eq!(held.total(), coins(u128::from(writes) + 1));
        assert_eq!(held.credited(), credited);
    }
    assert!(refusals > 2, "{refusals} times full");
}

#[tokio::test]
async fn a_payer_with_a_full_disk_hands_out_nothing_and_pays_later() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let disk = Disk::default();
    let payer = world.payer(&cast.payer, store(&disk));
    let id = opened(world, &payer, &cast.request(60)).await.id;
    let (_, payees) = cast.players();
    let address = cast.payees[0].address;
    let (mut spent, mut refusals) = (Amount::ZERO, 0);
    for writes in WRITES {
        // Looks at the chain before the disk is full.
        poll(&payer).await;
        limit(&disk, Some(writes));
        let payment = payer.write_cheque(id, address, coins(1)).await;
        limit(&disk, None);
        match payment {
            Ok(payment) => {
                spent = payment.spent;
                let proof = payment.proof.unwrap();
                payees[0].receive_payment(None, &proof).await.unwrap();
            }
            Err(PayerError::Stored(error)) => {
                assert!(is_unknown(&error), "{error}");
                refusals += 1;
            }
            Err(error) => panic!("{error}"),
        }
        let known = payer.last_cheque(id, address).await.unwrap().unwrap();
        assert_eq!(known.0, spent, "nothing is spent that was not handed out");
        let (payment, _) = pay(&payer, &payees[0], id, coins(1)).await;
        spent = payment.spent;
    }
    assert!(refusals > 2, "{refusals} times full");
    let held = payees[0].holding(id).await.unwrap().unwrap();
    assert_eq!(held.total(), spent);
}
