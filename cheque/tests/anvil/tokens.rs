//! Deposits in tokens.

use crate::cast::{Cast, memory, opened, play, poll, rejection};
use crate::lagging::lagging;
use crate::node;
use crate::node::{Party, World, coins};
use alloy::{consensus::Transaction, providers::Provider};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::sol;
use cheque::{Amount, Rejection, TokenLimits};
use cheque::{
    bank::{NativeRate, NativeRates},
    payee::{Payee, RedeemOptions},
    payer::PayerError,
    tx::Call,
};
use std::time::Duration;

sol! {
    interface TestToken {
        function mint(address to, uint256 amount) external;
    }
}

/// Deploys `TestToken` of the Solidity tests.
async fn test_token(world: &World, party: &Party) -> Address {
    let artifact = node::compiled("contracts/test/mocks/TestToken.sol", "TestToken");
    let decimals = U256::from(6).to_be_bytes_vec();
    let code = [&artifact[..], &decimals].concat();
    let deploy = Call {
        to: cheque_bindings::CREATE2_DEPLOYER,
        input: [&[0; 32], &code[..]].concat().into(),
        value: U256::ZERO,
    };
    party.wallet.send(&deploy).await.unwrap();
    let token = cheque_bindings::CREATE2_DEPLOYER.create2_from_code(B256::ZERO, code);
    mint(party, token, Amount::new(10_000_000_000)).await;
    assert_eq!(world.reader.token(token).decimals().await.unwrap(), 6);
    token
}

async fn mint(to: &Party, token: Address, amount: Amount) {
    let mint = Call::new(
        token,
        &TestToken::mintCall {
            to: to.address,
            amount: amount.to_u256(),
        },
    );
    to.wallet.send(&mint).await.unwrap();
}

#[tokio::test]
async fn a_deposit_in_tokens_is_funded_opened_paid_won_and_redeemed() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let token = test_token(world, &cast.payer).await;
    // 1 million units, one whole token, are worth 0.0004 coins.
    let mut rates = NativeRates::default();
    rates.set(
        token,
        NativeRate::new(400_000_000_000_000, 1_000_000).unwrap(),
    );
    let (payer, _) = cast.players();
    let mut request = cast.request(60);
    request.token = token;
    request.min_payout = None;
    let million = Amount::new(1_000_000_000);
    request.allowances = cast
        .payees
        .iter()
        .map(|payee| (payee.address, million))
        .collect();

    let refused = payer.create_deposit(&request).await.unwrap_err();
    assert!(matches!(refused, PayerError::NoRate(of) if of == token));
    let payer = payer.with_rates(rates.clone());
    let total = Amount::new(3_000_000_000);
    let refused = payer.create_deposit(&request).await.unwrap_err();
    assert!(matches!(refused, PayerError::NotFunded { missing, .. } if missing == total));
    // What is left of an approval is taken back first: some tokens change none that is not zero.
    let left = Call::approve(world.reader.bank(), token, U256::from(1));
    cast.payer.wallet.send(&left).await.unwrap();
    let sent = payer.ensure_funded(token, total).await.unwrap();
    assert_eq!(sent.len(), 3, "two approvals and a transfer");
    let mut approved = Vec::new();
    for sent in &sent[..2] {
        let found = world.node.provider.get_transaction_by_hash(sent.hash).await;
        let found = found.unwrap().unwrap();
        approved.push(U256::from_be_slice(&found.input()[36..]));
    }
    assert_eq!(approved, [U256::ZERO, total.to_u256()]);
    let opened = opened(world, &payer, &request).await;
    // 50 times the cost of redeeming, in the token.
    let prices = world.reader.prices().await.unwrap();
    let least = opened.deposit.minPayout;
    assert!(least > 0 && least < total.get(), "{least}");
    let dear = rates.of(token).unwrap().units_up(prices.wei(400_000)).get() * 50;
    assert!(least < dear, "{least} {dear}");

    let limits = TokenLimits {
        max_deposit: total,
        max_exposure: total,
    };
    let payees: Vec<_> = cast
        .payees
        .iter()
        .map(|party| {
            let mut policy = world.policy(party);
            policy.tokens.insert(token, limits);
            Payee::new(world.reader.clone(), policy, memory()).with_wallet(party.wallet.clone())
        })
        .collect();
    let first = payer.write_cheque(opened.id, cast.payees[0].address, Amount::new(1_000_000));
    let proof = first.await.unwrap().proof.unwrap();
    let refused = payees[0].receive_payment(None, &proof).await;
    assert_eq!(rejection(refused), Rejection::TokenWithoutRate(token));
    let payees: Vec<_> = payees
        .into_iter()
        .map(|payee| payee.with_rates(rates.clone()))
        .collect();
    payees[0].receive_payment(None, &proof).await.unwrap();

    let (winner, payout) = play(world, &payer, &payees, &opened).await;
    let to = Address::repeat_byte(0x66);
    let options = RedeemOptions { to, consent: None };
    let redeemed = payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!((redeemed.payout, payout), (total, total));
    let held = world.reader.token(token).balance(to).await.unwrap();
    assert_eq!(held, total.to_u256());
}

#[tokio::test]
async fn a_token_deposit_that_was_mined_meanwhile_does_not_lack_money() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let token = test_token(world, &cast.payer).await;
    let (payer, _) = cast.players();
    let mut request = cast.request(60);
    request.token = token;
    let total = coins(600);
    payer.ensure_funded(token, total).await.unwrap_err();
    mint(&cast.payer, token, total).await;
    payer.ensure_funded(token, total).await.unwrap();
    // Mined at once, but this process is gone before it sees the receipt.
    let killed = lagging(world, 1, usize::MAX).with_timeout(Duration::ZERO);
    let killed = payer.clone().with_wallet(killed);
    killed.create_deposit(&request).await.unwrap_err();
    let id = payer.deposits().await.unwrap()[0].0;
    let opened = payer.open(id).await.unwrap();
    assert_eq!(opened.sent.block, world.head().await);
    // The same again, until the deposit counts.
    let again = payer.open(id).await.unwrap();
    assert_eq!(again.sent.hash, opened.sent.hash);
    poll(&payer).await;
    let again = payer.open(id).await.unwrap_err();
    assert!(
        matches!(again, PayerError::IsOpen(of) if of == id),
        "{again}"
    );
}
