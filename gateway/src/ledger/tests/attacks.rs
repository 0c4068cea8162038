//! The attacks of the design: what each one gains is nothing, or no more than the money that was paid.

use super::*;
use crate::ledger::ChequeState;
use cheque::{Rejection, Stream};

#[tokio::test]
async fn replayed_payment_buys_nothing() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = shop.buy(1, &[payer.opening(1_000)]).await;
    shop.settle(&paid, SERVED).await;
    // The same cheque with another request, and in the other form.
    assert_eq!(
        shop.refused(2, &[payer.opening(1_000)]).await,
        Refusal::Used
    );
    assert_eq!(shop.refused(2, &[payer.cheque(1_000)]).await, Refusal::Used);
    // With the same request, whose answer is not kept.
    assert_eq!(shop.refused(1, &[payer.cheque(1_000)]).await, Refusal::Used);
    assert_eq!(shop.balance(&payer).await, 990);
}

#[tokio::test]
async fn guessed_payment_id_gets_no_stored_answer() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = shop.buy(1, &[payer.opening(10)]).await;
    let answer = Some(b"the answer".to_vec());
    let outcome = (SERVED, Terms::default());
    let settled = shop.ledger.settle(&paid, outcome, answer, NOW).await;
    assert!(settled.unwrap().is_some());
    // Everybody can read the deposit's id on the chain, and guess the total. The signature is another one's.
    let thief = SigningKey::from_bytes(&[66; 32]).unwrap();
    let forged = SignedCheque::sign(&thief, &payer.bank, payer.id(), payee(), PRICE, None);
    let forged = Proof::Cheque(payer.id(), forged);
    assert_eq!(shop.refused(1, &[forged]).await, Refusal::Used);
    match shop.admit(1, &paying(&[payer.cheque(10)])).await {
        Admitted::Again(again) => assert_eq!(again.answer, b"the answer"),
        other => panic!("no answer: {other:?}"),
    }
}

#[tokio::test]
async fn lower_steps_of_a_seen_step_buy_nothing() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let stream = Stream::new(B256::repeat_byte(7), 10).unwrap();
    let terms = Some((stream.anchor(), Amount::new(100)));
    let paid = shop
        .buy(1, &[payer.opening_with(payer.signed(10, terms))])
        .await;
    shop.settle(&paid, SERVED).await;
    let step = |k| Proof::Step {
        deposit: payer.id(),
        k,
        x: stream.show(k).unwrap(),
    };
    // A step adds money to the account, and authorises nothing.
    assert_eq!(shop.refused(2, &[step(5)]).await, Refusal::NoCheque);
    let added = shop.ledger.add(&ask(2, NOW), &paying(&[step(5)])).await;
    assert_eq!(added.unwrap().unwrap().added, Amount::new(500));
    for k in 1..=5 {
        assert_eq!(shop.refused(3, &[step(k)]).await, Refusal::NoCheque);
        let again = shop.ledger.add(&ask(3, NOW), &paying(&[step(k)])).await;
        assert_eq!(again.unwrap().unwrap().added, Amount::ZERO);
    }
    assert_eq!(shop.balance(&payer).await, 500);
}

#[tokio::test]
async fn one_replayed_proof_of_several_spoils_the_payment() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = shop.buy(1, &[payer.opening(10)]).await;
    shop.settle(&paid, SERVED).await;
    let proofs = [payer.cheque(20), payer.cheque(10)];
    for request in [1, 2] {
        let refusal = shop.refused(request, &proofs).await;
        // The signer of the older cheque may learn the newest one, which is the used one here.
        assert!(matches!(refusal, Refusal::Used), "{refusal:?}");
    }
    assert_eq!(shop.balance(&payer).await, 0);
    // The good proof is as good as before.
    let paid = shop.buy(2, &[payer.cheque(20)]).await;
    shop.settle(&paid, SERVED).await;
}

#[tokio::test]
async fn stored_answer_is_not_given_to_another_request() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = shop.buy(1, &[payer.opening(10)]).await;
    let answer = Some(b"private".to_vec());
    let settled = shop
        .ledger
        .settle(&paid, (SERVED, Terms::default()), answer, NOW);
    settled.await.unwrap();
    // Another body, cookie or authorization is another fingerprint.
    assert_eq!(shop.refused(2, &[payer.cheque(10)]).await, Refusal::Used);
}

#[tokio::test]
async fn hanging_up_before_headers_costs_the_price() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    for request in 1..=5 {
        let total = 10 * u128::from(request);
        let paid = shop.buy(request, &[payer.opening(total)]).await;
        // The client is gone. The host waits for the upstream, and settles by its outcome.
        let receipt = shop.settle(&paid, SERVED).await;
        assert_eq!((receipt.charged, receipt.released), (PRICE, false));
    }
    assert_eq!(shop.balance(&payer).await, 0);
}

#[tokio::test]
async fn forced_timeouts_are_free_three_times_an_hour() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = |receipt: Receipt| receipt.charged;
    let mut now = NOW;
    for attempt in 0..5_u64 {
        let admission =
            forwarded(admit(&shop.ledger, &ask(1, now), &paying(&[payer.opening(100)])).await);
        let outcome = (Outcome::TimedOut, Terms::default());
        let receipt = shop.ledger.settle(&admission, outcome, None, now).await;
        let receipt = receipt.unwrap().unwrap();
        match attempt {
            // The fourth comes an hour after the first.
            0..4 => assert_eq!(paid(receipt), Amount::ZERO),
            _ => assert_eq!(paid(receipt), PRICE),
        }
        now += [1, 1, 3_598, 0, 0][usize::try_from(attempt).unwrap()];
    }
}

#[tokio::test]
async fn raised_price_changes_nothing() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let mut dearer = ask(1, NOW);
    dearer.prices[0].1 = Amount::new(11).into();
    let payment = paying(&[payer.opening(1_000)]);
    let refusal = refusal(admit(&shop.ledger, &dearer, &payment).await);
    let expected = Refusal::PriceAboveMax {
        price: Amount::new(11),
        max: PRICE,
    };
    assert_eq!(refusal, expected);
    assert_eq!(shop.sums(&payer).await, Sums::default());
    // At the old price, or with a higher limit, the same payment is good.
    shop.buy(1, &[payer.opening(1_000)]).await;
}

#[tokio::test]
async fn unstated_limit_is_what_the_proofs_add() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let unlimited = |proofs: &[Proof]| Payment {
        proofs: proofs.to_vec(),
        max: None,
    };
    let paid = forwarded(shop.admit(1, &unlimited(&[payer.opening(100)])).await);
    shop.settle(&paid, Outcome::Failed).await;
    // The same request again: the proof adds nothing now, and added enough then.
    let paid = forwarded(shop.admit(1, &unlimited(&[payer.opening(100)])).await);
    shop.settle(&paid, SERVED).await;
    // The balance of 90 is not spent by a proof that adds 9.
    let refusal = refusal(shop.admit(2, &unlimited(&[payer.cheque(109)])).await);
    let (price, max) = (PRICE, Amount::new(9));
    assert_eq!(refusal, Refusal::PriceAboveMax { price, max });
    assert_eq!(shop.balance(&payer).await, 99);
}

#[tokio::test]
async fn cheap_coin_does_not_buy_a_dear_ones_worth() {
    let shop = Shop::new();
    let (dear, cheap) = (Payer::native(1), Payer::new(1, 2, Address::ZERO, 1));
    // Both accounts are the same signer's.
    let refusal_of = |admitted| refusal(admitted);
    assert_eq!(
        shop.refused(1, &[cheap.opening(1_000)]).await,
        Refusal::NotPriced
    );
    let mut both = ask(1, NOW);
    both.prices
        .push((cheap.currency(), Amount::new(500).into()));
    let limited = |currency, amount, proofs: &[Proof]| Payment {
        proofs: proofs.to_vec(),
        max: Some(MaxPrice {
            currency: Some(currency),
            amount: Amount::new(amount),
        }),
    };
    // The offer in the dear coin is accepted, and the cheap coin is shown.
    let mixed = limited(dear.currency(), 10, &[cheap.opening(1_000)]);
    let refusal = refusal_of(admit(&shop.ledger, &both, &mixed).await);
    assert_eq!(refusal, Refusal::WrongCurrency);
    let two = limited(
        dear.currency(),
        10,
        &[cheap.opening(1_000), dear.opening(10)],
    );
    let refusal = refusal_of(admit(&shop.ledger, &both, &two).await);
    assert_eq!(refusal, Refusal::SeveralAccounts);
    assert_eq!(shop.sums(&cheap).await, Sums::default());
    let own = limited(cheap.currency(), 500, &[cheap.opening(1_000)]);
    let paid = forwarded(admit(&shop.ledger, &both, &own).await);
    assert_eq!(paid.reserved(), Amount::new(500));
    assert_eq!(shop.balance(&dear).await, 0);
}

#[tokio::test]
async fn shown_cheque_state_buys_nothing() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    // The newest cheque is bound to request 1 and unused.
    shop.settle(&shop.buy(1, &[payer.opening(10)]).await, SERVED)
        .await;
    let released = shop.buy(2, &[payer.cheque(20)]).await;
    shop.settle(&released, Outcome::Failed).await;
    let spent = shop.buy(3, &[payer.cheque(11)]).await;
    shop.settle(&spent, SERVED).await;
    // The payer has lost its records, and begins again below. Everybody who reads the answer sees its newest cheque.
    let refusal = shop.refused(4, &[payer.cheque(15)]).await;
    let Refusal::Stale(state) = refusal else {
        panic!("{refusal:?}");
    };
    let ChequeState {
        newest, balance, ..
    } = *state;
    assert_eq!((newest.spent, balance), (Amount::new(20), Amount::ZERO));
    for request in [2, 4, 9] {
        let used = shop.refused(request, &[payer.cheque(20)]).await;
        assert_eq!(used, Refusal::Used);
    }
    // A payer that resumes from it pays as before.
    let paid = shop.buy(4, &[payer.cheque(30)]).await;
    shop.settle(&paid, SERVED).await;
    assert_eq!(shop.balance(&payer).await, 0);
}

#[tokio::test]
async fn stranger_learns_no_cheque_state() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    shop.settle(&shop.buy(1, &[payer.opening(20)]).await, SERVED)
        .await;
    let thief = SigningKey::from_bytes(&[66; 32]).unwrap();
    let forge = |total| {
        let cheque = SignedCheque::sign(&thief, &payer.bank, payer.id(), payee(), total, None);
        Proof::Cheque(payer.id(), cheque)
    };
    // A used id and an unused one.
    assert_eq!(
        shop.refused(1, &[forge(Amount::new(20))]).await,
        Refusal::Used
    );
    match shop.refused(1, &[forge(Amount::new(5))]).await {
        Refusal::Rejected {
            rejection, balance, ..
        } => {
            assert!(matches!(*rejection, Rejection::WrongSigner { .. }));
            assert_eq!(balance, None);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn payer_restored_from_a_backup_learns_its_newest_cheque() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    for (request, total) in [(1, 10), (2, 20), (3, 30)] {
        let paid = shop.buy(request, &[payer.opening(total)]).await;
        shop.settle(&paid, SERVED).await;
    }
    // It signs the second total again, for another request: the id is used.
    match shop.refused(9, &[payer.cheque(20)]).await {
        Refusal::Stale(state) => assert_eq!(state.newest.spent, Amount::new(30)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn unused_payments_of_a_deposit_are_bounded() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    // Cheques over the same total cost their signer nothing.
    for count in 1..=30_u8 {
        let anchor = Some((B256::repeat_byte(count), Amount::new(1)));
        let proof = payer.opening_with(payer.signed(5, anchor));
        let refusal = shop.refused(count, &[proof]).await;
        assert!(matches!(refusal, Refusal::Insufficient { .. }));
    }
    let mut ids = 0;
    let key = b"gateway/1/";
    let visit = &mut |key: &[u8], _: &[u8]| {
        ids += usize::from(key[30] == b'i');
        std::ops::ControlFlow::Continue(())
    };
    shop.store
        .scan(cheque::store::Table::App, key, visit)
        .unwrap();
    assert_eq!(ids, 20);
    // New money still buys.
    let paid = shop.buy(1, &[payer.cheque(10)]).await;
    // A released payment beyond the bound is burnt, and its money stays in the balance.
    shop.settle(&paid, Outcome::Failed).await;
    assert_eq!(shop.refused(1, &[payer.cheque(10)]).await, Refusal::Used);
    shop.buy(1, &[payer.cheque(11)]).await;
}

#[tokio::test]
async fn lost_deposit_takes_its_money_back() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let second = Payer::new(1, 1, Address::ZERO, 2);
    shop.settle(&shop.buy(1, &[payer.opening(100)]).await, SERVED)
        .await;
    shop.set_open(payer.id(), false);
    assert_eq!(
        shop.ledger.lose_deposit(payer.id()).await.unwrap(),
        Amount::new(100)
    );
    assert_eq!(
        shop.ledger.lose_deposit(payer.id()).await.unwrap(),
        Amount::ZERO
    );
    let sums = shop.sums(&payer).await;
    assert_eq!((sums.balance, sums.debt), (Amount::ZERO, PRICE));
    // The signer is refused until the rest is paid, from another deposit.
    let refusal = shop.refused(2, &[second.opening(9)]).await;
    assert_eq!(
        refusal,
        Refusal::InDebt {
            debt: Amount::new(1)
        }
    );
    let paid = shop.buy(2, &[second.cheque(20)]).await;
    shop.settle(&paid, SERVED).await;
    assert_eq!(shop.balance(&payer).await, 0);
    // The opening is mined again: the next cheque brings the whole total back.
    shop.set_open(payer.id(), true);
    shop.buy(3, &[payer.cheque(101)]).await;
    assert_eq!(shop.balance(&payer).await, 91);
}
