//! Stored records of a payer: its deposits and their allowance lists.

use crate::{
    protocol::{
        account::Account,
        allowance::MasterSalt,
        amount::Amount,
        terms::{Bank, Deposit, DepositId},
    },
    store::{
        async_store::{AsyncStore, StoredError},
        codec::{RecordError, decode, encode},
        keys::{bank_key, deposit_key, deposit_of_key, payee_of_key},
        table::Table,
    },
};
use alloy_primitives::{Address, B256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// State of a deposit, in the usual order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DepositState {
    /// Stored, sent, or mined and not yet confirmed.
    Pending,
    /// Confirmed: cheques can be written.
    Active,
    /// Too close to the draw for another cheque; the draw block is not yet confirmed.
    PastCutoff,
    /// Drawn. The range of `winner`'s newest cheque holds the roll; `None`: no payee's does.
    Drawn {
        /// The payee that can redeem.
        winner: Option<Address>,
    },
    /// Won and paid out.
    Redeemed {
        /// The winner.
        payee: Address,
        /// The payout, in token units.
        payout: Amount,
    },
    /// The redemption window is over; the payer can reclaim the money.
    Reclaimable,
    /// The payer got the money back.
    Reclaimed,
    /// Never opened, and too late to open. The money never left the payer.
    NeverOpened,
}

impl DepositState {
    /// Stable name in lower case, for files and programs.
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
    /// The head at which the record was made: the deposit cannot have been opened before.
    pub since: u64,
    /// State at the last poll.
    pub state: DepositState,
    /// True if the state is final: no reorganisation can change it.
    pub settled: bool,
}

/// Allowance list of one deposit, from which its tree can be built again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowanceList {
    /// Secret from which the salts of the leaves derive.
    pub master: MasterSalt,
    /// Payees and their allowances.
    pub allowances: Vec<(Address, Amount)>,
}

impl DepositRecord {
    /// Encodes the record for the store.
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

    /// Decodes a stored record.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the value is empty, damaged, or of a newer version.
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
    /// Encodes the list for the store.
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

    /// Decodes a stored list.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the value is empty, damaged, or of a newer version.
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

/// Reads one deposit.
pub(crate) async fn stored_deposit(
    store: &AsyncStore,
    bank: &Bank,
    id: DepositId,
) -> Result<Option<DepositRecord>, StoredError> {
    let key = deposit_key(bank, id).to_vec();
    let bytes = store.get(Table::Deposits, key).await?;
    let record = bytes.as_deref().map(DepositRecord::from_bytes);
    Ok(record.transpose()?)
}

/// Reads all deposits of a bank, ordered by id.
pub(crate) async fn stored_deposits(
    store: &AsyncStore,
    bank: &Bank,
) -> Result<Vec<(DepositId, DepositRecord)>, StoredError> {
    store
        .scan(Table::Deposits, bank_key(bank).to_vec(), |key, value| {
            Ok((deposit_of_key(key)?, DepositRecord::from_bytes(value)?))
        })
        .await
}

/// Reads the allowance list of a deposit.
pub(crate) async fn stored_list(
    store: &AsyncStore,
    bank: &Bank,
    id: DepositId,
) -> Result<Option<AllowanceList>, StoredError> {
    let key = deposit_key(bank, id).to_vec();
    let bytes = store.get(Table::Trees, key).await?;
    let list = bytes.as_deref().map(AllowanceList::from_bytes);
    Ok(list.transpose()?)
}

/// Reads the total paid to each payee that has an account in the deposit.
pub(crate) async fn stored_totals(
    store: &AsyncStore,
    id: DepositId,
) -> Result<Vec<(Address, Amount)>, StoredError> {
    store
        .scan(Table::Accounts, id.0.to_vec(), |key, value| {
            Ok((payee_of_key(key)?, Account::from_bytes(value)?.total()))
        })
        .await
}

/// Reads the accounts of a deposit as raw keys and values.
pub(crate) async fn stored_accounts(
    store: &AsyncStore,
    id: DepositId,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoredError> {
    let read = |key: &[u8], value: &[u8]| Ok((key.to_vec(), value.to_vec()));
    store.scan(Table::Accounts, id.0.to_vec(), read).await
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
    fn round_trips_every_state_of_a_deposit() {
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
    fn round_trips_allowance_lists() {
        let list = AllowanceList {
            master: MasterSalt::from_bytes([7; 32]),
            allowances: vec![
                (Address::repeat_byte(1), Amount::MAX),
                (Address::repeat_byte(2), Amount::new(1)),
            ],
        };
        assert_eq!(AllowanceList::from_bytes(&list.to_bytes()), Ok(list));
    }

    #[test]
    fn rejects_empty_newer_cut_and_extended_values() {
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
}
