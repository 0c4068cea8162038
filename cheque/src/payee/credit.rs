//! Payments recorded together with records of the application, such as the balance of the sender.

use crate::{
    payee::{
        Payee,
        accepted::{Accepted, ApplicationError, Credit},
        counted::Counted,
        error::ReceiveError,
        positions::{Replaced, StoredPosition},
    },
    protocol::{proof::Proof, receive::judge::PositionKey},
    store::{
        app_records::{AppRecords, AppRecordsReader},
        async_store::StoredError,
        error::StoreError,
        interface::Store,
    },
};
use alloy_primitives::Address;
use std::sync::Arc;

impl Payee {
    /// The application's records in the payee's store.
    #[must_use]
    pub fn app_records(&self) -> AppRecords {
        AppRecords::of(self.store.clone())
    }

    /// Judges and stores a payment like [`Payee::receive_payment`], and changes records of the application in the same
    /// transaction: the position and the records, or neither. So no crash separates a payment from its credit.
    ///
    /// `credit` gets the payment as it is about to be stored, and returns the changes, such as the new balance of
    /// [`Accepted::credit_to`]. It runs on a thread that may block, and again if a record has changed since it was read. A
    /// payment shown again is [`Rejection::Replay`](crate::Rejection::Replay), and `credit` does not run.
    ///
    /// # Examples
    ///
    /// ```
    /// use cheque::{
    ///     Address, Proof,
    ///     payee::{Accepted, ApplicationError, Payee, ReceiveError},
    ///     store::{AppChange, AppRecordsReader},
    /// };
    ///
    /// /// Adds a payment to the balance of its sender: 16 bytes, big-endian.
    /// fn credit(
    ///     payment: &Accepted,
    ///     records: &AppRecordsReader<'_>,
    /// ) -> Result<Vec<AppChange>, ApplicationError> {
    ///     let key = payment.credit_to.to_vec();
    ///     let old = records.get(&key)?;
    ///     let balance = match &old {
    ///         Some(bytes) => u128::from_be_bytes(bytes.as_slice().try_into()?),
    ///         None => 0,
    ///     };
    ///     let balance = balance.checked_add(payment.value.get()).ok_or("the balance is full")?;
    ///     let new = Some(balance.to_be_bytes().to_vec());
    ///     Ok(vec![AppChange { key, old, new }])
    /// }
    ///
    /// async fn pay(payee: &Payee, from: Address, proof: &Proof) -> Result<Accepted, ReceiveError> {
    ///     payee.receive_payment_with(Some(from), proof, credit).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Payee::receive_payment`]; [`ReceiveError::Application`] with the error of `credit`, or
    /// [`ReceiveError::Stored`] if that is a [`StoreError`]. Nothing is stored then, and the payment counts no longer.
    pub async fn receive_payment_with(
        &self,
        from: Option<Address>,
        proof: &Proof,
        credit: impl Credit,
    ) -> Result<Accepted, ReceiveError> {
        self.receive(from, proof, Some(Arc::new(credit))).await
    }

    /// Stores a payment with the records of the application. Like [`Payee::store_position`], the write goes on if the caller
    /// drops the future.
    pub(super) async fn store_with(
        &self,
        key: PositionKey,
        old: Option<StoredPosition>,
        new: Accepted,
        credit: Arc<dyn Credit>,
        counted: Counted,
    ) -> Result<Replaced, ReceiveError> {
        let shared = self.shared.clone();
        let work = move |store: &dyn Store| {
            let records = match credit(&new, &AppRecordsReader::new(store)) {
                Ok(records) => records,
                Err(error) => {
                    counted.give_back();
                    return Ok(Err(application_error(error)));
                }
            };
            let (old, position) = (old.as_ref(), new.position);
            let replaced = shared
                .positions
                .replace_with(store, &key, old, position, &records);
            counted.finish(&replaced);
            Ok(Ok(replaced.map_err(StoredError::from)?))
        };
        self.store.blocking(work).await?
    }
}

fn application_error(error: ApplicationError) -> ReceiveError {
    match error.downcast::<StoreError>() {
        Ok(error) => StoredError::from(*error).into(),
        Err(error) => ReceiveError::Application(Arc::from(error)),
    }
}
