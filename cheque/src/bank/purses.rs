//! Purses of the bank: balances, idle money and open deposits.

use crate::{
    bank::{error::BankError, reader::Reader},
    protocol::{amount::Amount, terms::Purse},
};
use alloy::{eips::BlockId, providers::Provider, rpc::client::BatchRequest};
use alloy_primitives::{Address, Bytes, U256};
use cheque_bindings::IChequeBank::purseCall;
use futures_util::{StreamExt, stream};

/// The maximum number of requests in a batch, since nodes limit its length.
const MAX_BATCH: usize = 100;

/// The number of batches that a node is asked at once: 100,000 purses take 63 round trips.
const AT_ONCE: usize = 16;

/// The key of a purse: account, token, lane.
pub type PurseKey = (Address, Address, u64);

impl Reader {
    /// Reads a purse with lane >= 1 at the end of block `at`. Idle and empty if the bank was not yet deployed.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails or lacks the block, [`BankError::NotABank`] for a garbled answer.
    pub async fn purse(&self, purse: PurseKey, at: u64) -> Result<Purse, BankError> {
        let request = self.request(None, &purse_call(purse));
        let answer = self.provider().call(request).block(at.into()).await?;
        self.decode_purse(&answer)
    }

    /// Reads several purses, each at the end of its block, in batches of up to 100 requests, several at a time.
    ///
    /// # Errors
    ///
    /// As for [`Reader::purse`].
    pub async fn purses(&self, asked: &[(PurseKey, u64)]) -> Result<Vec<Purse>, BankError> {
        let answers = self.purse_answers(asked).await?;
        let purses = answers.iter().map(|answer| self.decode_purse(answer));
        purses.collect()
    }

    /// Reads several purses like [`Reader::purses`], at blocks after the bank's deployment.
    ///
    /// # Errors
    ///
    /// As for [`Reader::purse`], and [`BankError::NoBank`] if the node has no bank at such a block.
    pub async fn purses_of_bank(&self, asked: &[(PurseKey, u64)]) -> Result<Vec<Purse>, BankError> {
        let answers = self.purse_answers(asked).await?;
        if answers.iter().any(|answer| answer.is_empty()) {
            return Err(BankError::NoBank {
                bank: self.bank().address(),
                chain_id: self.bank().chain_id(),
            });
        }
        let purses = answers.iter().map(|answer| self.decode_purse(answer));
        purses.collect()
    }

    async fn purse_answers(&self, asked: &[(PurseKey, u64)]) -> Result<Vec<Bytes>, BankError> {
        let batches = asked.chunks(MAX_BATCH).map(|asked| self.purse_batch(asked));
        // Collected first: a stream that borrows `asked` in a closure is not `Send`.
        let batches: Vec<_> = batches.collect();
        let mut batches = stream::iter(batches).buffered(AT_ONCE);
        let mut all = Vec::with_capacity(asked.len());
        while let Some(answers) = batches.next().await {
            all.extend(answers?);
        }
        Ok(all)
    }

    async fn purse_batch(&self, asked: &[(PurseKey, u64)]) -> Result<Vec<Bytes>, BankError> {
        let mut batch = BatchRequest::new(self.provider().client());
        let mut waiting = Vec::with_capacity(asked.len());
        for (purse, at) in asked {
            let call = self.request(None, &purse_call(*purse));
            let params = (call, BlockId::from(*at));
            waiting.push(batch.add_call::<_, Bytes>("eth_call", &params)?);
        }
        batch.send().await?;
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(answer.await?);
        }
        Ok(answers)
    }

    /// Reads an account's balance (lane 0) at the newest block, in token units.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails, [`BankError::NotABank`] for a garbled answer.
    pub async fn balance(&self, account: Address, token: Address) -> Result<U256, BankError> {
        let call = purse_call((account, token, 0));
        Ok(self.call(&call, BlockId::latest()).await?.idle)
    }

    fn decode_purse(&self, answer: &[u8]) -> Result<Purse, BankError> {
        if answer.is_empty() {
            // Before its deployment the bank held nothing.
            return Ok(Purse::Idle(Amount::ZERO));
        }
        let answer = self.decode::<purseCall>(answer)?;
        Ok(Purse::from_word(if answer.openDepositId.is_zero() {
            answer.idle
        } else {
            answer.openDepositId.into()
        }))
    }
}

const fn purse_call((account, token, lane): PurseKey) -> purseCall {
    purseCall {
        account,
        token,
        lane,
    }
}
