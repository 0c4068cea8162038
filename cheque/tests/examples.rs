//! The examples `pay` and `get_paid`, run against a real node.

#![cfg(all(feature = "client", feature = "local-beacon", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[allow(dead_code, reason = "the test calls its functions, not `main`")]
#[path = "../examples/get_paid.rs"]
mod get_paid;
#[allow(dead_code, reason = "the test calls its functions, not `main`")]
#[path = "../examples/pay.rs"]
mod pay;

#[path = "support/node.rs"]
mod node;

use alloy_primitives::{Address, B256, hex};
use cheque::Amount;
use node::World;

/// The secret key of the account with this number, in hexadecimal.
fn secret_key(number: u8) -> String {
    hex::encode_prefixed(B256::repeat_byte(number))
}

#[tokio::test]
async fn pays_and_redeems_by_the_examples() {
    let world = World::new().await;
    let (node, bank) = (&world.node, world.reader.bank().address());
    // Both get coin for gas.
    world.account(1).await;
    world.account(2).await;
    let stores = tempfile::tempdir().unwrap();
    let store = |name| stores.path().join(name);

    let payer = pay::payer(&node.url, bank, &secret_key(1), &store("payer")).await;
    let payee = get_paid::payee(&node.url, bank, &secret_key(2), &store("payee")).await;
    let (payer, payee) = (payer.unwrap(), payee.unwrap());
    let account = payee.policy().payee;
    let proofs = pay::pay(&payer, account).await.unwrap();
    assert_eq!(proofs.len(), 2);

    let mut value = 0;
    let mut position = None;
    for proof in proofs {
        let accepted = payee.receive_payment(None, &proof).await.unwrap();
        value += accepted.value.get();
        position = Some(accepted.position);
    }
    let position = position.unwrap();
    let total = position.total();
    assert!(value > 0 && value < total.get(), "{value} of {total}");

    let draw_block = position.deposit().drawBlock;
    let head = payee.reader().head().await.unwrap().number;
    node.mine(draw_block - head + 1).await;
    // The only payee of a deposit wins all of it after payment of its whole allowance.
    let payout = get_paid::redeem_win(&payee, position.deposit_id()).await;
    assert_eq!(
        payout.unwrap(),
        Some(Amount::new(position.deposit().amount))
    );
    let balance = payee.reader().balance(account, Address::ZERO).await;
    assert_eq!(balance.unwrap(), total.to_u256());
}
