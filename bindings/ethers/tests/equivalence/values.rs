//! Values with no two equal fields, and their conversion to ethers' types.

use ::ethers::core::types as eth;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use cheque_bindings as alloy;
use cheque_bindings_ethers as ethers;

/// A different address for every `n`.
pub(crate) fn account(n: u8) -> Address {
    Address::from_slice(&keccak256([n])[..20])
}

/// A different 32 bytes for every `n`.
pub(crate) fn word(n: u8) -> B256 {
    keccak256([n, n])
}

/// A different large number for every `n`.
pub(crate) fn number(n: u8) -> U256 {
    word(n).into()
}

/// `len` bytes, different for every `n`; most lengths need padding in the ABI.
pub(crate) fn bytes(n: u8, len: usize) -> Bytes {
    word(n).iter().copied().cycle().take(len).collect()
}

pub(crate) fn eth_address(address: Address) -> eth::Address {
    address.into_array().into()
}

pub(crate) fn eth_number(number: U256) -> eth::U256 {
    eth::U256::from_big_endian(&number.to_be_bytes::<32>())
}

pub(crate) fn eth_bytes(bytes: &Bytes) -> eth::Bytes {
    bytes.to_vec().into()
}

/// Different terms for every `n`, up to the last value of each type.
pub(crate) fn deposit(n: u8) -> alloy::Deposit {
    alloy::Deposit {
        payer: account(n),
        signer: account(n + 1),
        token: account(n + 2),
        lane: u64::MAX - u64::from(n),
        amount: u128::MAX - u128::from(n),
        minPayout: 1 << (100 + n),
        drawTime: 1_800_000_000 + u64::from(n),
        redeemUntil: 1_800_086_400 + u64::from(n),
        root: word(n),
    }
}

pub(crate) fn eth_deposit(deposit: &alloy::Deposit) -> ethers::Deposit {
    ethers::Deposit {
        payer: eth_address(deposit.payer),
        signer: eth_address(deposit.signer),
        token: eth_address(deposit.token),
        lane: deposit.lane,
        amount: deposit.amount,
        min_payout: deposit.minPayout,
        draw_time: deposit.drawTime,
        redeem_until: deposit.redeemUntil,
        root: deposit.root.0,
    }
}

pub(crate) fn authorization() -> alloy::Authorization {
    alloy::Authorization {
        value: number(40),
        validAfter: number(41),
        validBefore: number(42),
        v: 28,
        r: word(43),
        s: word(44),
    }
}

pub(crate) fn eth_authorization(authorization: &alloy::Authorization) -> ethers::Authorization {
    ethers::Authorization {
        value: eth_number(authorization.value),
        valid_after: eth_number(authorization.validAfter),
        valid_before: eth_number(authorization.validBefore),
        v: authorization.v,
        r: authorization.r.0,
        s: authorization.s.0,
    }
}
