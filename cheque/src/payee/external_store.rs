//! Payments that the application judges and keeps itself, in one transaction with what it credits.

use crate::{
    payee::{Payee, error::ReceiveError, exposure::ExposureIndex},
    protocol::{
        amount::Amount,
        proof::Proof,
        receive::{policy::View, position::Position},
        terms::DepositId,
    },
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;
use std::sync::{MutexGuard, PoisonError};

/// What it takes to judge one payment now; see [`Payee::judge`].
#[derive(Clone, Debug)]
pub struct Judged {
    payee: Payee,
    id: DepositId,
    deposit: Deposit,
    view: View,
}

impl Payee {
    /// Looks up what it takes to judge a payment, for an application that calls
    /// [`receive_payment`](crate::receive_payment) itself, to keep the meta in one transaction with the balance it
    /// credits. `old` is the meta it has of the deposit, `from` whom it has authenticated.
    ///
    /// The metas belong into [`Table::Received`](crate::store::Table::Received) of this payee's store, under
    /// [`received_key`](crate::store::received_key): the payee redeems what is there, and reads it anew when it is made.
    /// Such an application does not call [`Payee::receive_payment`] beside.
    ///
    /// # Errors
    ///
    /// A rejection where no view could make the payment good, and where the node cannot be asked.
    pub async fn judge(
        &self,
        from: Option<Address>,
        proof: &Proof,
        old: Option<&Position>,
    ) -> Result<Judged, ReceiveError> {
        let id = proof.deposit_id();
        let view = self.view_for(from, id, proof, old).await?;
        let deposit = match (proof, old) {
            (Proof::Opening(opening), _) => &opening.deposit,
            (_, Some(old)) => old.deposit(),
            (_, None) => {
                return Err(
                    crate::protocol::receive::rejection::Rejection::UnknownDeposit(id).into(),
                );
            }
        };
        Ok(Judged {
            payee: self.clone(),
            id,
            deposit: deposit.clone(),
            view,
        })
    }
}

impl Judged {
    /// The view to judge the payment by. What it says of the chain is as of the look, the exposure as of this moment:
    /// judge, keep and call [`Judged::taken`] before the next payment of this payee is judged.
    pub fn view(&self) -> View {
        let book = self.book();
        let exposure = book.map(|book| book.exposure_beside(self.id, &self.deposit));
        View {
            // There is a book once somebody has looked.
            exposure: exposure.unwrap_or(Amount::MAX),
            ..self.view
        }
    }

    /// The payment is good, and is being kept: from now on its deposit counts as exposure, and its purse is looked up
    /// with the others. If it could not be kept after all, this lasts until the payee is made anew.
    pub fn taken(&self) {
        if let Some(mut book) = self.book() {
            book.insert(self.id, &self.deposit);
        }
    }

    fn book(&self) -> Option<MutexGuard<'_, ExposureIndex>> {
        let book = self.payee.shared.book.get()?;
        Some(book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
