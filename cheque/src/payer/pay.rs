//! Writing cheques and taking stream steps.

mod pieces;

use crate::{
    payer::{Payer, error::PayerError, snapshot::ChainSnapshot},
    protocol::{
        account::{Account, ChequeContext, WriteError},
        amount::Amount,
        cheque::SignedCheque,
        proof::{Opening, Proof},
        signature::SigningKey,
        stream::Stream,
        terms::DepositId,
    },
    store::{Swap, Table, async_store::OwnedChange, keys::account_key},
    sys::random,
};
use alloy_primitives::{Address, B256};
use cheque_bindings::Deposit;

/// A payment that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The deposit.
    pub deposit: DepositId,
    /// What the payee was paid from it in all, in token units.
    pub spent: Amount,
    /// What is left of the payee's allowance, in token units.
    pub left: Amount,
    /// What to hand to the payee.
    pub proof: Proof,
}

/// An account as read, to be replaced by compare-and-set.
type Old = (Option<Vec<u8>>, Account);

impl Payer {
    /// Pays `amount` token units by a cheque. The first payment's proof contains the deposit's terms; payees need those
    /// once.
    ///
    /// The new total is on disk before this returns. A payee that never got the first proof rejects the next one as of an
    /// unknown deposit: [`Payer::opening`] gives the terms again.
    ///
    /// # Errors
    ///
    /// [`PayerError::NotActive`] by a snapshot of the chain that is at most one block old,
    /// [`PayerError::NotCoveredByDeposit`] if the payee's allowance is used up. Nothing has changed after an error.
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

    /// Begins a stream of `length` steps that pay `step` token units each, and pays `amount` (zero is fine) with the same
    /// cheque. Otherwise like [`Payer::write_cheque`]. The allowance has to cover the whole stream.
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

    /// Takes `steps` steps of the open stream. Otherwise like [`Payer::write_cheque`].
    pub async fn pay_steps(
        &self,
        id: DepositId,
        payee: Address,
        steps: u32,
    ) -> Result<Payment, PayerError> {
        self.pay_from(id, payee, |account, _| account.pay_steps(steps))
            .await
    }

    /// Pays `amount` token units from all active deposits of this token and this payer's key, the soonest draw first: all
    /// of it or nothing.
    pub async fn pay(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
    ) -> Result<Vec<Payment>, PayerError> {
        if amount.is_zero() {
            return Err(WriteError::ZeroAmount.into());
        }
        loop {
            let parts = self.split(payee, token, amount).await?;
            let changes = parts
                .iter()
                .map(|part| change(part.id, payee, &part.old, &part.new));
            if self.store.swap(changes.collect()).await? != Swap::Done {
                // Another payment was faster; split again on what is left now.
                continue;
            }
            let mut payments = Vec::with_capacity(parts.len());
            for part in parts {
                let first = part.old.0.is_none();
                payments.push(self.payment(part.id, payee, &part.new, first).await?);
            }
            return Ok(payments);
        }
    }

    /// The proof of the newest payment again, for a payee that has lost it. `None`: it was paid nothing.
    pub async fn last_proof(
        &self,
        id: DepositId,
        payee: Address,
    ) -> Result<Option<Proof>, PayerError> {
        self.record(id).await?;
        let (_, account) = self.account(id, payee).await?;
        Ok(account.last_proof(id))
    }

    /// The newest cheque with the deposit's terms, for a payee that does not know the deposit. Steps taken since the
    /// cheque are not in it: see [`Payer::last_proof`]. `None`: the payee was paid nothing.
    pub async fn opening(
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

    /// Takes over a newer cheque of this payer's own key that the payee has shown, after a loss of records, and the steps
    /// of its stream that the payee can show (both zero for none). Returns what was spent and what is left.
    pub async fn resume_from(
        &self,
        id: DepositId,
        payee: Address,
        cheque: &SignedCheque,
        shown: (u32, B256),
    ) -> Result<(Amount, Amount), PayerError> {
        let deposit = self.record(id).await?.deposit;
        let key = self.key_of(&deposit)?;
        let (_, account) = self
            .update(id, payee, |account| {
                account.resume(cheque, shown, &self.context(key, id, payee))
            })
            .await?;
        self.forget_winner(id).await;
        Ok((account.total(), account.left()))
    }

    /// The account as stored, or a new one of a payee that was paid nothing yet.
    pub(super) async fn account(&self, id: DepositId, payee: Address) -> Result<Old, PayerError> {
        let key = account_key(id, payee).to_vec();
        if let Some(bytes) = self.store.get(Table::Accounts, key).await? {
            let account = Account::from_bytes(&bytes)
                .map_err(crate::store::async_store::StoredError::from)?;
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
        let key = self.key_of(&deposit)?;
        let snapshot = self.live_snapshot().await?;
        if !Self::is_active(&snapshot, id) {
            return Err(PayerError::NotActive(id));
        }
        let context = self.context(key, id, payee);
        let pay = |account: &Account| pay(account, &context);
        let (first, account) = self.update(id, payee, pay).await?;
        self.payment(id, payee, &account, first).await
    }

    /// Replaces an account by what `pay` makes of it. Returns whether there was none, and the new one.
    async fn update(
        &self,
        id: DepositId,
        payee: Address,
        pay: impl Fn(&Account) -> Result<Account, WriteError>,
    ) -> Result<(bool, Account), PayerError> {
        loop {
            let old = self.account(id, payee).await?;
            let new = pay(&old.1).map_err(|error| not_written(id, error))?;
            let swap = self.store.swap(vec![change(id, payee, &old, &new)]).await?;
            if swap == Swap::Done {
                return Ok((old.0.is_none(), new));
            }
        }
    }

    /// How a payment would be spread over the active deposits now.
    async fn split(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
    ) -> Result<Vec<Part>, PayerError> {
        let key = self.key.as_ref().ok_or(PayerError::NoKey)?;
        let snapshot = self.live_snapshot().await?;
        let mut rest = amount;
        let mut parts = Vec::new();
        for (id, _) in self.active(&snapshot, token, key.address()).await? {
            let old = match self.account(id, payee).await {
                Ok(old) => old,
                Err(PayerError::UnknownPayee { .. } | PayerError::NoList(_)) => continue,
                Err(error) => return Err(error),
            };
            let take = rest.min(old.1.left());
            if take.is_zero() {
                continue;
            }
            let new = old.1.write_cheque(take, &self.context(key, id, payee))?;
            parts.push(Part { id, old, new });
            rest = rest.saturating_sub(take);
            if rest.is_zero() {
                return Ok(parts);
            }
        }
        Err(PayerError::NotCovered {
            payee,
            available: amount.saturating_sub(rest),
            needed: amount,
        })
    }

    /// The active deposits of a token and signer, the soonest draw first.
    async fn active(
        &self,
        look: &ChainSnapshot,
        token: Address,
        signer: Address,
    ) -> Result<Vec<(DepositId, Deposit)>, PayerError> {
        let mut active: Vec<_> = self
            .deposits()
            .await?
            .into_iter()
            .map(|(id, record)| (id, record.deposit))
            .filter(|(id, terms)| {
                terms.token == token && terms.signer == signer && Self::is_active(look, *id)
            })
            .collect();
        active.sort_by_key(|(id, terms)| (terms.drawBlock, *id));
        Ok(active)
    }

    async fn payment(
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

    fn key_of(&self, deposit: &Deposit) -> Result<&SigningKey, PayerError> {
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
    old: Old,
    new: Account,
}

fn change(id: DepositId, payee: Address, old: &Old, new: &Account) -> OwnedChange {
    OwnedChange {
        table: Table::Accounts,
        key: account_key(id, payee).to_vec(),
        old: old.0.clone(),
        new: Some(new.to_bytes()),
    }
}

/// Names the deposit whose allowance does not cover a payment.
fn not_written(deposit: DepositId, error: WriteError) -> PayerError {
    match error {
        WriteError::NotCovered { needed, left } => PayerError::NotCoveredByDeposit {
            deposit,
            left,
            needed,
        },
        error => error.into(),
    }
}
