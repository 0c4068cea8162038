//! Checks of a node's newest block before anything is done by it.
//!
//! A payer that trusts an old block writes cheques of deposits that are redeemed. A payee that trusts a block from the
//! future counts deposits too early. The checks detect faults without malice: nodes that hang, nodes that are behind or on another chain,
//! and pools of nodes that disagree. The checks do not detect a careful lie.

use crate::{
    bank::{
        error::BankError,
        head::{BlockFields, Head, HeadCheckError, check_back, check_clock},
        reader::Reader,
    },
    node::failover::Nodes,
    sys::unix_now,
};
use alloy::{eips::BlockNumberOrTag, providers::Provider, rpc::client::BatchRequest};
use alloy_primitives::{B256, U64};

impl Reader {
    /// Returns the newest block, if it can be acted upon: its time is near the clock's, and the chain has not become much
    /// shorter than this reader and its clones have seen it. Without bounds on the clocks in the chain's profile, every head
    /// can.
    ///
    /// With several nodes, the next request after an error goes to another node.
    ///
    /// # Errors
    ///
    /// [`BankError::Head`] with the failed check, [`BankError::Node`] if the node fails.
    pub async fn checked_head(&self) -> Result<Head, BankError> {
        let head = self.steady_head().await?;
        let checked = check_clock(&head, unix_now(), self.profile());
        self.fail_over_on_err(checked.map_err(Into::into))?;
        Ok(head)
    }

    /// Returns the newest block, if the chain has not become much shorter. Does not check the clock; the caller does. A head
    /// off the clock is not remembered.
    pub(crate) async fn steady_head(&self) -> Result<Head, BankError> {
        let head = self.fail_over_on_err(self.head().await)?;
        let (clock, profile) = (unix_now(), self.profile());
        let before = self.followed().newest();
        let checked = check_back(before.as_ref(), &head, clock, profile);
        self.fail_over_on_err(checked.map_err(Into::into))?;
        if check_clock(&head, clock, profile).is_ok() {
            /// Seconds of blocks kept beyond those that look-ups need.
            const MARGIN: u64 = 60;
            let span = profile.confirm.max(profile.finality);
            self.followed().remember(head, clock);
            self.followed().push(head, span.saturating_add(MARGIN));
        }
        Ok(head)
    }

    /// Fails for a head in the future, by the bounds of the chain's profile. A head of before passes, however old.
    pub(crate) fn check_not_ahead(&self, head: &Head) -> Result<(), HeadCheckError> {
        match check_clock(head, unix_now(), self.profile()) {
            Err(ahead @ HeadCheckError::Ahead { .. }) => {
                self.fail_over_on_err(Err(ahead.into())).or(Err(ahead))
            }
            _ => Ok(()),
        }
    }

    /// Fails unless `head` is still a block of the chain, and the chain still the bank's. Success proves that all answers
    /// since the request for `head` belong to the same chain.
    ///
    /// # Errors
    ///
    /// [`HeadCheckError::Moved`] if the block was replaced, [`BankError::WrongChain`] on another chain,
    /// [`BankError::Node`] if the node fails.
    pub(crate) async fn check_canonical(&self, head: &Head) -> Result<(), BankError> {
        self.fail_over_on_err(self.compare_head(head).await)
    }

    async fn compare_head(&self, head: &Head) -> Result<(), BankError> {
        let mut batch = BatchRequest::new(self.provider().client());
        let block = (BlockNumberOrTag::from(head.number), false);
        let block = batch.add_call::<_, Option<BlockFields>>("eth_getBlockByNumber", &block)?;
        let chain = batch.add_call::<_, U64>("eth_chainId", &())?;
        batch.send().await?;
        let (block, found) = (block.await?, chain.await?.to());
        let expected = self.bank().chain_id();
        if found != expected {
            return Err(BankError::WrongChain { expected, found });
        }
        if block.is_none_or(|block| Head::from(block).hash != head.hash) {
            let number = head.number;
            return Err(HeadCheckError::Moved { number }.into());
        }
        Ok(())
    }

    /// Returns the hash of a block. `None` if the node has no block of the number.
    pub(crate) async fn hash_of(&self, number: u64) -> Result<Option<B256>, BankError> {
        Ok(self.block_at(number).await?.map(|block| block.hash))
    }

    /// Returns `result`. After an error, the next request goes to another node, if there are several.
    pub(crate) fn fail_over_on_err<T>(&self, result: Result<T, BankError>) -> Result<T, BankError> {
        if result.is_err() {
            self.leave_node();
        }
        result
    }

    /// Sends the next request to another node, if there are several: this one lacks something, or has told what cannot be.
    pub(crate) fn leave_node(&self) {
        if let Some(nodes) = Nodes::of(self.provider()) {
            nodes.distrust();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bank::fake_chain::FakeChain, protocol::chain_profile::ChainProfile};

    fn profile() -> ChainProfile {
        *ChainProfile::of(8453).unwrap()
    }

    #[tokio::test]
    async fn neither_acts_upon_nor_remembers_a_head_off_the_clock() {
        let clock = unix_now();
        let chain = FakeChain::new(&profile(), [clock - 3_600, clock - 5]);
        let reader = chain.reader(profile());
        let good = reader.checked_head().await.unwrap();
        for bogus in [clock + 60, clock + 1_000_000, u64::MAX] {
            chain.extend([bogus], "bogus");
            let refused = reader.checked_head().await;
            assert!(
                matches!(refused, Err(BankError::Head(HeadCheckError::Ahead { .. }))),
                "{refused:?}"
            );
            assert_eq!(reader.followed().newest(), Some(good));
            chain.cut(2);
            assert_eq!(reader.checked_head().await.unwrap(), good);
        }
    }

    #[tokio::test]
    async fn goes_on_after_a_pause_and_while_a_chain_catches_up() {
        let clock = unix_now();
        let chain = FakeChain::new(&profile(), [clock - 7_200]);
        let reader = chain.reader(profile());
        // A rollup that catches up makes many blocks of old times.
        chain.extend((0..500).map(|block| clock - 7_200 + 14 * block), "first");
        let behind = reader.checked_head().await;
        assert!(matches!(
            behind,
            Err(BankError::Head(HeadCheckError::Behind { .. }))
        ));
        assert_eq!(reader.followed().newest(), None);
        // Then it jumps to the present.
        chain.extend([clock, clock], "first");
        assert_eq!(reader.checked_head().await.unwrap(), chain.head());
    }

    #[tokio::test]
    async fn tells_a_replaced_head_and_another_chain() {
        let clock = unix_now();
        let chain = FakeChain::new(&profile(), [clock - 2, clock - 1]);
        let reader = chain.reader(profile());
        let head = reader.checked_head().await.unwrap();
        reader.check_canonical(&head).await.unwrap();
        chain.cut(1);
        chain.extend([clock], "second");
        let moved = reader.check_canonical(&head).await;
        assert!(matches!(
            moved,
            Err(BankError::Head(HeadCheckError::Moved { number: 1 }))
        ));
        let other = FakeChain::new(ChainProfile::of(10).unwrap(), [clock]);
        let elsewhere = other.reader(profile());
        let head = elsewhere.checked_head().await.unwrap();
        let wrong = elsewhere.check_canonical(&head).await;
        assert!(matches!(
            wrong,
            Err(BankError::WrongChain {
                expected: 8453,
                found: 10
            })
        ));
    }
}
