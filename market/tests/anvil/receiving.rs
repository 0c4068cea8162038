//! Cheques received in the transaction of the balance.

use crate::node::{Account, World, coins};
use alloy_primitives::Address;
use cheque::{
    Amount, Proof, Rejection,
    payee::Payee,
    payer::{DepositRequest, Draw, Payer},
    store::Memory,
};
use cheque_market::{
    payment::{
        ChequeRejection, Incoming, ModuleError, PreparedPayment, ReceiveError, ReceiverModule,
        chain::ChequeModule, prepare,
    },
    store::{Batch, ChequeStore, Store},
};
use std::sync::Arc;

const PREFIX: &[u8] = b"market:";
const HOUR: u64 = 3_600;

struct Scene {
    world: World,
    customer: Account,
    provider: Account,
    payer: Payer,
    rows: Arc<Memory>,
    store: ChequeStore,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let customer = world.account(1).await;
        let rows = Arc::new(Memory::new());
        Self {
            provider: world.account(11).await,
            payer: world.payer(&customer, Arc::new(Memory::new())),
            customer,
            store: ChequeStore::new(rows.clone(), PREFIX),
            rows,
            world,
        }
    }

    /// Returns the first payment from a new deposit, drawn at `draw`.
    async fn opening(&self, draw: u64) -> Vec<u8> {
        let allowances = vec![(self.provider.address, coins(600))];
        let signer = self.customer.address;
        let mut request = DepositRequest::new(allowances, signer, Draw::At(draw));
        request.min_payout = Some(Amount::ZERO);
        let id = self.payer.create_deposit(&request).await.unwrap().id;
        let _polled = self.payer.poll().await.unwrap();
        let payment = self
            .payer
            .write_cheque(id, self.provider.address, coins(100));
        payment.await.unwrap().proof.encode()
    }

    fn payee(&self, exposure: Amount) -> Payee {
        let mut policy = self.world.policy(&self.provider);
        policy.tokens.get_mut(&Address::ZERO).unwrap().max_exposure = exposure;
        let payee = Payee::new(self.world.reader.clone(), policy, self.rows.clone()).unwrap();
        payee.with_beacon(self.world.beacon.client.clone()).unwrap()
    }

    async fn prepare(&self, module: &ChequeModule, proof: &[u8]) -> PreparedPayment {
        let from = self.customer.address;
        let prepared = prepare(module, &self.store, PREFIX, from, proof).await;
        prepared.unwrap()
    }

    async fn take(&self, module: &ChequeModule, proof: &[u8]) -> Result<Incoming, Rejection> {
        let from = self.customer.address;
        let prepared = prepare(module, &self.store, PREFIX, from, proof).await;
        self.keep(&prepared.map_err(rejection)?)
    }

    fn keep(&self, prepared: &PreparedPayment) -> Result<Incoming, Rejection> {
        let mut batch = Batch::new();
        let incoming = prepared.store_received(&self.store, &mut batch);
        self.store.write(&batch).unwrap();
        incoming.map_err(rejection)
    }
}

fn rejection(error: ReceiveError<ModuleError>) -> Rejection {
    match error {
        ReceiveError::Rejected(ModuleError::Rejected(error)) => match *error.downcast().unwrap() {
            ChequeRejection::Rejected(rejection) => rejection,
            other => panic!("the policy did not reject: {other}"),
        },
        other => panic!("no rejection: {other:?}"),
    }
}

#[tokio::test]
async fn enforces_exposure_limit_for_payments_prepared_together() {
    let scene = Scene::new().await;
    let draw = scene.world.now().await + HOUR;
    let (one, other) = (scene.opening(draw).await, scene.opening(draw).await);
    let module = ChequeModule::new(scene.payee(coins(199)), Address::ZERO);
    let prepared = (
        scene.prepare(&module, &one).await,
        scene.prepare(&module, &other).await,
    );
    scene.keep(&prepared.0).unwrap();
    let refused = scene.keep(&prepared.1).unwrap_err();
    assert!(
        matches!(refused, Rejection::ExposureTooLarge { .. }),
        "{refused}"
    );
    // The stored payment counts after a restart too; with a higher limit the second would pass.
    let module = ChequeModule::new(scene.payee(coins(199)), Address::ZERO);
    let refused = scene.take(&module, &other).await.unwrap_err();
    assert!(
        matches!(refused, Rejection::ExposureTooLarge { .. }),
        "{refused}"
    );
    let module = ChequeModule::new(scene.payee(coins(200)), Address::ZERO);
    scene.take(&module, &other).await.unwrap();
}

/// A write fails: the client's other payments are accepted again, but only if nothing was stored.
#[tokio::test]
async fn gives_exposure_back_unless_the_payment_was_stored() {
    let scene = Scene::new().await;
    let draw = scene.world.now().await + HOUR;
    let (one, other) = (scene.opening(draw).await, scene.opening(draw).await);
    let module = ChequeModule::new(scene.payee(coins(199)), Address::ZERO);
    let settle = |prepared: &PreparedPayment| {
        let stored = scene.store.get(prepared.key()).unwrap();
        prepared.settle(stored.as_deref());
    };
    let unwritten = scene.prepare(&module, &one).await;
    let mut batch = Batch::new();
    unwritten.store_received(&scene.store, &mut batch).unwrap();
    let refused = scene.take(&module, &other).await.unwrap_err();
    assert!(
        matches!(refused, Rejection::ExposureTooLarge { .. }),
        "{refused}"
    );
    settle(&unwritten);
    let written = scene.prepare(&module, &other).await;
    scene.keep(&written).unwrap();
    // Its write was reported as failed, but was made.
    settle(&written);
    let refused = scene.take(&module, &one).await.unwrap_err();
    assert!(
        matches!(refused, Rejection::ExposureTooLarge { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn rejects_payment_before_query_and_again_when_storing() {
    let scene = Scene::new().await;
    let draw = scene.world.now().await + HOUR;
    let proof = scene.opening(draw).await;
    let module = ChequeModule::new(scene.payee(coins(10_000)), Address::ZERO);
    let prepare_from = async |from, proof: &[u8]| {
        let prepared = prepare(&module, &scene.store, PREFIX, from, proof).await;
        rejection(prepared.unwrap_err())
    };
    let stranger = prepare_from(scene.provider.address, &proof).await;
    assert!(
        matches!(stranger, Rejection::WrongFrom { .. }),
        "{stranger}"
    );
    let customer = scene.customer.address;
    let (one, other) = (
        scene.prepare(&module, &proof).await,
        scene.prepare(&module, &proof).await,
    );
    let incoming = scene.keep(&one).unwrap();
    assert_eq!(incoming.credit_to, customer);
    assert_eq!(scene.keep(&other), Err(Rejection::Replay));

    // A cheque of an unknown deposit.
    let Proof::Opening(opening) = Proof::decode(&proof).unwrap() else {
        panic!("the first proof has the terms");
    };
    let id = scene.world.reader.bank().deposit_id(&opening.deposit);
    let unknown = Proof::Cheque(cheque::DepositId([7; 32].into()), opening.cheque);
    let unknown = prepare_from(customer, &unknown.encode()).await;
    assert!(
        matches!(unknown, Rejection::UnknownDeposit(of) if of != id),
        "{unknown}"
    );

    let tokens = ChequeModule::new(scene.payee(coins(10_000)), Address::repeat_byte(0x70));
    let refused = scene.take(&tokens, &scene.opening(draw).await).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, Rejection::TokenNotAccepted(_)),
        "{refused}"
    );
    assert_eq!(tokens.offer().token, Address::repeat_byte(0x70));
}
