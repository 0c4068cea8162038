//! Openings that anybody can send: of deposits that do not exist.

use crate::cast::{Cast, memory, opened, rejection};
use crate::node::{COIN, coins, policy};
use crate::proxy::{Fault, Held, Proxy};
use alloy_primitives::Address;
use cheque::{
    Account, AllowanceTree, Amount, Bank, ChequeContext, Deposit, HISTORY_WINDOW, MasterSalt,
    Opening, Proof, Rejection, SigningKey,
};
use cheque::{
    bank::Reader,
    node::connect_within,
    payee::{Accepted, Payee, ReceiveError},
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// A stranger that has never sent anything to the chain.
const STRANGER: Address = Address::repeat_byte(0x5a);

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// All that a payee can see without the chain is in order.
fn invented(bank: Bank, payee: Address, head: u64, lane: u64) -> Proof {
    let key = SigningKey::from_bytes(&[0x5a; 32]).unwrap();
    let allowances = [(payee, Amount::new(COIN))];
    let tree = AllowanceTree::build(allowances, &MasterSalt::from_bytes([1; 32])).unwrap();
    let deposit = Deposit {
        payer: STRANGER,
        signer: key.address(),
        token: Address::ZERO,
        lane,
        amount: COIN,
        minPayout: 0,
        drawBlock: head + 100,
        lastRedeemBlock: head + 100 + HISTORY_WINDOW,
        root: tree.root(),
    };
    let context = ChequeContext {
        key: &key,
        bank: &bank,
        deposit: bank.deposit_id(&deposit),
        payee,
    };
    let account = Account::new(Amount::new(COIN));
    let account = account.write_cheque(coins(500), &context).unwrap();
    Proof::Opening(Box::new(Opening {
        bank,
        deposit,
        payee,
        allowance: tree.proof(payee).unwrap(),
        cheque: *account.newest().unwrap(),
    }))
}

type Receiving = JoinHandle<Result<Accepted, ReceiveError>>;

struct Scene {
    cast: Cast,
    reader: Reader,
    payee: Payee,
    held: Arc<Held>,
}

impl Scene {
    /// A payee whose node does not answer what is asked about the stranger.
    async fn new() -> Self {
        let cast = Cast::new().await;
        let proxy = Proxy::start(&cast.world.node.provider).await;
        let provider = connect_within(&[&proxy.url], PATIENCE).await.unwrap();
        let bank = cast.world.reader.bank().address();
        let reader = Reader::open(provider, bank).await.unwrap();
        let policy = policy(&reader, cast.payees[0].address);
        let payee = Payee::new(reader.clone(), policy, memory());
        let held = Arc::new(Held::default());
        proxy.fail("eth_call", Fault::Holds(STRANGER, held.clone()));
        Self {
            cast,
            reader,
            payee,
            held,
        }
    }

    /// Shows the payee openings of so many deposits that do not exist.
    async fn strangers(&self, count: u64) -> Vec<Receiving> {
        let head = self.cast.world.head().await;
        let (bank, account) = (*self.reader.bank(), self.payee.policy().payee);
        let show = |lane| {
            let (payee, proof) = (self.payee.clone(), invented(bank, account, head, lane));
            tokio::spawn(async move { payee.receive_payment(None, &proof).await })
        };
        (1..=count).map(show).collect()
    }

    async fn refused(self, strangers: Vec<Receiving>) {
        self.held.let_go();
        for stranger in strangers {
            let refused = rejection(stranger.await.unwrap());
            assert!(matches!(refused, Rejection::NotConfirmed(_)), "{refused}");
        }
    }
}

#[tokio::test]
async fn an_honest_opening_does_not_wait_for_the_nodes_answer_about_a_strangers() {
    let scene = Scene::new().await;
    let cast = &scene.cast;
    let (payer, _) = cast.players();
    let id = opened(&cast.world, &payer, &cast.request(60)).await.id;
    let strangers = scene.strangers(1).await;
    scene.held.are(1).await;
    let payment = payer.write_cheque(id, cast.payees[0].address, coins(5));
    let proof = payment.await.unwrap().proof.unwrap();
    let taken = scene.payee.receive_payment(None, &proof).await.unwrap();
    assert_eq!(taken.total, coins(5));
    assert!(!strangers[0].is_finished(), "the node has not answered");
    scene.refused(strangers).await;
}

#[tokio::test]
async fn the_node_is_asked_for_16_unknown_deposits_at_a_time_and_payments_of_known_ones_go_on() {
    let scene = Scene::new().await;
    let cast = &scene.cast;
    let (payer, _) = cast.players();
    let id = opened(&cast.world, &payer, &cast.request(60)).await.id;
    let pay = async || {
        let payment = payer.write_cheque(id, cast.payees[0].address, coins(1));
        let proof = payment.await.unwrap().proof.unwrap();
        scene.payee.receive_payment(None, &proof).await.unwrap();
    };
    pay().await;
    let strangers = scene.strangers(40).await;
    scene.held.are(16).await;
    for _ in 0..20 {
        pay().await;
        scene.payee.poll().await.unwrap();
    }
    assert_eq!(scene.held.count(), 16);
    scene.refused(strangers).await;
}
