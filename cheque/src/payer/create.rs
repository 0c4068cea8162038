//! Opening deposits and taking money back.

use crate::{
    node::failover::pin_node,
    payer::{
        Payer,
        error::PayerError,
        records::{DepositRecord, DepositState},
        request::{DepositRequest, Funding, Planned},
    },
    protocol::{
        amount::Amount,
        signature::Signature,
        terms::{DepositId, Purse},
    },
    store::{
        Swap, Table,
        async_store::{AppChange, OwnedChange},
        keys::deposit_key,
    },
    tx::{
        outbox::{self, Kept, purpose_key},
        record::TxRecord,
        wallet::{Call, MinedTx, Wallet},
    },
};
use alloy_primitives::{Address, U256};
use cheque_bindings::Deposit;

/// A deposit whose `open` is in a block.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The deposit's id.
    pub id: DepositId,
    /// Its terms.
    pub deposit: Deposit,
    /// The transaction.
    pub sent: MinedTx,
}

/// All that a relayer needs to open a payer's deposit.
#[derive(Clone, Debug)]
pub struct SignedOpening {
    /// The deposit's terms.
    pub deposit: Deposit,
    /// Until when the agreement counts, seconds since 1970, inclusive.
    pub deadline: U256,
    /// The payer's signature.
    pub signature: Signature,
}

impl Payer {
    /// Opens a deposit, and waits until the transaction is mined (not until the deposit is active: see
    /// [`Payer::subscribe_deposit_events`]).
    ///
    /// Terms, list and the signed transaction are stored before anything is sent. After a crash or
    /// [`NotMined`](crate::tx::TxError::NotMined), the deposit is in the store as pending: [`Payer::poll`] finds out
    /// what became of it, [`Payer::open`] goes on with the same transaction.
    pub async fn create_deposit(&self, request: &DepositRequest) -> Result<Opened, PayerError> {
        self.execute(request, None).await
    }

    /// Reclaims `expired` (unless it is closed already) and opens a deposit in its purse, in one transaction. Otherwise
    /// like [`Payer::create_deposit`].
    pub async fn reopen(
        &self,
        expired: DepositId,
        request: &DepositRequest,
    ) -> Result<Opened, PayerError> {
        self.execute(request, Some(expired)).await
    }

    /// Stores a deposit without opening it: [`Payer::open`] does, or a relayer with [`Payer::sign_opening`]. Its money
    /// has to be in its purse or in the payer's balance if a relayer opens it.
    pub async fn prepare_deposit(&self, request: &DepositRequest) -> Result<Planned, PayerError> {
        let _one_at_a_time = self.shared.creating.lock().await;
        let planned = self.plan_deposit(request, None).await?;
        self.store_planned(&planned, None, None).await?;
        Ok(planned)
    }

    /// Like [`Payer::prepare_deposit`], and makes a change of the application's, which may name the deposit: both or
    /// none.
    ///
    /// # Errors
    ///
    /// [`PayerError::AppConflict`], and those of [`Payer::prepare_deposit`].
    pub async fn prepare_deposit_with(
        &self,
        request: &DepositRequest,
        also: impl FnOnce(&Planned) -> AppChange,
    ) -> Result<Planned, PayerError> {
        let _one_at_a_time = self.shared.creating.lock().await;
        let planned = self.plan_deposit(request, None).await?;
        let also = also(&planned);
        self.store_planned(&planned, None, Some(also)).await?;
        Ok(planned)
    }

    /// Opens a stored deposit, and waits until the transaction is mined. Where one was sent before, it is this one that
    /// is waited for, and replaced by one with a higher fee and the same nonce if it takes long. Until the deposit is as
    /// deep in the chain as counts, repeating this gives the same transaction: a reorganisation may still drop it, and
    /// then it is handed to the node again. A deposit that is open and of which nothing sent is known is refused as
    /// [`PayerError::IsOpen`].
    pub async fn open(&self, id: DepositId) -> Result<Opened, PayerError> {
        let deposit = self.record(id).await?.deposit;
        let wallet = self.sender_of(deposit.payer)?;
        let head = pin_node(self.believed_head()).await?.number;
        let key = open_key(id);
        let before = outbox::value_sent(&self.store, &key).await?;
        let kept = Kept::UntilDone;
        // First, for whether the money is there says nothing about a deposit that has it already.
        if let Some(sent) = outbox::resume(wallet, &self.store, &key, (head, kept)).await? {
            return Ok(Opened { id, deposit, sent });
        }
        let value = pin_node(self.value_now(id, &deposit, before)).await?;
        let call = Call::open(self.reader.bank(), &deposit, value);
        let sent = outbox::send(wallet, &self.store, &key, &call, (head, kept)).await?;
        Ok(Opened { id, deposit, sent })
    }

    /// The native coin to send along with the opening of a stored deposit, given what was sent along `before`.
    async fn value_now(
        &self,
        id: DepositId,
        deposit: &Deposit,
        before: Option<U256>,
    ) -> Result<U256, PayerError> {
        let head = self.believed_head().await?;
        let lane = deposit.lane;
        let purse = (deposit.payer, deposit.token, lane);
        let holds = self.reader.purse(purse, head.number).await?;
        let idle = match holds {
            Purse::Idle(idle) => idle,
            Purse::Open(open) if open == id => return Err(PayerError::IsOpen(id)),
            Purse::Open(deposit) => return Err(PayerError::LaneBusy { lane, deposit }),
        };
        // What was lost shall be sent with the same money.
        let missing = Amount::new(deposit.amount).saturating_sub(idle).to_u256();
        let funding = match before {
            Some(value) if value >= missing => Funding::SendAlong,
            _ => Funding::BalanceFirst,
        };
        let value = self.value_for(deposit, idle, funding).await?;
        self.reader.check_still(&head).await?;
        Ok(value)
    }

    /// The payer's agreement that anybody may open a stored deposit until `deadline` (seconds since 1970), signed with
    /// this payer's key, which has to be the account's.
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

    /// Takes a deposit back that nobody redeemed in time. The money becomes idle money of its purse. Until that can not
    /// be reorganised any more, repeating this gives the same transaction.
    pub async fn reclaim(&self, id: DepositId) -> Result<MinedTx, PayerError> {
        let deposit = self.record(id).await?.deposit;
        // Anybody may reclaim for the payer.
        let wallet = self.wallet.as_ref().ok_or(PayerError::NoWallet)?;
        let head = pin_node(self.believed_head()).await?.number;
        let call = Call::reclaim(self.reader.bank(), &deposit);
        let (key, kept) = (reclaim_key(id), (head, Kept::UntilDone));
        Ok(outbox::send(wallet, &self.store, &key, &call, kept).await?)
    }

    /// Adds what is missing for a deposit of `amount` to the wallet's balance in the bank: for tokens by a token approval,
    /// where needed, and a transfer. Returns the transactions it took, in order.
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
        let mut sent = Vec::new();
        if !token.is_zero() {
            let approved = self.reader.token(token);
            let approved = approved.approved(account, bank.address()).await?;
            if approved < missing {
                if !approved.is_zero() {
                    // Some tokens refuse to change an approval that is not zero.
                    let none = Call::approve(bank, token, U256::ZERO);
                    sent.push(wallet.send(&none).await?);
                }
                sent.push(wallet.send(&Call::approve(bank, token, missing)).await?);
            }
        }
        // Not more than `amount`.
        let fund = Call::fund(bank, token, account, Amount::new(missing.to()));
        sent.push(wallet.send(&fund).await?);
        Ok(sent)
    }

    async fn execute(
        &self,
        request: &DepositRequest,
        expired: Option<DepositId>,
    ) -> Result<Opened, PayerError> {
        let one_at_a_time = self.shared.creating.lock().await;
        let planned = self.plan_deposit(request, expired).await?;
        let wallet = self.sender_of(planned.deposit.payer)?;
        let turn = wallet.turn().await;
        let signed = turn.sign(&planned.call).await?;
        let record = outbox::entry::record(wallet, &signed, planned.head.number);
        self.store_planned(&planned, Some(&record), None).await?;
        turn.submit(&signed.raw, signed.hash).await?;
        drop((turn, one_at_a_time));
        let key = open_key(planned.id);
        let sent = outbox::finish(wallet, &self.store, &key, &record, Kept::UntilDone).await?;
        Ok(Opened {
            id: planned.id,
            deposit: planned.deposit,
            sent,
        })
    }

    /// Terms, list, transaction and the application's change, all or none.
    async fn store_planned(
        &self,
        planned: &Planned,
        open: Option<&TxRecord>,
        also: Option<AppChange>,
    ) -> Result<(), PayerError> {
        let key = deposit_key(self.reader.bank(), planned.id).to_vec();
        let record = DepositRecord {
            deposit: planned.deposit.clone(),
            since: planned.head.number,
            state: DepositState::Pending,
            settled: false,
        };
        let fresh = |table, key, new| OwnedChange {
            table,
            key,
            old: None,
            new: Some(new),
        };
        let mut changes = vec![
            fresh(Table::Deposits, key.clone(), record.to_bytes()),
            fresh(Table::Trees, key, planned.list.to_bytes()),
        ];
        if let Some(open) = open {
            let key = open_key(planned.id);
            changes.push(fresh(Table::Outbox, key, open.to_bytes()));
        }
        let own = changes.len();
        changes.extend(also.map(OwnedChange::from));
        match self.store.swap(changes).await? {
            Swap::Done => Ok(()),
            Swap::Conflict { index, .. } if index >= own => Err(PayerError::AppConflict),
            Swap::Conflict { .. } => Err(PayerError::Exists(planned.id)),
        }
    }

    /// The wallet, if it is `payer`'s: only the payer itself may call `open`.
    fn sender_of(&self, payer: Address) -> Result<&Wallet, PayerError> {
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

/// Begins the keys in the outbox of what opens deposits.
pub(super) const OPEN: &[u8] = b"open";

/// Begins the keys in the outbox of what takes deposits back.
pub(super) const RECLAIM: &[u8] = b"reclaim";

pub(super) fn open_key(id: DepositId) -> Vec<u8> {
    purpose_key(OPEN, id)
}

pub(super) fn reclaim_key(id: DepositId) -> Vec<u8> {
    purpose_key(RECLAIM, id)
}
