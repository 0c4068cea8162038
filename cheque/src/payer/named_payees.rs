//! Finds the payees of a deposit by the payer's names.

use crate::{
    payer::{Payer, error::PayerError, names::PayeeName, stored::stored_list},
    protocol::terms::DepositId,
};
use alloy_primitives::Address;
use std::collections::BTreeMap;

impl Payer {
    /// Returns the names of a deposit's payees, as its allowance list gives them.
    ///
    /// # Errors
    ///
    /// [`PayerError::NoList`] if the store lacks the deposit's allowance list, [`PayerError::Stored`] if it cannot be read.
    pub async fn payee_names(
        &self,
        id: DepositId,
    ) -> Result<BTreeMap<Address, PayeeName>, PayerError> {
        let list = stored_list(&self.store, self.reader.bank(), id).await?;
        Ok(list.ok_or(PayerError::NoList(id))?.names)
    }

    /// Finds the payee that the deposit's allowance list gives exactly this name.
    ///
    /// # Errors
    ///
    /// [`PayerError::UnknownName`] if the list gives the name to no payee, [`PayerError::DoubledName`] if to several; those of
    /// [`Payer::payee_names`].
    pub async fn payee_named(
        &self,
        id: DepositId,
        name: &PayeeName,
    ) -> Result<Address, PayerError> {
        let names = self.payee_names(id).await?;
        let named = names.iter().filter(|(_, given)| *given == name);
        let mut named = named.map(|(payee, _)| *payee);
        match (named.next(), named.next()) {
            (Some(payee), None) => Ok(payee),
            (None, _) => Err(PayerError::UnknownName {
                deposit: id,
                name: name.clone(),
            }),
            (Some(one), Some(other)) => Err(PayerError::DoubledName {
                deposit: id,
                name: name.clone(),
                payees: [one, other],
            }),
        }
    }
}
