//! Payments stored by the application, in one transaction with the credited balance.

use crate::{
    payee::{
        Payee, counted::Written, error::ReceiveError, exposure::reservation::Reservation,
        receive::Looked, shared::Shared,
    },
    protocol::{
        amount::Amount,
        proof::Proof,
        receive::{judge::receive_payment, policy::View, position::Position, rejection::Rejection},
        terms::DepositId,
    },
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The inputs for judging one payment, read by [`Payee::judge`]. Not a verdict:
/// [`receive_payment`] gives the verdict.
#[derive(Clone, Debug)]
#[must_use = "judge the payment by its view"]
pub struct Judged {
    payee: Payee,
    id: DepositId,
    deposit: Deposit,
    /// The total that the proof states.
    total: Amount,
    looked: Looked,
    counted: Arc<Counted>,
}

/// A payment of an application. When the last clone of [`Judged`] is dropped, the write is over: the service is told of the
/// deposit, and may decide its draw and redeem again.
#[derive(Debug)]
struct Counted {
    shared: Arc<Shared>,
    written: Written,
    reservation: Mutex<Option<Reservation>>,
}

impl Counted {
    fn reservation(&self) -> MutexGuard<'_, Option<Reservation>> {
        let reservation = self.reservation.lock();
        reservation.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let reservation = self.reservation().take();
        if let Some(reservation) = reservation {
            // The application does not tell, so the payment may be written.
            self.shared.index().finish(reservation, true);
            self.written.report(&self.shared);
        }
    }
}

impl Payee {
    /// Reads the inputs for judging a payment. For an application that writes positions itself, in transactions of its own:
    /// it calls [`receive_payment`], and stores position and balance. Others use [`Payee::receive_payment_with`]. `old` is
    /// the application's stored position in the deposit, `from` the authenticated sender, if any.
    ///
    /// Positions belong in [`Table::Positions`](crate::store::Table::Positions) of this payee's store, under
    /// [`position_key`](crate::store::position_key): the payee redeems the positions stored there, and computes
    /// exposure from them at its first use. Such an application must not call [`Payee::receive_payment`] as well.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Rejected`] if no view of the chain could make the payment good; [`ReceiveError::Bank`] if the
    /// node cannot answer; [`ReceiveError::Busy`] if too many openings of unknown deposits are being judged;
    /// [`ReceiveError::Stored`] if the store cannot be read.
    pub async fn judge(
        &self,
        from: Option<Address>,
        proof: &Proof,
        old: Option<&Position>,
    ) -> Result<Judged, ReceiveError> {
        let id = proof.deposit_id();
        let mut looked = self.look(from, id, proof, old).await?;
        if self.is_too_exposed(from, proof, old, &looked.view) {
            // A draw since the last look may have freed exposure.
            let snapshot = self.fresh_snapshot().await?;
            self.decide_draws(&snapshot, self.max_age()).await?;
            looked = self.look(from, id, proof, old).await?;
        }
        let (deposit, total) = match (proof, old) {
            (Proof::Opening(opening), _) => (&opening.deposit, Some(opening.cheque.spent)),
            (Proof::Cheque(_, cheque), Some(old)) => (old.deposit(), Some(cheque.spent)),
            (Proof::Step { k, .. }, Some(old)) => (old.deposit(), old.newest().total(*k)),
            (_, None) => return Err(Rejection::UnknownDeposit(id).into()),
        };
        let counted = Counted {
            shared: self.shared.clone(),
            written: self.written(id, deposit, old.is_none()),
            reservation: Mutex::default(),
        };
        Ok(Judged {
            payee: self.clone(),
            id,
            deposit: deposit.clone(),
            total: total.unwrap_or(Amount::MAX),
            looked,
            counted: Arc::new(counted),
        })
    }

    fn is_too_exposed(
        &self,
        from: Option<Address>,
        proof: &Proof,
        old: Option<&Position>,
        view: &View,
    ) -> bool {
        use Rejection::{ExposureTooLarge, UnsettledTooLarge};
        !view.exposure.is_zero()
            && matches!(
                receive_payment(from, proof, old, view, &self.policy),
                Err(ExposureTooLarge { .. } | UnsettledTooLarge { .. })
            )
    }
}

impl Judged {
    /// The view by which to judge the payment. Its chain data are of the time of [`Payee::judge`], its exposure is of
    /// this moment: judge, store and call [`Judged::add_exposure`] before the next payment of this payee is judged.
    pub fn view(&self) -> View {
        let index = self.payee.index();
        let sums = index.of_others(self.id, &self.deposit, self.looked.view.settled);
        View {
            exposure: sums.exposure,
            unsettled: sums.unsettled,
            ..self.looked.view.clone()
        }
    }

    /// Counts the payment as exposure. Call it for a good payment before storing the position, and [`Judged::give_back`] if
    /// nothing was stored.
    ///
    /// Until this value and its clones are dropped, the deposit is neither drawn nor redeemed, and no consent is signed: the
    /// bank pays a deposit once, and the payment would be lost.
    ///
    /// Drop this value, and its clones, once the position is stored: a `PayeeService` then looks at the deposit, if this
    /// is its first payment or the draw is near. A look before the end of the write would not find the payment.
    pub fn add_exposure(&self) {
        self.counted.reservation().get_or_insert_with(|| {
            let mut index = self.payee.index();
            index.begin(self.id, &self.deposit, self.total, self.looked.sight)
        });
    }

    /// Counts the payment no longer as exposure. Call it only if the position was certainly not stored, as after a rollback;
    /// not after a commit whose result is unknown. Dropped without this call, the payment counts until a new payee reads the
    /// store.
    pub fn give_back(&self) {
        let reservation = self.counted.reservation().take();
        if let Some(reservation) = reservation {
            self.payee.index().finish(reservation, false);
        }
    }
}
