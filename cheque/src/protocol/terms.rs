//! The terms of a deposit, its id, and the bank that holds it (SPEC sections 2 to 4).

use crate::protocol::{amount::Amount, hash::keccak};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{Eip712Domain, SolStruct};
pub use cheque_bindings::{Cheque, Deposit, Fund, Withdraw};
use cheque_bindings::{Consent, Open};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::LazyLock};

/// The id of a deposit: the EIP-712 digest of its terms under its bank's domain (SPEC section 3).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct DepositId(pub B256);

impl fmt::Display for DepositId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DepositId {
    type Err = <B256 as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A deployed `ChequeBank`: the contract's address on a chain, and thereby the EIP-712 domain of its signed messages.
///
/// Does not check that the address holds a bank. Assumes that the chain id has not changed since the deployment; the
/// contract tells the two ids apart, which differ only after a chain split that changes the id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bank {
    chain_id: u64,
    address: Address,
    separator: B256,
}

impl Bank {
    /// Names the bank at `address` on chain `chain_id` (EIP-155).
    pub fn new(chain_id: u64, address: Address) -> Self {
        let separator = cheque_bindings::domain(chain_id, address).separator();
        Self {
            chain_id,
            address,
            separator,
        }
    }

    /// Returns the chain's EIP-155 id.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Returns the contract's address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Returns the EIP-712 domain, for wallets that show typed data.
    pub fn domain(&self) -> Eip712Domain {
        cheque_bindings::domain(self.chain_id, self.address)
    }

    /// Computes the id of a deposit with these terms.
    pub fn deposit_id(&self, deposit: &Deposit) -> DepositId {
        DepositId(self.digest(deposit))
    }

    /// Computes the digest that the signer signs to write a cheque.
    pub fn cheque_digest(&self, cheque: &Cheque) -> B256 {
        self.digest_of(cheque_hash(cheque))
    }

    /// Computes the digest that a payer signs to let anybody open its deposit until `deadline` (seconds since 1970,
    /// inclusive).
    pub fn open_digest(&self, deposit: DepositId, deadline: U256) -> B256 {
        self.digest(&Open {
            depositId: deposit.0,
            deadline,
        })
    }

    /// Computes the digest that `payee` signs to let anybody redeem its cheque at exactly the total `spent`, paid to
    /// `to` (zero: the payee's balance in the bank).
    ///
    /// A consent stays valid, so a payee must not sign one before the draw time (SPEC section 13.5).
    pub fn consent_digest(
        &self,
        deposit: DepositId,
        payee: Address,
        spent: Amount,
        to: Address,
    ) -> B256 {
        self.digest(&Consent {
            depositId: deposit.0,
            payee,
            spent: spent.get(),
            to,
        })
    }

    /// Computes the digest that an owner signs to let anybody withdraw its idle money.
    pub fn withdraw_digest(&self, withdraw: &Withdraw) -> B256 {
        self.digest(withdraw)
    }

    /// Computes the nonce of the ERC-3009 authorization that funds an account (SPEC section 9.2).
    pub fn fund_digest(&self, fund: &Fund) -> B256 {
        self.digest(fund)
    }

    /// Computes keccak256(0x1901 ‖ domain separator ‖ struct hash), EIP-712.
    fn digest(&self, message: &impl SolStruct) -> B256 {
        self.digest_of(message.eip712_hash_struct())
    }

    fn digest_of(&self, struct_hash: B256) -> B256 {
        keccak([
            &[0x19, 0x01],
            self.separator.as_slice(),
            struct_hash.as_slice(),
        ])
    }
}

/// Computes the EIP-712 struct hash of a cheque. A payee does so for every payment, so unlike alloy's function this
/// neither allocates nor hashes the type again.
fn cheque_hash(cheque: &Cheque) -> B256 {
    static TYPE: LazyLock<B256> = LazyLock::new(|| Cheque::default().eip712_type_hash());
    let word = |number: u128| {
        let mut word = [0; 32];
        word[16..].copy_from_slice(&number.to_be_bytes());
        word
    };
    keccak([
        TYPE.as_slice(),
        cheque.depositId.as_slice(),
        cheque.payee.into_word().as_slice(),
        &word(cheque.spent),
        cheque.anchor.as_slice(),
        &word(cheque.step),
    ])
}

impl fmt::Debug for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bank({} on chain {})", self.address, self.chain_id)
    }
}

/// The reason why no bank opens a deposit with these terms at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermsError {
    /// The deposit locks nothing.
    #[error("the deposit's amount is zero")]
    ZeroAmount,
    /// Without a signer, no cheque is valid.
    #[error("the deposit names no signer")]
    ZeroSigner,
    /// Lane 0 is the account's balance.
    #[error("lane 0 holds no deposit; lanes start at 1")]
    ZeroLane,
    /// The smallest payout exceeds the deposit.
    #[error("the smallest payout {min_payout} is more than the deposit's amount {amount}")]
    MinPayoutTooHigh {
        /// The smallest payout, in token units.
        min_payout: Amount,
        /// The deposit's amount, in token units.
        amount: Amount,
    },
    /// No time is left to redeem a win.
    #[error(
        "the last time to redeem, {redeem_until}, is not after the draw time {draw_time}; choose a longer window"
    )]
    RedeemWindowEmpty {
        /// The time of the draw, seconds since 1970.
        draw_time: u64,
        /// The last time that may redeem, seconds since 1970.
        redeem_until: u64,
    },
    /// The builder was given no draw time. Not returned by [`check_terms`].
    #[error("the deposit names no draw time; set one")]
    NoDrawTime,
}

/// Checks the terms that `open` rejects at any time: amounts, signer, lane, redemption window (SPEC section 3).
///
/// Does not check the lead to the draw time, the beacon's schedule, the payer, or the tree behind the root.
///
/// # Errors
///
/// The first broken term.
pub fn check_terms(deposit: &Deposit) -> Result<(), TermsError> {
    if deposit.amount == 0 {
        return Err(TermsError::ZeroAmount);
    }
    if deposit.signer.is_zero() {
        return Err(TermsError::ZeroSigner);
    }
    if deposit.lane == 0 {
        return Err(TermsError::ZeroLane);
    }
    if deposit.minPayout > deposit.amount {
        return Err(TermsError::MinPayoutTooHigh {
            min_payout: Amount::new(deposit.minPayout),
            amount: Amount::new(deposit.amount),
        });
    }
    if deposit.redeemUntil <= deposit.drawTime {
        return Err(TermsError::RedeemWindowEmpty {
            draw_time: deposit.drawTime,
            redeem_until: deposit.redeemUntil,
        });
    }
    Ok(())
}

/// The contents of a purse with lane >= 1 (SPEC section 4). Exhaustive by design: the bank's word has no third reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purse {
    /// Money that no deposit locks.
    Idle(Amount),
    /// An open deposit, and no other money.
    Open(DepositId),
}

impl Purse {
    /// Reads the bank's word of a purse: idle money below 2^128, the id of a deposit from there on.
    pub fn from_word(word: U256) -> Self {
        match u128::try_from(word) {
            Ok(idle) => Self::Idle(Amount::new(idle)),
            Err(_) => Self::Open(DepositId(word.into())),
        }
    }

    /// Returns the bank's word of the purse.
    pub fn word(self) -> U256 {
        match self {
            Self::Idle(idle) => idle.to_u256(),
            Self::Open(id) => id.0.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms() -> Deposit {
        Deposit {
            payer: Address::repeat_byte(1),
            signer: Address::repeat_byte(2),
            token: Address::ZERO,
            lane: 1,
            amount: 10,
            minPayout: 10,
            drawTime: 300,
            redeemUntil: 301,
            root: B256::repeat_byte(3),
        }
    }

    #[test]
    fn accepts_terms_at_their_limits_and_rejects_beyond() {
        assert_eq!(check_terms(&terms()), Ok(()));
        let broken = |change: fn(&mut Deposit)| {
            let mut deposit = terms();
            change(&mut deposit);
            check_terms(&deposit).unwrap_err()
        };
        assert_eq!(broken(|d| d.amount = 0), TermsError::ZeroAmount);
        assert_eq!(broken(|d| d.signer = Address::ZERO), TermsError::ZeroSigner);
        assert_eq!(broken(|d| d.lane = 0), TermsError::ZeroLane);
        assert!(matches!(
            broken(|d| d.minPayout = 11),
            TermsError::MinPayoutTooHigh { .. }
        ));
        assert!(matches!(
            broken(|d| d.redeemUntil = 300),
            TermsError::RedeemWindowEmpty { .. }
        ));
    }

    #[test]
    fn reads_purse_words_from_2_to_the_128_on_as_ids() {
        let edge = U256::from(1) << 128;
        assert_eq!(
            Purse::from_word(edge - U256::from(1)),
            Purse::Idle(Amount::MAX)
        );
        assert_eq!(Purse::from_word(edge), Purse::Open(DepositId(edge.into())));
        for word in [U256::ZERO, edge - U256::from(1), edge, U256::MAX] {
            assert_eq!(Purse::from_word(word).word(), word);
        }
    }

    proptest! {
        #[test]
        fn hashes_cheques_like_alloy(
            id: [u8; 32], payee: [u8; 20], spent: u128, anchor: [u8; 32], step: u128, chain: u64
        ) {
            let cheque = Cheque {
                depositId: id.into(),
                payee: payee.into(),
                spent,
                anchor: anchor.into(),
                step,
            };
            let bank = Bank::new(chain, Address::repeat_byte(9));
            prop_assert_eq!(
                bank.cheque_digest(&cheque),
                cheque.eip712_signing_hash(&bank.domain())
            );
        }
    }

    #[test]
    fn computes_alloys_digests_per_chain_and_bank() {
        let bank = Bank::new(1, Address::repeat_byte(9));
        let id = bank.deposit_id(&terms());
        assert_eq!(id.0, terms().eip712_signing_hash(&bank.domain()));
        assert_ne!(
            id,
            Bank::new(2, Address::repeat_byte(9)).deposit_id(&terms())
        );
        assert_ne!(
            id,
            Bank::new(1, Address::repeat_byte(8)).deposit_id(&terms())
        );
    }
}
