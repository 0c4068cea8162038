//! The record of a deposit: its account, and what the ledger credited for it.

use crate::ledger::{
    account::{AccountKey, Currency},
    records::codec::{Record, RecordError},
};
use alloy_primitives::Address;
use alloy_rlp::{RlpDecodable, RlpEncodable};
use cheque::{Amount, Bank};

/// A deposit that has paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct DepositRecord {
    pub(in crate::ledger) bank: Bank,
    pub(in crate::ledger) account: AccountKey,
    /// The part of the position's total that was credited.
    pub(in crate::ledger) credited: Amount,
    /// The number of unused ids, and of ids that were burnt without having been used.
    pub(in crate::ledger) unused: u64,
}

#[derive(RlpEncodable, RlpDecodable)]
pub(in crate::ledger) struct Fields {
    chain_id: u64,
    bank: Address,
    signer: Address,
    currency_chain_id: u64,
    currency_token: Address,
    credited: u128,
    unused: u64,
}

impl Record for DepositRecord {
    type Fields = Fields;

    fn to_fields(&self) -> Fields {
        Fields {
            chain_id: self.bank.chain_id(),
            bank: self.bank.address(),
            signer: self.account.signer,
            currency_chain_id: self.account.currency.chain_id,
            currency_token: self.account.currency.token,
            credited: self.credited.get(),
            unused: self.unused,
        }
    }

    fn from_fields(fields: Fields) -> Result<Self, RecordError> {
        Ok(Self {
            bank: Bank::new(fields.chain_id, fields.bank),
            account: AccountKey {
                signer: fields.signer,
                currency: Currency {
                    chain_id: fields.currency_chain_id,
                    token: fields.currency_token,
                },
            },
            credited: Amount::new(fields.credited),
            unused: fields.unused,
        })
    }
}
