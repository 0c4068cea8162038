//! The purses of first payments: read from the node, in batches.

use crate::{
    bank::{error::BankError, purses::PurseKey},
    payee::{
        Payee,
        error::ReceiveError,
        snapshot::{ChainSnapshot, SeenPurse},
        unknown_deposits::Answer,
    },
};
use alloy_primitives::Address;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl Payee {
    /// Reads the purse of a deposit that the payee does not know, in a batch with others, at the confirmed block of the
    /// snapshot that it returns.
    pub(super) async fn read_unknown(&self, purse: PurseKey, signer: Address) -> Answer {
        let is_known = self.index().has_held(signer);
        let place = self
            .shared
            .unknown_deposits
            .enter(purse, signer, is_known)?;
        if let Some(mut reader) = place.reader {
            let payee = self.clone();
            // A task of its own: a caller that goes away takes nobody's answer with it.
            tokio::spawn(async move {
                while let Some(batch) = reader.next_batch() {
                    let read = payee.read_batch(batch.purses()).await;
                    batch.answer(&read);
                }
            });
        }
        // Dropped only if the reader has panicked.
        place.answer.await.unwrap_or(Err(ReceiveError::Busy))
    }

    async fn read_batch(
        &self,
        purses: BTreeSet<PurseKey>,
    ) -> Result<(Arc<ChainSnapshot>, BTreeMap<PurseKey, SeenPurse>), ReceiveError> {
        let snapshot = self.fresh_snapshot().await?;
        if let Some(ahead) = snapshot.ahead {
            return Err(BankError::from(ahead).into());
        }
        let known = purses.iter().copied();
        let known = known.filter_map(|purse| Some((purse, snapshot.unknown_purse(purse)?)));
        let mut all: BTreeMap<_, _> = known.collect();
        let asked: Vec<_> = purses
            .into_iter()
            .filter(|purse| !all.contains_key(purse))
            .collect();
        if !asked.is_empty() {
            let read = self.read_purses(&snapshot, &asked, false).await?;
            for (purse, seen) in asked.into_iter().zip(read) {
                snapshot.insert_unknown(purse, seen);
                all.insert(purse, seen);
            }
        }
        Ok((snapshot, all))
    }
}
