//! Payments that an application divides, and the records it keeps about them.

use crate::cast::{Cast, opened, pay, poll};
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
    payer.host_records().get(KEY).await.unwrap()
}

#[tokio::test]
async fn pieces_and_the_applications_record_change_together_or_not_at_all() {
    let cast = Cast::new().await;
    let (payer, payees) = cast.players();
    let payee = cast.payees[0].address;
    let first = opened(&cast.world, &payer, &cast.request(60)).await.id;
    let second = opened(&cast.world, &payer, &cast.request(90)).await.id;
    let totals = async || {
        let total = async |id| {
            let cheque = payer.last_cheque(id, payee).await.unwrap();
            cheque.unwrap().0
        };
        (total(first).await, total(second).await)
    };

    let pieces = [(first, coins(30)), (second, coins(5))];
    let paid = payer.pay_pieces(payee, &pieces, &change(None, b"1")).await;
    let mut credited = 0;
    for payment in paid.unwrap() {
        let proof = payment.proof.unwrap();
        let taken = payees[0].receive_payment(None, &proof).await;
        credited += taken.unwrap().total.get();
    }
    assert_eq!(
        (credited, kept(&payer).await),
        (coins(35).get(), Some(b"1".to_vec()))
    );

    // Not covered, not the record that was expected, not active, nothing to pay: nothing is changed.
    let over = [(first, coins(1)), (second, coins(96))];
    let next = change(Some(b"1"), b"2");
    let refused = payer.pay_pieces(payee, &over, &next).await.unwrap_err();
    assert!(
        matches!(refused, PayerError::PieceNotCovered { deposit, left, needed }
            if (deposit, left, needed) == (second, coins(95), coins(96)))
    );
    let refused = payer.pay_pieces(payee, &pieces, &change(None, b"2")).await;
    assert!(matches!(refused.unwrap_err(), PayerError::HostConflict));
    let pending = payer.prepare_deposit(&cast.request(120)).await.unwrap().id;
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
async fn a_deposit_is_prepared_together_with_the_applications_record() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let request = cast.request(60);
    payer
        .host_records()
        .change(&change(None, b"1"))
        .await
        .unwrap();
    let again = payer.host_records().change(&change(None, b"2")).await;
    assert!(matches!(again, Err(AppRecordsError::Conflict)));
    let refused = payer.prepare_deposit_with(&request, |_| change(None, b"2"));
    assert!(matches!(refused.await, Err(PayerError::HostConflict)));
    assert!(payer.deposits().await.unwrap().is_empty());

    let named = |id: &[u8]| change(Some(b"1"), id);
    let prepared = payer.prepare_deposit_with(&request, |planned| named(planned.id.0.as_slice()));
    let id = prepared.await.unwrap().id;
    assert_eq!(kept(&payer).await, Some(id.0.to_vec()));
    let opened = payer.open(id).await.unwrap();
    assert_eq!(payer.wallet().unwrap().address(), opened.deposit.payer);
    poll(&payer).await;
    let end = payer.end_block(&opened.deposit);
    let head = payer.last_head().await.unwrap().number;
    assert_eq!(head, cast.world.head().await);
    cast.world.node.mine_to(end - 1).await;
    poll(&payer).await;
    assert_eq!(payer.deposit(id).await.unwrap().state, DepositState::Active);
    cast.world.node.mine(1).await;
    poll(&payer).await;
    assert_eq!(
        payer.deposit(id).await.unwrap().state,
        DepositState::PastCutoff
    );
}
