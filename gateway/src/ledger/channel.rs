//! A deposit, as the payer of a stream is told of it.

use crate::ledger::{fault::LedgerFault, shell::Ledger};
use cheque::{Amount, DepositId};

/// A deposit's newest cheque and its bound, in token units. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The total of the newest payment.
    pub accepted: Amount,
    /// The payee's allowance: no total is above it.
    pub allowance: Amount,
}

impl Ledger {
    /// Reads the payee's position in a deposit. `None`: the deposit has paid nothing, or is pruned.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub async fn channel(&self, id: DepositId) -> Result<Option<Channel>, LedgerFault> {
        self.repeat(move |book, _| {
            let Some(deposit) = book.deposit(id)? else {
                return Ok(None);
            };
            let position = book.position(deposit.bank.address(), id)?;
            Ok(position.map(|position| Channel {
                accepted: position.total(),
                allowance: position.allowance(),
            }))
        })
        .await
    }
}
