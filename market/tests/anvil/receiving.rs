//! Taking cheques in the transaction of the balance.

use crate::node::{Party, World, coins};
use alloy_primitives::Address;
use cheque::{
    Amount, Proof, Rejection,
    payee::Payee,
    payer::{DepositRequest, Draw, Payer},
    store::Memory,
};
use cheque_market::{
    payment::{
        Arrived, ChequeRejection, Incoming, ModuleError, ReceiveError, ReceiverModule,
        chain::ChequeModule, judge,
    },
    store::{Batch, ChequeStore, Store},
};
use std::sync::Arc;

const PREFIX: &[u8] = b"market:";

struct Scene {
    world: World,
    customer: Party,
    provider: Party,
    payer: Payer,
    rows: Arc<Memory>,
    store: ChequeStore,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let customer = world.party(1).await;
        let rows = Arc::new(Memory::new());
        Self {
            provider: world.party(11).await,
            payer: world.payer(&customer, Arc::new(Memory::new())),
            customer,
            store: ChequeStore::new(rows.clone(), PREFIX),
            rows,
            world,
        }
    }

    /// The first payment from a deposit of its own, drawn at `draw`.
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
        payment.await.unwrap().proof.unwrap().encode()
    }

    fn payee(&self, exposure: Amount) -> Payee {
        let mut policy = self.world.policy(&self.provider);
        policy.tokens.get_mut(&Address::ZERO).unwrap().max_exposure = exposure;
        Payee::new(self.world.reader.clone(), policy, self.rows.clone())
    }

    async fn look(&self, module: &ChequeModule, proof: &[u8]) -> Arrived {
        let from = self.customer.address;
        let arrived = judge(module, &self.store, PREFIX, from, proof).await;
        arrived.unwrap()
    }

    async fn take(&self, module: &ChequeModule, proof: &[u8]) -> Result<Incoming, Rejection> {
        let from = self.customer.address;
        let arrived = judge(module, &self.store, PREFIX, from, proof).await;
        self.keep(&arrived.map_err(rejection)?)
    }

    fn keep(&self, arrived: &Arrived) -> Result<Incoming, Rejection> {
        let mut batch = Batch::new();
        let incoming = arrived.store_received(&self.store, &mut batch);
        self.store.write(&batch).unwrap();
        incoming.map_err(rejection)
    }
}

fn rejection(error: ReceiveError<ModuleError>) -> Rejection {
    match error {
        ReceiveError::Rejected(ModuleError::Rejected(error)) => match *error.downcast().unwrap() {
            ChequeRejection::Rejected(rejection) => rejection,
            other => panic!("not by the policy: {other}"),
        },
        other => panic!("not a rejection: {other:?}"),
    }
}

#[tokio::test]
async fn deposits_that_are_looked_at_together_do_not_both_fit_under_the_limit_of_exposure() {
    let scene = Scene::new().await;
    let draw = scene.world.head().await + 60;
    let (one, other) = (scene.opening(draw).await, scene.opening(draw).await);
    let module = ChequeModule::new(scene.payee(coins(1_199)), Address::ZERO);
    let looked = (
        scene.look(&module, &one).await,
        scene.look(&module, &other).await,
    );
    scene.keep(&looked.0).unwrap();
    let refused = scene.keep(&looked.1).unwrap_err();
    assert!(
        matches!(refused, Rejection::ExposureTooLarge { .. }),
        "{refused}"
    );
    // What is kept counts after a restart too; with another limit the second would have been good.
    let module = ChequeModule::new(scene.payee(coins(1_199)), Address::ZERO);
    let refused = scene.take(&module, &other).await.unwrap_err();
    assert!(
        matches!(refused, Rejection::ExposureTooLarge { .. }),
        "{refused}"
    );
    let module = ChequeModule::new(scene.payee(coins(1_200)), Address::ZERO);
    scene.take(&module, &other).await.unwrap();
}

#[tokio::test]
async fn a_payment_is_rejected_before_the_node_is_asked_and_again_when_it_is_kept() {
    let scene = Scene::new().await;
    let draw = scene.world.head().await + 60;
    let proof = scene.opening(draw).await;
    let module = ChequeModule::new(scene.payee(coins(10_000)), Address::ZERO);
    let look = async |from, proof: &[u8]| {
        let looked = judge(&module, &scene.store, PREFIX, from, proof).await;
        rejection(looked.unwrap_err())
    };
    let stranger = look(scene.provider.address, &proof).await;
    assert!(
        matches!(stranger, Rejection::WrongFrom { .. }),
        "{stranger}"
    );
    let customer = scene.customer.address;
    let (one, other) = (
        scene.look(&module, &proof).await,
        scene.look(&module, &proof).await,
    );
    let incoming = scene.keep(&one).unwrap();
    assert_eq!(incoming.credit_to, customer);
    assert_eq!(scene.keep(&other), Err(Rejection::Replay));

    // A cheque of a deposit that is not known here.
    let Proof::Opening(opening) = Proof::decode(&proof).unwrap() else {
        panic!("the first proof has the terms");
    };
    let id = scene.world.reader.bank().deposit_id(&opening.deposit);
    let unknown = Proof::Cheque(cheque::DepositId([7; 32].into()), opening.cheque);
    let unknown = look(customer, &unknown.encode()).await;
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
