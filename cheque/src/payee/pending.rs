//! Pending transactions of a payee, and the keys of their records.

use crate::{
    bank::redeem::RedeemError,
    protocol::terms::DepositId,
    tx::{record::TxRecord, wallet::Wallet},
};
use alloy_primitives::{Address, TxHash};

pub(super) const REDEEM: &[u8] = b"redeem";
pub(super) const SEED: &[u8] = b"seed";
const OBSOLETE: &[u8] = b"unwanted";

/// A transaction sent by the payee, and still in its store. May be mined already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingTx {
    /// The purpose.
    pub purpose: Purpose,
    /// The hash of the newest replacement.
    pub hash: TxHash,
    /// The time at which the newest replacement was signed, in seconds since 1970.
    pub at: u64,
    /// The time at which the first transaction with this nonce and purpose was signed, in seconds since 1970.
    pub(super) since: u64,
    pub(super) from: Address,
    /// If the node has dropped an abandoned transaction, a later one may have the same nonce.
    pub(super) nonce: u64,
    pub(super) key: Vec<u8>,
}

impl PendingTx {
    /// The deposits to redeem. Empty for another purpose.
    #[must_use]
    pub fn deposits(&self) -> &[DepositId] {
        match &self.purpose {
            Purpose::Redeem(deposits) => deposits,
            Purpose::RecordSeed(_) | Purpose::Cancel => &[],
        }
    }
}

/// The purpose of a payee's transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Redeems the payee's cheques of these deposits.
    Redeem(Vec<DepositId>),
    /// Records the seed of this draw time.
    RecordSeed(u64),
    /// None: the transaction is obsolete, and is cancelled to free the nonces behind it.
    Cancel,
}

/// The result of submitting several redemptions in one transaction.
#[derive(Debug)]
#[must_use = "retry or report the refused redemptions"]
#[non_exhaustive]
pub struct Submitted {
    /// The transaction. `None` if the bank would pay none of the redemptions.
    pub tx: Option<PendingTx>,
    /// The deposits left out, each with the reason.
    pub refused: Vec<(DepositId, RedeemError)>,
}

/// Key prefix of an account's abandoned transactions, followed by nonce and newest hash. The hash is needed because the
/// nonce of a dropped transaction is used again, and its new user may be abandoned as well.
pub(super) fn obsolete_prefix(wallet: &Wallet) -> Vec<u8> {
    [OBSOLETE, wallet.address().as_slice()].concat()
}

pub(super) fn pending_tx(purpose: Purpose, key: Vec<u8>, record: &TxRecord) -> PendingTx {
    PendingTx {
        purpose,
        hash: record.newest_hash(),
        at: record.at,
        since: record.since,
        from: record.from,
        nonce: record.nonce,
        key,
    }
}
