//! The rate of a token from a feed on the chain.

use crate::fixtures::{Fixture, memory};
use crate::node::{self, Account, World};
use crate::over;
use alloy_primitives::{Address, B256, I256, U256};
use alloy_sol_types::sol;
use cheque::{
    bank::{NativeRate, RateBounds, RateFault, RateSource, TokenRates},
    tx::Call,
};
use std::time::{SystemTime, UNIX_EPOCH};

sol! {
    interface TestFeed {
        function set(int256 answer, uint256 updatedAt) external;
    }
}

const TOKEN: Address = Address::repeat_byte(0x70);

/// Deploys `TestFeed` of the Solidity tests, with 8 decimals as Chainlink's feeds of dollars have.
async fn test_feed(account: &Account) -> Address {
    let artifact = node::compiled("contracts/test/mocks/TestFeed.sol", "TestFeed");
    let decimals = U256::from(8).to_be_bytes_vec();
    let code = [&artifact[..], &decimals].concat();
    let deploy = Call {
        to: cheque_bindings::CREATE2_DEPLOYER,
        input: [&[0; 32], &code[..]].concat().into(),
        value: U256::ZERO,
    };
    account.wallet.send(&deploy).await.unwrap();
    cheque_bindings::CREATE2_DEPLOYER.create2_from_code(B256::ZERO, code)
}

#[expect(clippy::disallowed_methods, reason = "rates read the same clock")]
async fn set(account: &Account, feed: Address, answer: i64, age: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let set = TestFeed::setCall {
        answer: I256::try_from(answer).unwrap(),
        updatedAt: U256::from(now.as_secs() - age),
    };
    account.wallet.send(&Call::new(feed, &set)).await.unwrap();
}

/// Rates of a token with 6 decimals that were not read yet.
fn following(feed: Address) -> TokenRates {
    let rates = TokenRates::new();
    let bounds = RateBounds {
        max_age: 3_600,
        max_jump: 50,
    };
    rates
        .follow(TOKEN, 6, RateSource::Feed(feed), bounds)
        .unwrap();
    rates
}

async fn read(world: &World, feed: Address) -> Result<NativeRate, RateFault> {
    let rates = following(feed);
    rates.refresh(world.reader.provider()).await;
    rates.of(TOKEN)
}

#[tokio::test]
async fn payee_follows_feed_and_stops_its_token_when_it_is_old() {
    let fixture = Fixture::new().await;
    let (world, account) = (&fixture.world, &fixture.payer);
    let feed = test_feed(account).await;
    let unread = read(world, feed).await.unwrap_err();
    assert!(matches!(&unread, RateFault::Unread(_)), "{unread}");
    // 2,500.12345678 tokens of 6 decimals for a coin, exactly.
    set(account, feed, 250_012_345_678, 60).await;
    let rate = NativeRate::new(100_000_000_000_000_000_000, 250_012_345_678);
    assert_eq!(read(world, feed).await.ok(), rate);

    let payee = |rates: TokenRates| {
        let policy = world.policy(&fixture.payees[0]);
        over::with_policy(world, &world.reader, policy, memory()).with_rates(rates)
    };
    let good = payee(following(feed));
    let cost = good.redeem_cost(TOKEN, 1).await.unwrap().unwrap();
    let in_wei = good.redeem_cost(Address::ZERO, 1).await.unwrap().unwrap();
    assert_eq!(cost, rate.unwrap().units_up(in_wei.to_u256()));
    assert!(good.rates().faults().is_empty());

    set(account, feed, 250_012_345_678, 3_700).await;
    let old = payee(following(feed));
    assert_eq!(old.redeem_cost(TOKEN, 1).await.unwrap(), None);
    let coin = old.redeem_cost(Address::ZERO, 1).await.unwrap();
    assert!(coin.is_some());
    let faults = old.rates().faults();
    assert!(
        matches!(faults[&TOKEN], RateFault::Old { .. }),
        "{faults:?}"
    );

    for answer in [0, -1] {
        set(account, feed, answer, 0).await;
        let unread = read(world, feed).await.unwrap_err();
        assert!(matches!(&unread, RateFault::Unread(_)), "{unread}");
    }
    let none = read(world, Address::repeat_byte(0x66)).await.unwrap_err();
    assert!(none.to_string().contains("no feed"), "{none}");
}
