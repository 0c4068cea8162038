//! Past deposits, read from the bank's events.

use crate::{
    bank::{
        ends::{Closed, SearchedEnd},
        error::BankError,
        head::Head,
        reader::Reader,
    },
    protocol::{amount::Amount, terms::DepositId},
};
use alloy::{
    providers::Provider,
    rpc::types::{Filter, Log},
    transports::RpcError,
};
use alloy_primitives::Address;
use alloy_sol_types::SolEvent;
use cheque_bindings::Deposit;
use cheque_bindings::{Opened, Reclaimed, Redeemed};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// An opened deposit, read from its event. A payer who has lost the store can reclaim the deposit, but not restore its
/// allowance list: the payees are not on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDeposit {
    /// The deposit's id.
    pub id: DepositId,
    /// Its terms.
    pub deposit: Deposit,
    /// The number of the block with the opening.
    pub block: u64,
}

impl Reader {
    /// Finds the deposit `id`, if opened in the blocks `from..=to`.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails.
    pub async fn find_deposit(
        &self,
        id: DepositId,
        from: u64,
        to: u64,
    ) -> Result<Option<FoundDeposit>, BankError> {
        let found = self.opened(Filter::new().topic1(id.0), from, to).await?;
        // Ids are unique.
        Ok(found.into_iter().next())
    }

    /// Returns the block that opened the deposit `id`, if that is one of the blocks `from..=to`. Whether a deposit was ever
    /// open is told by this event: nodes forget what purses held.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails.
    pub async fn opened_in(
        &self,
        id: DepositId,
        from: u64,
        to: u64,
    ) -> Result<Option<u64>, BankError> {
        let found = self.find_deposit(id, from, to).await?;
        Ok(found.map(|found| found.block))
    }

    /// Finds all deposits of a payer opened in the blocks `from..=to`, oldest first. Large ranges take many requests if the
    /// node limits the size of an answer.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails.
    pub async fn find_deposits(
        &self,
        payer: Address,
        from: u64,
        to: u64,
    ) -> Result<Vec<FoundDeposit>, BankError> {
        let of_payer = Filter::new().topic2(payer.into_word());
        self.opened(of_payer, from, to).await
    }

    /// Finds out which of the deposits were opened in block `to` or before. Looks in the newest blocks first. Misses openings
    /// of long ago if the node answers for few blocks at a time, and all that follow a failure of the node.
    pub(crate) async fn opened_until(
        &self,
        deposits: &BTreeSet<DepositId>,
        to: u64,
    ) -> BTreeSet<DepositId> {
        /// The number of deposits of a search: geth takes no more values for a topic.
        const MAX_DEPOSITS: usize = 1_000;
        let deposits: Vec<_> = deposits.iter().copied().collect();
        let mut found = BTreeSet::new();
        for deposits in deposits.chunks(MAX_DEPOSITS) {
            found.extend(self.some_opened_until(deposits, to).await);
        }
        found
    }

    async fn some_opened_until(&self, deposits: &[DepositId], to: u64) -> BTreeSet<DepositId> {
        /// The number of blocks of the first request: many nodes answer for no more.
        const FIRST: u64 = 10_000;
        const MAX_REQUESTS: u32 = 20;
        let mut found = BTreeSet::new();
        let (mut end, mut blocks, mut may_grow) = (to, FIRST, true);
        for _ in 0..MAX_REQUESTS {
            let begin = end.saturating_sub(blocks - 1);
            let missing = deposits.iter().filter(|id| !found.contains(*id));
            let missing: Vec<_> = missing.map(|id| id.0).collect();
            if missing.is_empty() {
                break;
            }
            let filter = Filter::new()
                .event_signature(Opened::SIGNATURE_HASH)
                .topic1(missing)
                .address(self.bank().address())
                .from_block(begin)
                .to_block(end);
            match self.provider().get_logs(&filter).await {
                Ok(logs) => {
                    let opened = logs.iter().filter_map(found_in);
                    found.extend(opened.filter(|one| one.block <= to).map(|one| one.id));
                    if begin == 0 {
                        break;
                    }
                    end = begin - 1;
                    if may_grow {
                        blocks = blocks.saturating_mul(2);
                    }
                }
                Err(error) if error.is_error_resp() && may_grow && blocks > FIRST => {
                    (blocks, may_grow) = (blocks / 2, false);
                }
                Err(_) => break,
            }
        }
        found
    }

    async fn opened(
        &self,
        filter: Filter,
        from: u64,
        to: u64,
    ) -> Result<Vec<FoundDeposit>, BankError> {
        let filter = filter.event_signature(Opened::SIGNATURE_HASH);
        let logs = self.logs(filter, from, to).await?;
        Ok(logs.iter().filter_map(found_in).collect())
    }

    /// Finds the end of a deposit in the events of the blocks from `from` to `to`. `None` without an event: the deposit is
    /// open, or the node lacks events.
    ///
    /// Remembers what was found, and what was searched. While the chain still has the last block of the last search, asks
    /// for the events of newer blocks only. A search that found nothing is made again after ten minutes.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails.
    pub async fn closed(
        &self,
        id: DepositId,
        from: u64,
        to: &Head,
    ) -> Result<Option<Closed>, BankError> {
        let mut searched = SearchedEnd {
            from,
            to: *to,
            found: None,
        };
        let mut begin = from;
        let before = self.searches().end_of(id, from, Instant::now());
        if let Some(before) = before.filter(|before| before.to.number <= to.number)
            && self.is_before(&before.to, to).await?
        {
            searched.from = before.from;
            searched.found = before.found;
            begin = before.to.number.saturating_add(1);
        }
        let is_new = searched.found.is_none() && begin <= to.number;
        if is_new {
            searched.found = self.find_closed(id, begin, to.number).await?;
        }
        // The events may be those of another head.
        if !is_new || self.hash_of(to.number).await? == Some(to.hash) {
            self.searches().keep_end(id, searched, Instant::now());
        }
        Ok(searched.found)
    }

    /// Forgets the search for the end of a deposit: an event that must exist was not found.
    pub(crate) fn forget_closed(&self, id: DepositId) {
        self.searches().forget_end(id);
    }

    /// True if `older` is in the chain of `newer`. Asks the node once for each pair.
    async fn is_before(&self, older: &Head, newer: &Head) -> Result<bool, BankError> {
        if self.searches().is_in_chain(older, newer) {
            return Ok(true);
        }
        let is_before = self.hash_of(older.number).await? == Some(older.hash);
        if is_before {
            self.searches().keep_in_chain(older, newer);
        }
        Ok(is_before)
    }

    async fn find_closed(
        &self,
        id: DepositId,
        from: u64,
        to: u64,
    ) -> Result<Option<Closed>, BankError> {
        let filter = Filter::new()
            .event_signature(vec![Redeemed::SIGNATURE_HASH, Reclaimed::SIGNATURE_HASH])
            .topic1(id.0);
        let logs = self.logs(filter, from, to).await?;
        Ok(logs.iter().rev().find_map(|log| {
            let block = log.block_number?;
            if let Ok(event) = Redeemed::decode_log(&log.inner) {
                return Some(Closed::Redeemed {
                    payee: event.payee,
                    payout: Amount::new(event.payout),
                    block,
                });
            }
            Reclaimed::decode_log(&log.inner).ok()?;
            Some(Closed::Reclaimed { block })
        }))
    }

    /// Reads the bank's events of the blocks `from..=to`. Nodes limit the size of an answer, so a refused range is halved.
    /// Later searches begin with the size that was answered.
    pub(crate) async fn logs(
        &self,
        filter: Filter,
        from: u64,
        to: u64,
    ) -> Result<Vec<Log>, BankError> {
        let filter = filter.address(self.bank().address());
        let mut limit = self.searches().limit(Instant::now());
        let mut is_refused = false;
        let mut found = Vec::new();
        let mut begin = from;
        while begin <= to {
            let end = to.min(begin.saturating_add(limit - 1));
            let part = filter.clone().from_block(begin).to_block(end);
            match self.provider().get_logs(&part).await {
                Ok(logs) => {
                    found.extend(logs);
                    if is_refused {
                        self.searches().keep_limit(limit, Instant::now());
                        is_refused = false;
                    }
                    begin = end.saturating_add(1);
                    if end == u64::MAX {
                        break;
                    }
                }
                Err(RpcError::ErrorResp(_)) if begin < end => {
                    // Rounded up: a limit of a round number of blocks is more common than an odd one.
                    limit = (end - begin).div_ceil(2);
                    is_refused = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }
}

/// The deposit of an opening's event. `None` for another event, or one that is not mined.
fn found_in(log: &Log) -> Option<FoundDeposit> {
    let block = log.block_number?;
    let event = Opened::decode_log(&log.inner).ok()?;
    let deposit = Deposit {
        payer: event.payer,
        signer: event.signer,
        token: event.token,
        lane: event.lane,
        amount: event.amount,
        minPayout: event.minPayout,
        drawTime: event.drawTime,
        redeemUntil: event.redeemUntil,
        root: event.root,
    };
    Some(FoundDeposit {
        id: DepositId(event.depositId),
        deposit,
        block,
    })
}
