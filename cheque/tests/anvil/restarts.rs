//! Restarts between any two steps, and transactions found pending afterwards.

use crate::fixtures::{Fixture, HOUR, open_deposit, pay_and_draw, rejection, state};
use crate::node::coins;
use crate::settle::settle;
use alloy_primitives::{Address, U256};
use cheque::store::{Change, Memory, Redb, Store, StoreError, Swap, Table, Visit, VisitAll};
use cheque::{Amount, Policy, Proof, Rejection};
use cheque::{
    bank::RedeemError,
    payee::{Payee, RedeemOptions},
    payer::{DepositRecord, DepositState, Funding, Payer, PayerError},
    tx::{Call, OutboxError, TxError},
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Opens the store of a payer or payee again, as a restarted process does.
fn reopened(directory: &Path, name: &str) -> Arc<Redb> {
    Arc::new(Redb::open(directory.join(name)).unwrap())
}

#[tokio::test]
async fn resumes_payer_and_payee_between_any_two_steps() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let payer = || world.payer(&fixture.payer, reopened(at, "payer"));
    let payee = |index: usize| {
        let store = reopened(at, &format!("payee{index}"));
        world.payee(&fixture.payees[index], store)
    };

    let opened = payer()
        .create_deposit(&fixture.request(HOUR))
        .await
        .unwrap();
    let id = opened.id;
    assert_eq!(state(&payer(), id).await, DepositState::Active);
    let mut spent = [Amount::ZERO; 3];
    for round in 1..=3 {
        for (index, account) in fixture.payees.iter().enumerate() {
            let allowance = coins(100 * (index as u128 + 1));
            let amount = Amount::new(allowance.get() / 3);
            let payment = payer()
                .write_cheque(id, account.address, amount)
                .await
                .unwrap();
            spent[index] = spent[index].checked_add(amount).unwrap();
            assert_eq!(payment.spent, spent[index], "round {round}");
            let proof = payment.proof;
            assert_eq!(matches!(proof, Proof::Opening(_)), round == 1);
            let taken = payee(index).receive_payment(None, &proof).await.unwrap();
            assert_eq!(taken.total, spent[index]);
            let again = payee(index).receive_payment(None, &proof).await;
            assert_eq!(rejection(again), Rejection::Replay);
            let last = payer()
                .last_proof(id, account.address)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(last.deposit_id(), proof.deposit_id());
        }
    }
    world.draw(&opened.deposit).await;
    let mut won = Amount::ZERO;
    for index in 0..3 {
        for (_, result) in settle(&payee(index)).await.unwrap() {
            won = result.unwrap().payout;
        }
        assert!(settle(&payee(index)).await.unwrap().is_empty());
    }
    assert!(!won.is_zero());
    assert!(matches!(
        state(&payer(), id).await,
        DepositState::Redeemed { payout, .. } if payout == won
    ));
}

#[tokio::test]
async fn opens_stored_deposit_once() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let directory = tempfile::tempdir().unwrap();
    let payer = || world.payer(&fixture.payer, reopened(directory.path(), "payer"));
    let planned = payer()
        .prepare_deposit(&fixture.request(HOUR))
        .await
        .unwrap();
    assert_eq!(state(&payer(), planned.id).await, DepositState::Pending);
    assert_eq!(world.coin(world.reader.bank().address()).await, U256::ZERO);

    let opened = payer().open(planned.id).await.unwrap();
    assert_eq!(opened.deposit, planned.deposit);
    assert_eq!(state(&payer(), planned.id).await, DepositState::Active);
    let twice = payer().open(planned.id).await.unwrap_err();
    assert!(
        matches!(twice, PayerError::IsOpen(id) if id == planned.id),
        "{twice}"
    );
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(held, coins(600).to_u256(), "not paid once");
}

#[tokio::test]
async fn finds_pending_opening_and_bumps_its_fee() {
    // The opening is never sent twice.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let directory = tempfile::tempdir().unwrap();
    let impatient = fixture.payer.wallet.clone().with_timeout(Duration::ZERO);
    let payer = |sender| {
        let store = reopened(directory.path(), "payer");
        world.payer(&fixture.payer, store).with_wallet(sender)
    };
    world.node.automine(false).await;
    let waiting = payer(impatient.clone())
        .create_deposit(&fixture.request(HOUR))
        .await;
    let PayerError::Outbox(OutboxError::Tx(TxError::NotMined { hash, .. })) = waiting.unwrap_err()
    else {
        panic!("the node mined the transaction");
    };
    let first = payer(impatient.clone()).deposits().await.unwrap();
    let [(id, _)] = first[..] else {
        panic!("not one deposit: {first:?}");
    };
    // A retry finds the same transaction, even if the node has dropped it.
    let again = payer(impatient.clone()).open(id).await.unwrap_err();
    assert!(again.to_string().contains(&hash.to_string()), "{again}");
    world.node.drop_transaction(hash).await;
    world.node.mine(23).await;
    let again = payer(impatient.clone()).open(id).await.unwrap_err();
    assert!(again.to_string().contains(&hash.to_string()), "{again}");
    world.node.drop_transaction(hash).await;

    // A higher market fee bumps the transaction under the same nonce, if the account has the coin.
    world.node.set_base_fee(10).await;
    world.node.mine(1).await;
    let poor = coins(600).to_u256() + U256::from(1_000);
    let account = fixture.payer.address;
    world.node.set_coin(account, poor).await;
    let refused = payer(impatient.clone()).open(id).await.unwrap_err();
    let PayerError::Outbox(OutboxError::Tx(TxError::NotEnoughCoin { .. })) = refused else {
        panic!("{refused}");
    };
    world.node.endow(account).await;
    let bumped = payer(impatient.clone()).open(id).await.unwrap_err();
    assert!(!bumped.to_string().contains(&hash.to_string()), "{bumped}");

    // Blocks that pass over the transaction raise its fees, although the market has not risen.
    let bumped = world.node.pending_of(fixture.payer.address).await;
    world.node.drop_transactions().await;
    world.node.mine(23).await;
    world.node.set_base_fee(10).await;
    world.node.mine(1).await;
    payer(impatient).open(id).await.unwrap_err();
    let raised = world.node.pending_of(fixture.payer.address).await;
    for fee in ["maxFeePerGas", "maxPriorityFeePerGas"] {
        let of = |sent: &serde_json::Value| sent[fee].as_str().map(|fee| fee[2..].to_owned());
        let number = |sent| u128::from_str_radix(&of(sent).unwrap(), 16).unwrap();
        assert!(number(&raised) > number(&bumped), "{raised} {bumped}");
    }

    world.node.mine(1).await;
    world.node.automine(true).await;
    let opened = payer(fixture.payer.wallet.clone()).open(id).await.unwrap();
    assert_ne!(opened.tx.hash, hash);
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(held, coins(600).to_u256(), "not paid once");
    assert_eq!(
        state(&payer(fixture.payer.wallet.clone()), id).await,
        DepositState::Active
    );
}

#[tokio::test]
async fn finds_pending_redemption_as_its_own() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    let sender = fixture.payees[winner].wallet.clone();
    let killed = sender.clone().with_timeout(Duration::ZERO);
    let killed = payees[winner].clone().with_wallet(killed);
    let options = RedeemOptions::default();

    world.node.automine(false).await;
    let waits = |error| match error {
        RedeemError::Outbox(OutboxError::Tx(TxError::NotMined { hash, .. })) => hash,
        other => panic!("not pending: {other}"),
    };
    let first = waits(killed.redeem(opened.id, &options).await.unwrap_err());
    let again = waits(killed.redeem(opened.id, &options).await.unwrap_err());
    assert_eq!(again, first);
    let settled = settle(&killed).await.unwrap().pop().unwrap();
    assert_eq!(waits(settled.1.unwrap_err()), first);

    world.node.mine(1).await;
    world.node.automine(true).await;
    let redeemed = payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!((redeemed.tx.hash, redeemed.payout), (first, payout));
}

#[tokio::test]
async fn keeps_funding_of_resent_opening() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    payer
        .ensure_funded(Address::ZERO, coins(700))
        .await
        .unwrap();
    let mut request = fixture.request(HOUR);
    request.funding = Funding::SendAlong;
    let killed = fixture.payer.wallet.clone().with_timeout(Duration::ZERO);
    let killed = payer.clone().with_wallet(killed);
    world.node.automine(false).await;
    killed.create_deposit(&request).await.unwrap_err();
    let id = payer.deposits().await.unwrap()[0].0;
    let balance = coins(700).to_u256();

    // The mempool drops the opening, and the base fee rises.
    world.node.drop_transactions().await;
    world.node.mine(24).await;
    world.node.set_base_fee(10).await;
    world.node.mine(1).await;
    killed.open(id).await.unwrap_err();
    world.node.mine(1).await;
    world.node.automine(true).await;
    payer.open(id).await.unwrap();
    assert_eq!(state(&payer, id).await, DepositState::Active);
    assert_eq!(world.balance(fixture.payer.address).await, balance);

    // Another transaction of the account takes the nonce.
    world.node.automine(false).await;
    killed.create_deposit(&request).await.unwrap_err();
    let deposits = payer.deposits().await.unwrap();
    let pending = |record: &DepositRecord| record.state == DepositState::Pending;
    let id = deposits
        .iter()
        .find(|(_, record)| pending(record))
        .unwrap()
        .0;
    world.node.drop_transactions().await;
    world.node.automine(true).await;
    let to = fixture.payees[0].address;
    let gift = Call::fund(world.reader.bank(), Address::ZERO, to, coins(1));
    fixture.payer.wallet.send(&gift).await.unwrap();
    let miner = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            world.node.mine(1).await;
        }
    };
    let opened = tokio::select! {
        opened = payer.open(id) => opened.unwrap(),
        () = miner => unreachable!("mining never ends"),
    };
    assert_eq!(opened.id, id);
    assert_eq!(world.balance(fixture.payer.address).await, balance);
}

/// A store with slow or unknown writes.
#[derive(Default)]
struct Odd {
    memory: Memory,
    /// Delay of the answer to a write.
    wait: Duration,
    /// Reports every write as unknown.
    is_unsure: AtomicBool,
}

impl Store for Odd {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.memory.get(table, key)
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        let swap = self.memory.swap(changes);
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let _timeout = receiver.recv_timeout(self.wait);
        drop(sender);
        if self.is_unsure.load(Ordering::Relaxed) {
            return Err(StoreError::Unknown {
                path: "odd".into(),
                cause: Arc::new(std::io::Error::other("on purpose")),
            });
        }
        swap
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.memory.scan(table, prefix, each)
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.memory.scan_all(each)
    }
}

/// First payments from two deposits of one signer, of 0.06 coins each, and a policy that accepts one of them.
async fn two_payments_for_one(fixture: &Fixture, payer: &Payer) -> ([Proof; 2], Policy) {
    let world = &fixture.world;
    let request = fixture.request(HOUR);
    let mut proofs = Vec::new();
    for _ in 0..2 {
        let id = open_deposit(world, payer, &request).await.id;
        let payment = payer.write_cheque(id, fixture.payees[0].address, coins(60));
        proofs.push(payment.await.unwrap().proof);
    }
    let mut policy = world.policy(&fixture.payees[0]);
    let limits = policy.tokens.get_mut(&Address::ZERO).unwrap();
    limits.max_exposure = coins(100);
    (proofs.try_into().unwrap(), policy)
}

/// Checks that a payee refuses a payment, because all totals come to `sum`.
async fn assert_too_much(payee: &Payee, proof: &Proof, sum: Amount) {
    let refused = payee.receive_payment(None, proof).await;
    let Rejection::ExposureTooLarge { exposure, .. } = rejection(refused) else {
        panic!("the exposure does not count the first payment");
    };
    assert_eq!(exposure, sum);
}

#[tokio::test]
async fn counts_abandoned_payment_in_exposure_after_restart() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (proofs, policy) = two_payments_for_one(&fixture, &fixture.actors().0).await;
    let store = Arc::new(Odd {
        wait: Duration::from_secs(3),
        ..Odd::default()
    });
    let payee = Payee::new(world.reader.clone(), policy.clone(), store.clone()).unwrap();
    payee.poll().await.unwrap();
    // The application stops waiting during the write.
    let first = payee.receive_payment(None, &proofs[0]);
    let given_up = tokio::time::timeout(Duration::from_secs(1), first).await;
    assert!(given_up.is_err());
    let again = Payee::new(world.reader.clone(), policy, store).unwrap();
    for payee in [&payee, &again] {
        assert_too_much(payee, &proofs[1], coins(120)).await;
    }
    let kept = payee.position(proofs[0].deposit_id()).await.unwrap();
    assert_eq!(kept.unwrap().total(), coins(60));
}

#[tokio::test]
async fn counts_payment_of_unknown_write_in_exposure() {
    let fixture = Fixture::new().await;
    let (proofs, policy) = two_payments_for_one(&fixture, &fixture.actors().0).await;
    let store = Arc::new(Odd::default());
    let payee = Payee::new(fixture.world.reader.clone(), policy, store.clone()).unwrap();
    payee.poll().await.unwrap();
    store.is_unsure.store(true, Ordering::Relaxed);
    let unsure = payee.receive_payment(None, &proofs[0]).await.unwrap_err();
    assert!(
        unsure.to_string().contains("may or may not have been made"),
        "{unsure}"
    );
    store.is_unsure.store(false, Ordering::Relaxed);
    assert_too_much(&payee, &proofs[1], coins(120)).await;
}

#[tokio::test]
async fn counts_deposit_of_other_worker_in_exposure() {
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let (proofs, policy) = two_payments_for_one(&fixture, &payer).await;
    let store = Arc::new(Odd::default());
    let worker = || Payee::new(fixture.world.reader.clone(), policy.clone(), store.clone());
    let (first, second) = (worker().unwrap(), worker().unwrap());
    // Both workers have loaded the empty store.
    for worker in [&first, &second] {
        worker.poll().await.unwrap();
    }
    first.receive_payment(None, &proofs[0]).await.unwrap();
    let id = proofs[0].deposit_id();
    let more = payer.write_cheque(id, fixture.payees[0].address, coins(1));
    let more = more.await.unwrap().proof;
    second.receive_payment(None, &more).await.unwrap();
    // Only the second worker has seen the second payment.
    assert_too_much(&second, &proofs[1], coins(121)).await;
}
