//! Payments by cheques from composed deposits.

use crate::node::{Account, COIN, World};
use alloy_primitives::{Address, U256};
use cheque::{
    Amount, DepositId, Proof,
    bank::NativeRate,
    payer::{DepositRequest, Draw, Payer},
    store::{Change, Memory, Store, StoreError, Swap, Table, Visit, VisitAll},
    tx::Wallet,
};
use cheque_market::{
    compose::{Credit, Due, QuoteError},
    payment::{
        PaymentSender, SendError,
        chain::{ChequeSender, ChequeSenderError, NextDeposit, OpeningStatus},
    },
};
use std::{
    num::{NonZeroU64, NonZeroU128},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const KEY: &[u8] = b"composer";
/// Seconds from the opening of a deposit to its draw.
const DRAW_IN: u64 = 3_600;

/// A store that can report a failure for a write that it has made.
#[derive(Default)]
struct Unsure {
    rows: Memory,
    next_fails: AtomicBool,
}

impl Store for Unsure {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(table, key)
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        let swapped = self.rows.swap(changes)?;
        match self.next_fails.swap(false, Ordering::SeqCst) {
            // The kind of error does not matter.
            true => Err(StoreError::RepeatedKey { index: 0 }),
            false => Ok(swapped),
        }
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.rows.scan(table, prefix, each)
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.rows.scan_all(each)
    }
}

struct Scene {
    world: World,
    customer: Account,
    payees: [Address; 3],
    store: Arc<Unsure>,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        Self {
            customer: world.account(1).await,
            world,
            payees: [11, 12, 13].map(Address::repeat_byte),
            store: Arc::default(),
        }
    }

    fn payer(&self, wallet: Wallet) -> Payer {
        let party = Account {
            wallet,
            ..self.customer.clone()
        };
        self.world.payer(&party, self.store.clone())
    }

    /// Opens a sender, like the client's process after a restart.
    async fn sender(&self) -> ChequeSender {
        self.sender_with(self.customer.wallet.clone()).await
    }

    async fn sender_with(&self, wallet: Wallet) -> ChequeSender {
        let opened = ChequeSender::open(self.payer(wallet), Address::ZERO, NativeRate::NATIVE, KEY);
        opened.await.unwrap()
    }

    fn next(&self) -> NextDeposit {
        let mut request = DepositRequest::new(Vec::new(), self.customer.address, Draw::In(DRAW_IN));
        request.min_payout = Some(Amount::ZERO);
        NextDeposit {
            size: NonZeroU128::new(3 * COIN).unwrap(),
            threshold: NonZeroU64::new(3).unwrap(),
            priors: self.payees.iter().map(|payee| (*payee, 1)).collect(),
            request,
        }
    }

    /// Composes a deposit and waits until it is mined and confirmed.
    async fn opened(&self, sender: &ChequeSender) -> DepositId {
        let id = sender.compose(&self.next()).await.unwrap();
        let _polled = sender.payer().poll().await.unwrap();
        let followed = sender.follow().await.unwrap();
        assert!(
            matches!(followed, OpeningStatus::Opened(of, _) if of == id),
            "{followed:?}"
        );
        id
    }
}

/// Checks that the composer and the payer's account agree.
async fn agree(sender: &ChequeSender, id: DepositId, payee: Address) -> Credit {
    let credit = sender.credit(payee).await.unwrap();
    let (_, left) = sender
        .payer()
        .spent_and_left(id, payee)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(credit.new_remain, left.get());
    credit
}

#[tokio::test]
async fn pays_from_composed_deposit_across_restarts() {
    let scene = Scene::new().await;
    let sender = scene.sender().await;
    assert_eq!(sender.due().await.unwrap(), Some(Due::First));
    assert_eq!(sender.follow().await.unwrap(), OpeningStatus::Idle);
    let id = scene.opened(&sender).await;
    assert_eq!(sender.due().await.unwrap(), None);
    let deposit = sender.payer().deposit(id).await.unwrap().deposit;
    assert_eq!(deposit.amount, 3 * COIN);
    let payee = scene.payees[0];
    let before = agree(&sender, id, payee).await;
    assert_eq!(before.new_total, COIN);

    let expected = sender.payment_cost(payee, COIN / 4).await.unwrap();
    let paid = sender
        .request_payment(payee, COIN / 4, COIN / 4)
        .await
        .unwrap();
    assert_eq!((paid.amount, paid.cost), (COIN / 4, expected));
    let (charged, fee) = sender.charged().await.unwrap();
    assert_eq!(paid.cost - paid.amount, charged);
    assert!(0 < charged && charged < fee);
    let opening = Proof::decode(&paid.proofs[0]).unwrap();
    assert!(matches!(opening, Proof::Opening(_)));
    assert_eq!(agree(&sender, id, payee).await.new_remain, COIN * 3 / 4);
    drop(sender);

    let sender = scene.sender().await;
    assert_eq!(sender.charged().await, Some((charged, fee)));
    assert_eq!(agree(&sender, id, payee).await.new_remain, COIN * 3 / 4);
    // The proof never left the killed process; the payee gets it from this process.
    let again = sender.latest_proofs(payee).await.unwrap();
    assert_eq!(again, paid.proofs);
    assert!(
        sender
            .latest_proofs(scene.payees[1])
            .await
            .unwrap()
            .is_empty()
    );
    let rest = sender.request_payment(payee, 1, u128::MAX).await.unwrap();
    assert_eq!(rest.amount, COIN * 3 / 4);
    let over = sender.request_payment(payee, 1, 1).await.unwrap_err();
    let nothing = QuoteError::NotCovered { min: 1, left: 0 };
    assert!(matches!(over, SendError::Quote(found) if found == nothing));
}

#[tokio::test]
async fn opens_deposit_once_despite_a_kill() {
    let scene = Scene::new().await;
    let node = &scene.world.node;
    node.automine(false).await;
    let wallet = scene.customer.wallet.clone();
    let killed = scene.sender_with(wallet.with_timeout(Duration::ZERO)).await;
    killed.compose(&scene.next()).await.unwrap_err();
    drop(killed);

    let sender = scene.sender().await;
    let early = sender.compose(&scene.next()).await.unwrap_err();
    assert!(matches!(early, ChequeSenderError::Compose(_)), "{early}");
    node.automine(true).await;
    node.mine(1).await;
    let _polled = sender.payer().poll().await.unwrap();
    let OpeningStatus::Opened(id, changes) = sender.follow().await.unwrap() else {
        panic!("the deposit is confirmed");
    };
    assert_eq!(changes.granted.len(), 3);
    assert_eq!(sender.payer().deposits().await.unwrap().len(), 1);
    assert_eq!(sender.follow().await.unwrap(), OpeningStatus::Idle);
    let (_, fee) = sender.charged().await.unwrap();
    assert!(
        fee > 0,
        "the expected fee was stored before the transaction was sent"
    );
    assert_eq!(agree(&sender, id, scene.payees[2]).await.new_total, COIN);
}

#[tokio::test]
async fn sums_concurrent_payments_in_composer_and_account() {
    let scene = Scene::new().await;
    let sender = Arc::new(scene.sender().await);
    let id = scene.opened(&sender).await;
    let payee = scene.payees[0];
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let sender = Arc::clone(&sender);
            tokio::spawn(async move { sender.request_payment(payee, COIN / 8, COIN / 8).await })
        })
        .collect();
    let mut paid = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(sent) => paid += sent.amount,
            Err(error) => assert!(matches!(error, SendError::Quote(_)), "{error}"),
        }
    }
    assert_eq!(paid, COIN);
    assert_eq!(agree(&sender, id, payee).await.future, 4 * COIN);
}

#[tokio::test]
async fn marks_allowance_unusable_after_payment_by_another_user() {
    let scene = Scene::new().await;
    let sender = scene.sender().await;
    let id = scene.opened(&sender).await;
    let payee = scene.payees[0];
    let elsewhere = sender.payer().write_cheque(id, payee, Amount::new(COIN));
    elsewhere.await.unwrap();
    let refused = sender.request_payment(payee, 1, 1).await.unwrap_err();
    assert!(matches!(refused, SendError::Quote(_)), "{refused}");
    assert_eq!(agree(&sender, id, payee).await.new_remain, 0);
    let other = sender.request_payment(scene.payees[1], 1, 1).await;
    assert_eq!(other.unwrap().amount, 1);
}

#[tokio::test]
async fn counts_payment_of_unknown_outcome_once() {
    let scene = Scene::new().await;
    let sender = scene.sender().await;
    let id = scene.opened(&sender).await;
    let payee = scene.payees[0];
    scene.store.next_fails.store(true, Ordering::SeqCst);
    let lost = sender.request_payment(payee, 1, COIN / 4).await;
    assert!(matches!(lost, Err(SendError::Module(_))));
    // Cheques are cumulative: the next cheque includes the lost one.
    let paid = sender.request_payment(payee, 1, COIN / 4).await.unwrap();
    assert_eq!(paid.amount, COIN / 4);
    assert_eq!(agree(&sender, id, payee).await.new_remain, COIN / 2);
    let again = sender.latest_proofs(payee).await.unwrap();
    let Proof::Opening(opening) = Proof::decode(&again[0]).unwrap() else {
        panic!("the proof has the terms, which the payee never got");
    };
    assert_eq!(opening.cheque.spent.get(), COIN / 2);
}

#[tokio::test]
async fn never_pays_twice_from_two_processes() {
    let scene = Scene::new().await;
    let (one, other) = (scene.sender().await, scene.sender().await);
    let id = scene.opened(&one).await;
    let payee = scene.payees[0];
    one.request_payment(payee, 1, COIN / 2).await.unwrap();
    // The other process knows neither the deposit nor the payment.
    let behind = other.compose(&scene.next()).await.unwrap_err();
    assert!(matches!(behind, ChequeSenderError::Changed), "{behind}");
    let rest = other.request_payment(payee, 1, COIN).await.unwrap();
    assert_eq!(rest.amount, COIN / 2);
    let nothing_left = one.request_payment(payee, 1, COIN).await.unwrap_err();
    assert!(
        matches!(nothing_left, SendError::Quote(_)),
        "{nothing_left}"
    );
    assert_eq!(agree(&one, id, payee).await.new_remain, 0);
    assert_eq!(one.payer().deposits().await.unwrap().len(), 1);
}

#[tokio::test]
async fn opens_nothing_with_too_few_candidates() {
    let scene = Scene::new().await;
    let sender = scene.sender().await;
    let mut next = scene.next();
    next.threshold = NonZeroU64::new(4).unwrap();
    let few = sender.compose(&next).await.unwrap_err();
    assert!(matches!(few, ChequeSenderError::Compose(_)), "{few}");
    assert!(sender.payer().deposits().await.unwrap().is_empty());
    let sender = scene.sender().await;
    scene.world.advance(19).await;
    assert_eq!(sender.due().await.unwrap(), None);
    scene.world.advance(1).await;
    assert_eq!(sender.due().await.unwrap(), Some(Due::First));
    scene.opened(&sender).await;
}

#[tokio::test]
async fn pays_from_other_deposits_while_one_is_inactive() {
    let scene = Scene::new().await;
    let node = &scene.world.node;
    let sender = scene.sender().await;
    let first = scene.opened(&sender).await;
    let snapshot = node.snapshot().await;
    let second = scene.opened(&sender).await;
    // A reorg removes the second deposit.
    node.revert(snapshot).await;
    node.advance(7).await;
    node.mine(1).await;
    let _polled = sender.payer().poll().await.unwrap();
    let payee = scene.payees[0];
    let too_much = sender.request_payment(payee, COIN + 1, 2 * COIN).await;
    let Err(SendError::Module(error)) = too_much else {
        panic!("the first deposit does not cover the amount: {too_much:?}");
    };
    assert!(error.to_string().contains(&second.to_string()), "{error}");
    let paid = sender.request_payment(payee, 1, 2 * COIN).await.unwrap();
    assert_eq!((paid.amount, paid.proofs.len()), (COIN, 1));
    let proof = Proof::decode(&paid.proofs[0]).unwrap();
    assert_eq!(proof.deposit_id(), first);
    // The second deposit is restored, and pays.
    sender.payer().open(second).await.unwrap();
    let _polled = sender.payer().poll().await.unwrap();
    let paid = sender.request_payment(payee, 1, 2 * COIN).await.unwrap();
    assert_eq!(paid.amount, COIN);
    assert_eq!(agree(&sender, second, payee).await.new_remain, 0);
}

#[tokio::test]
async fn cancels_opening_that_is_too_late_before_next_compose() {
    let scene = Scene::new().await;
    let (node, account) = (&scene.world.node, scene.customer.address);
    node.automine(false).await;
    let wallet = scene.customer.wallet.clone();
    let sender = scene.sender_with(wallet.with_timeout(Duration::ZERO)).await;
    sender.compose(&scene.next()).await.unwrap_err();
    let (id, record) = sender.payer().deposits().await.unwrap().remove(0);
    // Only transfers fit into such blocks.
    node.anvil("evm_setBlockGasLimit", ["0x7530"]).await;
    let end = sender.payer().end_time(&record.deposit);
    let follow = async || {
        let _polled = sender.payer().poll().await.unwrap();
        sender.follow().await
    };
    scene.world.mine_at(end - 1).await;
    // The opening is still wanted, and too large. A cancellation would be in the next block.
    follow().await.unwrap_err();
    node.mine(1).await;
    assert_eq!(node.transactions(account).await, 0, "cancelled too early");
    assert_eq!(follow().await.unwrap(), OpeningStatus::Waiting(id));
    node.mine(1).await;
    let used = node.transactions(account).await;
    assert_eq!(used, 1, "another transaction has used the nonce");
    let mut followed = follow().await.unwrap();
    for _ in 0..20 {
        if followed != OpeningStatus::Waiting(id) {
            break;
        }
        scene.world.advance(5).await;
        followed = follow().await.unwrap();
    }
    assert_eq!(followed, OpeningStatus::Failed(id));
    let bank = scene.world.reader.bank().address();
    assert_eq!(scene.world.coin(bank).await, U256::ZERO);
    node.anvil("evm_setBlockGasLimit", ["0x1c9c380"]).await;
    node.automine(true).await;
    scene.world.advance(30 * 60).await;
    let next = sender.compose(&scene.next()).await.unwrap();
    let followed = follow().await.unwrap();
    assert!(matches!(followed, OpeningStatus::Opened(of, _) if of == next));
}
