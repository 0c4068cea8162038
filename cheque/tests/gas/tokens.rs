//! Measures funding, opening and withdrawing in a token: the Solidity tests' plain ERC-20 with ERC-3009.

use crate::chain::{Account, Chain, Round, WINDOW, tree};
use crate::figures::Figures;
use crate::node::compiled;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolStruct, eip712_domain, sol};
use cheque::Amount;
use cheque::tx::Call;
use cheque_bindings::{Authorization, IChequeBank};

sol! {
    interface Token {
        function mint(address to, uint256 amount) external;
        function approve(address spender, uint256 amount) external returns (bool);
    }

    struct ReceiveWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
}

pub(crate) async fn measure(chain: &Chain, figures: &mut Figures) {
    let owner = chain.account("token owner").await;
    let token = token(chain, &owner).await;
    let odd = 1_234_567_890_123;
    let fund = Call::fund(&chain.bank, token, owner.address, Amount::new(odd));
    chain.send(owner.address, &fund).await;
    figures.set("fund_erc20", chain.send(owner.address, &fund).await);
    let withdraw = Call::withdraw(&chain.bank, token, 0, U256::from(odd), owner.address);
    figures.set("withdraw_erc20", chain.send(owner.address, &withdraw).await);

    // The purse holds the money of a reclaimed deposit of half the amount.
    let draw = chain.draw_in(100).await;
    let half = Round::new(&chain.bank, owner.address, tree(64), draw..draw + 100);
    let half = half.in_token(&chain.bank, token);
    let fund = Call::fund(&chain.bank, token, owner.address, half.tree.total());
    chain.send(owner.address, &fund).await;
    let open = Call::open(&chain.bank, &half.deposit, U256::ZERO);
    chain.send(owner.address, &open).await;
    chain.mine_at(half.deposit.redeemUntil + 1).await;
    let reclaim = Call::reclaim(&chain.bank, &half.deposit);
    chain.send(owner.address, &reclaim).await;

    let draw = chain.draw_in(10_000).await;
    let next = Round::new(&chain.bank, owner.address, tree(128), draw..draw + WINDOW);
    let next = next.in_token(&chain.bank, token);
    let missing = next.deposit.amount - half.deposit.amount;
    let open = IChequeBank::openWithAuthorizationCall {
        deposit: next.deposit.clone(),
        authorization: authorized(chain, &owner, token, missing, next.id.0),
    };
    let relayer = chain.account("relayer").await.address;
    let open = Call::new(chain.bank.address(), &open);
    let mut before = chain.snapshot().await;
    figures.set("open_with_authorization", chain.send(relayer, &open).await);
    chain.revert_to(&mut before).await;
}

/// Deploys a token, mints plenty for `owner` and approves the bank.
pub(crate) async fn token(chain: &Chain, owner: &Account) -> Address {
    let artifact = compiled(
        "contracts/test/mocks/AuthorizationToken.sol",
        "AuthorizationToken",
    );
    let decimals = U256::from(18).to_be_bytes_vec();
    let code = Bytes::from([artifact, decimals].concat());
    let token = chain.create(owner.address, code).await;
    chain.send(owner.address, &mint(token, owner.address)).await;
    let approve = Token::approveCall {
        spender: chain.bank.address(),
        amount: U256::from(u128::MAX),
    };
    chain.send(owner.address, &Call::new(token, &approve)).await;
    token
}

/// Mints tokens for `to`.
pub(crate) fn mint(token: Address, to: Address) -> Call {
    let amount = U256::from(u128::MAX);
    Call::new(token, &Token::mintCall { to, amount })
}

/// Signs the transfer of `value` units of the owner to the bank.
fn authorized(
    chain: &Chain,
    owner: &Account,
    token: Address,
    value: u128,
    nonce: B256,
) -> Authorization {
    let domain = eip712_domain! {
        name: "Authorization Token",
        version: "2",
        chain_id: chain.bank.chain_id(),
        verifying_contract: token,
    };
    let value = U256::from(value);
    let (valid_after, valid_before) = (U256::ZERO, U256::from(u32::MAX));
    let message = ReceiveWithAuthorization {
        from: owner.address,
        to: chain.bank.address(),
        value,
        validAfter: valid_after,
        validBefore: valid_before,
        nonce,
    };
    let signature = owner.key.sign(message.eip712_signing_hash(&domain));
    let bytes = signature.as_bytes();
    Authorization {
        value,
        validAfter: valid_after,
        validBefore: valid_before,
        v: bytes[64],
        r: B256::from_slice(&bytes[..32]),
        s: B256::from_slice(&bytes[32..64]),
    }
}
