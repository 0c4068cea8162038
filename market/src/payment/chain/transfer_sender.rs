//! Payments in advance by transfers.

use super::{erc20::Erc20, transfer_reader::transfer_of};
use crate::{
    compose::pay::QuoteError,
    payment::{
        boxed::BoxFuture,
        handshake::Offer,
        sender::{Outgoing, PaymentSender, SendError},
        transfer::{TRANSFER_IDENTITY, proof},
    },
};
use alloy::providers::{DynProvider, Provider};
use alloy_primitives::{Address, Bytes, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use cheque::{
    bank::{BankError, NativeRate},
    store::{AppChange, AppRecords, AppRecordsError, Store, StoredError},
    tx::{Call, IdempotentSender, MinedTx, OutboxError, TxError, Wallet},
};
use std::sync::Arc;
use tokio::sync::Mutex;

const VERSION: u8 = 1;

/// The client's end of payment by transfers: one transaction for each payment, in one token.
///
/// A payment is stored before its transaction is signed, and the transaction before it is sent. A payment interrupted
/// by a kill or a timeout is finished by the next request to the same payee.
#[derive(Debug)]
pub struct TransferSender {
    tx_sender: IdempotentSender,
    records: AppRecords,
    chain_id: u64,
    token: Address,
    rate: NativeRate,
    key: Vec<u8>,
    payment_lock: Mutex<()>,
}

/// An error of paying by a transfer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferSenderError {
    /// The chain cannot be queried.
    #[error(transparent)]
    Chain(#[from] BankError),
    /// The transaction failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The store failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// An earlier, interrupted payment to the payee is finished now, and its amount is outside the requested range.
    #[error(
        "an interrupted payment of {amount} to this payee is finished now; hand over its proof, then pay the difference"
    )]
    Finished {
        /// Amount of that payment, in token units.
        amount: u128,
    },
    /// The transaction was mined without the expected transfer event. Money may have moved. Payments to this payee
    /// stop until [`TransferSender::abandon_payment`].
    #[error(
        "the token did not transfer the requested amount: it may charge a fee or be no EIP-20 token; \
         check the chain, then abandon the payment"
    )]
    NotTransferred,
    /// Another process pays from the same records.
    #[error("another process has paid meanwhile; try again")]
    Changed,
    /// The stored payment is damaged, or of a later version.
    #[error("the stored payment of {length} bytes cannot be read; restore the store from a backup")]
    Damaged {
        /// Length of the record.
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
    /// Number of payments to the payee, from 1 on.
    number: u64,
    /// Amount, in token units.
    amount: u128,
    /// True if the caller has got its proof.
    handed_over: bool,
}

impl TransferSender {
    /// Pays in `token` (zero: the native coin) from the wallet's account. Payments are stored in `store`, under keys
    /// that begin with `key`. `rate` is the value in `token` of the native coin, in which fees are paid.
    ///
    /// # Errors
    ///
    /// [`BankError`] if the node cannot be queried.
    pub async fn open(
        provider: DynProvider,
        sender: Wallet,
        store: Arc<dyn Store>,
        (token, rate): (Address, NativeRate),
        key: &[u8],
    ) -> Result<Self, BankError> {
        Ok(Self {
            chain_id: provider.get_chain_id().await?,
            tx_sender: IdempotentSender::new(sender, store.clone()),
            records: AppRecords::new(store),
            token,
            rate,
            key: key.to_vec(),
            payment_lock: Mutex::default(),
        })
    }

    /// Discards the newest payment to a payee, so that the next request pays again. Only for a payment of unknown
    /// outcome ([`OutboxError::Undecided`]) or without a proof ([`TransferSenderError::NotTransferred`]), after the
    /// caller has checked the chain: otherwise the payee is paid twice.
    ///
    /// # Errors
    ///
    /// [`TransferSenderError`] if the store fails.
    pub async fn abandon_payment(&self, payee: Address) -> Result<(), TransferSenderError> {
        let _one_at_a_time = self.payment_lock.lock().await;
        let (_, last) = self.last(payee).await?;
        self.tx_sender
            .remove(&self.purpose(payee, last.number))
            .await?;
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

    /// Returns the cost of a transfer as the wallet would send it, at the present base fee, in token units, rounded up.
    async fn expected_fee(&self, payee: Address, amount: u128) -> Result<u128, TxError> {
        let call = self.call(payee, amount);
        let wei = self.tx_sender.wallet().expected_fee(&call).await?;
        Ok(self.rate.units_up(wei).get())
    }

    async fn pay(
        &self,
        payee: Address,
        min: u128,
        amount: u128,
    ) -> Result<Outgoing, TransferSenderError> {
        let _one_at_a_time = self.payment_lock.lock().await;
        let (stored, last) = self.last(payee).await?;
        if !last.handed_over
            && let Some(sent) = self
                .tx_sender
                .resume(&self.purpose(payee, last.number))
                .await?
        {
            let outgoing = self.outgoing(payee, last.amount, &sent)?;
            let done = Payment {
                handed_over: true,
                ..last
            };
            self.store_payment(payee, stored, &done).await?;
            if (min..=amount).contains(&last.amount) {
                return Ok(outgoing);
            }
            let amount = last.amount;
            return Err(TransferSenderError::Finished { amount });
        }
        let next = Payment {
            number: last.number.saturating_add(1),
            amount,
            handed_over: false,
        };
        let stored = self.store_payment(payee, stored, &next).await?;
        // Not earlier: a caller could have requested its proof again.
        self.tx_sender
            .remove(&self.purpose(payee, last.number))
            .await?;
        let purpose = self.purpose(payee, next.number);
        let sent = self
            .tx_sender
            .send(&purpose, &self.call(payee, amount))
            .await?;
        // An amount withheld by the token is not paid a second time.
        let outgoing = self.outgoing(payee, amount, &sent)?;
        let done = Payment {
            handed_over: true,
            ..next
        };
        self.store_payment(payee, stored, &done).await?;
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

    /// Returns the proof: the transaction and the position of the transfer.
    fn proof(
        &self,
        payee: Address,
        amount: u128,
        sent: &MinedTx,
    ) -> Result<Vec<u8>, TransferSenderError> {
        let from = self.tx_sender.wallet().address();
        let index = match self.token.is_zero() {
            true => Some(0),
            false => {
                let expected = Some((from, payee, amount));
                let mut logs = sent.receipt.logs().iter();
                logs.position(|log| transfer_of(log, self.token) == expected)
            }
        };
        let index = index.ok_or(TransferSenderError::NotTransferred)? as u64;
        Ok(proof(sent.hash, index))
    }

    /// Loads the newest payment to a payee, with its stored bytes.
    async fn last(
        &self,
        payee: Address,
    ) -> Result<(Option<Vec<u8>>, Payment), TransferSenderError> {
        let stored = self.records.get(&self.key_of(payee)).await?;
        let last = match stored.as_deref() {
            None => Payment {
                handed_over: true,
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

    async fn store_payment(
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

    async fn newest_proof(&self, payee: Address) -> Result<Vec<Vec<u8>>, TransferSenderError> {
        let _one_at_a_time = self.payment_lock.lock().await;
        let (stored, last) = self.last(payee).await?;
        let sent = self
            .tx_sender
            .resume(&self.purpose(payee, last.number))
            .await?;
        let Some(sent) = sent else {
            return Ok(Vec::new());
        };
        let proof = self.proof(payee, last.amount, &sent)?;
        if !last.handed_over {
            let done = Payment {
                handed_over: true,
                ..last
            };
            self.store_payment(payee, stored, &done).await?;
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
            identity: TRANSFER_IDENTITY.into(),
            chain_id: self.chain_id,
            bank: None,
            token: self.token,
        }
    }

    /// Includes the fee of a transfer at the present price, with a rollup's data fee.
    fn payment_cost(&self, payee: Address, amount: u128) -> BoxFuture<'_, Result<u128, SendError>> {
        Box::pin(async move {
            if amount == 0 {
                return Err(QuoteError::ZeroAmount.into());
            }
            let fee = self.expected_fee(payee, amount).await;
            Ok(amount.saturating_add(fee.map_err(SendError::module)?))
        })
    }

    /// Pays `max`, and fails if the account does not cover that amount; or finishes an interrupted payment within the
    /// range.
    fn request_payment(
        &self,
        payee: Address,
        min: u128,
        max: u128,
    ) -> BoxFuture<'_, Result<Outgoing, SendError>> {
        Box::pin(async move {
            if max == 0 {
                return Err(QuoteError::ZeroAmount.into());
            }
            if min > max {
                return Err(QuoteError::EmptyRange { min, max }.into());
            }
            self.pay(payee, min, max).await.map_err(SendError::module)
        })
    }

    /// Returns the proof of the newest payment. Sends its transaction again if a reorg has dropped it.
    fn latest_proofs(&self, payee: Address) -> BoxFuture<'_, Result<Vec<Vec<u8>>, SendError>> {
        Box::pin(async move { self.newest_proof(payee).await.map_err(SendError::module) })
    }
}
