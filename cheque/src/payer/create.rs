//! Opens deposits, funds the payer's balance, and reclaims money.

use crate::{
    node::failover::pin_node,
    payer::{
        Payer,
        error::PayerError,
        records::{DepositRecord, DepositState},
        request::{DepositRequest, Funding, PlannedDeposit},
    },
    protocol::{
        amount::Amount,
        signature::Signature,
        terms::{DepositId, Purse},
    },
    store::{
        async_store::{AppChange, OwnedChange},
        change::Swap,
        keys::deposit_key,
        table::Table,
    },
    tx::{
        outbox::{self, Retention, purpose_key},
        record::TxRecord,
        wallet::{Call, MinedTx, Wallet},
    },
};
use alloy_primitives::{Address, U256};
use cheque_bindings::Deposit;

/// A deposit whose `open` is mined.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The deposit's id.
    pub id: DepositId,
    /// Its terms.
    pub deposit: Deposit,
    /// The mined transaction.
    pub tx: MinedTx,
}

/// Everything a relayer needs to open a payer's deposit.
#[derive(Clone, Debug)]
pub struct SignedOpening {
    /// The deposit's terms.
    pub deposit: Deposit,
    /// End of the agreement, seconds since 1970, inclusive.
    pub deadline: U256,
    /// The payer's signature.
    pub signature: Signature,
}

impl Payer {
    /// Opens a deposit, and waits until the transaction is mined (not until the deposit is active: see
    /// [`Payer::subscribe_deposit_events`]).
    ///
    /// Terms, allowance list and the signed transaction are stored before anything is sent. After a crash or
    /// [`NotMined`](crate::tx::TxError::NotMined) the deposit is in the store as pending: [`Payer::poll`] finds
    /// out the transaction's fate, and [`Payer::open`] resumes the same transaction.
    ///
    /// # Errors
    ///
    /// Those of [`Payer::plan_deposit`] and [`PayerError::WrongWallet`]: nothing is stored.
    /// [`PayerError::Exists`] if the store has the deposit already. After [`PayerError::Tx`],
    /// [`PayerError::Outbox`] or [`PayerError::Stored`] the deposit may be stored: if [`Payer::deposits`] lists
    /// the deposit, call [`Payer::open`] instead of creating another.
    pub async fn create_deposit(&self, request: &DepositRequest) -> Result<Opened, PayerError> {
        self.open_new(request, None).await
    }

    /// Reclaims `expired` (unless closed already) and opens a deposit in its purse, in one transaction.
    /// Otherwise like [`Payer::create_deposit`].
    ///
    /// # Errors
    ///
    /// Those of [`Payer::create_deposit`].
    pub async fn reopen(
        &self,
        expired: DepositId,
        request: &DepositRequest,
    ) -> Result<Opened, PayerError> {
        self.open_new(request, Some(expired)).await
    }

    /// Stores a deposit without opening it: [`Payer::open`] opens it, or a relayer with [`Payer::sign_opening`].
    /// For a relayer, the deposit's money has to be in its purse or in the payer's balance.
    ///
    /// # Errors
    ///
    /// Those of [`Payer::plan_deposit`], [`PayerError::Exists`] and [`PayerError::Stored`].
    pub async fn prepare_deposit(
        &self,
        request: &DepositRequest,
    ) -> Result<PlannedDeposit, PayerError> {
        let _one_at_a_time = self.shared.creating.lock().await;
        let planned = self.plan_deposit(request, None).await?;
        self.store_planned(&planned, None, None).await?;
        Ok(planned)
    }

    /// Like [`Payer::prepare_deposit`], and applies a change to the application's records, which may name the
    /// deposit: both or neither.
    ///
    /// # Errors
    ///
    /// [`PayerError::AppConflict`], and those of [`Payer::prepare_deposit`].
    pub async fn prepare_deposit_with(
        &self,
        request: &DepositRequest,
        app_change: impl FnOnce(&PlannedDeposit) -> AppChange,
    ) -> Result<PlannedDeposit, PayerError> {
        let _one_at_a_time = self.shared.creating.lock().await;
        let planned = self.plan_deposit(request, None).await?;
        let app_change = app_change(&planned);
        self.store_planned(&planned, None, Some(app_change)).await?;
        Ok(planned)
    }

    /// Opens a stored deposit, and waits until the transaction is mined. A transaction sent before is resumed,
    /// and after a long wait replaced by a transaction with the same nonce and a higher fee.
    ///
    /// Until the deposit is confirmed, every call returns the same transaction: a reorganisation may still drop
    /// the transaction, and the next call then hands it to the node again.
    ///
    /// # Errors
    ///
    /// [`PayerError::IsOpen`] if the deposit is open and no transaction of it is stored;
    /// [`PayerError::LaneBusy`] if the purse holds another deposit; [`PayerError::NotFunded`];
    /// [`PayerError::NoWallet`], [`PayerError::WrongWallet`] and [`PayerError::UnknownDeposit`];
    /// [`PayerError::Outbox`] if the transaction is not mined yet (call again), failed, or was cancelled; errors
    /// of the node and of the store.
    pub async fn open(&self, id: DepositId) -> Result<Opened, PayerError> {
        let deposit = self.record(id).await?.deposit;
        let wallet = self.wallet_of(deposit.payer)?;
        let now = pin_node(self.checked_now()).await?;
        let key = open_key(id);
        let before = outbox::value_sent(&self.store, &key).await?;
        let kept = Retention::UntilRemoved;
        // Before checking the money: a purse that already holds the deposit says nothing about missing money.
        if let Some(tx) = outbox::resume(wallet, &self.store, &key, (now, kept)).await? {
            return Ok(Opened { id, deposit, tx });
        }
        let value = pin_node(self.value_to_send(id, &deposit, before)).await?;
        let call = Call::open(self.reader.bank(), &deposit, value);
        let tx = outbox::send(wallet, &self.store, &key, &call, (now, kept)).await?;
        Ok(Opened { id, deposit, tx })
    }

    /// The native coin to send with `open` of a stored deposit, given the value of the transaction sent
    /// `before`.
    async fn value_to_send(
        &self,
        id: DepositId,
        deposit: &Deposit,
        before: Option<U256>,
    ) -> Result<U256, PayerError> {
        let head = self.reader.checked_head().await?;
        let lane = deposit.lane;
        let purse = (deposit.payer, deposit.token, lane);
        let purse_now = self.reader.purse(purse, head.number).await?;
        let idle = match purse_now {
            Purse::Idle(idle) => idle,
            Purse::Open(open) if open == id => return Err(PayerError::IsOpen(id)),
            Purse::Open(deposit) => return Err(PayerError::LaneBusy { lane, deposit }),
        };
        // A lost transaction is sent again with the same value.
        let missing = Amount::new(deposit.amount).saturating_sub(idle).to_u256();
        let funding = match before {
            Some(value) if value >= missing => Funding::SendAlong,
            _ => Funding::BalanceFirst,
        };
        let value = self.value_for(deposit, idle, funding).await?;
        self.reader.check_canonical(&head).await?;
        Ok(value)
    }

    /// Signs the payer's agreement that anyone may open a stored deposit until `deadline` (seconds since 1970).
    /// The configured key has to be the payer's own.
    ///
    /// # Errors
    ///
    /// [`PayerError::UnknownDeposit`], [`PayerError::NoKey`], [`PayerError::Stored`];
    /// [`PayerError::WrongWallet`] if the key is not the payer's.
    pub async fn sign_opening(
        &self,
        id: DepositId,
        deadline: U256,
    ) -> Result<SignedOpening, PayerError> {
        let deposit = self.record(id).await?.deposit;
        let key = self.key.as_ref().ok_or(PayerError::NoKey)?;
        if key.address() != deposit.payer {
            return Err(PayerError::WrongWallet {
                payer: deposit.payer,
                wallet: key.address(),
            });
        }
        let signature = key.sign(self.reader.bank().open_digest(id, deadline));
        Ok(SignedOpening {
            deposit,
            deadline,
            signature,
        })
    }

    /// Reclaims a deposit that nobody redeemed in time, and waits until the transaction is mined. The money
    /// becomes idle money of the purse. Until no reorganisation can undo the reclaim, every call returns the
    /// same transaction.
    ///
    /// # Errors
    ///
    /// [`PayerError::UnknownDeposit`], [`PayerError::NoWallet`]; [`PayerError::Outbox`] if the bank refuses the
    /// reclaim, or the transaction is not mined yet (call again); errors of the node and of the store.
    pub async fn reclaim(&self, id: DepositId) -> Result<MinedTx, PayerError> {
        let deposit = self.record(id).await?.deposit;
        // Any account may reclaim for the payer.
        let wallet = self.wallet.as_ref().ok_or(PayerError::NoWallet)?;
        let now = pin_node(self.checked_now()).await?;
        let call = Call::reclaim(self.reader.bank(), &deposit);
        let (key, kept) = (reclaim_key(id), (now, Retention::UntilRemoved));
        Ok(outbox::send(wallet, &self.store, &key, &call, kept).await?)
    }

    /// Funds the wallet's balance in the bank up to `amount` token units: for tokens by an approval, if needed,
    /// and a transfer. Returns the mined transactions in order; an empty list means that nothing was missing.
    ///
    /// # Errors
    ///
    /// [`PayerError::NoWallet`], [`PayerError::Bank`] or [`PayerError::Tx`]. Transactions mined before the error
    /// stay; another call sends only the missing part.
    pub async fn ensure_funded(
        &self,
        token: Address,
        amount: Amount,
    ) -> Result<Vec<MinedTx>, PayerError> {
        let wallet = self.wallet.as_ref().ok_or(PayerError::NoWallet)?;
        let account = wallet.address();
        let bank = self.reader.bank();
        let balance = self.reader.balance(account, token).await?;
        let missing = amount.to_u256().saturating_sub(balance);
        if missing.is_zero() {
            return Ok(Vec::new());
        }
        let mut mined = Vec::new();
        if !token.is_zero() {
            let erc20 = self.reader.token(token);
            let approved = erc20.approved(account, bank.address()).await?;
            if approved < missing {
                if !approved.is_zero() {
                    // Some tokens refuse to change a nonzero approval.
                    let reset = Call::approve(bank, token, U256::ZERO);
                    mined.push(wallet.send(&reset).await?);
                }
                mined.push(wallet.send(&Call::approve(bank, token, missing)).await?);
            }
        }
        // At most `amount`, so the conversion cannot fail.
        let fund = Call::fund(bank, token, account, Amount::new(missing.to()));
        mined.push(wallet.send(&fund).await?);
        Ok(mined)
    }

    /// Reads the newest block, and returns the latest of the three clocks.
    pub(super) async fn checked_now(&self) -> Result<u64, PayerError> {
        let head = self.reader.checked_head().await?;
        Ok(self.now_at(&head).await.latest())
    }

    /// Plans, stores and opens a deposit, with `expired` in that deposit's purse.
    async fn open_new(
        &self,
        request: &DepositRequest,
        expired: Option<DepositId>,
    ) -> Result<Opened, PayerError> {
        let one_at_a_time = self.shared.creating.lock().await;
        let planned = self.plan_deposit(request, expired).await?;
        let wallet = self.wallet_of(planned.deposit.payer)?;
        let turn = wallet.lock_nonce().await;
        let signed = turn.sign(&planned.call).await?;
        let record = outbox::entry::record(wallet, &signed, planned.now);
        self.store_planned(&planned, Some(&record), None).await?;
        turn.submit(&signed.raw, signed.hash).await?;
        drop((turn, one_at_a_time));
        let key = open_key(planned.id);
        let tx = outbox::wait(wallet, &self.store, &key, &record, Retention::UntilRemoved).await?;
        Ok(Opened {
            id: planned.id,
            deposit: planned.deposit,
            tx,
        })
    }

    /// Stores terms, list, transaction and the application's change: all or nothing.
    async fn store_planned(
        &self,
        planned: &PlannedDeposit,
        open: Option<&TxRecord>,
        app_change: Option<AppChange>,
    ) -> Result<(), PayerError> {
        let key = deposit_key(self.reader.bank(), planned.id).to_vec();
        let record = DepositRecord {
            deposit: planned.deposit.clone(),
            since: planned.head.number,
            created: planned.now,
            open_at: None,
            draw: None,
            state: DepositState::Pending,
            settled: false,
        };
        let insert = |table, key, new| OwnedChange {
            table,
            key,
            old: None,
            new: Some(new),
        };
        let mut changes = vec![
            insert(Table::Deposits, key.clone(), record.to_bytes()),
            insert(Table::Trees, key, planned.list.to_bytes()),
        ];
        if let Some(open) = open {
            let key = open_key(planned.id);
            changes.push(insert(Table::Outbox, key, open.to_bytes()));
        }
        let payer_changes = changes.len();
        changes.extend(app_change.map(OwnedChange::from));
        match self.store.swap(changes).await? {
            Swap::Done => {
                self.memory().undrawn.insert(planned.id);
                Ok(())
            }
            Swap::Conflict { index, .. } if index >= payer_changes => Err(PayerError::AppConflict),
            Swap::Conflict { .. } => Err(PayerError::Exists(planned.id)),
        }
    }

    /// Returns the wallet if its account is `payer`: only the payer itself may call `open`.
    fn wallet_of(&self, payer: Address) -> Result<&Wallet, PayerError> {
        let wallet = self.wallet.as_ref().ok_or(PayerError::NoWallet)?;
        if wallet.address() == payer {
            return Ok(wallet);
        }
        Err(PayerError::WrongWallet {
            payer,
            wallet: wallet.address(),
        })
    }
}

/// Key prefix in the outbox for transactions that open deposits.
pub(super) const OPEN: &[u8] = b"open";

/// Key prefix in the outbox for transactions that reclaim deposits.
pub(super) const RECLAIM: &[u8] = b"reclaim";

pub(super) fn open_key(id: DepositId) -> Vec<u8> {
    purpose_key(OPEN, id)
}

pub(super) fn reclaim_key(id: DepositId) -> Vec<u8> {
    purpose_key(RECLAIM, id)
}
