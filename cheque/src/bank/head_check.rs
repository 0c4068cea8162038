//! Whether what a node says of its newest block can be true.
//!
//! A payer that believes an old block writes cheques after their draw; a payee that believes one that does not exist yet
//! counts on deposits too early. This finds what breaks by itself: nodes that hang, that are behind, that stand on another
//! chain, and pools of nodes that do not agree. It does not find a node that lies with care.

use crate::{
    bank::{
        error::BankError,
        head::{Head, HeadCheckError, check_clock, check_step},
        reader::Reader,
    },
    node::failover::Nodes,
    sys::unix_now,
};
use alloy::{
    eips::BlockNumberOrTag,
    providers::Provider,
    rpc::{client::BatchRequest, types::Block},
};
use alloy_primitives::{B256, U64};

impl Reader {
    /// The newest block, if it can be true: as new as the clock says it should be, not far below or above what this
    /// reader and its clones have seen before. Where a chain's profile has no limit of staleness, all is believed.
    ///
    /// With several nodes, an error of this makes the next request go to another one.
    pub async fn checked_head(&self) -> Result<Head, BankError> {
        let head = self.steady_head().await?;
        let checked = check_clock(&head, unix_now(), self.profile());
        self.trusting(checked.map_err(Into::into))?;
        Ok(head)
    }

    /// The newest block, if it fits what was seen before. The caller compares it with the clock.
    pub(crate) async fn steady_head(&self) -> Result<Head, BankError> {
        let head = self.trusting(self.head().await)?;
        let before = self.memory().newest();
        let checked = check_step(before.as_ref(), &head, self.profile());
        self.trusting(checked.map_err(Into::into))?;
        self.memory().remember(head);
        Ok(head)
    }

    /// Fails unless `head` is still a block of the chain, and the chain still the bank's. Whatever was read since `head`
    /// was asked for is then of one chain.
    pub(crate) async fn check_still(&self, head: &Head) -> Result<(), BankError> {
        self.trusting(self.is_still(head).await)
    }

    async fn is_still(&self, head: &Head) -> Result<(), BankError> {
        let mut batch = BatchRequest::new(self.provider().client());
        let block = (BlockNumberOrTag::from(head.number), false);
        let block = batch.add_call::<_, Option<Block>>("eth_getBlockByNumber", &block)?;
        let chain = batch.add_call::<_, U64>("eth_chainId", &())?;
        batch.send().await?;
        let (block, found) = (block.await?, chain.await?.to());
        let expected = self.bank().chain_id();
        if found != expected {
            return Err(BankError::WrongChain { expected, found });
        }
        if block.is_none_or(|block| block.header.hash != head.hash) {
            let number = head.number;
            return Err(HeadCheckError::Moved { number }.into());
        }
        Ok(())
    }

    /// The hash of a block, or `None` if there is none of this number.
    pub(crate) async fn hash_of(&self, number: u64) -> Result<Option<B256>, BankError> {
        let block = self.provider().get_block_by_number(number.into()).await?;
        Ok(block.map(|block| block.header.hash))
    }

    /// Passes a result on; after an error the next request goes to another node, if there is one.
    pub(crate) fn trusting<T>(&self, result: Result<T, BankError>) -> Result<T, BankError> {
        if result.is_err()
            && let Some(nodes) = Nodes::of(self.provider())
        {
            nodes.distrust();
        }
        result
    }
}
