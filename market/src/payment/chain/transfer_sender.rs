//! Paying in advance by transfers.

use super::{Erc20, transfer_reader::transfer_of};
use crate::{
    compose::QuoteError,
    payment::{Offer, Outgoing, PaymentSender, Pending, SendError, TRANSFERS, Transfer},
};
use alloy::{
    eips::BlockId,
    providers::{DynProvider, Provider},
    rpc::types::{TransactionInput, TransactionRequest},
};
use alloy_primitives::{Address, Bytes, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use cheque::{
    bank::{BankError, NativeRate},
    store::{AppChange, AppRecords, AppRecordsError, Store, StoredError},
    tx::{Call, IdempotentSender, MinedTx, OutboxError, Wallet},
};
use std::sync::Arc;
use tokio::sync::Mutex;

const VERSION: u8 = 1;

/// The client's end of payment by transfers: one transaction for each payment, in one token.
///
/// What is to be paid is stored before it is sent, and the transaction once it is signed. A payment that was interrupted,
/// by a kill or because it was not mined in time, is finished by the next request to the same payee.
#[derive(Debug)]
pub struct TransferSender {
    once: IdempotentSender,
    records: AppRecords,
    provider: DynProvider,
    chain_id: u64,
    token: Address,
    rate: NativeRate,
    key: Vec<u8>,
    turn: Mutex<()>,
}

/// Why a transfer was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferSenderError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] BankError),
    /// The transaction.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The store.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// An earlier payment to the payee, interrupted then, is finished now. Its amount is not what is asked for.
    #[error(
        "an interrupted payment of {amount} to this payee is finished now: hand its proof over, and then pay what is missing"
    )]
    Finished {
        /// What it pays, in token units.
        amount: u128,
    },
    /// The transaction is in a block, and what it should have transferred is not among its events. Money may have moved;
    /// nothing more is paid to this payee until [`TransferSender::give_up`].
    #[error(
        "the token has not transferred what was asked for: it may take a fee, or be no EIP-20 token; nothing more is paid \
         until the payment is given up"
    )]
    NotTransferred,
    /// Another process pays from the same records.
    #[error("another process has paid meanwhile: try again")]
    Changed,
    /// What is stored is damaged, or a later version's.
    #[error("the stored payment cannot be read ({length} bytes): restore the store from a backup")]
    Damaged {
        /// How many bytes there are.
        length: usize,
    },
}

impl From<AppRecordsError> for TransferSenderError {
    fn from(error: AppRecordsError) -> Self {
        match error {
            AppRecordsError::Stored(error) => error.into(),
            _ => Self::Changed,
        }
    }
}

/// The newest payment to one payee.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Payment {
    /// Counts payments to the payee, from 1 on.
    number: u64,
    /// In token units.
    amount: u128,
    /// Whether it was handed to whoever asked for it.
    done: bool,
}

impl TransferSender {
    /// Pays in `token` (zero: the native coin) from the wallet's account. What was paid is stored in `store`, under keys
    /// that begin with `key`. `rate` says what the native coin, in which fees are paid, is worth in `token`.
    ///
    /// # Errors
    ///
    /// If the node cannot be asked.
    pub async fn open(
        provider: DynProvider,
        sender: Wallet,
        store: Arc<dyn Store>,
        (token, rate): (Address, NativeRate),
        key: &[u8],
    ) -> Result<Self, BankError> {
        Ok(Self {
            chain_id: provider.get_chain_id().await?,
            once: IdempotentSender::new(sender, store.clone()),
            records: AppRecords::new(store),
            provider,
            token,
            rate,
            key: key.to_vec(),
            turn: Mutex::default(),
        })
    }

    /// Forgets the newest payment to a payee, of which nobody knows whether it was made ([`OutboxError::Undecided`]) or which
    /// has no proof ([`TransferSenderError::NotTransferred`]), so that the next request pays anew. For whoever has seen on
    /// the chain what became of it: else it is paid twice.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn give_up(&self, payee: Address) -> Result<(), TransferSenderError> {
        let _one_at_a_time = self.turn.lock().await;
        let (_, last) = self.last(payee).await?;
        self.once.forget(&self.purpose(payee, last.number)).await?;
        Ok(())
    }

    fn call(&self, payee: Address, amount: u128) -> Call {
        if self.token.is_zero() {
            return Call {
                to: payee,
                input: Bytes::new(),
                value: U256::from(amount),
            };
        }
        let transfer = Erc20::transferCall {
            to: payee,
            value: U256::from(amount),
        };
        Call::new(self.token, &transfer)
    }

    /// What gas costs for a transfer at the base fee and the usual tip of now, in token units, rounded up.
    async fn expected_fee(&self, payee: Address, amount: u128) -> Result<u128, BankError> {
        let call = self.call(payee, amount);
        let request = TransactionRequest {
            from: Some(self.once.wallet().address()),
            to: Some(call.to.into()),
            value: Some(call.value),
            input: TransactionInput::new(call.input),
            ..TransactionRequest::default()
        };
        let gas = self.provider.estimate_gas(request).await?;
        let fees = self.provider.estimate_eip1559_fees().await?;
        let newest = self.provider.get_block(BlockId::latest()).await?;
        let base = newest.and_then(|block| block.header.base_fee_per_gas);
        let price = base.map_or(fees.max_fee_per_gas, |base| {
            fees.max_priority_fee_per_gas.saturating_add(base.into())
        });
        let wei = U256::from(gas).saturating_mul(U256::from(price));
        Ok(self.rate.units_up(wei).get())
    }

    async fn pay(
        &self,
        payee: Address,
        least: u128,
        amount: u128,
    ) -> Result<Outgoing, TransferSenderError> {
        let _one_at_a_time = self.turn.lock().await;
        let (stored, last) = self.last(payee).await?;
        if !last.done
            && let Some(sent) = self.once.resume(&self.purpose(payee, last.number)).await?
        {
            let outgoing = self.outgoing(payee, last.amount, &sent)?;
            let done = Payment { done: true, ..last };
            self.keep(payee, stored, &done).await?;
            if (least..=amount).contains(&last.amount) {
                return Ok(outgoing);
            }
            let amount = last.amount;
            return Err(TransferSenderError::Finished { amount });
        }
        let next = Payment {
            number: last.number.saturating_add(1),
            amount,
            done: false,
        };
        let stored = self.keep(payee, stored, &next).await?;
        // Not before: its proof could have been asked for again.
        self.once.forget(&self.purpose(payee, last.number)).await?;
        let purpose = self.purpose(payee, next.number);
        let sent = self.once.send(&purpose, &self.call(payee, amount)).await?;
        // What the token has kept for itself is not paid a second time.
        let outgoing = self.outgoing(payee, amount, &sent)?;
        let done = Payment { done: true, ..next };
        self.keep(payee, stored, &done).await?;
        Ok(outgoing)
    }

    fn outgoing(
        &self,
        payee: Address,
        amount: u128,
        sent: &MinedTx,
    ) -> Result<Outgoing, TransferSenderError> {
        let fee = self.rate.units_up(sent.fee).get();
        Ok(Outgoing {
            amount,
            cost: amount.saturating_add(fee),
            proofs: vec![self.proof(payee, amount, sent)?],
        })
    }

    /// The transaction and the position of the transfer in it.
    fn proof(
        &self,
        payee: Address,
        amount: u128,
        sent: &MinedTx,
    ) -> Result<Vec<u8>, TransferSenderError> {
        let from = self.once.wallet().address();
        let index = match self.token.is_zero() {
            true => Some(0),
            false => {
                let expected = Some((from, payee, amount));
                let mut logs = sent.receipt.logs().iter();
                logs.position(|log| transfer_of(log, self.token) == expected)
            }
        };
        let transfer = Transfer {
            transaction: sent.hash,
            index: index.ok_or(TransferSenderError::NotTransferred)? as u64,
            from,
            to: payee,
            token: self.token,
            amount,
            block: sent.block,
        };
        Ok(transfer.proof())
    }

    /// The bytes that are stored, and what they say.
    async fn last(
        &self,
        payee: Address,
    ) -> Result<(Option<Vec<u8>>, Payment), TransferSenderError> {
        let stored = self.records.get(&self.key_of(payee)).await?;
        let last = match stored.as_deref() {
            None => Payment {
                done: true,
                ..Payment::default()
            },
            Some(bytes) => {
                let damaged = TransferSenderError::Damaged {
                    length: bytes.len(),
                };
                match bytes.split_first() {
                    Some((&VERSION, rest)) => alloy_rlp::decode_exact(rest).map_err(|_| damaged)?,
                    _ => return Err(damaged),
                }
            }
        };
        Ok((stored, last))
    }

    async fn keep(
        &self,
        payee: Address,
        old: Option<Vec<u8>>,
        new: &Payment,
    ) -> Result<Option<Vec<u8>>, TransferSenderError> {
        let mut bytes = vec![VERSION];
        bytes.append(&mut alloy_rlp::encode(new));
        let change = AppChange {
            key: self.key_of(payee),
            old,
            new: Some(bytes),
        };
        self.records.change(&change).await?;
        Ok(change.new)
    }

    async fn again(&self, payee: Address) -> Result<Vec<Vec<u8>>, TransferSenderError> {
        let _one_at_a_time = self.turn.lock().await;
        let (stored, last) = self.last(payee).await?;
        let sent = self.once.resume(&self.purpose(payee, last.number)).await?;
        let Some(sent) = sent else {
            return Ok(Vec::new());
        };
        let proof = self.proof(payee, last.amount, &sent)?;
        if !last.done {
            let done = Payment { done: true, ..last };
            self.keep(payee, stored, &done).await?;
        }
        Ok(vec![proof])
    }

    fn key_of(&self, payee: Address) -> Vec<u8> {
        [self.key.as_slice(), payee.as_slice()].concat()
    }

    fn purpose(&self, payee: Address, number: u64) -> Vec<u8> {
        [self.key_of(payee).as_slice(), &number.to_be_bytes()].concat()
    }
}

impl PaymentSender for TransferSender {
    fn offer(&self) -> Offer {
        Offer {
            identity: TRANSFERS.into(),
            chain_id: self.chain_id,
            bank: None,
            token: self.token,
        }
    }

    /// The gas of a transfer is included, at the present price; what a rollup charges for data on top is not.
    fn payment_cost(&self, payee: Address, amount: u128) -> Pending<'_, Result<u128, SendError>> {
        Box::pin(async move {
            if amount == 0 {
                return Err(QuoteError::ZeroAmount.into());
            }
            let fee = self.expected_fee(payee, amount).await;
            Ok(amount.saturating_add(fee.map_err(SendError::module)?))
        })
    }

    /// Pays `most`, and fails if the account does not cover it; or an amount within the range that an interrupted request
    /// has begun to pay.
    fn request_payment(
        &self,
        payee: Address,
        least: u128,
        most: u128,
    ) -> Pending<'_, Result<Outgoing, SendError>> {
        Box::pin(async move {
            if most == 0 {
                return Err(QuoteError::ZeroAmount.into());
            }
            if least > most {
                return Err(QuoteError::EmptyRange { least, most }.into());
            }
            self.pay(payee, least, most)
                .await
                .map_err(SendError::module)
        })
    }

    /// The proof of the newest payment. Sends its transaction again if a reorganisation has dropped it.
    fn proofs_again(&self, payee: Address) -> Pending<'_, Result<Vec<Vec<u8>>, SendError>> {
        Box::pin(async move { self.again(payee).await.map_err(SendError::module) })
    }
}
