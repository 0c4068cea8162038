//! The terms of a deposit, its id, and the bank that holds it.

use crate::protocol::{amount::Amount, hash::keccak};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{Eip712Domain, SolStruct};
pub use cheque_bindings::{Cheque, Deposit, Fund, Withdraw};
use cheque_bindings::{Consent, Open};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::LazyLock};

/// Names one deposit: the EIP-712 digest of its terms under its bank's domain.
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

/// One deployed `ChequeBank`: the contract's address on a chain, and with it the EIP-712 domain of all that is signed
/// for it.
///
/// It takes the chain id as of the bank's deployment to be the current one; the contract keeps the two apart (they
/// differ only after a chain split that changes the id).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bank {
    chain_id: u64,
    address: Address,
    separator: B256,
}

impl Bank {
    /// The bank at `address` on chain `chain_id`. Does not check that there is one.
    pub fn new(chain_id: u64, address: Address) -> Self {
        let separator = cheque_bindings::domain(chain_id, address).separator();
        Self {
            chain_id,
            address,
            separator,
        }
    }

    /// The chain's EIP-155 id.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The contract's address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The EIP-712 domain, for wallets that want to show what they sign.
    pub fn domain(&self) -> Eip712Domain {
        cheque_bindings::domain(self.chain_id, self.address)
    }

    /// The id of a deposit with these terms.
    pub fn deposit_id(&self, deposit: &Deposit) -> DepositId {
        DepositId(self.digest(deposit))
    }

    /// What the signer signs to write a cheque.
    pub fn cheque_digest(&self, cheque: &Cheque) -> B256 {
        self.digest_of(cheque_hash(cheque))
    }

    /// What a payer signs to let anybody open its deposit until `deadline` (seconds since 1970, inclusive).
    pub fn open_digest(&self, deposit: DepositId, deadline: U256) -> B256 {
        self.digest(&Open {
            depositId: deposit.0,
            deadline,
        })
    }

    /// What a payee signs to let anybody redeem its cheque at exactly the total `spent`, paid to `to` (zero: to its
    /// balance in the bank).
    pub fn consent_digest(&self, deposit: DepositId, spent: Amount, to: Address) -> B256 {
        self.digest(&Consent {
            depositId: deposit.0,
            spent: spent.get(),
            to,
        })
    }

    /// What an owner signs to let anybody withdraw its idle money.
    pub fn withdraw_digest(&self, withdraw: &Withdraw) -> B256 {
        self.digest(withdraw)
    }

    /// The nonce of the ERC-3009 authorization that funds an account.
    pub fn fund_digest(&self, fund: &Fund) -> B256 {
        self.digest(fund)
    }

    /// keccak256(0x1901 ‖ domain separator ‖ struct hash), EIP-712.
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

/// The struct hash of a cheque. A payee computes one for every payment: unlike alloy's, this neither allocates nor hashes
/// the type again.
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

/// Why no bank would open a deposit with these terms, whatever the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermsError {
    /// The deposit locks nothing.
    #[error("the deposit's amount is zero")]
    ZeroAmount,
    /// Nobody could write cheques.
    #[error("the deposit names no signer")]
    ZeroSigner,
    /// Lane 0 is the plain balance.
    #[error("lane 0 holds no deposit; lanes start at 1")]
    ZeroLane,
    /// The smallest prize is more than all there is.
    #[error("the smallest payout {min_payout} is more than the deposit's amount {amount}")]
    MinPayoutTooHigh {
        /// The smallest payout asked for.
        min_payout: Amount,
        /// The deposit's amount.
        amount: Amount,
    },
    /// Nobody could redeem.
    #[error(
        "the last block to redeem, {last_redeem_block}, is not after the draw block {draw_block}"
    )]
    RedeemWindowEmpty {
        /// The draw block.
        draw_block: u64,
        /// The last block that may redeem.
        last_redeem_block: u64,
    },
}

/// Checks what `open` would refuse whatever the block: amounts, signer, lane, redemption window.
///
/// It does not check the lead to the draw block, nor what the root commits to.
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
    if deposit.lastRedeemBlock <= deposit.drawBlock {
        return Err(TermsError::RedeemWindowEmpty {
            draw_block: deposit.drawBlock,
            last_redeem_block: deposit.lastRedeemBlock,
        });
    }
    Ok(())
}

/// What a purse with lane >= 1 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purse {
    /// Money that no deposit locks.
    Idle(Amount),
    /// Exactly one open deposit.
    Open(DepositId),
}

impl Purse {
    /// Reads the word that the bank stores for a purse: below 2^128 it is idle money, else the id of a deposit.
    pub fn from_word(word: U256) -> Self {
        match u128::try_from(word) {
            Ok(idle) => Self::Idle(Amount::new(idle)),
            Err(_) => Self::Open(DepositId(word.into())),
        }
    }

    /// The word that the bank stores.
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
            drawBlock: 300,
            lastRedeemBlock: 301,
            root: B256::repeat_byte(3),
        }
    }

    #[test]
    fn accepts_terms_at_their_limits_and_names_what_is_beyond() {
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
            broken(|d| d.lastRedeemBlock = 300),
            TermsError::RedeemWindowEmpty { .. }
        ));
    }

    #[test]
    fn purse_word_splits_money_from_ids_at_2_to_the_128() {
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
        fn cheques_hash_as_alloy_hashes_them(
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
    fn digests_agree_with_alloys_and_depend_on_chain_and_bank() {
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
