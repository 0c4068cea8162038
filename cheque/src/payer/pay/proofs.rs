//! Proofs of past payments, and recovery of an account from a cheque that the payee shows.

use crate::{
    payer::{Payer, error::PayerError, pay::Payment},
    protocol::{
        account::{Account, WriteError},
        amount::Amount,
        cheque::SignedCheque,
        proof::{Opening, Proof},
        terms::DepositId,
    },
};
use alloy_primitives::{Address, B256};

impl Payer {
    /// Returns the proof of the newest payment, for a payee that has lost it. `None` if the payee was paid
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`PayerError::UnknownDeposit`], [`PayerError::UnknownPayee`], [`PayerError::NoList`] or
    /// [`PayerError::Stored`].
    pub async fn last_proof(
        &self,
        id: DepositId,
        payee: Address,
    ) -> Result<Option<Proof>, PayerError> {
        self.record(id).await?;
        let (_, account) = self.account(id, payee).await?;
        Ok(account.last_proof(id))
    }

    /// Returns the newest cheque with the deposit's terms, for a payee that does not know the deposit. Steps
    /// taken since that cheque are missing from the proof: see [`Payer::last_proof`]. `None` if the payee was
    /// paid nothing.
    ///
    /// # Errors
    ///
    /// [`PayerError::UnknownDeposit`], [`PayerError::UnknownPayee`], [`PayerError::NoList`] or
    /// [`PayerError::Stored`].
    pub async fn opening_proof(
        &self,
        id: DepositId,
        payee: Address,
    ) -> Result<Option<Proof>, PayerError> {
        let (_, account) = self.account(id, payee).await?;
        match account.newest() {
            Some(cheque) => Ok(Some(self.opening_with(id, payee, *cheque).await?)),
            None => Ok(None),
        }
    }

    /// Recovers an account after a loss of records: stores a newer cheque of this payer's own key, shown by the
    /// payee. `shown` are the number of stream steps that the payee can prove, and the last value of the hash
    /// chain; both are zero without steps. Returns the total paid and the remaining allowance.
    ///
    /// # Errors
    ///
    /// [`PayerError::Write`] if the cheque or the steps are invalid or not newer, [`PayerError::NoKey`],
    /// [`PayerError::WrongKey`], [`PayerError::UnknownDeposit`], [`PayerError::UnknownPayee`],
    /// [`PayerError::NoList`] or [`PayerError::Stored`].
    pub async fn resume_from(
        &self,
        id: DepositId,
        payee: Address,
        cheque: &SignedCheque,
        shown: (u32, B256),
    ) -> Result<(Amount, Amount), PayerError> {
        let deposit = self.record(id).await?.deposit;
        let key = self.key_for(&deposit)?;
        let (_, account) = self
            .update(id, payee, |account| {
                account.resume(cheque, shown, &self.context(key, id, payee))
            })
            .await?;
        self.forget_winner(id).await?;
        Ok((account.total(), account.left()))
    }

    pub(super) async fn payment(
        &self,
        deposit: DepositId,
        payee: Address,
        account: &Account,
        first: bool,
    ) -> Result<Payment, PayerError> {
        let proof = match account.newest() {
            Some(cheque) if first => Some(self.opening_with(deposit, payee, *cheque).await?),
            _ => account.last_proof(deposit),
        };
        Ok(Payment {
            deposit,
            spent: account.total(),
            left: account.left(),
            proof: proof.ok_or(WriteError::ZeroAmount)?,
        })
    }

    async fn opening_with(
        &self,
        id: DepositId,
        payee: Address,
        cheque: SignedCheque,
    ) -> Result<Proof, PayerError> {
        let allowance = self.tree(id).await?.proof(payee);
        Ok(Proof::Opening(Box::new(Opening {
            bank: *self.reader.bank(),
            deposit: self.record(id).await?.deposit,
            allowance: allowance.ok_or(PayerError::UnknownPayee { deposit: id, payee })?,
            payee,
            cheque,
        })))
    }
}
