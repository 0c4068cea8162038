//! Payments in pieces chosen by the application, and the application's own record beside them.

use crate::fixtures::{Fixture, HOUR, open_deposit, pay, poll};
use crate::node::coins;
use cheque::Amount;
use cheque::{
    payer::{DepositState, Payer, PayerError},
    store::{AppChange, AppRecordsError},
};

const KEY: &[u8] = b"mine";

fn change(old: Option<&[u8]>, new: &[u8]) -> AppChange {
    AppChange {
        key: KEY.to_vec(),
        old: old.map(<[u8]>::to_vec),
        new: Some(new.to_vec()),
    }
}

async fn kept(payer: &Payer) -> Option<Vec<u8>> {
    payer.app_records().get(KEY).await.unwrap()
}

#[tokio::test]
async fn changes_pieces_and_app_record_atomically() {
    let fixture = Fixture::new().await;
    let (payer, payees) = fixture.actors();
    let payee = fixture.payees[0].address;
    let first = open_deposit(&fixture.world, &payer, &fixture.request(HOUR))
        .await
        .id;
    let second = open_deposit(&fixture.world, &payer, &fixture.request(2 * HOUR))
        .await
        .id;
    let totals = async || {
        let total = async |id| {
            let cheque = payer.spent_and_left(id, payee).await.unwrap();
            cheque.unwrap().0
        };
        (total(first).await, total(second).await)
    };

    let pieces = [(first, coins(30)), (second, coins(5))];
    let paid = payer.pay_pieces(payee, &pieces, &change(None, b"1")).await;
    let mut credited = 0;
    for payment in paid.unwrap() {
        let proof = payment.proof;
        let taken = payees[0].receive_payment(None, &proof).await;
        credited += taken.unwrap().total.get();
    }
    assert_eq!(
        (credited, kept(&payer).await),
        (coins(35).get(), Some(b"1".to_vec()))
    );

    // Not covered, another record than expected, not active, nothing to pay: each error changes nothing.
    let over = [(first, coins(1)), (second, coins(96))];
    let next = change(Some(b"1"), b"2");
    let refused = payer.pay_pieces(payee, &over, &next).await.unwrap_err();
    assert!(
        matches!(refused, PayerError::NotCoveredByDeposit { deposit, left, needed }
            if (deposit, left, needed) == (second, coins(95), coins(96)))
    );
    let refused = payer.pay_pieces(payee, &pieces, &change(None, b"2")).await;
    assert!(matches!(refused.unwrap_err(), PayerError::AppConflict));
    let pending = payer
        .prepare_deposit(&fixture.request(3 * HOUR))
        .await
        .unwrap()
        .id;
    let inactive = [(first, coins(1)), (pending, coins(1))];
    let refused = payer.pay_pieces(payee, &inactive, &next);
    assert!(matches!(refused.await, Err(PayerError::NotActive(id)) if id == pending));
    let nothing = [(first, coins(1)), (second, Amount::ZERO)];
    let refused = payer.pay_pieces(payee, &nothing, &next);
    assert!(matches!(refused.await, Err(PayerError::Write(_))));
    assert_eq!(totals().await, (coins(30), coins(5)));
    assert_eq!(kept(&payer).await, Some(b"1".to_vec()));
    let (_, accepted) = pay(&payer, &payees[0], first, coins(1)).await;
    assert_eq!(accepted.total, coins(31));
}

#[tokio::test]
async fn prepares_deposit_with_app_record_atomically() {
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let request = fixture.request(HOUR);
    payer
        .app_records()
        .change(&change(None, b"1"))
        .await
        .unwrap();
    let again = payer.app_records().change(&change(None, b"2")).await;
    assert!(matches!(again, Err(AppRecordsError::Conflict)));
    let refused = payer.prepare_deposit_with(&request, |_| change(None, b"2"));
    assert!(matches!(refused.await, Err(PayerError::AppConflict)));
    assert!(payer.deposits().await.unwrap().is_empty());

    let named = |id: &[u8]| change(Some(b"1"), id);
    let prepared = payer.prepare_deposit_with(&request, |planned| named(planned.id.0.as_slice()));
    let id = prepared.await.unwrap().id;
    assert_eq!(kept(&payer).await, Some(id.0.to_vec()));
    let opened = payer.open(id).await.unwrap();
    assert_eq!(payer.wallet().unwrap().address(), opened.deposit.payer);
    poll(&payer).await;
    let end = payer.end_time(&opened.deposit);
    let head = payer.last_head().await.unwrap().number;
    assert_eq!(head, fixture.world.head().await);
    fixture.world.mine_at(end - 1).await;
    poll(&payer).await;
    assert_eq!(payer.deposit(id).await.unwrap().state, DepositState::Active);
    fixture.world.node.mine(1).await;
    poll(&payer).await;
    assert_eq!(
        payer.deposit(id).await.unwrap().state,
        DepositState::PastCutoff
    );
}
