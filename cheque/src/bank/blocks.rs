//! Blocks by their age: confirmed, final.

use crate::bank::{
    error::BankError,
    head::{FinalBlock, Head, read_block},
    reader::Reader,
};
use alloy::{eips::BlockNumberOrTag, transports::TransportResult};

/// The largest number of requests of a search. Each step doubles or halves the distance, so that 2^20 blocks need 40.
const MAX_REQUESTS: u32 = 40;

/// The number of blocks of abandoned forks after which a search starts without them.
const MAX_ABANDONED: u32 = 4;

impl Reader {
    /// Returns the number of the newest known block that is at least `confirm` seconds older than `head`, by the profile.
    /// The head itself if `confirm` is zero; block 0 if the chain is too young.
    ///
    /// Uses the heads that this reader and its clones have followed; else searches the chain, in 40 requests at most. The
    /// block may be older than necessary by the time between two polls.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails, [`BankError::NoBlock`] if it lacks a block of its chain,
    /// [`BankError::OtherBlock`] if it answers with another.
    pub async fn confirmed(&self, head: &Head) -> Result<u64, BankError> {
        Ok(self.aged(head, self.profile().confirm).await?.number)
    }

    /// Returns the block of [`Reader::confirmed`].
    pub(crate) async fn confirmed_block(&self, head: &Head) -> Result<Head, BankError> {
        self.aged(head, self.profile().confirm).await
    }

    /// Returns a block of time `time` or before in the chain of `head`: the newest, or one that two polls at most separate
    /// from it. Block 0 if the chain is too young.
    #[cfg(feature = "service")]
    pub(crate) async fn block_before(&self, head: &Head, time: u64) -> Result<Head, BankError> {
        self.fail_over_on_err(self.find_before(head, time).await)
    }

    /// Returns the newest final block as of `head`: the node's `finalized` block, or without one the newest known block
    /// that is at least `finality` seconds older than the head, by the profile. The head itself if `finality` is zero.
    ///
    /// # Errors
    ///
    /// As for [`Reader::confirmed`].
    pub async fn final_block(&self, head: &Head) -> Result<FinalBlock, BankError> {
        let finality = self.profile().finality;
        if finality == 0 {
            return Ok(FinalBlock::new(head, false));
        }
        if let Some(found) = self.followed().final_of(head.hash) {
            return Ok(found);
        }
        let found = match self.fail_over_on_err(self.finalized().await)? {
            // The node may have gone on since it told the head.
            Some(block) if block.number > head.number => FinalBlock::new(head, true),
            Some(block) => FinalBlock::new(&block, true),
            None => FinalBlock::new(&self.aged(head, finality).await?, false),
        };
        self.followed().keep_final(head.hash, found);
        Ok(found)
    }

    /// Reads a block. `None` if the node has none of this number or tag.
    pub(super) async fn block(&self, block: BlockNumberOrTag) -> TransportResult<Option<Head>> {
        read_block(self.provider(), block).await
    }

    /// Reads a block by its number. `None` if the node has none of this number.
    pub(super) async fn block_at(&self, number: u64) -> Result<Option<Head>, BankError> {
        let block = self.block(number.into()).await?;
        match block {
            Some(Head { number: found, .. }) if found != number => {
                Err(BankError::OtherBlock { number, found })
            }
            block => Ok(block),
        }
    }

    /// Returns the newest known block that is at least `age` seconds older than the head.
    async fn aged(&self, head: &Head, age: u64) -> Result<Head, BankError> {
        if age == 0 {
            return Ok(*head);
        }
        if let Some(found) = self.followed().found(head.hash, age) {
            return Ok(found);
        }
        let target = head.time.saturating_sub(age);
        let found = self.fail_over_on_err(self.find_before(head, target).await)?;
        self.followed().insert(found);
        self.followed().keep_found(head.hash, age, found);
        Ok(found)
    }

    /// Finds the newest block of time `target` or before, in the chain of `head`.
    async fn find_before(&self, head: &Head, target: u64) -> Result<Head, BankError> {
        // What two polls see is as close together as blocks need to be known.
        let slack = 2 * self.profile().poll.as_secs() + 1;
        let mut search = Search {
            reader: self,
            target,
            left: MAX_REQUESTS,
        };
        for _ in 0..MAX_ABANDONED {
            let Some((low, next)) = self.followed().around(head.number, target) else {
                break;
            };
            // Later blocks of the chain prove nothing about this one: its fork may be abandoned.
            if search.read(low.number).await? != low {
                self.followed().forget(&low, head.number);
                continue;
            }
            let high = next.unwrap_or(*head).number;
            if high <= low.number.saturating_add(1) || target - low.time <= slack {
                return Ok(low);
            }
            return search.between(low, high).await;
        }
        search.below(head.number).await
    }
}

/// A search for the newest block of time `target` or before.
struct Search<'a> {
    reader: &'a Reader,
    target: u64,
    left: u32,
}

impl Search<'_> {
    /// Searches below block `high`, which is newer: in steps that double, then in halves.
    async fn below(&mut self, mut high: u64) -> Result<Head, BankError> {
        let mut step: u64 = 1;
        loop {
            let block = self.read(high.saturating_sub(step)).await?;
            // A chain that is younger than asked for has no older block than its first.
            if block.time <= self.target || block.number == 0 {
                return self.between(block, high).await;
            }
            if self.left == 0 {
                return Err(BankError::NoBlock(block.number));
            }
            high = block.number;
            step = step.saturating_mul(2);
        }
    }

    /// Searches from block `low`, which is old enough, up to block `high`, which is not. The result is old enough, even if
    /// the requests do not last for the newest.
    async fn between(&mut self, mut low: Head, mut high: u64) -> Result<Head, BankError> {
        while high - low.number > 1 && low.time <= self.target && self.left > 0 {
            let middle = self.read(low.number + (high - low.number) / 2).await?;
            if middle.time <= self.target {
                low = middle;
            } else {
                high = middle.number;
            }
        }
        Ok(low)
    }

    async fn read(&mut self, number: u64) -> Result<Head, BankError> {
        self.left = self.left.saturating_sub(1);
        let block = self.reader.block_at(number).await?;
        block.ok_or(BankError::NoBlock(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bank::fake_chain::FakeChain, protocol::chain_profile::ChainProfile, sys::unix_now,
    };

    const T: u64 = 1_800_000_000;

    fn mainnet() -> ChainProfile {
        *ChainProfile::of(1).unwrap()
    }

    fn base() -> ChainProfile {
        *ChainProfile::of(8453).unwrap()
    }

    /// The newest block at least `age` seconds older than the head.
    fn newest_aged(chain: &FakeChain, age: u64) -> u64 {
        let head = chain.head();
        let old = (0..=head.number).rev();
        let mut old = old.filter(|number| chain.block(*number).time + age <= head.time);
        old.next().unwrap_or_default()
    }

    #[tokio::test]
    async fn finds_confirmed_and_final_blocks_without_history() {
        let slots = (0..1_000).map(|slot| T + 12 * slot);
        let fast = (0..20_000).map(|block| T + block / 5);
        let paused = (0..500).map(|block| T + block / 5 + if block < 470 { 0 } else { 3_600 });
        for (profile, chain) in [
            (mainnet(), FakeChain::new(&mainnet(), slots)),
            (base(), FakeChain::new(&base(), fast)),
            (base(), FakeChain::new(&base(), paused)),
        ] {
            let reader = chain.reader(profile);
            let head = chain.head();
            chain.asked();
            let confirmed = reader.confirmed(&head).await.unwrap();
            assert_eq!(confirmed, newest_aged(&chain, profile.confirm));
            assert!(chain.asked() <= MAX_REQUESTS);
            let last_final = reader.final_block(&head).await.unwrap();
            assert_eq!(last_final.number, newest_aged(&chain, profile.finality));
            assert!(!last_final.tagged);
            assert!(chain.asked() <= MAX_REQUESTS);
            reader.confirmed(&head).await.unwrap();
            reader.final_block(&head).await.unwrap();
            assert_eq!(chain.asked(), 0, "asked twice for the same head");
        }
    }

    #[tokio::test]
    async fn asks_for_one_block_per_head_that_it_follows() {
        let clock = unix_now();
        let chain = FakeChain::new(&base(), [clock - 30]);
        let reader = chain.reader(base());
        for second in 1..=25 {
            // Five blocks a second, of which the reader sees the last.
            chain.extend([clock - 30 + second; 5], "first");
            let head = reader.checked_head().await.unwrap();
            chain.asked();
            let confirmed = reader.confirmed(&head).await.unwrap();
            if second > 10 {
                assert_eq!(chain.asked(), 1, "at second {second}");
                assert_eq!(confirmed, head.number - 50);
            }
        }
    }

    #[tokio::test]
    async fn forgets_blocks_of_an_abandoned_fork() {
        let clock = unix_now();
        let chain = FakeChain::new(&base(), (0..60).map(|block| clock - 60 + block));
        let reader = chain.reader(base());
        for head in 41..=60 {
            chain.cut(head);
            reader.checked_head().await.unwrap();
            chain.extend((head as u64..60).map(|block| clock - 60 + block), "first");
        }
        // The other fork has fewer blocks in the same time.
        chain.cut(42);
        chain.extend((42..52).map(|block| clock - 60 + 2 * block - 42), "second");
        let head = reader.checked_head().await.unwrap();
        let confirmed = reader.confirmed(&head).await.unwrap();
        assert_eq!(confirmed, newest_aged(&chain, 10));
    }

    /// Some nodes behind a cache answer every request with their newest block.
    #[tokio::test]
    async fn fails_if_the_node_ignores_the_number() {
        let chain = FakeChain::new(&mainnet(), (0..100).map(|slot| T + 12 * slot));
        chain.ignore_numbers();
        let reader = chain.reader(mainnet());
        let head = chain.head();
        let refused = reader.confirmed(&head).await;
        let (number, found) = (98, 99);
        assert!(
            matches!(refused, Err(BankError::OtherBlock { number: n, found: f }) if (n, f) == (number, found)),
            "{refused:?}"
        );
        assert!(reader.hash_of(7).await.is_err());
        assert!(chain.asked() <= MAX_REQUESTS);
    }

    /// A node that invents blocks of any number, all of them too new.
    #[tokio::test]
    async fn ends_a_search_after_forty_requests() {
        let chain = FakeChain::new(&mainnet(), [T]);
        chain.invent_blocks(T);
        let reader = chain.reader(mainnet());
        let (number, time, hash) = (u64::MAX, T, Default::default());
        let refused = reader.confirmed(&Head { number, time, hash }).await;
        assert!(matches!(refused, Err(BankError::NoBlock(_))), "{refused:?}");
        assert_eq!(chain.asked(), MAX_REQUESTS);
    }

    #[tokio::test]
    async fn takes_the_first_block_of_a_young_chain() {
        let chain = FakeChain::new(&mainnet(), [T, T + 12, T + 24]);
        let reader = chain.reader(mainnet());
        assert_eq!(reader.confirmed(&chain.head()).await.unwrap(), 0);
        let only = FakeChain::new(&mainnet(), [T]);
        let reader = only.reader(mainnet());
        assert_eq!(reader.confirmed(&only.head()).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn takes_the_head_where_nothing_has_to_age() {
        let local = *ChainProfile::of(31_337).unwrap();
        let chain = FakeChain::new(&local, [T, T + 1]);
        let reader = chain.reader(local);
        let head = chain.head();
        assert_eq!(reader.confirmed(&head).await.unwrap(), 1);
        let last_final = reader.final_block(&head).await.unwrap();
        assert_eq!(last_final, FinalBlock::new(&head, false));
        assert_eq!(chain.asked(), 0);
    }

    #[tokio::test]
    async fn prefers_the_block_that_the_node_calls_final() {
        let chain = FakeChain::new(&mainnet(), (0..100).map(|slot| T + 12 * slot));
        chain.set_finalized(Some(30));
        let reader = chain.reader(mainnet());
        let last_final = reader.final_block(&chain.block(90)).await.unwrap();
        assert_eq!(last_final, FinalBlock::new(&chain.block(30), true));
        // The node has gone on since it told the head.
        let old = chain.block(20);
        let last_final = reader.final_block(&old).await.unwrap();
        assert_eq!(last_final, FinalBlock::new(&old, true));
    }
}
