#[cfg(feature = "cheque")]
mod cheque;
mod plugins;

use super::*;
use crate::{
    balance::{BalanceSettings, BalanceTracker, ChangeBalanceError},
    store::{Batch, Memory, Store},
};
use alloy_primitives::{Address, B256};
use std::sync::Arc;

const PREFIX: &[u8] = b"market:";
const CUSTOMER: Address = Address::repeat_byte(0xc0);
const PAYEE: Address = Address::repeat_byte(0xa1);
const TOKEN: Address = Address::repeat_byte(0x70);

fn receiver() -> TransferReceiver {
    TransferReceiver::new(TransferTerms {
        chain_id: 1,
        token: TOKEN,
        payee: PAYEE,
        confirm_s: 144,
    })
}

fn transfer() -> Transfer {
    Transfer {
        transaction: B256::repeat_byte(7),
        index: 3,
        from: CUSTOMER,
        to: PAYEE,
        token: TOKEN,
        amount: 500,
        block: 100,
        time_s: 1_000,
    }
}

fn judged(transfer: Transfer, head_time_s: u64) -> Result<Incoming, TransferRejection> {
    let proof = self::transfer().proof();
    let view = TransferView {
        head_time_s,
        transfer: Some(transfer),
    };
    receiver().receive_payment(CUSTOMER, &proof, None, &view)
}

#[test]
fn credits_transfer_to_its_sender() {
    let incoming = judged(transfer(), 1_144).unwrap();
    assert_eq!((incoming.value, incoming.credit_to), (500, CUSTOMER));
}

#[test]
fn rejects_transfer_with_any_wrong_fact() {
    let other = Address::repeat_byte(9);
    let right = transfer();
    let (found, expected) = (other, PAYEE);
    let wrong = TransferRejection::WrongPayee { found, expected };
    assert_eq!(judged(Transfer { to: other, ..right }, 1_144), Err(wrong));
    let (found, expected) = (other, CUSTOMER);
    let wrong = TransferRejection::WrongFrom { found, expected };
    assert_eq!(
        judged(
            Transfer {
                from: other,
                ..right
            },
            1_144
        ),
        Err(wrong)
    );
    let (found, expected) = (other, TOKEN);
    let wrong = TransferRejection::WrongToken { found, expected };
    assert_eq!(
        judged(
            Transfer {
                token: other,
                ..right
            },
            1_144
        ),
        Err(wrong)
    );
    let zero = judged(Transfer { amount: 0, ..right }, 1_144);
    assert_eq!(zero, Err(TransferRejection::ZeroAmount));
    let another = judged(Transfer { index: 4, ..right }, 1_144);
    assert!(matches!(another, Err(TransferRejection::WrongView { .. })));
}

#[test]
fn accepts_transfer_from_the_age_of_its_terms_on() {
    let rejection = |age_s| {
        let needed_s = 144;
        Err(TransferRejection::NotConfirmed { age_s, needed_s })
    };
    assert_eq!(judged(transfer(), 1_143), rejection(143));
    // A reorganisation between two questions.
    assert_eq!(judged(transfer(), 999), rejection(0));
    assert!(judged(transfer(), 1_144).is_ok());
}

#[test]
fn rejects_invalid_proof_and_missing_transfer() {
    for found in [0, 39, 41] {
        let named = TransferReceiver::named(&vec![1; found]);
        assert_eq!(named, Err(TransferRejection::Length { found }));
    }
    let view = TransferView {
        head_time_s: 1_144,
        transfer: None,
    };
    let judged = receiver().receive_payment(CUSTOMER, &transfer().proof(), None, &view);
    assert!(matches!(judged, Err(TransferRejection::Unknown { .. })));
}

/// Credits a transfer in the transaction that stores its record, like a provider after a restart.
fn credit(store: &Arc<Memory>, tokens: i64) -> Result<u64, String> {
    let settings = BalanceSettings::default();
    let mut tracker = BalanceTracker::open(Arc::clone(store), PREFIX, settings, 0).unwrap();
    let view = TransferView {
        head_time_s: 1_144,
        transfer: Some(transfer()),
    };
    let mut rejection = None;
    let added = tracker.operation(&CUSTOMER, None, 0, |balance| {
        let proof = transfer().proof();
        let batch = balance.extra_writes();
        match store_received(&receiver(), store, PREFIX, CUSTOMER, &proof, &view, batch) {
            Ok(incoming) => assert_eq!(incoming.value, 500),
            Err(error) => rejection = Some(error.to_string()),
        }
        match rejection {
            None => balance.add(tokens),
            Some(_) => balance.add(0),
        }
    });
    match rejection {
        Some(rejection) => Err(rejection),
        None => added
            .map(|added| added.new)
            .map_err(|error: ChangeBalanceError| error.to_string()),
    }
}

#[test]
fn credits_transfer_once_across_a_restart() {
    let store = Arc::new(Memory::new());
    assert_eq!(credit(&store, 2_000_000), Ok(2_000_000));
    let again = credit(&store, 2_000_000).unwrap_err();
    assert!(again.contains("was credited before"), "{again}");
}

#[test]
fn stores_nothing_of_a_failed_credit() {
    let store = Arc::new(Memory::new());
    assert_eq!(credit(&store, i64::MAX), Ok(i64::MAX.unsigned_abs()));
    let store = Arc::new(Memory::new());
    let mut tracker =
        BalanceTracker::open(Arc::clone(&store), PREFIX, BalanceSettings::default(), 0).unwrap();
    tracker.add_balance(&CUSTOMER, i64::MAX, 0).unwrap();
    drop(tracker);
    assert!(credit(&store, 1).unwrap_err().contains("exceed the limit"));
    let key = stored_key(PREFIX, &receiver().offer(), &transfer().proof());
    assert_eq!(store.get(&key).unwrap(), None);
}
