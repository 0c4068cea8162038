//! Lists of accounts, for the operator.

use crate::ledger::{
    account::AccountKey,
    fault::{LedgerFault, joined},
    records::{
        account::{AccountRecord, Sums},
        codec::Record,
        keys::Keys,
    },
    shell::Ledger,
};
use cheque::store::Table;
use std::ops::ControlFlow;

impl Ledger {
    /// Returns the sums of at most `max` accounts, in the order of signer, chain id and token, from the first one behind
    /// `after`. Reads the keys of all accounts before it.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn accounts(
        &self,
        after: Option<AccountKey>,
        max: usize,
    ) -> Result<Vec<(AccountKey, Sums)>, LedgerFault> {
        let shared = self.shared.clone();
        let work = move || {
            let keys = Keys::new(shared.judge.payee());
            let (mut found, mut fault) = (Vec::new(), None);
            let mut visit = |key: &[u8], value: &[u8]| {
                if found.len() >= max {
                    return ControlFlow::Break(());
                }
                let account = keys.account_of(key);
                let Some(account) =
                    account.filter(|account| after.is_none_or(|after| after < *account))
                else {
                    return ControlFlow::Continue(());
                };
                match AccountRecord::decode(value) {
                    Ok(record) => {
                        found.push((account, record.sums()));
                        ControlFlow::Continue(())
                    }
                    Err(error) => {
                        fault = Some(error.into());
                        ControlFlow::Break(())
                    }
                }
            };
            let store = shared.pipeline.store();
            store.scan(Table::App, &keys.accounts(), &mut visit)?;
            fault.map_or(Ok(found), Err)
        };
        joined(tokio::task::spawn_blocking(work).await)?
    }
}
