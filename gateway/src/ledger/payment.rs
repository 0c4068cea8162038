//! Payments: the proofs of a request, and the ids under which each buys one answer.

use crate::ledger::account::Currency;
use alloy_primitives::B256;
use alloy_rlp::{RlpDecodable, RlpEncodable};
use cheque::{Address, Amount, DepositId, Proof, SignedCheque};
use sha2::{Digest, Sha256};
use std::fmt;

/// The id of a payment: a cheque's deposit, total and anchor. A payee counts two cheques with the same id as one.
///
/// A stream step has no id. Everybody who sees step k can compute all lower steps, so a step authorises nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, RlpEncodable, RlpDecodable)]
pub struct PaymentId {
    deposit: B256,
    spent: u128,
    anchor: B256,
}

impl PaymentId {
    /// Returns the id of a proof; `None` for a stream step.
    pub fn of(proof: &Proof) -> Option<Self> {
        let cheque = cheque_of(proof)?;
        Some(Self::of_cheque(proof.deposit_id(), cheque))
    }

    /// Returns the id of a cheque.
    pub const fn of_cheque(deposit: DepositId, cheque: &SignedCheque) -> Self {
        Self {
            deposit: deposit.0,
            spent: cheque.spent.get(),
            anchor: cheque.anchor,
        }
    }

    /// Returns the deposit.
    pub const fn deposit(&self) -> DepositId {
        DepositId(self.deposit)
    }

    /// Returns the total that the cheque states, in token units.
    pub const fn total(&self) -> Amount {
        Amount::new(self.spent)
    }

    /// Returns deposit (32 bytes) ‖ total (16) ‖ anchor (32), the end of the keys of records.
    pub(super) fn to_key(self) -> [u8; 80] {
        let mut key = [0; 80];
        key[..32].copy_from_slice(self.deposit.as_slice());
        key[32..48].copy_from_slice(&self.spent.to_be_bytes());
        key[48..].copy_from_slice(self.anchor.as_slice());
        key
    }

    /// Returns the id at the end of a record's key; `None` for a key that is too short.
    pub(super) fn from_key(key: &[u8]) -> Option<Self> {
        let key = key.last_chunk::<80>()?;
        let mut spent = [0; 16];
        spent.copy_from_slice(&key[32..48]);
        Some(Self {
            deposit: B256::from_slice(&key[..32]),
            spent: u128::from_be_bytes(spent),
            anchor: B256::from_slice(&key[48..]),
        })
    }
}

/// Writes deposit and total, as receipts name a payment.
impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.deposit, self.spent)
    }
}

/// The SHA-256 hash of a cheque without its v. Who shows the same hash again has the cheque that was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChequeHash(pub(super) B256);

impl ChequeHash {
    pub(super) fn of(cheque: &SignedCheque) -> Self {
        let mut hash = Sha256::new();
        hash.update(cheque.spent.get().to_be_bytes());
        hash.update(cheque.anchor);
        hash.update(cheque.step.get().to_be_bytes());
        // v is a hint only: a payee accepts a cheque with either.
        hash.update(&cheque.signature.as_bytes()[..64]);
        Self(B256::from_slice(&hash.finalize()))
    }
}

/// Returns the cheque of a proof; `None` for a stream step.
pub(super) fn cheque_of(proof: &Proof) -> Option<&SignedCheque> {
    match proof {
        Proof::Opening(opening) => Some(&opening.cheque),
        Proof::Cheque(_, cheque) => Some(cheque),
        Proof::Step { .. } => None,
    }
}

/// The hash of a client's name for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(pub(super) B256);

impl IdempotencyKey {
    /// Hashes the client's text.
    pub fn of(text: &str) -> Self {
        Self(B256::from_slice(&Sha256::digest(text)))
    }
}

/// An authorization of a transfer by EIP-3009: chain, token, owner and nonce, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthorizationId(pub(super) B256);

impl AuthorizationId {
    /// Hashes the parts.
    pub fn of(chain_id: u64, token: Address, owner: Address, nonce: B256) -> Self {
        let mut hash = Sha256::new();
        hash.update(chain_id.to_be_bytes());
        hash.update(token);
        hash.update(owner);
        hash.update(nonce);
        Self(B256::from_slice(&hash.finalize()))
    }
}

/// The identity of a request, to which payment ids are bound: the SHA-256 hash of all that decides its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub B256);

/// The parts of a request that its fingerprint covers.
#[derive(Clone, Copy, Debug)]
pub struct FingerprintParts<'a> {
    /// The method, as received.
    pub method: &'a str,
    /// The authority that the request names.
    pub authority: &'a str,
    /// Path and query, as forwarded.
    pub path_and_query: &'a str,
    /// The SHA-256 hash of the body, as forwarded.
    pub body: B256,
    /// All values of the header `Authorization` that are forwarded, in their order.
    pub authorization: &'a [&'a [u8]],
    /// All values of the header `Cookie`, in their order.
    pub cookie: &'a [&'a [u8]],
}

impl Fingerprint {
    /// Computes the fingerprint of a request. Each part is preceded by its length, so no two requests share the bytes that
    /// are hashed.
    pub fn of(parts: &FingerprintParts<'_>) -> Self {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        add(parts.method.as_bytes());
        add(parts.authority.as_bytes());
        add(parts.path_and_query.as_bytes());
        add(parts.body.as_slice());
        for values in [parts.authorization, parts.cookie] {
            add(&(values.len() as u64).to_be_bytes());
            for value in values {
                add(value);
            }
        }
        Self(B256::from_slice(&hash.finalize()))
    }
}

/// The payment of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The proofs, at least one.
    pub proofs: Vec<Proof>,
    /// The most that the request accepts to pay. `None`: what its proofs add to the account.
    pub max: Option<MaxPrice>,
}

/// The most that a request accepts to pay. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPrice {
    /// The currency of the account that pays; `None`: that of the proofs.
    pub currency: Option<Currency>,
    /// The amount, in token units.
    pub amount: Amount,
}
