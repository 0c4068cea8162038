use super::*;
use crate::protocol::{
    account::encoding::AccountError,
    stream::{MAX_STEPS, hash_chain},
};

/// No stream steps.
const NONE: (u32, B256) = (0, B256::ZERO);

struct Fixture {
    key: SigningKey,
    bank: Bank,
}

fn fixture() -> Fixture {
    Fixture {
        key: SigningKey::from_bytes(&[1; 32]).unwrap(),
        bank: Bank::new(1, Address::repeat_byte(2)),
    }
}

impl Fixture {
    fn context(&self) -> ChequeContext<'_> {
        ChequeContext {
            key: &self.key,
            bank: &self.bank,
            deposit: DepositId(B256::repeat_byte(3)),
            payee: Address::repeat_byte(4),
        }
    }
}

fn units(amount: u128) -> Amount {
    Amount::new(amount)
}

fn stream(length: u32) -> Stream {
    Stream::new(B256::repeat_byte(7), length).unwrap()
}

#[test]
fn writes_cheques_until_the_allowance_is_spent() {
    let fixture = fixture();
    let mut account = Account::new(units(100));
    assert_eq!(account.last_proof(fixture.context().deposit), None);
    for (amount, total) in [(1, 1), (49, 50), (50, 100)] {
        account = account
            .write_cheque(units(amount), &fixture.context())
            .unwrap();
        assert_eq!(account.total(), units(total));
        assert_eq!(account.left(), units(100 - total));
        let newest = account.newest().unwrap();
        assert_eq!(newest.spent, units(total));
        let context = fixture.context();
        let signer = newest.signer(&fixture.bank, context.deposit, context.payee);
        assert_eq!(signer, Ok(fixture.key.public_key()));
    }
    assert_eq!(
        account.write_cheque(units(1), &fixture.context()),
        Err(WriteError::NotCovered {
            needed: units(1),
            left: units(0)
        })
    );
}

#[test]
fn refuses_to_pay_nothing_or_too_much() {
    let fixture = fixture();
    let account = Account::new(Amount::MAX);
    let context = fixture.context();
    assert_eq!(
        account.write_cheque(Amount::ZERO, &context),
        Err(WriteError::ZeroAmount)
    );
    let spent = account.write_cheque(units(1), &context).unwrap();
    assert_eq!(
        spent.write_cheque(Amount::MAX, &context),
        Err(WriteError::NotCovered {
            needed: Amount::MAX,
            left: units(u128::MAX - 1)
        })
    );
    assert!(matches!(
        spent.open_stream(Amount::ZERO, Amount::MAX, stream(2), &context),
        Err(WriteError::NotCovered { .. })
    ));
    assert_eq!(
        spent.open_stream(units(1), Amount::ZERO, stream(2), &context),
        Err(WriteError::ZeroAmount)
    );
}

#[test]
fn requires_cover_for_all_steps_when_a_stream_begins() {
    let fixture = fixture();
    let context = fixture.context();
    let account = Account::new(units(100));
    let open = |amount, step, length| {
        account.open_stream(units(amount), units(step), stream(length), &context)
    };
    assert!(open(10, 9, 10).is_ok());
    assert!(open(11, 9, 10).is_err());
    assert!(open(0, 10, 10).is_ok());
    assert!(open(0, 1, MAX_STEPS).is_err());
}

#[test]
fn continues_the_next_cheque_from_the_paid_steps() {
    let fixture = fixture();
    let context = fixture.context();
    let id = context.deposit;
    let account = Account::new(units(1_000))
        .open_stream(units(10), units(3), stream(20), &context)
        .unwrap();
    assert!(matches!(account.last_proof(id), Some(Proof::Cheque(..))));
    let account = account.pay_steps(1).unwrap().pay_steps(4).unwrap();
    assert_eq!((account.total(), account.steps_left()), (units(25), 15));
    let Some(Proof::Step { k: 5, x, .. }) = account.last_proof(id) else {
        panic!("the newest payment is not the fifth step");
    };
    assert_eq!(hash_chain(x, 5), account.newest().unwrap().anchor);
    assert_eq!(account.pay_steps(0), Err(WriteError::ZeroAmount));
    assert_eq!(
        account.pay_steps(16),
        Err(WriteError::StreamUsedUp {
            wanted: 16,
            left: 15
        })
    );
    let account = account.write_cheque(units(1), &context).unwrap();
    assert_eq!(account.newest().unwrap().spent, units(26));
    assert_eq!(account.pay_steps(1), Err(WriteError::NoStream));
}

#[test]
fn resumes_only_from_newer_cheques_of_its_own_key() {
    let fixture = fixture();
    let context = fixture.context();
    let fresh = Account::new(units(100));
    let account = fresh.write_cheque(units(60), &context).unwrap();
    let own = *account.newest().unwrap();
    assert_eq!(fresh.resume(&own, NONE, &context).unwrap(), account);
    let newer = account.write_cheque(units(1), &context).unwrap();
    assert_eq!(newer.resume(&own, NONE, &context).unwrap(), newer);

    let thief = SigningKey::from_bytes(&[2; 32]).unwrap();
    let foreign = ChequeContext {
        key: &thief,
        ..context
    };
    let forged = fresh.write_cheque(units(99), &foreign).unwrap();
    let forged = forged.newest().unwrap();
    assert_eq!(
        fresh.resume(forged, NONE, &context),
        Err(WriteError::ForeignCheque)
    );
    let elsewhere = ChequeContext {
        deposit: DepositId(B256::repeat_byte(9)),
        ..context
    };
    assert_eq!(
        fresh.resume(&own, NONE, &elsewhere),
        Err(WriteError::ForeignCheque)
    );
}

#[test]
fn resumes_with_steps_only_if_they_lead_to_the_anchor() {
    let fixture = fixture();
    let context = fixture.context();
    let fresh = Account::new(units(100));
    let begun = fresh
        .open_stream(units(10), units(3), stream(20), &context)
        .unwrap();
    let cheque = begun.newest().unwrap();
    let shown = |k| (k, stream(20).show(k).unwrap());

    let resumed = fresh.resume(cheque, shown(5), &context).unwrap();
    assert_eq!(resumed.total(), units(25));
    assert_eq!(resumed.pay_steps(1), Err(WriteError::NoStream));
    assert_eq!(
        Account::from_bytes(&resumed.to_bytes()),
        Ok(resumed.clone())
    );
    let next = resumed.write_cheque(units(1), &context).unwrap();
    assert_eq!(next.newest().unwrap().spent, units(26));

    assert_eq!(
        fresh.resume(cheque, (6, shown(5).1), &context),
        Err(WriteError::ForeignStep)
    );
    assert_eq!(
        fresh.resume(cheque, (u32::MAX, B256::ZERO), &context),
        Err(WriteError::ForeignStep)
    );
    let small = Account::new(units(20));
    assert!(matches!(
        small.resume(cheque, shown(5), &context),
        Err(WriteError::NotCovered { .. })
    ));
}

#[test]
fn decodes_its_own_bytes_with_and_without_a_stream() {
    let fixture = fixture();
    let context = fixture.context();
    let fresh = Account::new(units(1_000));
    let paid = fresh.write_cheque(units(60), &context).unwrap();
    let streaming = paid
        .open_stream(units(0), units(3), stream(20), &context)
        .unwrap()
        .pay_steps(7)
        .unwrap();
    for account in [fresh, paid, streaming] {
        let bytes = account.to_bytes();
        assert_eq!(Account::from_bytes(&bytes), Ok(account));
        for length in 0..bytes.len() {
            assert!(Account::from_bytes(&bytes[..length]).is_err());
        }
        let mut newer = bytes;
        newer[0] = 9;
        assert_eq!(
            Account::from_bytes(&newer),
            Err(AccountError::UnknownVersion(9))
        );
    }
}
