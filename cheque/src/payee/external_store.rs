//! Payments stored by the application, in one transaction with the credited balance.

use crate::{
    payee::{Payee, error::ReceiveError, exposure::ExposureIndex},
    protocol::{
        amount::Amount,
        proof::Proof,
        receive::{policy::View, position::Position, rejection::Rejection},
        terms::DepositId,
    },
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;
use std::sync::{MutexGuard, PoisonError};

/// The inputs for judging one payment, read by [`Payee::judge`]. Not a verdict:
/// [`receive_payment`](crate::receive_payment) gives the verdict.
#[derive(Clone, Debug)]
#[must_use = "judge the payment by its view"]
pub struct Judged {
    payee: Payee,
    id: DepositId,
    deposit: Deposit,
    view: View,
}

impl Payee {
    /// Reads the inputs for judging a payment. For an application with a database of its own: it calls
    /// [`receive_payment`](crate::receive_payment), and stores position and balance in one transaction. `old` is the
    /// application's stored position in the deposit, `from` the authenticated sender, if any.
    ///
    /// Positions belong in [`Table::Positions`](crate::store::Table::Positions) of this payee's store, under
    /// [`position_key`](crate::store::position_key): the payee redeems the positions stored there, and computes
    /// exposure from them at its first use. Such an application must not call [`Payee::receive_payment`] as well.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Rejected`] if no view of the chain could make the payment good; [`ReceiveError::Bank`] if the
    /// node cannot answer; [`ReceiveError::Stored`] if the store cannot be read.
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
            (_, None) => return Err(Rejection::UnknownDeposit(id).into()),
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
    /// The view by which to judge the payment. Its chain data are of the time of [`Payee::judge`], its exposure is of
    /// this moment: judge, store and call [`Judged::add_exposure`] before the next payment of this payee is judged.
    pub fn view(&self) -> View {
        let exposure = self.exposure();
        let exposure = exposure.map(|index| index.of_others(self.id, &self.deposit));
        View {
            // Always known here, because every view has read the index.
            exposure: exposure.unwrap_or(Amount::MAX),
            ..self.view
        }
    }

    /// Counts the deposit as exposure, and includes its purse in later snapshots. Call it for a good payment while
    /// storing the position. If storing fails after all, the deposit counts until a new payee reads the store.
    pub fn add_exposure(&self) {
        if let Some(mut index) = self.exposure() {
            index.insert(self.id, &self.deposit);
        }
    }

    fn exposure(&self) -> Option<MutexGuard<'_, ExposureIndex>> {
        let index = self.payee.shared.exposure.get()?;
        Some(index.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
