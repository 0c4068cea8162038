//! Payments at the service: judged like those of a payee, and counted in the metrics.

use crate::{
    payee::{
        accepted::{Accepted, Credit},
        error::ReceiveError,
        service::PayeeService,
    },
    protocol::proof::Proof,
    service::metrics as names,
};
use alloy_primitives::Address;
use metrics::counter;

impl PayeeService {
    /// Judges and stores a payment like
    /// [`Payee::receive_payment`](crate::payee::Payee::receive_payment), and counts it in the metrics.
    ///
    /// # Errors
    ///
    /// Those of [`Payee::receive_payment`](crate::payee::Payee::receive_payment), and [`ReceiveError::Stored`] if the last head cannot be read from the
    /// store.
    pub async fn receive_payment(
        &self,
        from: Option<Address>,
        proof: &Proof,
    ) -> Result<Accepted, ReceiveError> {
        let received = async {
            self.recall().await?;
            self.payee.receive_payment(from, proof).await
        };
        counted(received.await)
    }

    /// Judges and stores a payment with records of the application like
    /// [`Payee::receive_payment_with`](crate::payee::Payee::receive_payment_with), and counts it in the metrics.
    ///
    /// # Errors
    ///
    /// Those of [`PayeeService::receive_payment`], and [`ReceiveError::Application`] with the error of `credit`.
    pub async fn receive_payment_with(
        &self,
        from: Option<Address>,
        proof: &Proof,
        credit: impl Credit,
    ) -> Result<Accepted, ReceiveError> {
        let received = async {
            self.recall().await?;
            self.payee.receive_payment_with(from, proof, credit).await
        };
        counted(received.await)
    }
}

/// Counts the result of a payment in the metrics.
fn counted(received: Result<Accepted, ReceiveError>) -> Result<Accepted, ReceiveError> {
    match &received {
        Ok(_) => counter!(names::PAYEE_PAYMENTS).increment(1),
        Err(error) => {
            let reason = match error {
                ReceiveError::Rejected(rejection) => rejection.code(),
                ReceiveError::Bank(_) => "chain",
                ReceiveError::Busy => "busy",
                ReceiveError::Application(_) => "application",
                ReceiveError::Stored(_) => "store",
            };
            counter!(names::PAYEE_REFUSED, "reason" => reason).increment(1);
        }
    }
    received
}
