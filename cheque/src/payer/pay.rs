//! Writes cheques and takes stream steps.

mod pieces;
mod preview;
mod proofs;
mod receipts;

pub use preview::PreviewedPart;
pub use receipts::{
    MAX_PRUNED_RECEIPTS, NamedPayment, PaymentName, PaymentNameError, RECEIPT_RETENTION,
};

use crate::{
    payer::{Payer, error::PayerError},
    protocol::{
        account::{Account, ChequeContext, WriteError},
        amount::Amount,
        proof::Proof,
        signature::SigningKey,
        stream::Stream,
        terms::DepositId,
    },
    store::{
        Swap, Table,
        async_store::{OwnedChange, StoredError},
        keys::account_key,
    },
    sys::random,
};
use alloy_primitives::{Address, B256};
use cheque_bindings::Deposit;

/// A stored payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The deposit.
    pub deposit: DepositId,
    /// Total paid to the payee from the deposit, in token units.
    pub spent: Amount,
    /// The payee's remaining allowance, in token units.
    pub left: Amount,
    /// The proof to send to the payee.
    pub proof: Proof,
}

/// An account with its stored value, to be replaced by compare-and-set. `None`: not stored yet.
type StoredAccount = (Option<Vec<u8>>, Account);

impl Payer {
    /// Pays `amount` token units from one deposit by a cheque. The first payment's proof contains the deposit's
    /// terms; a payee needs the terms once.
    ///
    /// The new total is stored before this method returns. A payee that never got the first proof rejects the
    /// next proof with an unknown deposit: [`Payer::opening_proof`] returns a proof with the terms.
    ///
    /// # Errors
    ///
    /// [`PayerError::NotActive`] if a recent snapshot of the chain does not have the deposit as confirmed, or if the
    /// payer's cutoff is over by the latest of the three clocks; [`PayerError::Clock`] if these disagree;
    /// [`PayerError::NotCoveredByDeposit`] if the payee's allowance is used up, [`PayerError::NoKey`] and [`PayerError::WrongKey`]; errors of the node
    /// and of the store. Nothing is paid after an error, except that [`PayerError::Stored`] may leave open
    /// whether the new total was stored: [`Payer::last_proof`] tells.
    pub async fn write_cheque(
        &self,
        id: DepositId,
        payee: Address,
        amount: Amount,
    ) -> Result<Payment, PayerError> {
        self.pay_from(id, payee, |account, context| {
            account.write_cheque(amount, context)
        })
        .await
    }

    /// Opens a stream of `length` steps that pay `step` token units each, and pays `amount` (zero is fine) with
    /// the same cheque. The allowance has to cover the whole stream. Otherwise like [`Payer::write_cheque`].
    ///
    /// # Errors
    ///
    /// Those of [`Payer::write_cheque`]; [`PayerError::Write`] for a stream of invalid length;
    /// [`PayerError::NoRandomness`].
    pub async fn open_stream(
        &self,
        id: DepositId,
        payee: Address,
        amount: Amount,
        step: Amount,
        length: u32,
    ) -> Result<Payment, PayerError> {
        let x0 = B256::from(random()?);
        let stream = Stream::new(x0, length).map_err(WriteError::from)?;
        self.pay_from(id, payee, |account, context| {
            account.open_stream(amount, step, stream.clone(), context)
        })
        .await
    }

    /// Pays `steps` steps of the open stream. Otherwise like [`Payer::write_cheque`].
    ///
    /// # Errors
    ///
    /// Those of [`Payer::write_cheque`]; [`PayerError::Write`] if no stream is open or fewer steps are left.
    pub async fn pay_steps(
        &self,
        id: DepositId,
        payee: Address,
        steps: u32,
    ) -> Result<Payment, PayerError> {
        self.pay_from(id, payee, |account, _| account.pay_steps(steps))
            .await
    }

    /// Pays `amount` token units from all active deposits of this token and this payer's key, earliest draw
    /// first: the whole amount or nothing.
    ///
    /// # Errors
    ///
    /// [`PayerError::NotCovered`] if the active deposits do not cover the amount, [`PayerError::NotListed`] if none of them
    /// lists the payee, [`PayerError::Write`] for an amount of zero, [`PayerError::Clock`] and [`PayerError::NoKey`]; errors of the node and of the store.
    pub async fn pay(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
    ) -> Result<Vec<Payment>, PayerError> {
        self.pay_before(payee, token, amount, 0).await
    }

    /// Pays like [`Payer::pay`], for a payee that takes no payment in the `payee_cutoff` seconds before a draw. Such
    /// payments leave out deposits that the payee would refuse, 15 s for the way included.
    ///
    /// # Errors
    ///
    /// Those of [`Payer::pay`].
    pub async fn pay_before(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
        payee_cutoff: u64,
    ) -> Result<Vec<Payment>, PayerError> {
        if amount.is_zero() {
            return Err(WriteError::ZeroAmount.into());
        }
        loop {
            let parts = self.split(payee, token, amount, payee_cutoff).await?;
            let changes = parts
                .iter()
                .map(|part| account_change(part.id, payee, &part.old, &part.new));
            if self.store.swap(changes.collect()).await? != Swap::Done {
                // Another payment has changed an account meanwhile: split again by the current allowances.
                continue;
            }
            return self.payments_of(payee, &parts).await;
        }
    }

    /// Reads a payee's account. A payee that was paid nothing yet gets an empty account of its allowance.
    pub(super) async fn account(
        &self,
        id: DepositId,
        payee: Address,
    ) -> Result<StoredAccount, PayerError> {
        let key = account_key(id, payee).to_vec();
        if let Some(bytes) = self.store.get(Table::Accounts, key).await? {
            let account = Account::from_bytes(&bytes).map_err(StoredError::from)?;
            return Ok((Some(bytes), account));
        }
        let allowance = self.tree(id).await?.allowance(payee);
        let allowance = allowance.ok_or(PayerError::UnknownPayee { deposit: id, payee })?;
        Ok((None, Account::new(allowance)))
    }

    async fn pay_from(
        &self,
        id: DepositId,
        payee: Address,
        pay: impl Fn(&Account, &ChequeContext<'_>) -> Result<Account, WriteError>,
    ) -> Result<Payment, PayerError> {
        let deposit = self.record(id).await?.deposit;
        let key = self.key_for(&deposit)?;
        let (snapshot, now) = self.live_snapshot().await?;
        if !snapshot.is_active(id, &deposit) || !self.is_in_time(&deposit, 0, now) {
            return Err(PayerError::NotActive(id));
        }
        let context = self.context(key, id, payee);
        let pay = |account: &Account| pay(account, &context);
        let (first, account) = self.update(id, payee, pay).await?;
        self.payment(id, payee, &account, first).await
    }

    /// Replaces an account by the result of `pay`. Returns the new account, and true if none was stored before.
    async fn update(
        &self,
        id: DepositId,
        payee: Address,
        pay: impl Fn(&Account) -> Result<Account, WriteError>,
    ) -> Result<(bool, Account), PayerError> {
        loop {
            let old = self.account(id, payee).await?;
            let new = pay(&old.1).map_err(|error| name_deposit(id, error))?;
            let swap = self
                .store
                .swap(vec![account_change(id, payee, &old, &new)])
                .await?;
            if swap == Swap::Done {
                self.count_spent(id, &old.1, &new);
                return Ok((old.0.is_none(), new));
            }
        }
    }

    /// Divides a payment among the active deposits, earliest draw first.
    async fn split(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
        payee_cutoff: u64,
    ) -> Result<Vec<Part>, PayerError> {
        let key = self.key.as_ref().ok_or(PayerError::NoKey)?;
        let (snapshot, now) = self.live_snapshot().await?;
        let mut remaining = amount;
        let mut parts = Vec::new();
        let (mut has_deposits, mut is_listed) = (false, false);
        for (&(_, id), terms) in &snapshot.active {
            let is_ours = terms.token == token && terms.signer == key.address();
            if !is_ours || !self.is_in_time(terms, payee_cutoff, now) {
                continue;
            }
            has_deposits = true;
            let old = match self.account(id, payee).await {
                Ok(old) => old,
                Err(PayerError::UnknownPayee { .. }) => continue,
                Err(PayerError::NoList(_)) => {
                    // Nobody can tell whether it lists the payee.
                    is_listed = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            is_listed = true;
            let share = remaining.min(old.1.left());
            if share.is_zero() {
                continue;
            }
            let new = old.1.write_cheque(share, &self.context(key, id, payee))?;
            parts.push(Part { id, old, new });
            remaining = remaining.saturating_sub(share);
            if remaining.is_zero() {
                return Ok(parts);
            }
        }
        if has_deposits && !is_listed {
            return Err(PayerError::NotListed { payee });
        }
        Err(PayerError::NotCovered {
            payee,
            available: amount.saturating_sub(remaining),
            needed: amount,
        })
    }

    /// Counts the stored parts of a payment, and makes their proofs.
    async fn payments_of(
        &self,
        payee: Address,
        parts: &[Part],
    ) -> Result<Vec<Payment>, PayerError> {
        self.count_spent_of(parts);
        self.payments(payee, parts).await
    }

    /// Makes the proofs of a payment's parts.
    async fn payments(&self, payee: Address, parts: &[Part]) -> Result<Vec<Payment>, PayerError> {
        let mut payments = Vec::with_capacity(parts.len());
        for part in parts {
            let first = part.old.0.is_none();
            payments.push(self.payment(part.id, payee, &part.new, first).await?);
        }
        Ok(payments)
    }

    fn count_spent_of(&self, parts: &[Part]) {
        for part in parts {
            self.count_spent(part.id, &part.old.1, &part.new);
        }
    }

    fn count_spent(&self, id: DepositId, old: &Account, new: &Account) {
        let paid = new.total().saturating_sub(old.total());
        self.shared.spent.add(id, paid);
    }

    fn key_for(&self, deposit: &Deposit) -> Result<&SigningKey, PayerError> {
        let key = self.key.as_ref().ok_or(PayerError::NoKey)?;
        if key.address() == deposit.signer {
            return Ok(key);
        }
        Err(PayerError::WrongKey {
            signer: deposit.signer,
            key: key.address(),
        })
    }

    const fn context<'a>(
        &'a self,
        key: &'a SigningKey,
        deposit: DepositId,
        payee: Address,
    ) -> ChequeContext<'a> {
        ChequeContext {
            key,
            bank: self.reader.bank(),
            deposit,
            payee,
        }
    }
}

/// One deposit's share of a payment.
struct Part {
    id: DepositId,
    old: StoredAccount,
    new: Account,
}

fn account_change(
    id: DepositId,
    payee: Address,
    old: &StoredAccount,
    new: &Account,
) -> OwnedChange {
    OwnedChange {
        table: Table::Accounts,
        key: account_key(id, payee).to_vec(),
        old: old.0.clone(),
        new: Some(new.to_bytes()),
    }
}

/// Adds the deposit to the error of an allowance that does not cover a payment.
fn name_deposit(deposit: DepositId, error: WriteError) -> PayerError {
    match error {
        WriteError::NotCovered { needed, left } => PayerError::NotCoveredByDeposit {
            deposit,
            left,
            needed,
        },
        error => error.into(),
    }
}
