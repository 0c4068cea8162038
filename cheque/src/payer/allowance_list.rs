//! Stored allowance lists of a payer's deposits.

use crate::{
    payer::names::PayeeName,
    protocol::{allowance::MasterSalt, amount::Amount},
    store::codec::{RecordError, decode, encode},
};
use alloy_primitives::{Address, B256};
use alloy_rlp::{Error, RlpDecodable, RlpEncodable};
use std::collections::BTreeMap;

/// Allowance list of one deposit, from which its tree can be built again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowanceList {
    /// Secret from which the salts of the leaves derive.
    pub master: MasterSalt,
    /// Payees and their allowances.
    pub allowances: Vec<(Address, Amount)>,
    /// The payer's own names of payees. No part of the tree.
    pub names: BTreeMap<Address, PayeeName>,
}

impl AllowanceList {
    /// Encodes the list for the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let rows = self.allowances.iter();
        let names = self.names.iter().map(|(payee, name)| NameRow {
            payee: *payee,
            name: name.as_str().to_owned(),
        });
        encode(&ListRow {
            master: self.master.as_bytes().into(),
            allowances: rows
                .map(|(payee, allowance)| AllowanceRow {
                    payee: *payee,
                    allowance: allowance.get(),
                })
                .collect(),
            names: names.collect(),
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
        let names = row.names.iter().map(|row| {
            let name = row.name.parse();
            let name = name.map_err(|_| Error::Custom("unreadable name of a payee"))?;
            Ok::<_, RecordError>((row.payee, name))
        });
        Ok(Self {
            master: MasterSalt::from_bytes(row.master.0),
            allowances: rows
                .map(|row| (row.payee, Amount::new(row.allowance)))
                .collect(),
            names: names.collect::<Result<_, _>>()?,
        })
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct ListRow {
    master: B256,
    allowances: Vec<AllowanceRow>,
    names: Vec<NameRow>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct AllowanceRow {
    payee: Address,
    allowance: u128,
}

#[derive(RlpEncodable, RlpDecodable)]
struct NameRow {
    payee: Address,
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_allowance_lists() {
        let payees = [1, 2].map(Address::repeat_byte);
        let name: PayeeName = "alice".parse().unwrap();
        let names = payees.map(|payee| (payee, name.clone()));
        for names in [BTreeMap::new(), names.into()] {
            let list = AllowanceList {
                master: MasterSalt::from_bytes([7; 32]),
                allowances: vec![(payees[0], Amount::MAX), (payees[1], Amount::new(1))],
                names,
            };
            assert_eq!(AllowanceList::from_bytes(&list.to_bytes()), Ok(list));
        }
    }
}
