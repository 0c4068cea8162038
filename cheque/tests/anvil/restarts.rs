//! Being killed between two steps.

use crate::cast::{Cast, opened, play, rejection, state};
use crate::node::coins;
use alloy_primitives::{Address, U256};
use cheque::{Amount, Policy, Proof, Rejection};
use cheque::{
    bank::RedeemError,
    payee::{Payee, RedeemOptions},
    payer::{DepositRecord, DepositState, Draw, Funding, Payer, PayerError},
    tx::{Call, OutboxError},
};
use cheque::{
    store::{Change, Memory, Redb, Store, StoreError, Swap, Table, Visit, VisitAll},
    tx::TxError,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The store of a party, opened anew: as a process that was killed and started again sees it.
fn reopened(directory: &Path, name: &str) -> Arc<Redb> {
    Arc::new(Redb::open(directory.join(name)).unwrap())
}

#[tokio::test]
async fn payer_and_payee_go_on_after_a_restart_between_any_two_steps() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let payer = || world.payer(&cast.payer, reopened(at, "payer"));
    let payee = |index: usize| {
        let store = reopened(at, &format!("payee{index}"));
        world.payee(&cast.payees[index], store)
    };

    let opened = payer().create_deposit(&cast.request(80)).await.unwrap();
    let id = opened.id;
    assert_eq!(state(&payer(), id).await, DepositState::Active);
    let mut spent = [Amount::ZERO; 3];
    for round in 1..=3 {
        for (index, party) in cast.payees.iter().enumerate() {
            let allowance = coins(100 * (index as u128 + 1));
            let amount = Amount::new(allowance.get() / 3);
            let payment = payer()
                .write_cheque(id, party.address, amount)
                .await
                .unwrap();
            spent[index] = spent[index].checked_add(amount).unwrap();
            assert_eq!(payment.spent, spent[index], "round {round}");
            let proof = payment.proof.unwrap();
            assert_eq!(matches!(proof, Proof::Opening(_)), round == 1);
            let taken = payee(index).receive_payment(None, &proof).await.unwrap();
            assert_eq!(taken.total, spent[index]);
            let again = payee(index).receive_payment(None, &proof).await;
            assert_eq!(rejection(again), Rejection::Replay);
            let last = payer()
                .last_proof(id, party.address)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(last.deposit_id(), proof.deposit_id());
        }
    }
    world.node.mine_to(opened.deposit.drawBlock + 1).await;
    let mut won = Amount::ZERO;
    for index in 0..3 {
        for (_, result) in payee(index).settle().await.unwrap() {
            won = result.unwrap().payout;
        }
        assert!(payee(index).settle().await.unwrap().is_empty());
    }
    assert!(!won.is_zero());
    assert!(matches!(
        state(&payer(), id).await,
        DepositState::Redeemed { payout, .. } if payout == won
    ));
}

#[tokio::test]
async fn a_deposit_that_was_stored_and_not_sent_is_opened_once() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let directory = tempfile::tempdir().unwrap();
    let payer = || world.payer(&cast.payer, reopened(directory.path(), "payer"));
    let planned = payer().prepare_deposit(&cast.request(60)).await.unwrap();
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
    assert_eq!(held, coins(600).to_u256(), "paid once");
}

#[tokio::test]
async fn a_transaction_that_waits_is_found_again_and_not_sent_twice() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let directory = tempfile::tempdir().unwrap();
    let impatient = cast.payer.wallet.clone().with_timeout(Duration::ZERO);
    let payer = |sender| {
        let store = reopened(directory.path(), "payer");
        world.payer(&cast.payer, store).with_wallet(sender)
    };
    world.node.anvil("evm_setAutomine", [false]).await;
    let waiting = payer(impatient.clone())
        .create_deposit(&cast.request(90))
        .await;
    let PayerError::Outbox(OutboxError::Tx(TxError::NotMined { hash, .. })) = waiting.unwrap_err()
    else {
        panic!("nothing mines it");
    };
    let first = payer(impatient.clone()).deposits().await.unwrap();
    let [(id, _)] = first[..] else {
        panic!("one deposit: {first:?}");
    };
    // Once more at once: the same transaction. After ten blocks: the same as long as it pays the market fee.
    let again = payer(impatient.clone()).open(id).await.unwrap_err();
    assert!(again.to_string().contains(&hash.to_string()), "{again}");
    world.node.anvil("anvil_dropTransaction", [hash]).await;
    world.node.mine(12).await;
    let again = payer(impatient.clone()).open(id).await.unwrap_err();
    assert!(again.to_string().contains(&hash.to_string()), "{again}");
    world.node.anvil("anvil_dropTransaction", [hash]).await;

    // Else a dearer one with the same nonce, if the account can pay that.
    let dear = "0x2540be400";
    world
        .node
        .anvil("anvil_setNextBlockBaseFeePerGas", [dear])
        .await;
    world.node.mine(1).await;
    let poor = format!("{:#x}", coins(600).to_u256() + U256::from(1_000));
    let account = cast.payer.address;
    world.node.anvil("anvil_setBalance", (account, poor)).await;
    let refused = payer(impatient.clone()).open(id).await.unwrap_err();
    let PayerError::Outbox(OutboxError::Tx(TxError::NotEnoughCoin { .. })) = refused else {
        panic!("{refused}");
    };
    world.node.endow(account).await;
    let dearer = payer(impatient).open(id).await.unwrap_err();
    assert!(!dearer.to_string().contains(&hash.to_string()), "{dearer}");

    world.node.mine(1).await;
    world.node.anvil("evm_setAutomine", [true]).await;
    let opened = payer(cast.payer.wallet.clone()).open(id).await.unwrap();
    assert_ne!(opened.sent.hash, hash);
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(held, coins(600).to_u256(), "paid once");
    assert_eq!(
        state(&payer(cast.payer.wallet.clone()), id).await,
        DepositState::Active
    );
}

#[tokio::test]
async fn a_redemption_that_waits_is_found_again_and_not_taken_for_somebody_elses() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let opened = opened(world, &payer, &cast.request(60)).await;
    let (winner, payout) = play(world, &payer, &payees, &opened).await;
    let sender = cast.payees[winner].wallet.clone();
    let killed = sender.clone().with_timeout(Duration::ZERO);
    let killed = payees[winner].clone().with_wallet(killed);
    let options = RedeemOptions::default();

    world.node.anvil("evm_setAutomine", [false]).await;
    let waits = |error| match error {
        RedeemError::Outbox(OutboxError::Tx(TxError::NotMined { hash, .. })) => hash,
        other => panic!("nothing mines it: {other}"),
    };
    let first = waits(killed.redeem(opened.id, &options).await.unwrap_err());
    let again = waits(killed.redeem(opened.id, &options).await.unwrap_err());
    assert_eq!(again, first);
    let settled = killed.settle().await.unwrap().pop().unwrap();
    assert_eq!(waits(settled.1.unwrap_err()), first);

    // Mined, and the seed that `settle` has recorded for safety.
    world.node.mine(1).await;
    world.node.anvil("evm_setAutomine", [true]).await;
    let redeemed = payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!((redeemed.sent.hash, redeemed.payout), (first, payout));
}

#[tokio::test]
async fn a_deposit_that_is_sent_again_takes_the_money_that_it_was_to_take() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    payer
        .ensure_funded(Address::ZERO, coins(700))
        .await
        .unwrap();
    let mut request = cast.request(90);
    request.funding = Funding::SendAlong;
    let killed = cast.payer.wallet.clone().with_timeout(Duration::ZERO);
    let killed = payer.clone().with_wallet(killed);
    world.node.anvil("evm_setAutomine", [false]).await;
    killed.create_deposit(&request).await.unwrap_err();
    let id = payer.deposits().await.unwrap()[0].0;
    let balance = coins(700).to_u256();

    // Lost and dear by now.
    world.node.anvil("anvil_dropAllTransactions", ()).await;
    world.node.mine(12).await;
    let dear = "0x2540be400";
    world
        .node
        .anvil("anvil_setNextBlockBaseFeePerGas", [dear])
        .await;
    world.node.mine(1).await;
    killed.open(id).await.unwrap_err();
    world.node.mine(1).await;
    world.node.anvil("evm_setAutomine", [true]).await;
    payer.open(id).await.unwrap();
    assert_eq!(state(&payer, id).await, DepositState::Active);
    assert_eq!(world.balance(cast.payer.address).await, balance);

    // Lost to another transaction of the account.
    world.node.anvil("evm_setAutomine", [false]).await;
    killed.create_deposit(&request).await.unwrap_err();
    let deposits = payer.deposits().await.unwrap();
    let pending = |record: &DepositRecord| record.state == DepositState::Pending;
    let id = deposits
        .iter()
        .find(|(_, record)| pending(record))
        .unwrap()
        .0;
    world.node.anvil("anvil_dropAllTransactions", ()).await;
    world.node.anvil("evm_setAutomine", [true]).await;
    let to = cast.payees[0].address;
    let gift = Call::fund(world.reader.bank(), Address::ZERO, to, coins(1));
    cast.payer.wallet.send(&gift).await.unwrap();
    let miner = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            world.node.mine(1).await;
        }
    };
    let opened = tokio::select! {
        opened = payer.open(id) => opened.unwrap(),
        () = miner => unreachable!("it never ends"),
    };
    assert_eq!(opened.id, id);
    assert_eq!(world.balance(cast.payer.address).await, balance);
}

/// A store that takes its time to write, or does not know whether it has.
#[derive(Default)]
struct Odd {
    memory: Memory,
    /// So long it takes to answer after a write.
    wait: Duration,
    /// Says that it does not know whether it has written.
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

/// First payments from two deposits of one draw, of 600 coins in a thousand each, and a policy that takes one of them.
async fn one_too_many(cast: &Cast, payer: &Payer) -> ([Proof; 2], Policy) {
    let world = &cast.world;
    let mut request = cast.request(0);
    request.draw = Draw::At(world.head().await + 80);
    let mut proofs = Vec::new();
    for _ in 0..2 {
        let id = opened(world, payer, &request).await.id;
        let payment = payer.write_cheque(id, cast.payees[0].address, coins(1));
        proofs.push(payment.await.unwrap().proof.unwrap());
    }
    let mut policy = world.policy(&cast.payees[0]);
    let limits = policy.tokens.get_mut(&Address::ZERO).unwrap();
    limits.max_exposure = coins(1_000);
    (proofs.try_into().unwrap(), policy)
}

async fn is_too_much(payee: &Payee, proof: &Proof) {
    let refused = payee.receive_payment(None, proof).await;
    let Rejection::ExposureTooLarge { exposure, .. } = rejection(refused) else {
        panic!("the first one counts");
    };
    assert_eq!(exposure, coins(1_200));
}

#[tokio::test]
async fn a_payment_that_nobody_waits_for_any_more_counts_in_the_exposure_also_after_a_restart() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (proofs, policy) = one_too_many(&cast, &cast.players().0).await;
    let store = Arc::new(Odd {
        wait: Duration::from_secs(3),
        ..Odd::default()
    });
    let payee = Payee::new(world.reader.clone(), policy.clone(), store.clone());
    payee.poll().await.unwrap();
    // The host gives up while the payment is being written.
    let first = payee.receive_payment(None, &proofs[0]);
    let given_up = tokio::time::timeout(Duration::from_secs(1), first).await;
    assert!(given_up.is_err());
    let again = Payee::new(world.reader.clone(), policy, store);
    for payee in [&payee, &again] {
        is_too_much(payee, &proofs[1]).await;
    }
    let kept = payee.holding(proofs[0].deposit_id()).await.unwrap();
    assert_eq!(kept.unwrap().total(), coins(1));
}

#[tokio::test]
async fn a_payment_of_which_nobody_knows_whether_it_was_written_counts_in_the_exposure() {
    let cast = Cast::new().await;
    let (proofs, policy) = one_too_many(&cast, &cast.players().0).await;
    let store = Arc::new(Odd::default());
    let payee = Payee::new(cast.world.reader.clone(), policy, store.clone());
    payee.poll().await.unwrap();
    store.is_unsure.store(true, Ordering::Relaxed);
    let unsure = payee.receive_payment(None, &proofs[0]).await.unwrap_err();
    assert!(unsure.to_string().contains("unknown"), "{unsure}");
    store.is_unsure.store(false, Ordering::Relaxed);
    is_too_much(&payee, &proofs[1]).await;
}

#[tokio::test]
async fn a_deposit_whose_first_payment_another_worker_took_counts_in_the_exposure() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let (proofs, policy) = one_too_many(&cast, &payer).await;
    let store = Arc::new(Odd::default());
    let worker = || Payee::new(cast.world.reader.clone(), policy.clone(), store.clone());
    let (first, second) = (worker(), worker());
    // Both know the store as it was before.
    for worker in [&first, &second] {
        worker.poll().await.unwrap();
    }
    first.receive_payment(None, &proofs[0]).await.unwrap();
    let id = proofs[0].deposit_id();
    let more = payer.write_cheque(id, cast.payees[0].address, coins(1));
    let more = more.await.unwrap().proof.unwrap();
    second.receive_payment(None, &more).await.unwrap();
    is_too_much(&second, &proofs[1]).await;
}
