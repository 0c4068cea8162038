//! Payments by a service: counted, logged, and refused by the right name.

use crate::{
    bank::{error::BankError, head::HeadCheckError},
    payer::{
        error::PayerError,
        pay::{NamedPayment, Payment, PaymentName, PreviewedPart},
        service::{PayerService, execute::next_list},
    },
    protocol::amount::Amount,
    service::metrics as names,
};
use alloy_primitives::Address;
use metrics::counter;

impl PayerService {
    /// Pays `amount` token units like [`Payer::pay`](crate::payer::Payer::pay), and counts the payment in the metrics. The new
    /// total is stored before this method returns.
    ///
    /// # Errors
    ///
    /// Those of [`Payer::pay`](crate::payer::Payer::pay). [`PayerError::NotListed`] only if the next round does not list the
    /// payee either.
    pub async fn pay(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
    ) -> Result<Vec<Payment>, PayerError> {
        self.pay_before(payee, token, amount, 0).await
    }

    /// Pays like [`PayerService::pay`], for a payee that takes no payment in the `payee_cutoff` seconds before a draw:
    /// see [`Payer::pay_before`](crate::payer::Payer::pay_before).
    ///
    /// # Errors
    ///
    /// Those of [`PayerService::pay`].
    pub async fn pay_before(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
        payee_cutoff: u64,
    ) -> Result<Vec<Payment>, PayerError> {
        let paid = async {
            self.recall().await?;
            let payer = &self.payer;
            payer.pay_before(payee, token, amount, payee_cutoff).await
        };
        let paid = self.refined(paid.await, payee, amount).await;
        match &paid {
            Ok(parts) => count_payment(payee, token, amount, parts.len()),
            Err(error) => count_refusal(payee, token, amount, error),
        }
        paid
    }

    /// Pays once per name: see [`Payer::pay_named`](crate::payer::Payer::pay_named).
    ///
    /// # Errors
    ///
    /// Those of [`PayerService::pay`], and [`PayerError::NameReused`].
    pub async fn pay_named(
        &self,
        name: &PaymentName,
        payee: Address,
        token: Address,
        amount: Amount,
        payee_cutoff: u64,
    ) -> Result<NamedPayment, PayerError> {
        let paid = async {
            self.recall().await?;
            let payer = &self.payer;
            let paid = payer.pay_named(name, payee, token, amount, payee_cutoff);
            paid.await
        };
        let paid = self.refined(paid.await, payee, amount).await;
        match &paid {
            Ok(NamedPayment {
                is_repeated: true, ..
            }) => tracing::debug!(event = "payment_repeated", %payee, %token, %amount),
            Ok(named) => count_payment(payee, token, amount, named.parts.len()),
            Err(error) => count_refusal(payee, token, amount, error),
        }
        paid
    }

    /// Previews a payment, and pays nothing: see [`Payer::preview`](crate::payer::Payer::preview).
    ///
    /// # Errors
    ///
    /// Those of [`PayerService::pay`].
    pub async fn preview(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
        payee_cutoff: u64,
    ) -> Result<Vec<PreviewedPart>, PayerError> {
        let previewed = async {
            self.recall().await?;
            let payer = &self.payer;
            payer.preview(payee, token, amount, payee_cutoff).await
        };
        self.refined(previewed.await, payee, amount).await
    }

    /// Replaces [`PayerError::NotListed`] where the next round lists the payee: it waits for that round only.
    async fn refined<T>(
        &self,
        paid: Result<T, PayerError>,
        payee: Address,
        needed: Amount,
    ) -> Result<T, PayerError> {
        let (Err(PayerError::NotListed { .. }), Some(rounds)) = (&paid, &self.rounds) else {
            return paid;
        };
        // A list that cannot be read now may list the payee once it can.
        let list = next_list(rounds).await;
        let is_next = list.map_or(true, |list| {
            let mut listed = list.allowances.iter();
            listed.any(|(listed, _)| *listed == payee)
        });
        if !is_next {
            return paid;
        }
        Err(PayerError::NotCovered {
            payee,
            available: Amount::ZERO,
            needed,
        })
    }
}

fn count_payment(payee: Address, token: Address, amount: Amount, parts: usize) {
    counter!(names::PAYER_PAYMENTS).increment(1);
    tracing::debug!(event = "paid", %payee, %token, %amount, parts);
}

fn count_refusal(payee: Address, token: Address, amount: Amount, error: &PayerError) {
    counter!(names::PAYER_REFUSED, "reason" => refusal_reason(error)).increment(1);
    tracing::warn!(event = "payment_refused", %payee, %token, %amount, %error);
}

/// Stable name of the reason for refusing a payment.
const fn refusal_reason(error: &PayerError) -> &'static str {
    match error {
        PayerError::NotCovered { .. } => "not_covered",
        PayerError::NotListed { .. } => "not_listed",
        PayerError::NameReused { .. } => "id_reused",
        PayerError::Clock(error) => error.code(),
        PayerError::Bank(BankError::Head(
            HeadCheckError::Ahead { .. } | HeadCheckError::Behind { .. },
        )) => "stale_view",
        PayerError::Write(_) => "bad_amount",
        PayerError::Stored(_) => "store",
        PayerError::Bank(_) => "chain",
        _ => "other",
    }
}
