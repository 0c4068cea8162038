//! Deposits in tokens.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay_and_draw, poll, rejection};
use crate::late_receipts::late_receipts;
use crate::node;
use crate::node::{Account, World, coins};
use crate::over;
use alloy::{consensus::Transaction, providers::Provider};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::sol;
use cheque::{Amount, Rejection, TokenLimits};
use cheque::{
    bank::{NativeRate, NativeRates},
    payee::RedeemOptions,
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
async fn test_token(world: &World, account: &Account) -> Address {
    let artifact = node::compiled("contracts/test/mocks/TestToken.sol", "TestToken");
    let decimals = U256::from(6).to_be_bytes_vec();
    let code = [&artifact[..], &decimals].concat();
    let deploy = Call {
        to: cheque_bindings::CREATE2_DEPLOYER,
        input: [&[0; 32], &code[..]].concat().into(),
        value: U256::ZERO,
    };
    account.wallet.send(&deploy).await.unwrap();
    let token = cheque_bindings::CREATE2_DEPLOYER.create2_from_code(B256::ZERO, code);
    mint(account, token, Amount::new(10_000_000_000)).await;
    assert_eq!(world.reader.token(token).decimals().await.unwrap(), 6);
    token
}

async fn mint(to: &Account, token: Address, amount: Amount) {
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
async fn follows_token_deposit_from_funding_to_redemption() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let token = test_token(world, &fixture.payer).await;
    // 1 million units, one whole token, are worth 0.0004 coins.
    let mut rates = NativeRates::default();
    rates.set(
        token,
        NativeRate::new(400_000_000_000_000, 1_000_000).unwrap(),
    );
    let (payer, _) = fixture.actors();
    let mut request = fixture.request(HOUR);
    request.token = token;
    request.min_payout = None;
    let million = Amount::new(1_000_000_000);
    request.allowances = fixture
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
    // A rest of an approval is set to zero first, because some tokens refuse to change an approval that is not zero.
    let left = Call::approve(world.reader.bank(), token, U256::from(1));
    fixture.payer.wallet.send(&left).await.unwrap();
    let sent = payer.ensure_funded(token, total).await.unwrap();
    assert_eq!(sent.len(), 3, "not two approvals and a transfer");
    let mut approved = Vec::new();
    for sent in &sent[..2] {
        let found = world.node.provider.get_transaction_by_hash(sent.hash).await;
        let found = found.unwrap().unwrap();
        approved.push(U256::from_be_slice(&found.input()[36..]));
    }
    assert_eq!(approved, [U256::ZERO, total.to_u256()]);
    let opened = open_deposit(world, &payer, &request).await;
    // The default minimum payout: 50 times the cost of redeeming, in the token.
    let prices = world.reader.prices().await.unwrap();
    let least = opened.deposit.minPayout;
    assert!(least > 0 && least < total.get(), "{least}");
    let upper = rates.of(token).unwrap().units_up(prices.wei(400_000)).get() * 50;
    assert!(least < upper, "{least} {upper}");

    let limits = TokenLimits {
        max_deposit: Some(total),
        max_exposure: total,
    };
    let payees: Vec<_> = fixture
        .payees
        .iter()
        .map(|account| {
            let mut policy = world.policy(account);
            policy.tokens.insert(token, limits);
            over::with_policy(world, &world.reader, policy, memory())
                .with_wallet(account.wallet.clone())
        })
        .collect();
    let first = payer.write_cheque(opened.id, fixture.payees[0].address, Amount::new(1_000_000));
    let proof = first.await.unwrap().proof;
    let refused = payees[0].receive_payment(None, &proof).await;
    assert_eq!(rejection(refused), Rejection::TokenWithoutRate(token));
    let payees: Vec<_> = payees
        .into_iter()
        .map(|payee| payee.with_rates(rates.clone()))
        .collect();
    payees[0].receive_payment(None, &proof).await.unwrap();

    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    let to = Address::repeat_byte(0x66);
    let options = RedeemOptions { to, consent: None };
    let redeemed = payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!((redeemed.payout, payout), (total, total));
    let held = world.reader.token(token).balance(to).await.unwrap();
    assert_eq!(held, total.to_u256());
}

#[tokio::test]
async fn finds_mined_token_deposit_without_funding_it_again() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let token = test_token(world, &fixture.payer).await;
    let (payer, _) = fixture.actors();
    let mut request = fixture.request(HOUR);
    request.token = token;
    let total = coins(600);
    payer.ensure_funded(token, total).await.unwrap_err();
    mint(&fixture.payer, token, total).await;
    payer.ensure_funded(token, total).await.unwrap();
    // The node mines the transaction at once, and the process ends before it sees the receipt.
    let killed = late_receipts(world, 1, usize::MAX).with_timeout(Duration::ZERO);
    let killed = payer.clone().with_wallet(killed);
    killed.create_deposit(&request).await.unwrap_err();
    let id = payer.deposits().await.unwrap()[0].0;
    let opened = payer.open(id).await.unwrap();
    assert_eq!(opened.tx.block, world.head().await);
    // Opening returns the same transaction until the deposit is confirmed.
    let again = payer.open(id).await.unwrap();
    assert_eq!(again.tx.hash, opened.tx.hash);
    poll(&payer).await;
    let again = payer.open(id).await.unwrap_err();
    assert!(
        matches!(again, PayerError::IsOpen(of) if of == id),
        "{again}"
    );
}
