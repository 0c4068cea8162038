//! Payments that callers name: made once, found again, and forgotten after some days.

use crate::fixtures::{Fixture, HOUR, open_deposit};
use crate::node::coins;
use alloy_primitives::Address;
use cheque::payer::{PayerError, PaymentName};

fn name(text: &str) -> PaymentName {
    text.parse().unwrap()
}

#[tokio::test]
async fn finds_named_payment_again_until_it_is_pruned() {
    let fixture = Fixture::new().await;
    let (payer, payees) = fixture.actors();
    let (payee, native) = (fixture.payees[0].address, Address::ZERO);
    open_deposit(&fixture.world, &payer, &fixture.request(2 * HOUR)).await;
    open_deposit(&fixture.world, &payer, &fixture.request(HOUR)).await;

    // Of two parts, each with the terms of its deposit.
    let one = name("one");
    let first = payer.pay_named(&one, payee, native, coins(150), 0).await;
    let first = first.unwrap();
    assert_eq!((first.parts.len(), first.is_repeated), (2, false));
    for part in &first.parts {
        payees[0].receive_payment(None, &part.proof).await.unwrap();
    }
    let spent = async |payer: &cheque::payer::Payer| {
        let mut spent = 0;
        for part in &first.parts {
            let account = payer.spent_and_left(part.deposit, payee).await.unwrap();
            spent += account.unwrap().0.get();
        }
        spent
    };
    // The other actor of the same store answers the same, although it never looked at the chain.
    let other = fixture.actors().0;
    for payer in [&payer, &other] {
        let again = payer.pay_named(&one, payee, native, coins(150), 0).await;
        let again = again.unwrap();
        assert_eq!((&again.parts, again.is_repeated), (&first.parts, true));
        assert_eq!(spent(payer).await, coins(150).get());
    }

    let reused = payer.pay_named(&one, payee, native, coins(1), 0).await;
    assert!(
        matches!(reused, Err(PayerError::NameReused { amount, .. }) if amount == coins(150)),
        "{reused:?}"
    );
    // A refused payment leaves its name free.
    let two = name("two");
    let refused = payer.pay_named(&two, payee, native, coins(100), 0).await;
    assert!(matches!(refused, Err(PayerError::NotCovered { .. })));
    let paid = payer.pay_named(&two, payee, native, coins(1), 0).await;
    assert!(!paid.unwrap().is_repeated);

    assert_eq!(payer.prune_receipts_before(1).await.unwrap(), 0);
    let again = payer.pay_named(&one, payee, native, coins(150), 0).await;
    assert!(again.unwrap().is_repeated, "it is not old");
    assert_eq!(payer.prune_receipts_before(u64::MAX).await.unwrap(), 2);
    assert_eq!(payer.prune_receipts_before(u64::MAX).await.unwrap(), 0);
    let anew = payer.pay_named(&two, payee, native, coins(1), 0).await;
    assert!(!anew.unwrap().is_repeated, "its receipt is gone");
}

#[tokio::test]
async fn pays_once_for_simultaneous_requests_of_one_name() {
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let (payee, native) = (fixture.payees[0].address, Address::ZERO);
    open_deposit(&fixture.world, &payer, &fixture.request(HOUR)).await;
    // Each amount is more than half of what is left, so it is not covered twice. Two actors pay, as of two processes on one
    // store.
    let other = fixture.actors().0;
    for units in [60, 24, 10, 4] {
        let name = name(&format!("pay-{units}"));
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..8 {
            let payer = [&payer, &other][task % 2].clone();
            let (name, amount) = (name.clone(), coins(units));
            tasks.spawn(async move { payer.pay_named(&name, payee, native, amount, 0).await });
        }
        let paid: Vec<_> = tasks
            .join_all()
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let made = paid.iter().filter(|paid| !paid.is_repeated).count();
        assert_eq!(made, 1);
        assert!(paid.iter().all(|other| other.parts == paid[0].parts));
    }
}

#[tokio::test]
async fn names_payee_that_no_active_deposit_lists() {
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let stranger = Address::repeat_byte(0x55);
    let pay = async || payer.pay(stranger, Address::ZERO, coins(1)).await;
    // Without a deposit, nobody can tell.
    assert!(matches!(pay().await, Err(PayerError::NotCovered { .. })));
    open_deposit(&fixture.world, &payer, &fixture.request(HOUR)).await;
    assert!(matches!(pay().await, Err(PayerError::NotListed { payee }) if payee == stranger));
}
