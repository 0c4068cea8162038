//! Types shared by the vector files.

use alloy_primitives::{Address, B256, U256};
use cheque::{Bank, Deposit};
use serde::{Deserialize, Deserializer, de};
use std::{borrow::Cow, fmt, str::FromStr};

/// Reads `contracts/test/vectors/$name.json`.
macro_rules! vectors {
    ($name:literal) => {
        serde_json::from_str(include_str!(concat!(
            "../../../contracts/test/vectors/",
            $name,
            ".json"
        )))
        .unwrap()
    };
}
pub(crate) use vectors;

/// An integer, written as a decimal string in the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Int<T>(pub(crate) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Int<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// Chain and bank of a vector.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Place {
    chain_id: Int<u64>,
    bank: Address,
}

impl Place {
    pub(crate) fn bank(&self) -> Bank {
        Bank::new(self.chain_id.0, self.bank)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terms {
    payer: Address,
    signer: Address,
    token: Address,
    lane: Int<u64>,
    amount: Int<u128>,
    min_payout: Int<u128>,
    draw_time: Int<u64>,
    redeem_until: Int<u64>,
    root: B256,
}

/// Deserializes a deposit's terms, for `#[serde(deserialize_with)]`.
pub(crate) fn deposit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Deposit, D::Error> {
    let terms = Terms::deserialize(deserializer)?;
    Ok(Deposit {
        payer: terms.payer,
        signer: terms.signer,
        token: terms.token,
        lane: terms.lane.0,
        amount: terms.amount.0,
        minPayout: terms.min_payout.0,
        drawTime: terms.draw_time.0,
        redeemUntil: terms.redeem_until.0,
        root: terms.root,
    })
}

/// Terms with only the fields set from which a proof and a payout follow.
pub(crate) fn deposit_of(root: B256, amount: u128, min_payout: u128) -> Deposit {
    Deposit {
        payer: Address::ZERO,
        signer: Address::ZERO,
        token: Address::ZERO,
        lane: 1,
        amount,
        minPayout: min_payout,
        drawTime: 300,
        redeemUntil: 301,
        root,
    }
}

/// The word of a purse with this open deposit.
pub(crate) fn word(id: B256) -> U256 {
    U256::from_be_bytes(id.0)
}
