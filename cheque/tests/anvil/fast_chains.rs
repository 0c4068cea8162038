//! Chains whose blocks are no clock: five a second with the same time, gaps, jumps, and times that catch up.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, rejection};
use crate::node::{World, coins};
use crate::over::{self, unix_now};
use crate::proxy::{Fault, Proxy};
use alloy::{
    eips::BlockId,
    providers::{DynProvider, Provider},
};
use alloy_primitives::Address;
use cheque::payee::{PayeeService, PayeeSettings, ReceiveError};
use cheque::payer::PayerService;
use cheque::store::Memory;
use cheque::{
    ChainProfile, Freshness, Rejection,
    bank::Reader,
    node::{connect, connect_within},
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::sleep};

/// Longer than a snapshot of the chain is in use here.
const STALE: Duration = Duration::from_millis(1_100);

/// Makes five blocks a second for ever. Blocks of the same second have the same time.
async fn mine_five_a_second(node: DynProvider) {
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    loop {
        pace.tick().await;
        let head = node.get_block(BlockId::latest()).await.unwrap();
        let time = unix_now().max(head.unwrap().header.timestamp);
        let mined = node.raw_request::<_, Value>("evm_mine".into(), [time]);
        mined.await.unwrap();
    }
}

/// Payer and payee as running services over a proxy, and their tasks.
struct Running {
    payer: PayerService,
    payee: PayeeService,
    tasks: [JoinHandle<()>; 2],
}

impl Running {
    async fn start(fixture: &Fixture, proxy: &Proxy, stores: [Arc<Memory>; 2]) -> Self {
        let world = &fixture.world;
        let reader = async || {
            let provider = connect_within(&[&proxy.url], Duration::from_secs(1)).await;
            let reader = Reader::open(provider.unwrap(), world.reader.bank().address());
            reader.await.unwrap().with_profile(*world.reader.profile())
        };
        let [payers, payees] = stores;
        let payer = over::payer(world, &reader().await, &fixture.payer, payers);
        let payee = over::payee(world, &reader().await, &fixture.payees[0], payees);
        let payer = PayerService::new(payer, None);
        let settings = PayeeSettings::new(payee.policy(), payee.reader().profile());
        let payee = PayeeService::new(payee, settings);
        let (one, other) = (payer.clone(), payee.clone());
        let tasks = [
            tokio::spawn(async move { one.run(std::future::pending()).await.unwrap() }),
            tokio::spawn(async move { other.run(std::future::pending()).await.unwrap() }),
        ];
        Self {
            payer,
            payee,
            tasks,
        }
    }

    /// Makes a payment. The error is the refusal of one side.
    async fn pay(&self) -> Result<(), String> {
        let account = self.payee.payee().policy().payee;
        let parts = self.payer.pay(account, Address::ZERO, coins(1)).await;
        let parts = parts.map_err(|error| error.to_string())?;
        let part = &parts[0];
        let taken = match self.payee.receive_payment(None, &part.proof).await {
            // The opening came before the payee's view of the chain had the deposit: it is shown again.
            Err(ReceiveError::Rejected(Rejection::UnknownDeposit(_))) => {
                let opening = self
                    .payer
                    .payer()
                    .opening_proof(part.deposit, account)
                    .await;
                let opening = opening.unwrap().unwrap();
                self.payee.receive_payment(None, &opening).await
            }
            taken => taken,
        };
        let taken = taken.map_err(|error| error.to_string())?;
        assert_eq!(taken.total, parts[0].spent);
        Ok(())
    }

    /// Waits for a payment and for healthy services.
    async fn go_on(&self, seconds: u64) {
        let mut last = Ok(());
        for _ in 0..2 * seconds {
            last = self.pay().await;
            if last.is_ok() && self.payer.health().ok && self.payee.health().ok {
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
        let (payer, payee) = (self.payer.health(), self.payee.health());
        panic!("{last:?} {payer:?} {payee:?}");
    }

    /// Waits until no payment is possible.
    async fn stop(&self, seconds: u64) {
        for _ in 0..2 * seconds {
            if self.pay().await.is_err() {
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
        panic!("payments by an old head");
    }

    fn kill(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

#[tokio::test]
async fn follows_chain_of_five_blocks_a_second_through_outage() {
    let world = World::by_the_clock(|profile| {
        *profile = ChainProfile {
            confirm: 3,
            poll: Duration::from_secs(1),
            freshness: Some(Freshness::DEFAULT),
            ..*profile
        }
    });
    let fixture = over::on(world.await).await;
    let world = &fixture.world;
    world.node.automine(false).await;
    let miner = tokio::spawn(mine_five_a_second(world.node.provider.clone()));
    let proxy = Proxy::start(&world.node.provider).await;
    let stores = [memory(), memory()];
    let running = Running::start(&fixture, &proxy, stores.clone()).await;
    let request = fixture.request(HOUR);
    let opened = over::payer(world, &world.reader, &fixture.payer, stores[0].clone());
    let id = opened.create_deposit(&request).await.unwrap().id;
    running.go_on(20).await;
    let before = world.head().await;
    for _ in 0..10 {
        running.pay().await.unwrap();
        sleep(Duration::from_millis(200)).await;
    }
    let blocks = world.head().await - before;
    assert!(blocks > 5, "only {blocks} blocks in two seconds");

    // The node is away for 12 seconds, and 60 blocks.
    proxy.fail("", Fault::Status(503));
    sleep(Duration::from_secs(12)).await;
    proxy.heal();
    running.go_on(15).await;
    running.kill();
    sleep(Duration::from_secs(2)).await;
    let running = Running::start(&fixture, &proxy, stores).await;
    running.go_on(15).await;

    let payee = running.payee.payee();
    let account = payee.policy().payee;
    let taken = payee.position(id).await.unwrap().unwrap().total();
    let spent = running.payer.payer().spent_and_left(id, account).await;
    assert_eq!(spent.unwrap().unwrap().0, taken);
    running.kill();
    miner.abort();
}

/// The chain makes blocks with times an hour old, and jumps to the present.
#[tokio::test]
async fn services_go_on_after_a_chain_has_caught_up() {
    let fixture = over::by_the_clock(Freshness::DEFAULT).await;
    let world = &fixture.world;
    world.node.automine(false).await;
    let miner = tokio::spawn(mine_five_a_second(world.node.provider.clone()));
    let proxy = Proxy::start(&world.node.provider).await;
    let stores = [memory(), memory()];
    let running = Running::start(&fixture, &proxy, stores.clone()).await;
    let opened = over::payer(world, &world.reader, &fixture.payer, stores[0].clone());
    let request = fixture.request(HOUR);
    opened.create_deposit(&request).await.unwrap();
    running.go_on(20).await;
    for behind in [3_600, 90] {
        proxy.fail("eth_getBlockByNumber", Fault::TimeShift(-behind));
        running.stop(20).await;
        proxy.heal();
        running.go_on(20).await;
    }
    running.kill();
    miner.abort();
}

#[tokio::test]
async fn pays_at_once_after_chain_has_caught_up() {
    let fixture = over::by_the_clock(Freshness::DEFAULT).await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let bank = world.reader.bank().address();
    let reader = Reader::open(connect(&proxy.url).await.unwrap(), bank);
    let reader = reader.await.unwrap().with_profile(*world.reader.profile());
    let payer = over::payer(world, &reader, &fixture.payer, fixture.store.clone());
    let payee = over::payee(world, &reader, &fixture.payees[0], memory());
    let account = fixture.payees[0].address;
    let request = fixture.request(3 * HOUR);
    let id = open_deposit(world, &payer, &request).await.id;
    let mut paid = 0;
    let mut pay = async || {
        let payment = payer.write_cheque(id, account, coins(1)).await.unwrap();
        let taken = payee.receive_payment(None, &payment.proof).await.unwrap();
        paid += 1;
        assert_eq!(taken.total, coins(paid));
    };
    pay().await;
    let proof = payer.opening_proof(id, account).await.unwrap().unwrap();
    // The rollup makes blocks with old times: an hour behind, then ever less.
    for behind in [3_600, 1_800, 90] {
        proxy.fail("eth_getBlockByNumber", Fault::TimeShift(-behind));
        sleep(STALE).await;
        for _ in 0..3 {
            world.node.mine(1).await;
            let refused = payer.write_cheque(id, account, coins(1)).await;
            refused.unwrap_err();
            let refused = rejection(payee.receive_payment(None, &proof).await);
            assert_eq!(refused.code(), "stale_view", "{refused}");
        }
        proxy.heal();
        // The head jumps over the gap, and both go on.
        sleep(STALE).await;
        pay().await;
    }
    // A thousand blocks within a second.
    let interval = [0];
    world
        .node
        .anvil("anvil_setBlockTimestampInterval", interval)
        .await;
    world.node.mine(1_000).await;
    sleep(STALE).await;
    pay().await;
}
