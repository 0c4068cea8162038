//! Reading transfers from a node.

use super::erc20::Erc20;
use crate::payment::{
    boxed::BoxFuture,
    handshake::Offer,
    receiver::{Incoming, PaymentReceiver},
    receiver_module::{Judge, ModuleError, ReceiverModule},
    transfer::{Transfer, TransferReceiver, TransferTerms, TransferView},
};
use alloy::{
    consensus::Transaction,
    eips::BlockId,
    providers::{DynProvider, Provider},
    rpc::types::{Log, TransactionReceipt},
    transports::RpcError,
};
use alloy_primitives::{Address, B256};
use alloy_sol_types::SolEvent;
use cheque::{bank::BankError, node::pin_node};

/// Reads transfers on one chain. Cheap to clone. Trusts its node.
#[derive(Clone, Debug)]
pub struct TransferReader {
    provider: DynProvider,
    token: Address,
}

impl TransferReader {
    /// Reads transfers of `token` (zero: the native coin) from the node, which must follow the chain `chain_id`.
    ///
    /// # Errors
    ///
    /// [`BankError`] for another chain, or if the node cannot be queried.
    pub async fn open(
        provider: DynProvider,
        chain_id: u64,
        token: Address,
    ) -> Result<Self, BankError> {
        let found = provider.get_chain_id().await?;
        if found != chain_id {
            return Err(BankError::WrongChain {
                expected: chain_id,
                found,
            });
        }
        Ok(Self { provider, token })
    }

    /// Returns the present view of a transfer. For a token: the `Transfer` event (EIP-20) at position `index` of the
    /// transaction's logs. For the native coin: the value of the transaction itself, at `index` 0. Coin passed on by
    /// contracts has no such proof.
    ///
    /// The view has no transfer if the transaction is not in the chain or has reverted, if the position holds
    /// something else, or for 2^128 units and more. The event of a token's contract is trusted: accept only known
    /// tokens, and none with a fee on transfers.
    ///
    /// # Errors
    ///
    /// [`BankError`] if the node cannot be queried.
    pub async fn view(&self, transaction: B256, index: u64) -> Result<TransferView, BankError> {
        pin_node(self.read_view(transaction, index)).await
    }

    async fn read_view(&self, transaction: B256, index: u64) -> Result<TransferView, BankError> {
        // First, so that the age of a transfer is never overestimated.
        let head = self.provider.get_block(BlockId::latest()).await?;
        let head_time_s = head.ok_or(RpcError::NullResp)?.header.timestamp;
        let none = TransferView {
            head_time_s,
            transfer: None,
        };
        let receipt = self.provider.get_transaction_receipt(transaction).await?;
        let Some(receipt) = receipt.filter(TransactionReceipt::status) else {
            return Ok(none);
        };
        let (Some(block), Some(hash)) = (receipt.block_number, receipt.block_hash) else {
            return Ok(none);
        };
        // Some nodes still return receipts of replaced blocks.
        let canonical = self.provider.get_block_by_number(block.into()).await?;
        let Some(canonical) = canonical.filter(|found| found.header.hash == hash) else {
            return Ok(none);
        };
        let moved = match self.token.is_zero() {
            true => self.coin_moved(transaction, index).await?,
            false => self.token_moved(&receipt, index),
        };
        let transfer = moved.map(|(from, to, amount)| Transfer {
            transaction,
            index,
            from,
            to,
            token: self.token,
            amount,
            block,
            time_s: canonical.header.timestamp,
        });
        Ok(TransferView {
            head_time_s,
            transfer,
        })
    }

    async fn coin_moved(
        &self,
        transaction: B256,
        index: u64,
    ) -> Result<Option<(Address, Address, u128)>, BankError> {
        if index != 0 {
            return Ok(None);
        }
        let found = self.provider.get_transaction_by_hash(transaction).await?;
        Ok(found.and_then(|found| {
            let amount = u128::try_from(found.value()).ok()?;
            Some((found.inner.signer(), found.to()?, amount))
        }))
    }

    fn token_moved(
        &self,
        receipt: &TransactionReceipt,
        index: u64,
    ) -> Option<(Address, Address, u128)> {
        let log = receipt.logs().get(usize::try_from(index).ok()?)?;
        transfer_of(log, self.token)
    }
}

/// Returns sender, recipient and amount of a token's transfer event.
pub(super) fn transfer_of(log: &Log, token: Address) -> Option<(Address, Address, u128)> {
    // NFTs have an event of the same signature with one more topic.
    if log.address() != token || log.topics().len() != 3 {
        return None;
    }
    let event = Erc20::Transfer::decode_log_validate(&log.inner).ok()?;
    let amount = u128::try_from(event.value).ok()?;
    Some((event.from, event.to, amount))
}

/// The provider's end of payment by transfers.
#[derive(Clone, Debug)]
pub struct TransferModule {
    receiver: TransferReceiver,
    reader: TransferReader,
}

impl TransferModule {
    /// Accepts transfers on these terms, as seen by the node.
    ///
    /// # Errors
    ///
    /// [`BankError`] for another chain, or if the node cannot be queried.
    pub async fn open(provider: DynProvider, terms: TransferTerms) -> Result<Self, BankError> {
        let reader = TransferReader::open(provider, terms.chain_id, terms.token).await?;
        Ok(Self {
            receiver: TransferReceiver::new(terms),
            reader,
        })
    }
}

impl ReceiverModule for TransferModule {
    fn offer(&self) -> Offer {
        self.receiver.offer()
    }

    fn record_key(&self, proof: &[u8]) -> Result<Vec<u8>, ModuleError> {
        let key = self.receiver.record_key(proof);
        key.map_err(ModuleError::rejected)
    }

    fn prepare<'a>(
        &'a self,
        from: Address,
        proof: &'a [u8],
        _old_record: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<Box<dyn Judge>, ModuleError>> {
        Box::pin(async move {
            let (transaction, index) =
                TransferReceiver::named(proof).map_err(ModuleError::rejected)?;
            let view = self.reader.view(transaction, index).await;
            let judge: Box<dyn Judge> = Box::new(TransferJudge {
                receiver: self.receiver,
                from,
                proof: proof.to_vec(),
                view: view.map_err(ModuleError::unavailable)?,
            });
            Ok(judge)
        })
    }
}

struct TransferJudge {
    receiver: TransferReceiver,
    from: Address,
    proof: Vec<u8>,
    view: TransferView,
}

impl Judge for TransferJudge {
    fn judge(&self, old_record: Option<&[u8]>) -> Result<Incoming, ModuleError> {
        let judged = self
            .receiver
            .receive_payment(self.from, &self.proof, old_record, &self.view);
        judged.map_err(ModuleError::rejected)
    }
}
