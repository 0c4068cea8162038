//! The payer's service, killed and stuck.

use crate::cast::Cast;
use crate::node::{World, coins};
use crate::payer_service::{fees, rounds};
use alloy::{network::EthereumWallet, signers::local::PrivateKeySigner};
use alloy_primitives::{Address, B256};
use cheque::payer::{PayerService, Rounds};
use cheque::store::Redb;
use cheque::{Amount, SigningKey};
use cheque::{
    bank::{FoundDeposit, Reader},
    node::connect,
    payer::{DepositRecord, DepositState, Draw, Payer},
    tx::Wallet,
};
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// The payer's number.
const PAYER: u8 = 1;

/// Runs `work` until it is done, or is to die when it would go on: it is dropped where it waits then.
pub(crate) async fn killed_when<T>(
    mut dies: impl FnMut() -> bool,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        if dies() {
            return Poll::Ready(None);
        }
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// A process of the payer's own that is killed after so many steps.
pub(crate) fn process<T>(
    url: &str,
    bank: Address,
    store: &Path,
    steps: usize,
    work: impl AsyncFnOnce(Payer) -> T,
) -> Option<T> {
    let mut left = steps;
    let dies = move || match left.checked_sub(1) {
        Some(less) => {
            left = less;
            false
        }
        None => true,
    };
    apart(url, bank, PAYER, async |reader, wallet| {
        let payer = Payer::new(reader, Arc::new(Redb::open(store).unwrap()))
            .with_wallet(wallet)
            .with_key(SigningKey::from_bytes(&[PAYER; 32]).unwrap());
        killed_when(dies, work(payer)).await
    })
}

/// A process of its own of the party with this number: its own connection, and gone with all its tasks when it returns.
pub(crate) fn apart<T>(
    url: &str,
    bank: Address,
    number: u8,
    work: impl AsyncFnOnce(Reader, Wallet) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let reader = Reader::open(connect(url).await.unwrap(), bank)
            .await
            .unwrap();
        let wallet = PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).unwrap();
        let provider = reader.provider().clone();
        let wallet = Wallet::new(provider, EthereumWallet::from(wallet), 31_337);
        work(reader, wallet).await
    })
}

/// Whether cheques can be written from a deposit for longer than until the next is opened.
fn is_next(record: &DepositRecord, head: u64) -> bool {
    match record.state {
        DepositState::Pending => true,
        DepositState::Active => head + 20 < record.deposit.drawBlock,
        _ => false,
    }
}

#[test]
fn a_service_that_is_killed_anywhere_again_and_again_opens_no_round_twice_and_forgets_no_payment() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cast = runtime.block_on(Cast::new());
    let world = &cast.world;
    let (url, bank) = (&world.node.url, world.reader.bank().address());
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("payer");
    let payee = cast.payees[2].address;
    let service = |payer| PayerService::new(payer, Some(rounds(&cast)));
    let (mut paid, mut unsure) = (Amount::ZERO, 0);
    for kill in 0..150 {
        // From the first wait of a step to beyond its last.
        let steps = 1 + kill * 7 % 90;
        process(url, bank, &store, steps, async |payer| {
            service(payer).step().await
        });
        let payment = process(url, bank, &store, 1 + kill % 40, async |payer| {
            service(payer)
                .pay(payee, Address::ZERO, Amount::new(1))
                .await
        });
        match payment {
            Some(Ok(_)) => paid = paid.checked_add(Amount::new(1)).unwrap(),
            Some(Err(_)) => {}
            None => unsure += 1,
        }
        let head = runtime.block_on(async {
            world.node.mine(1).await;
            world.head().await
        });
        let deposits = process(url, bank, &store, usize::MAX, async |payer| {
            payer.deposits().await.unwrap()
        });
        let next = deposits
            .unwrap()
            .into_iter()
            .filter(|(_, record)| is_next(record, head))
            .count();
        assert!(next <= 1, "{next} rounds to pay from after kill {kill}");
    }
    let spent = process(url, bank, &store, usize::MAX, async |payer| {
        service(payer.clone()).step().await.unwrap();
        let mut spent = Amount::ZERO;
        for (id, _) in payer.deposits().await.unwrap() {
            spent = spent.checked_add(payer.spent(id).await.unwrap()).unwrap();
        }
        (spent, payer.deposits().await.unwrap())
    });
    let (spent, deposits) = spent.unwrap();
    let possible = paid.checked_add(Amount::new(unsure)).unwrap();
    assert!(
        paid <= spent && spent <= possible,
        "{paid} <= {spent} <= {possible}"
    );
    assert!(!paid.is_zero() && unsure > 0);

    let lost = |record: &DepositRecord| record.state == DepositState::NeverOpened;
    let stored = deposits.iter().filter(|(_, record)| !lost(record)).count();
    runtime.block_on(async {
        let opened = opened(world, cast.payer.address).await;
        assert!(opened.len() >= 5, "{opened:?}");
        assert_eq!(opened.len(), stored, "what is open is in the store");
        // `fees` has seen none fail: each transaction opened another round, or took one back that none took over.
        let (_, count) = fees(world, cast.payer.address).await;
        let taken_back = deposits
            .iter()
            .filter(|(_, record)| record.state == DepositState::Reclaimed);
        let count = usize::try_from(count).unwrap();
        assert!(
            (stored..=stored + taken_back.count()).contains(&count),
            "{count} transactions"
        );
    });
}

async fn opened(world: &World, payer: Address) -> Vec<FoundDeposit> {
    let head = world.head().await;
    world.reader.find_deposits(payer, 0, head).await.unwrap()
}

/// Makes the next block so dear that nothing waiting gets in, and mines it.
async fn dear_block(world: &World) {
    let dear = "0x2540be400";
    world
        .node
        .anvil("anvil_setNextBlockBaseFeePerGas", [dear])
        .await;
    world.node.mine(1).await;
}

#[tokio::test]
async fn a_stuck_opening_is_sent_again_for_more_under_its_nonce_and_holds_up_nothing_else() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    // Another deposit, from which payments go on.
    let mut request = cast.request(0);
    request.draw = Draw::At(world.head().await + 120);
    let list: Vec<_> = request.allowances.clone();
    let other = payer.create_deposit(&request).await.unwrap().id;
    let mut of_rounds = rounds(&cast);
    of_rounds.draw_in = 100;
    // The other one is nearly spent from the first payment on.
    of_rounds.nearly_spent = (1, u32::MAX);
    let limited = cast.payer.wallet.clone().with_max_fee(15_000_000_000);
    let service = |wallet, rounds: &Rounds| {
        let payer = payer.clone().with_wallet(wallet);
        PayerService::new(payer, Some(rounds.clone()))
    };
    let frugal = service(limited, &of_rounds);
    frugal.step().await.unwrap();
    let pay = async |service: &PayerService| {
        let paid = service
            .pay(list[0].0, Address::ZERO, coins(1))
            .await
            .unwrap();
        assert_eq!(paid[0].deposit, other);
    };
    pay(&frugal).await;

    world.node.anvil("evm_setAutomine", [false]).await;
    dear_block(world).await;
    world
        .node
        .anvil("anvil_setNextBlockBaseFeePerGas", ["0x3b9aca00"])
        .await;
    world.node.mine(1).await;
    frugal.step().await.unwrap();
    let pending = async |service: &PayerService| {
        let status = service.status().await.unwrap();
        let mut pending = status
            .into_iter()
            .filter(|status| status.record.state == DepositState::Pending);
        let found = pending.next().expect("it is stored");
        assert!(pending.next().is_none(), "and it is one");
        found
    };
    let waits = pending(&frugal).await;
    assert!(
        waits.reason.contains("waits to be mined"),
        "{}",
        waits.reason
    );
    for _ in 0..30 {
        dear_block(world).await;
        frugal.step().await.unwrap();
        pay(&frugal).await;
    }
    let refused = pending(&frugal).await;
    assert_eq!(refused.id, waits.id);
    assert!(
        refused.reason.contains("the limit is 15000000000"),
        "{}",
        refused.reason
    );
    assert!(
        refused.next.contains("tried again at block"),
        "{}",
        refused.next
    );

    // Another process, with a higher limit.
    let rich = service(cast.payer.wallet.clone(), &of_rounds);
    dear_block(world).await;
    rich.step().await.unwrap();
    let dearer = pending(&rich).await;
    assert_eq!(dearer.id, waits.id);
    assert!(
        dearer.reason.contains("waits to be mined"),
        "{}",
        dearer.reason
    );
    assert_ne!(dearer.reason, waits.reason, "another transaction");
    world.node.mine(1).await;
    rich.step().await.unwrap();
    let record = rich.payer().deposit(waits.id).await.unwrap();
    assert_eq!(record.state, DepositState::Active);
    assert_eq!(opened(world, cast.payer.address).await.len(), 2);
    assert_eq!(fees(world, cast.payer.address).await.1, 2, "nonces 0 and 1");
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(held, coins(1_200).to_u256(), "paid once");
}
