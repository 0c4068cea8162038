//! Payers and payees over a reader other than the world's, with the world's beacon; chains with the machine's time.

use crate::{
    fixtures::{Fixture, memory},
    node::{Account, Node, World, beacon::PERIOD, policy},
};
use cheque::{
    ChainProfile, ClockError, Freshness, Policy,
    bank::{BankError, HeadCheckError, Reader},
    payee::Payee,
    payer::{Payer, PayerError},
    store::Store,
};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// The payer of an account.
pub(crate) fn payer(
    world: &World,
    reader: &Reader,
    account: &Account,
    store: Arc<dyn Store>,
) -> Payer {
    Payer::new(reader.clone(), store)
        .with_beacon(world.beacon.client.clone())
        .unwrap()
        .with_wallet(account.wallet.clone())
        .with_key(account.key.clone())
}

/// The payee of an account, with the tests' policy and without the account's key.
pub(crate) fn payee(
    world: &World,
    reader: &Reader,
    account: &Account,
    store: Arc<dyn Store>,
) -> Payee {
    with_policy(world, reader, policy(reader, account.address), store)
        .with_wallet(account.wallet.clone())
}

/// A payee without a wallet.
pub(crate) fn with_policy(
    world: &World,
    reader: &Reader,
    policy: Policy,
    store: Arc<dyn Store>,
) -> Payee {
    let payee = Payee::new(reader.clone(), policy, store).unwrap();
    payee.with_beacon(world.beacon.client.clone()).unwrap()
}

/// Bounds on the clocks that the heads of [`behind_the_clock`] keep. With bounds, heads are compared with earlier ones.
const LOOSE: Freshness = Freshness {
    max_ahead: 10,
    max_head_age: 3_600,
    max_round_age: 3_600,
};

/// The world's bank by a reader for which the node's `finalized` block is final, instead of the head: the one 64 blocks ago,
/// which is 64 seconds.
pub(crate) fn final_after_64_seconds(world: &World) -> Reader {
    let profile = ChainProfile {
        finality: 64,
        ..*world.reader.profile()
    };
    world.reader.clone().with_profile(profile)
}

/// The accounts of a [`Fixture`] on a chain with the time of the machine's clock, within these bounds.
pub(crate) async fn by_the_clock(bounds: Freshness) -> Fixture {
    let world = World::by_the_clock(|profile| profile.freshness = Some(bounds));
    on(world.await).await
}

/// The same without bounds.
pub(crate) async fn by_the_clock_without_bounds() -> Fixture {
    let world = World::by_the_clock(|profile| profile.freshness = None);
    on(world.await).await
}

/// The accounts of a [`Fixture`] on a chain half an hour behind the machine's clock, where a block is this many seconds
/// after the one before. Its readers compare heads with earlier ones.
pub(crate) async fn behind_the_clock(interval: u64) -> Fixture {
    let node = Node::start_at(unix_now() - 1_800).await;
    node.anvil("anvil_setBlockTimestampInterval", [interval])
        .await;
    let mut world = World::on(node, PERIOD).await;
    let profile = ChainProfile {
        freshness: Some(LOOSE),
        ..*world.reader.profile()
    };
    world.reader = world.reader.with_profile(profile);
    on(world).await
}

/// The time of the machine's clock, in seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "payers and payees read the same clock"
)]
pub(crate) fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// The accounts of a [`Fixture`] in a world.
pub(crate) async fn on(world: World) -> Fixture {
    let payer = world.account(1).await;
    let payees = vec![
        world.account(11).await,
        world.account(12).await,
        world.account(13).await,
    ];
    Fixture {
        world,
        payer,
        payees,
        store: memory(),
    }
}

/// True if a payer refuses because chain or beacon are ahead of the machine's clock.
pub(crate) fn is_clock_behind(error: &PayerError) -> bool {
    matches!(
        error,
        PayerError::Clock(ClockError::ClockBehind { .. })
            | PayerError::Bank(BankError::Head(HeadCheckError::Ahead { .. }))
    )
}
