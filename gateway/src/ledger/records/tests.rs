use super::{
    account::AccountRecord,
    codec::{Record, RecordError},
    deposit::DepositRecord,
    key::KeyRecord,
    keys::Keys,
    payment::{PaymentRecord, PaymentState},
    reservation::ReservationRecord,
};
use crate::ledger::{
    account::{AccountKey, Currency},
    payment::{ChequeHash, Fingerprint, IdempotencyKey, PaymentId},
};
use alloy_primitives::{Address, B128, B256};
use cheque::{Amount, Bank, DepositId, Signature, SignedCheque};
use std::fmt;

fn id(total: u128) -> PaymentId {
    let cheque = SignedCheque {
        spent: Amount::new(total),
        anchor: B256::repeat_byte(3),
        step: Amount::new(1),
        signature: Signature::from_bytes([4; 65]),
    };
    PaymentId::of_cheque(DepositId(B256::repeat_byte(2)), &cheque)
}

const fn account() -> AccountKey {
    AccountKey {
        signer: Address::repeat_byte(5),
        currency: Currency {
            chain_id: u64::MAX,
            token: Address::ZERO,
        },
    }
}

/// Encodes and decodes a record, and damages its bytes.
fn check<R: Record + PartialEq + fmt::Debug>(record: &R) {
    let bytes = record.encode();
    assert_eq!(bytes[0], 1);
    assert_eq!(R::decode(&bytes).as_ref(), Ok(record));
    assert_eq!(R::decode(&[]), Err(RecordError::Empty));
    let newer = [&[2], &bytes[1..]].concat();
    assert_eq!(R::decode(&newer), Err(RecordError::Version(2)));
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(R::decode(&longer), Err(RecordError::Damaged(_))));
    let shorter = &bytes[..bytes.len() - 1];
    assert!(matches!(R::decode(shorter), Err(RecordError::Damaged(_))));
}

#[test]
fn records_survive_their_encoding() {
    let mut sums = AccountRecord::default();
    check(&sums);
    sums.credit(Amount::MAX).unwrap();
    sums.reserve(Amount::new(7)).unwrap();
    assert!(sums.releases_timeout(9));
    check(&sums);
    check(&DepositRecord {
        bank: Bank::new(1, Address::repeat_byte(9)),
        account: account(),
        credited: Amount::MAX,
        unused: 3,
    });
    check(&ReservationRecord {
        account: account(),
        ids: vec![id(1), id(u128::MAX)],
        amount: Amount::new(5),
        worker: B128::repeat_byte(1),
        attempt: 2,
        lease_until: 1_800_000_000,
        key: None,
    });
    check(&ReservationRecord {
        account: account(),
        ids: vec![id(1)],
        amount: Amount::new(5),
        worker: B128::repeat_byte(1),
        attempt: 2,
        lease_until: 1_800_000_000,
        key: Some(IdempotencyKey::of("a key")),
    });
    check(&KeyRecord {
        fingerprint: Fingerprint(B256::repeat_byte(6)),
        holder: id(7),
        until: 1_800_000_000,
    });
    let (holder, charged) = (id(1), Amount::new(9));
    for state in [
        PaymentState::Unused,
        PaymentState::Reserved { holder },
        PaymentState::Charged {
            holder,
            charged,
            answer_until: 8,
        },
        PaymentState::Burnt,
    ] {
        check(&PaymentRecord {
            fingerprint: Fingerprint(B256::repeat_byte(6)),
            cheque: ChequeHash(B256::repeat_byte(7)),
            added: Amount::new(8),
            attempts: 1,
            state,
        });
    }
}

#[test]
fn payment_ids_survive_their_keys() {
    for total in [0, 1, u128::MAX] {
        let key = [b"prefix".as_slice(), &id(total).to_key()].concat();
        assert_eq!(PaymentId::from_key(&key), Some(id(total)));
    }
    assert_eq!(PaymentId::from_key(&[0; 79]), None);
}

#[test]
fn end_of_a_key_leads_to_its_record() {
    let keys = Keys::new(Address::repeat_byte(1));
    let key = B256::repeat_byte(8);
    let end = keys.key_end(u64::MAX - 1, &account(), key);
    assert_eq!(keys.until_of(&end), Some(u64::MAX - 1));
    assert_eq!(
        keys.of_key_end(&end),
        Some(keys.idempotency(&account(), key))
    );
    assert_eq!(keys.of_key_end(&keys.key_ends()), None);
}

#[test]
fn account_refuses_sums_out_of_range() {
    let mut account = AccountRecord::default();
    account.credit(Amount::MAX).unwrap();
    assert!(account.credit(Amount::new(1)).is_err());
    assert!(account.take_back(Amount::MAX).is_ok());
    assert!(account.take_back(Amount::new(1)).is_err());
    assert!(account.reserve(Amount::new(1)).is_err());
    assert!(account.settle(Amount::new(1), Amount::new(2)).is_err());
}
