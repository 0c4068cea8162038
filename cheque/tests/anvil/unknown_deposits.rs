//! Openings of unknown deposits, which any sender can invent.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, rejection};
use crate::node::{COIN, coins, policy};
use crate::over;
use crate::proxy::{Fault, Held, Proxy};
use alloy_primitives::{Address, B256, U256};
use cheque::{
    Account, AllowanceTree, Amount, Bank, ChequeContext, Deposit, MasterSalt, Opening, Proof,
    Rejection, SigningKey,
};
use cheque::{
    bank::Reader,
    node::connect_within,
    payee::{Accepted, Payee, ReceiveError},
};
use std::{ops::RangeInclusive, sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// The payer of the invented deposits, without any transaction on the chain.
const STRANGER: Address = Address::repeat_byte(0x5a);

/// Timeout of requests, longer than any test.
const TIMEOUT: Duration = Duration::from_secs(600);

/// An opening of a deposit that does not exist. Only the chain can tell.
fn invented(bank: Bank, payee: Address, now: u64, lane: u64) -> Proof {
    // Another signer for each deposit: keys cost nothing.
    let secret = B256::from(U256::from(lane + 1_000));
    let key = SigningKey::from_bytes(&secret.0).unwrap();
    let allowances = [(payee, Amount::new(COIN))];
    let tree = AllowanceTree::build(allowances, &MasterSalt::from_bytes([1; 32])).unwrap();
    let deposit = Deposit {
        payer: STRANGER,
        signer: key.address(),
        token: Address::ZERO,
        lane,
        amount: COIN,
        minPayout: 0,
        drawTime: now + 100,
        redeemUntil: now + 100 + HOUR,
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

struct Setup {
    fixture: Fixture,
    reader: Reader,
    payee: Payee,
    held: Arc<Held>,
}

impl Setup {
    /// A payee whose node holds back all answers about the stranger.
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let proxy = Proxy::start(&fixture.world.node.provider).await;
        let provider = connect_within(&[&proxy.url], TIMEOUT).await.unwrap();
        let bank = fixture.world.reader.bank().address();
        let reader = Reader::open(provider, bank).await.unwrap();
        let policy = policy(&reader, fixture.payees[0].address);
        let payee = over::with_policy(&fixture.world, &reader, policy, memory());
        let held = Arc::new(Held::default());
        proxy.fail("eth_call", Fault::Hold(STRANGER, held.clone()));
        Self {
            fixture,
            reader,
            payee,
            held,
        }
    }

    /// Shows the payee openings of invented deposits in these lanes.
    async fn strangers(&self, lanes: RangeInclusive<u64>) -> Vec<Receiving> {
        let now = self.fixture.world.now().await;
        let (bank, account) = (*self.reader.bank(), self.payee.policy().payee);
        let show = |lane| {
            let (payee, proof) = (self.payee.clone(), invented(bank, account, now, lane));
            tokio::spawn(async move { payee.receive_payment(None, &proof).await })
        };
        lanes.map(show).collect()
    }

    async fn refused(self, strangers: Vec<Receiving>) {
        self.held.release();
        for stranger in strangers {
            let refused = rejection(stranger.await.unwrap());
            assert!(matches!(refused, Rejection::NotConfirmed(_)), "{refused}");
        }
    }
}

#[tokio::test]
async fn accepts_honest_opening_while_stranger_waits_for_node() {
    let setup = Setup::new().await;
    let fixture = &setup.fixture;
    let (payer, _) = fixture.actors();
    let id = open_deposit(&fixture.world, &payer, &fixture.request(HOUR))
        .await
        .id;
    let strangers = setup.strangers(1..=1).await;
    setup.held.wait_for(1).await;
    let payment = payer.write_cheque(id, fixture.payees[0].address, coins(5));
    let proof = payment.await.unwrap().proof;
    let taken = setup.payee.receive_payment(None, &proof).await.unwrap();
    assert_eq!(taken.total, coins(5));
    assert!(
        !strangers[0].is_finished(),
        "the stranger was answered first"
    );
    setup.refused(strangers).await;
}

#[tokio::test]
async fn asks_node_for_4_batches_of_unknown_deposits_at_a_time() {
    // Payments of known deposits continue.
    let setup = Setup::new().await;
    let fixture = &setup.fixture;
    let (payer, _) = fixture.actors();
    let id = open_deposit(&fixture.world, &payer, &fixture.request(HOUR))
        .await
        .id;
    let pay = async || {
        let payment = payer.write_cheque(id, fixture.payees[0].address, coins(1));
        let proof = payment.await.unwrap().proof;
        setup.payee.receive_payment(None, &proof).await.unwrap();
    };
    pay().await;
    let mut strangers = Vec::new();
    for lane in 1..=4 {
        strangers.extend(setup.strangers(lane..=lane).await);
        setup.held.wait_for(usize::try_from(lane).unwrap()).await;
    }
    strangers.extend(setup.strangers(5..=100).await);
    for _ in 0..20 {
        pay().await;
        setup.payee.poll().await.unwrap();
    }
    assert_eq!(setup.held.count(), 4);
    setup.refused(strangers).await;
}
