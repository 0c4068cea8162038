//! The payee's record of a deposit (SPEC section 13.4).

use crate::protocol::{
    allowance::proof::AllowanceProof,
    amount::Amount,
    cheque::SignedCheque,
    draw::{Payout, payout},
    proof::{Anchor, DepositFields, Proof, SiblingFields},
    signature::{PublicKey, Signature},
    terms::{Bank, DepositId},
};
use alloy_primitives::{Address, B128, B256, Bytes, FixedBytes, aliases::U40};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use cheque_bindings::{Deposit, Redemption};
use std::sync::Arc;

/// The version of the bytes that [`Position::to_bytes`] writes.
const VERSION: u8 = 1;

/// The payee's record of a deposit: terms, allowance, newest cheque, newest stream step, and the credited total.
/// Sufficient to judge the next payment and to redeem.
///
/// Opaque to the host, which must store a position and credit its value in the same transaction. Does not tell whether
/// the deposit is still open. Cheap to clone: clones share the parts that payments do not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub(super) basis: Arc<Basis>,
    pub(super) credited: Amount,
    pub(super) last_value: Amount,
    pub(super) newest: SignedCheque,
    pub(super) shown: u32,
    pub(super) x: B256,
}

/// The part of a position that the first payment fixes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Basis {
    pub(super) bank: Bank,
    pub(super) id: DepositId,
    pub(super) deposit: Deposit,
    pub(super) payee: Address,
    pub(super) allowance: AllowanceProof,
    pub(super) start: Amount,
    pub(super) signer: PublicKey,
    pub(super) redeem_cost: Amount,
}

/// The reason why bytes are not a stored position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PositionError {
    /// Another version of this library wrote the position.
    #[error(
        "the position has version {0}, and this program reads version {VERSION}; use the program that wrote it"
    )]
    UnknownVersion(u8),
    /// The bytes are not in the form of their version.
    #[error("the position is damaged: {0}")]
    Damaged(alloy_rlp::Error),
}

impl Position {
    /// Returns the bank that holds the deposit.
    pub fn bank(&self) -> &Bank {
        &self.basis.bank
    }

    /// Returns the deposit's id.
    pub fn deposit_id(&self) -> DepositId {
        self.basis.id
    }

    /// Returns the deposit's terms.
    pub fn deposit(&self) -> &Deposit {
        &self.basis.deposit
    }

    /// Returns the payee.
    pub fn payee(&self) -> Address {
        self.basis.payee
    }

    /// Returns the payee's allowance, in token units.
    pub fn allowance(&self) -> Amount {
        self.basis.allowance.allowance
    }

    /// Returns the number of levels of the allowance proof.
    pub fn depth(&self) -> usize {
        self.basis.allowance.siblings.len()
    }

    /// Returns the start of the payee's range, in token units.
    pub fn start(&self) -> Amount {
        self.basis.start
    }

    /// Returns the newest cheque as received. Its v may not be the one that the bank needs; [`Position::redemption`]
    /// sets the right v.
    pub const fn newest(&self) -> &SignedCheque {
        &self.newest
    }

    /// Returns the number of steps shown of the newest cheque's stream, and the x that shows them (zero for none).
    pub const fn shown(&self) -> (u32, B256) {
        (self.shown, self.x)
    }

    /// Returns the total paid so far, stream steps included, in token units.
    pub fn total(&self) -> Amount {
        // Never above the allowance: every payment was checked against it.
        self.newest.total(self.shown).unwrap_or(Amount::MAX)
    }

    /// Returns the sum of all values credited to the signer's account so far, in token units.
    pub const fn credited(&self) -> Amount {
        self.credited
    }

    /// Returns the value of the newest payment, in token units: the part of [`Position::credited`] that it added. For a
    /// sender that has lost the answer and shows the payment again.
    pub const fn last_value(&self) -> Amount {
        self.last_value
    }

    /// True if `proof` shows the newest payment of this position.
    pub fn is_newest(&self, proof: &Proof) -> bool {
        match proof {
            Proof::Opening(opening) => {
                proof.deposit_id() == self.basis.id && self.is_newest_cheque(&opening.cheque)
            }
            Proof::Cheque(id, cheque) => *id == self.basis.id && self.is_newest_cheque(cheque),
            Proof::Step { deposit, k, x } => {
                (*deposit, *k, *x) == (self.basis.id, self.shown, self.x)
            }
        }
    }

    fn is_newest_cheque(&self, cheque: &SignedCheque) -> bool {
        let terms = |cheque: &SignedCheque| (cheque.spent, cheque.anchor, cheque.step);
        self.shown == 0 && terms(cheque) == terms(&self.newest)
    }

    /// Returns the cost to redeem as of the first payment, in token units.
    pub fn redeem_cost(&self) -> Amount {
        self.basis.redeem_cost
    }

    /// Computes the payout of a win and its range; `None` while the total is zero.
    pub fn payout(&self) -> Option<Payout> {
        payout(self.total(), self.allowance(), &self.basis.deposit)
    }

    /// Makes the bank's argument to redeem the newest cheque, paid to `to` (zero: the payee's balance in the bank).
    ///
    /// An empty `consent` needs the payee as the sender. Does not check that the cheque wins: see
    /// [`simulate_redemption`](crate::simulate_redemption).
    pub fn redemption(&self, to: Address, consent: Bytes) -> Redemption {
        let basis = &*self.basis;
        Redemption {
            deposit: basis.deposit.clone(),
            payee: basis.payee,
            allowance: basis.allowance.allowance.get(),
            salt: basis.allowance.salt,
            // Path and steps were found to be within the bank's bounds, which are tighter, before they came in here.
            path: U40::saturating_from(basis.allowance.path),
            spent: self.newest.spent.get(),
            signature: Bytes::copy_from_slice(self.redeemable_signature().as_bytes()),
            to,
            siblings: basis.allowance.packed_siblings().into(),
            anchor: self.newest.anchor,
            step: self.newest.step.get(),
            k: u16::try_from(self.shown).unwrap_or(u16::MAX),
            x: self.x,
            consent,
        }
    }

    /// Returns the newest cheque's signature with the v that recovers the signer.
    fn redeemable_signature(&self) -> Signature {
        let Basis {
            bank, id, payee, ..
        } = &*self.basis;
        let digest = self.newest.digest(bank, *id, *payee);
        // The signature was verified on receipt, so a right v exists. After tampering with the store, the bank rejects
        // it.
        let signature = self.newest.signature;
        signature
            .with_recovery_id_for(digest, &self.basis.signer)
            .unwrap_or(signature)
    }

    /// Encodes the position for the host's store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let fields = Fields::from(self);
        let mut bytes = Vec::with_capacity(1 + fields.length());
        bytes.push(VERSION);
        fields.encode(&mut bytes);
        bytes
    }

    /// Decodes the bytes of [`Position::to_bytes`].
    ///
    /// Does not verify signatures and proofs again, so the bytes must come from the host's own store.
    ///
    /// # Errors
    ///
    /// Fails for bytes of another version, and for damaged bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PositionError> {
        let damaged = PositionError::Damaged(alloy_rlp::Error::InputTooShort);
        let (&version, mut rest) = bytes.split_first().ok_or(damaged)?;
        if version != VERSION {
            return Err(PositionError::UnknownVersion(version));
        }
        let fields = Fields::decode(&mut rest).map_err(PositionError::Damaged)?;
        if !rest.is_empty() {
            return Err(PositionError::Damaged(alloy_rlp::Error::UnexpectedLength));
        }
        Ok(fields.into())
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct Fields {
    chain_id: u64,
    bank: Address,
    deposit: DepositFields,
    payee: Address,
    allowance: u128,
    salt: B128,
    path: u64,
    siblings: Vec<SiblingFields>,
    start: u128,
    signer: FixedBytes<64>,
    redeem_cost: u128,
    credited: u128,
    spent: u128,
    anchor: Anchor,
    step: u128,
    signature: FixedBytes<65>,
    shown: u32,
    x: Anchor,
    last_value: u128,
}

impl From<&Position> for Fields {
    fn from(position: &Position) -> Self {
        Self {
            chain_id: position.basis.bank.chain_id(),
            bank: position.basis.bank.address(),
            deposit: (&position.basis.deposit).into(),
            payee: position.basis.payee,
            allowance: position.basis.allowance.allowance.get(),
            salt: position.basis.allowance.salt,
            path: position.basis.allowance.path,
            siblings: position
                .basis
                .allowance
                .siblings
                .iter()
                .map(Into::into)
                .collect(),
            start: position.basis.start.get(),
            signer: position.basis.signer.as_xy().into(),
            redeem_cost: position.basis.redeem_cost.get(),
            credited: position.credited.get(),
            spent: position.newest.spent.get(),
            anchor: Anchor(position.newest.anchor),
            step: position.newest.step.get(),
            signature: position.newest.signature.as_bytes().into(),
            shown: position.shown,
            x: Anchor(position.x),
            last_value: position.last_value.get(),
        }
    }
}

impl From<Fields> for Position {
    fn from(fields: Fields) -> Self {
        let bank = Bank::new(fields.chain_id, fields.bank);
        let deposit = Deposit::from(fields.deposit);
        Self {
            basis: Arc::new(Basis {
                bank,
                id: bank.deposit_id(&deposit),
                deposit,
                payee: fields.payee,
                allowance: AllowanceProof {
                    allowance: Amount::new(fields.allowance),
                    salt: fields.salt,
                    path: fields.path,
                    siblings: fields.siblings.into_iter().map(Into::into).collect(),
                },
                start: Amount::new(fields.start),
                signer: PublicKey::from_xy(fields.signer.0),
                redeem_cost: Amount::new(fields.redeem_cost),
            }),
            credited: Amount::new(fields.credited),
            last_value: Amount::new(fields.last_value),
            newest: SignedCheque {
                spent: Amount::new(fields.spent),
                anchor: fields.anchor.0,
                step: Amount::new(fields.step),
                signature: Signature::from_bytes(fields.signature.0),
            },
            shown: fields.shown,
            x: fields.x.0,
        }
    }
}
