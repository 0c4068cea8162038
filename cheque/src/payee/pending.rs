//! Pending transactions of a payee, and the keys of their records.

use crate::{
    bank::redeem::RedeemError,
    protocol::terms::DepositId,
    tx::{outbox::fate::newest, record::TxRecord, wallet::Wallet},
};
use alloy_primitives::{Address, TxHash};

pub(super) const REDEEM: &[u8] = b"redeem";
pub(super) const SEED: &[u8] = b"seed";
const UNWANTED: &[u8] = b"unwanted";

/// A transaction of the payee's that was sent, and that may be in a block or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingTx {
    /// What it is for.
    pub purpose: Purpose,
    /// The newest of its replacements.
    pub hash: TxHash,
    /// The head when that was made.
    pub at: u64,
    pub(super) since: u64,
    pub(super) from: Address,
    pub(super) nonce: u64,
    pub(super) key: Vec<u8>,
}

impl PendingTx {
    /// The deposits that it redeems; none if it is for something else.
    pub fn deposits(&self) -> &[DepositId] {
        match &self.purpose {
            Purpose::Redeem(deposits) => deposits,
            Purpose::RecordSeed(_) | Purpose::Cancel => &[],
        }
    }

    /// The head when the first of its replacements was made.
    #[cfg(feature = "service")]
    pub(crate) const fn since(&self) -> u64 {
        self.since
    }

    /// Its nonce. What was given up, and dropped by the node, may share it with what was sent later.
    #[cfg(feature = "service")]
    pub(crate) const fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Whether cancelling this one would cancel another one, too, that is wanted: they have one nonce. What was given up waits
    /// for none that was given up, too: each is cancelled for more than it pays itself, and nodes keep the dearest.
    #[cfg(feature = "service")]
    pub(crate) fn cancels_also(&self, other: &Self) -> bool {
        let wanted = other.purpose != Purpose::Cancel && other.key != self.key;
        wanted && (other.from, other.nonce) == (self.from, self.nonce)
    }
}

/// What a transaction of the payee's is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// It redeems the payee's cheques of these deposits.
    Redeem(Vec<DepositId>),
    /// It records the seed of this block.
    RecordSeed(u64),
    /// None any more: it is cancelled, so that later ones do not wait behind it.
    Cancel,
}

/// What became of wins that were to be redeemed in one transaction.
#[derive(Debug)]
#[must_use = "what was refused has to be tried again, or given up"]
pub struct Submitted {
    /// The transaction. `None`: there is nothing that the bank would pay.
    pub sent: Option<PendingTx>,
    /// What is not part of it, and why.
    pub refused: Vec<(DepositId, RedeemError)>,
}

/// Begins the keys of all that an account has given up. The rest is the nonce, and the hash of what was sent with it last:
/// where a node has dropped what was given up, something else may get its nonce, and be given up, too.
pub(super) fn unwanted_prefix(wallet: &Wallet) -> Vec<u8> {
    [UNWANTED, wallet.address().as_slice()].concat()
}

pub(super) fn pending_tx(purpose: Purpose, key: Vec<u8>, sent: &TxRecord) -> PendingTx {
    PendingTx {
        purpose,
        hash: newest(sent),
        at: sent.at,
        since: sent.since,
        from: sent.from,
        nonce: sent.nonce,
        key,
    }
}
