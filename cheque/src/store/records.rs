//! What is kept in a store's tables: keys, and values as one version byte followed by one RLP list.
//!
//! A value of an unknown version, with trailing bytes or in a non-canonical form is an error: state that decides about
//! money is never guessed.

use crate::{Amount, Bank, Deposit, DepositId, MasterSalt};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};

const VERSION: u8 = 1;

/// Why a stored value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The value is empty.
    #[error("the stored record is empty")]
    Empty,
    /// A later version of this library wrote the value.
    #[error("the stored record has version {found}, and this program reads version {VERSION}")]
    Version {
        /// The value's version.
        found: u8,
    },
    /// The value is not what its version says.
    #[error("the stored record is damaged: {0}")]
    Damaged(#[from] alloy_rlp::Error),
    /// The value belongs to another key.
    #[error("the stored record does not belong to its key")]
    WrongKey,
}

/// Where a deposit stands. The order is that of a life without accidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DepositState {
    /// Prepared, sent, or in a block that is not deep enough yet.
    Pending,
    /// Confirmed, and cheques can be written.
    Active,
    /// Too close to the draw for any more cheques; the draw is still to come or not deep enough yet.
    PastCutoff,
    /// Drawn. The range of the newest cheque of `winner` holds the roll; `None`: nobody's does.
    Drawn {
        /// Who can redeem, if anybody.
        winner: Option<Address>,
    },
    /// Won and paid out.
    Redeemed {
        /// The winner.
        payee: Address,
        /// What it got.
        payout: Amount,
    },
    /// Nobody redeemed in time; the money can be taken back.
    Reclaimable,
    /// The money was taken back.
    Reclaimed,
    /// Never opened, and it is too late now. Its money never left the payer.
    NeverOpened,
}

impl DepositState {
    /// A stable name in lower case, for files and programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::PastCutoff => "past_cutoff",
            Self::Drawn { .. } => "drawn",
            Self::Redeemed { .. } => "redeemed",
            Self::Reclaimable => "reclaimable",
            Self::Reclaimed => "reclaimed",
            Self::NeverOpened => "never_opened",
        }
    }
}

/// One deposit of a payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepositRecord {
    /// The terms.
    pub deposit: Deposit,
    /// The head when the record was made: the deposit cannot have been opened before.
    pub since: u64,
    /// Where it stood when last looked at.
    pub state: DepositState,
    /// Whether the state is final: no reorganisation can change it any more.
    pub settled: bool,
}

/// The list of payees of one deposit, from which its tree can be built again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowanceList {
    /// The secret behind the salts of the leaves.
    pub master: MasterSalt,
    /// Payees and their allowances.
    pub allowances: Vec<(Address, Amount)>,
}

/// A transaction that may have been sent: kept before it leaves the process, so that a restart neither forgets it nor
/// sends a second one for the same purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxRecord {
    /// The account it is from.
    pub from: Address,
    /// Its number among that account's transactions. All replacements share it, so at most one of them counts.
    pub nonce: u64,
    /// The head when it was made, before all replacements.
    pub since: u64,
    /// The head when the newest replacement was made.
    pub at: u64,
    /// The hashes of the transaction and its replacements, oldest first.
    pub hashes: Vec<B256>,
    /// The hashes of its cancellations, oldest first: replacements that do nothing but use the nonce.
    pub cancelled_by: Vec<B256>,
    /// The newest of all, signed and encoded (EIP-2718).
    pub raw: Bytes,
}

/// The prefix of the keys of all deposits of one bank.
pub fn bank_key(bank: &Bank) -> [u8; 28] {
    let mut key = [0; 28];
    key[..8].copy_from_slice(&bank.chain_id().to_be_bytes());
    key[8..].copy_from_slice(bank.address().as_slice());
    key
}

/// The key of a deposit in [`Table::Deposits`](super::Table::Deposits) and [`Table::Trees`](super::Table::Trees).
pub fn deposit_key(bank: &Bank, id: DepositId) -> [u8; 60] {
    let mut key = [0; 60];
    key[..28].copy_from_slice(&bank_key(bank));
    key[28..].copy_from_slice(id.0.as_slice());
    key
}

/// The deposit that a key of [`deposit_key`] names.
pub fn deposit_of_key(key: &[u8]) -> Result<DepositId, RecordError> {
    let id = key.get(28..60).filter(|_| key.len() == 60);
    id.map(|id| DepositId(B256::from_slice(id)))
        .ok_or(RecordError::WrongKey)
}

/// The key of an account in [`Table::Accounts`](super::Table::Accounts). Ids differ between banks, so they need no
/// prefix.
pub fn account_key(id: DepositId, payee: Address) -> [u8; 52] {
    let mut key = [0; 52];
    key[..32].copy_from_slice(id.0.as_slice());
    key[32..].copy_from_slice(payee.as_slice());
    key
}

/// The payee that a key of [`account_key`] names.
pub fn payee_of_key(key: &[u8]) -> Result<Address, RecordError> {
    let payee = key.get(32..52).filter(|_| key.len() == 52);
    payee.map(Address::from_slice).ok_or(RecordError::WrongKey)
}

/// The key of a meta in [`Table::Received`](super::Table::Received).
pub fn received_key(bank: Address, id: DepositId, payee: Address) -> [u8; 72] {
    let mut key = [0; 72];
    key[..20].copy_from_slice(bank.as_slice());
    key[20..52].copy_from_slice(id.0.as_slice());
    key[52..].copy_from_slice(payee.as_slice());
    key
}

impl DepositRecord {
    /// The value to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let terms = &self.deposit;
        let (state, payee, payout) = match self.state {
            DepositState::Pending => (0, Address::ZERO, Amount::ZERO),
            DepositState::Active => (1, Address::ZERO, Amount::ZERO),
            DepositState::PastCutoff => (2, Address::ZERO, Amount::ZERO),
            DepositState::Drawn { winner: None } => (3, Address::ZERO, Amount::ZERO),
            DepositState::Drawn {
                winner: Some(payee),
            } => (4, payee, Amount::ZERO),
            DepositState::Redeemed { payee, payout } => (5, payee, payout),
            DepositState::Reclaimable => (6, Address::ZERO, Amount::ZERO),
            DepositState::Reclaimed => (7, Address::ZERO, Amount::ZERO),
            DepositState::NeverOpened => (8, Address::ZERO, Amount::ZERO),
        };
        encode(&DepositRow {
            payer: terms.payer,
            signer: terms.signer,
            token: terms.token,
            lane: terms.lane,
            amount: terms.amount,
            min_payout: terms.minPayout,
            draw_block: terms.drawBlock,
            last_redeem_block: terms.lastRedeemBlock,
            root: terms.root,
            since: self.since,
            state,
            payee,
            payout: payout.get(),
            settled: self.settled,
        })
    }

    /// Reads a stored value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let row: DepositRow = decode(bytes)?;
        let state = match row.state {
            0 => DepositState::Pending,
            1 => DepositState::Active,
            2 => DepositState::PastCutoff,
            3 => DepositState::Drawn { winner: None },
            4 => DepositState::Drawn {
                winner: Some(row.payee),
            },
            5 => DepositState::Redeemed {
                payee: row.payee,
                payout: Amount::new(row.payout),
            },
            6 => DepositState::Reclaimable,
            7 => DepositState::Reclaimed,
            8 => DepositState::NeverOpened,
            _ => return Err(alloy_rlp::Error::Custom("unknown state").into()),
        };
        let deposit = Deposit {
            payer: row.payer,
            signer: row.signer,
            token: row.token,
            lane: row.lane,
            amount: row.amount,
            minPayout: row.min_payout,
            drawBlock: row.draw_block,
            lastRedeemBlock: row.last_redeem_block,
            root: row.root,
        };
        Ok(Self {
            deposit,
            since: row.since,
            state,
            settled: row.settled,
        })
    }
}

impl AllowanceList {
    /// The value to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let rows = self.allowances.iter();
        encode(&ListRow {
            master: self.master.as_bytes().into(),
            allowances: rows
                .map(|(payee, allowance)| AllowanceRow {
                    payee: *payee,
                    allowance: allowance.get(),
                })
                .collect(),
        })
    }

    /// Reads a stored value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let row: ListRow = decode(bytes)?;
        let rows = row.allowances.iter();
        Ok(Self {
            master: MasterSalt::from_bytes(row.master.0),
            allowances: rows
                .map(|row| (row.payee, Amount::new(row.allowance)))
                .collect(),
        })
    }
}

impl TxRecord {
    /// The value to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&TxRow {
            from: self.from,
            nonce: self.nonce,
            at: self.at,
            hashes: self.hashes.clone(),
            raw: self.raw.clone(),
            waited: Some(self.at.saturating_sub(self.since)),
            cancelled_by: Some(self.cancelled_by.clone()),
        })
    }

    /// Reads a stored value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let row: TxRow = decode(bytes)?;
        Ok(Self {
            from: row.from,
            nonce: row.nonce,
            since: row.at.saturating_sub(row.waited.unwrap_or_default()),
            at: row.at,
            hashes: row.hashes,
            cancelled_by: row.cancelled_by.unwrap_or_default(),
            raw: row.raw,
        })
    }
}

/// The last two came later: records of before lack them.
#[derive(RlpEncodable, RlpDecodable)]
#[rlp(trailing)]
struct TxRow {
    from: Address,
    nonce: u64,
    at: u64,
    hashes: Vec<B256>,
    raw: Bytes,
    waited: Option<u64>,
    cancelled_by: Option<Vec<B256>>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct DepositRow {
    payer: Address,
    signer: Address,
    token: Address,
    lane: u64,
    amount: u128,
    min_payout: u128,
    draw_block: u64,
    last_redeem_block: u64,
    root: B256,
    since: u64,
    state: u8,
    payee: Address,
    payout: u128,
    settled: bool,
}

#[derive(RlpEncodable, RlpDecodable)]
struct ListRow {
    master: B256,
    allowances: Vec<AllowanceRow>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct AllowanceRow {
    payee: Address,
    allowance: u128,
}

pub(super) fn encode(row: &impl Encodable) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    row.encode(&mut bytes);
    bytes
}

pub(super) fn decode<T: Decodable>(bytes: &[u8]) -> Result<T, RecordError> {
    match bytes.split_first() {
        None => Err(RecordError::Empty),
        Some((&VERSION, row)) => Ok(alloy_rlp::decode_exact(row)?),
        Some((&found, _)) => Err(RecordError::Version { found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(state: DepositState) -> DepositRecord {
        DepositRecord {
            deposit: Deposit {
                payer: Address::repeat_byte(1),
                signer: Address::repeat_byte(2),
                token: Address::repeat_byte(3),
                lane: 4,
                amount: u128::MAX,
                minPayout: 6,
                drawBlock: 7,
                lastRedeemBlock: u64::MAX,
                root: B256::repeat_byte(9),
            },
            since: 5,
            state,
            settled: true,
        }
    }

    #[test]
    fn every_state_of_a_deposit_survives_the_round_trip() {
        let payee = Address::repeat_byte(7);
        for state in [
            DepositState::Pending,
            DepositState::Active,
            DepositState::PastCutoff,
            DepositState::Drawn { winner: None },
            DepositState::Drawn {
                winner: Some(payee),
            },
            DepositState::Redeemed {
                payee,
                payout: Amount::MAX,
            },
            DepositState::Reclaimable,
            DepositState::Reclaimed,
            DepositState::NeverOpened,
        ] {
            let bytes = record(state).to_bytes();
            assert_eq!(DepositRecord::from_bytes(&bytes), Ok(record(state)));
        }
    }

    #[test]
    fn lists_and_sent_transactions_survive_the_round_trip() {
        let list = AllowanceList {
            master: MasterSalt::from_bytes([7; 32]),
            allowances: vec![
                (Address::repeat_byte(1), Amount::MAX),
                (Address::repeat_byte(2), Amount::new(1)),
            ],
        };
        assert_eq!(AllowanceList::from_bytes(&list.to_bytes()), Ok(list));
        let sent = TxRecord {
            from: Address::repeat_byte(1),
            nonce: 0,
            since: 12,
            at: 12,
            hashes: vec![B256::repeat_byte(1), B256::repeat_byte(2)],
            cancelled_by: Vec::new(),
            raw: Bytes::from_static(&[2, 3, 4]),
        };
        assert_eq!(TxRecord::from_bytes(&sent.to_bytes()), Ok(sent.clone()));
        let old = TxRow {
            from: sent.from,
            nonce: sent.nonce,
            at: sent.at,
            hashes: sent.hashes.clone(),
            raw: sent.raw.clone(),
            waited: None,
            cancelled_by: None,
        };
        assert_eq!(TxRecord::from_bytes(&encode(&old)), Ok(sent.clone()));
        let cancelled = TxRecord {
            since: 0,
            cancelled_by: vec![B256::repeat_byte(3)],
            ..sent
        };
        assert_eq!(TxRecord::from_bytes(&cancelled.to_bytes()), Ok(cancelled));
    }

    #[test]
    fn refuses_empty_newer_cut_and_extended_values() {
        let good = record(DepositState::NeverOpened).to_bytes();
        assert_eq!(DepositRecord::from_bytes(&[]), Err(RecordError::Empty));
        let mut newer = good.clone();
        newer[0] = 2;
        assert_eq!(
            DepositRecord::from_bytes(&newer),
            Err(RecordError::Version { found: 2 })
        );
        let longer = [&good[..], &[0]].concat();
        for bad in [&good[..good.len() - 1], &longer] {
            assert!(matches!(
                DepositRecord::from_bytes(bad),
                Err(RecordError::Damaged(_))
            ));
        }
    }

    #[test]
    fn keys_give_back_what_they_name() {
        let bank = Bank::new(1, Address::repeat_byte(9));
        let (id, payee) = (DepositId(B256::repeat_byte(5)), Address::repeat_byte(6));
        let key = deposit_key(&bank, id);
        assert!(key.starts_with(&bank_key(&bank)));
        assert_eq!(deposit_of_key(&key), Ok(id));
        assert_eq!(payee_of_key(&account_key(id, payee)), Ok(payee));
        assert_eq!(deposit_of_key(&key[1..]), Err(RecordError::WrongKey));
        assert_eq!(payee_of_key(&[]), Err(RecordError::WrongKey));
    }
}
