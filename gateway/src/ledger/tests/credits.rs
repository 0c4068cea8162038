//! Payments and what they add to an account.

use super::*;
use cheque::Rejection;

#[tokio::test]
async fn payment_split_over_deposits_buys_one_answer() {
    let shop = Shop::new();
    let parts = [1, 2].map(|lane| Payer::new(1, 1, Address::ZERO, lane));
    let proofs = [parts[0].opening(6), parts[1].opening(4)];
    let paid = shop.buy(1, &proofs).await;
    // One part alone buys nothing more.
    assert_eq!(shop.refused(2, &proofs[..1]).await, Refusal::Used);
    let in_progress = shop.refused(1, &proofs).await;
    assert!(matches!(
        in_progress,
        Refusal::InProgress { retry_after: 5 }
    ));
    shop.settle(&paid, Outcome::Failed).await;
    let paid = shop.buy(1, &proofs).await;
    shop.settle(&paid, SERVED).await;
    assert_eq!(shop.refused(1, &proofs).await, Refusal::Used);
    assert_eq!(shop.balance(&parts[0]).await, 0);
}

#[tokio::test]
async fn good_proof_beside_a_bad_one_is_credited() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let other = Payer::new(1, 1, Address::ZERO, 2);
    let proofs = [payer.opening(10), other.cheque(10)];
    match shop.refused(1, &proofs).await {
        Refusal::Rejected {
            index: 1,
            rejection,
            balance,
        } => {
            assert_eq!(*rejection, Rejection::UnknownDeposit(other.id()));
            assert_eq!(balance, Some(PRICE));
        }
        refusal => panic!("{refusal:?}"),
    }
    // Its id buys the same request, and no other.
    assert_eq!(shop.refused(2, &[payer.cheque(10)]).await, Refusal::Used);
    shop.buy(1, &[payer.cheque(10)]).await;
}

#[tokio::test]
async fn rejected_payment_changes_nothing() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    shop.set_open(payer.id(), false);
    let refusal = shop.refused(1, &[payer.opening(10)]).await;
    assert_eq!(refusal.code(), "not_confirmed");
    assert_eq!(shop.sums(&payer).await, Sums::default());
    let over = shop.refused(1, &[payer.opening(ALLOWANCE + 1)]).await;
    assert_eq!(over.code(), "not_confirmed");
    let mut records = 0;
    let visit = &mut |_: cheque::store::Table, _: &[u8], _: &[u8]| {
        records += 1;
        std::ops::ControlFlow::Continue(())
    };
    shop.store.scan_all(visit).unwrap();
    assert_eq!(records, 0);
}

#[tokio::test]
async fn insufficient_payment_is_kept_for_the_next() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let (price, balance) = (PRICE, Amount::new(4));
    let refusal = shop.refused(1, &[payer.opening(4)]).await;
    assert_eq!(refusal, Refusal::Insufficient { price, balance });
    let paid = shop.buy(1, &[payer.cheque(10)]).await;
    assert_eq!(paid.balance(), Amount::ZERO);
}

#[tokio::test]
async fn full_host_takes_the_money_and_keeps_the_payment_valid() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let full: RoomFor = Arc::new(|_| Room::Full { retry_after: 2 });
    let payment = paying(&[payer.opening(10)]);
    let refused = shop.ledger.admit(&ask(1, NOW), &payment, &full).await;
    let expected = Refusal::Full { retry_after: 2 };
    assert_eq!(refusal(refused.unwrap()), expected);
    assert_eq!(shop.balance(&payer).await, 10);
    shop.buy(1, &[payer.cheque(10)]).await;
}

#[tokio::test]
async fn released_payment_is_valid_after_the_cutoff() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = shop.buy(1, &[payer.opening(10)]).await;
    shop.settle(&paid, Outcome::Failed).await;
    let late = payer.terms.drawTime;
    shop.set_clock(late);
    let again = admit(&shop.ledger, &ask(1, late), &paying(&[payer.opening(10)])).await;
    forwarded(again);
    let new = admit(&shop.ledger, &ask(2, late), &paying(&[payer.cheque(20)])).await;
    assert_eq!(refusal(new).code(), "past_cutoff");
}

#[tokio::test]
async fn payment_before_the_ledger_is_not_credited() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    // The payee took 500 before it had a ledger.
    let view = view(NOW, false, payer.id());
    let bank = payer.bank;
    let policy = Policy::new(payee(), bank, ChainProfile::of(1).unwrap());
    let received = cheque::receive_payment(None, &payer.opening(500), None, &view, &policy);
    let position = received.unwrap().position().clone();
    let key = cheque::store::position_key(bank.address(), payer.id(), payee());
    let stored = shop.store.compare_and_set(
        cheque::store::Table::Positions,
        &key,
        None,
        &position.to_bytes(),
    );
    assert_eq!(stored.unwrap(), cheque::store::Swap::Done);
    let (price, balance) = (PRICE, Amount::new(3));
    let refusal = shop.refused(1, &[payer.cheque(503)]).await;
    assert_eq!(refusal, Refusal::Insufficient { price, balance });
    shop.buy(1, &[payer.cheque(510)]).await;
}

#[tokio::test]
async fn equal_currencies_share_an_account() {
    let token = Address::repeat_byte(0x70);
    let (first, second) = (Payer::new(1, 1, token, 1), Payer::new(1, 2, token, 1));
    let mut currencies = Currencies::distinct();
    currencies.merge(second.currency(), first.currency());
    let shop = Shop::with(Arc::new(Memory::new()), currencies);
    let mut ask = ask(1, NOW);
    ask.prices = vec![(first.currency(), PRICE.into())];
    let paid = forwarded(admit(&shop.ledger, &ask, &paying(&[second.opening(20)])).await);
    assert_eq!(paid.account().currency, first.currency());
    assert_eq!(shop.balance(&first).await, 10);
}

#[tokio::test]
async fn malformed_payments_are_refused() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let none = shop.refused(1, &[]).await;
    assert_eq!(none, Refusal::ProofCount { found: 0, max: 8 });
    let nine: Vec<_> = (1..=9).map(|total| payer.opening(total)).collect();
    let refusal = shop.refused(1, &nine).await;
    assert_eq!(refusal, Refusal::ProofCount { found: 9, max: 8 });
    let twice = [payer.opening(10), payer.cheque(10)];
    assert_eq!(shop.refused(1, &twice).await, Refusal::RepeatedProof);
    assert_eq!(shop.sums(&payer).await, Sums::default());
    let eight: Vec<_> = (3..=10).map(|total| payer.opening(total)).collect();
    shop.buy(1, &eight).await;
}

#[tokio::test]
async fn top_up_is_idempotent_and_authorises_nothing() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let payment = paying(&[payer.opening(50)]);
    for expected in [50, 0] {
        let added = shop.ledger.add(&ask(1, NOW), &payment).await.unwrap();
        let added = added.unwrap();
        assert_eq!((added.added.get(), added.balance.get()), (expected, 50));
    }
    assert_eq!(shop.refused(1, &[payer.cheque(50)]).await, Refusal::Used);
    // A total below the newest one is authentic, and spends the balance.
    shop.buy(1, &[payer.cheque(49)]).await;
}

#[tokio::test]
async fn top_ups_are_not_counted_as_unused() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    for total in 1..=30 {
        let payment = paying(&[payer.opening(total)]);
        let added = shop.ledger.add(&ask(1, NOW), &payment).await;
        assert_eq!(added.unwrap().unwrap().added, Amount::new(1));
    }
    for total in [1, 30] {
        assert_ne!(
            shop.refused(1, &[payer.cheque(total)]).await.code(),
            "insufficient"
        );
    }
    // The deposit still has places: a failed request stays valid.
    let paid = shop.buy(2, &[payer.cheque(31)]).await;
    shop.settle(&paid, Outcome::Failed).await;
    shop.buy(2, &[payer.cheque(31)]).await;
}
