//! The block that a node calls final.

use crate::{
    bank::{error::BankError, head::Head, reader::Reader},
    sys::unix_now,
};
use alloy::{eips::BlockNumberOrTag, transports::TransportError};

impl Reader {
    /// Returns the node's `finalized` block. `None` if the node has none, or does not know the tag. Once this reader or a
    /// clone had such a block, only a block is an answer for an hour: a node that fails must not pass for one without
    /// finality.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node cannot be reached, fails, or gives an answer that cannot be read;
    /// [`BankError::NoFinalBlock`] if it has none, and this reader had one within the last hour.
    pub async fn finalized(&self) -> Result<Option<Head>, BankError> {
        let clock = unix_now();
        let found = match self.block(BlockNumberOrTag::Finalized).await {
            Ok(found) => found,
            Err(error) if !self.followed().had_final_tag(clock) && is_unknown_tag(&error) => None,
            Err(error) => return Err(error.into()),
        };
        match found {
            Some(_) => self.followed().keep_final_tag(clock),
            None if self.followed().had_final_tag(clock) => return Err(BankError::NoFinalBlock),
            None => {}
        }
        Ok(found)
    }
}

/// True if a node says that it does not have the `finalized` block, or does not know the tag. Another error says nothing.
fn is_unknown_tag(error: &TransportError) -> bool {
    /// The codes of JSON-RPC for invalid parameters, and of Ethereum's execution API for an unknown block.
    const CODES: [i64; 2] = [-32_602, -39_001];
    let Some(refusal) = error.as_error_resp() else {
        return false;
    };
    let text = refusal.message.to_ascii_lowercase();
    let texts = ["unknown block", "block not found"];
    CODES.contains(&refusal.code) || texts.iter().any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bank::{
            fake_chain::{FakeChain, INTERNAL, UNKNOWN_TAG},
            head::MEMORY,
        },
        protocol::chain_profile::ChainProfile,
    };

    const T: u64 = 1_800_000_000;

    #[tokio::test]
    async fn a_failing_node_is_no_node_without_finality() {
        let mainnet = *ChainProfile::of(1).unwrap();
        let chain = FakeChain::new(&mainnet, (0..100).map(|slot| T + 12 * slot));
        let reader = chain.reader(mainnet);
        // Before the first tagged answer: no tag, or an error.
        for (refusal, is_error) in [(None, false), (UNKNOWN_TAG, false), (INTERNAL, true)] {
            chain.refuse_finalized(refusal);
            let found = reader.finalized().await;
            assert_eq!(found.is_err(), is_error, "{refusal:?}: {found:?}");
            assert!(found.is_err() || found.unwrap().is_none());
        }
        chain.set_finalized(Some(30));
        assert_eq!(reader.finalized().await.unwrap(), Some(chain.block(30)));
        // After it, no answer but a block.
        let clones = reader.clone();
        for refusal in [None, UNKNOWN_TAG, INTERNAL] {
            chain.refuse_finalized(refusal);
            assert!(clones.finalized().await.is_err(), "{refusal:?}");
            assert!(clones.final_block(&chain.head()).await.is_err());
        }
        // What a node said once counts for an hour.
        reader.followed().keep_final_tag(unix_now() - MEMORY);
        chain.refuse_finalized(UNKNOWN_TAG);
        assert_eq!(reader.finalized().await.unwrap(), None);
    }
}
