//! Health and gauges, for operators.

use crate::{
    bank::head::Head,
    payer::{error::PayerError, records::DepositState, service::PayerService},
    protocol::{now::Now, terms::DepositId},
    service::{health::Health, health_tracker::HealthTracker, metrics as names},
    sys::unix_now,
    tx::outbox::entry::is_older,
};
use alloy_primitives::Address;
use metrics::gauge;
use std::collections::BTreeMap;
use tokio::time::Instant;

impl PayerService {
    /// Reports the service's health. The service is healthy while it sees new blocks, completes its step at each head, its
    /// store takes writes, and the three clocks let it write cheques. Problems of single deposits are in [`PayerService::status`] instead.
    pub fn health(&self) -> Health {
        let profile = self.payer.reader().profile();
        let now = Instant::now();
        let mut seen = self.seen();
        let limit = HealthTracker::limit(profile);
        let fault = self.payer.store.watch().fault(now);
        seen.vitals.set_store_fault(fault);
        let mut health = seen.vitals.health(now, limit);
        let client = self.payer.seeds().client();
        if health.ok
            && let (Some(bounds), Some(head)) = (profile.freshness, seen.vitals.newest())
        {
            let now = Now {
                clock: unix_now(),
                head_time: head.time,
                round_time: client.and_then(|client| Some(client.newest_verified()?.1)),
            };
            if let Err(error) = now.check(&bounds) {
                health.ok = false;
                health.reason = format!("no cheque is written: {error}");
            }
        }
        health
    }

    /// Sets the gauges, and finds stuck transactions.
    pub(super) async fn set_gauges(&self, head: &Head) -> Result<(), PayerError> {
        gauge!(names::PAYER_HEAD).set(head.number as f64);
        let stuck = match self.payer.wallet_address() {
            Some(_) => self.find_stuck(unix_now().max(head.time)).await?,
            None => BTreeMap::new(),
        };
        gauge!(names::PAYER_STUCK).set(u32::try_from(stuck.len()).unwrap_or(u32::MAX));
        {
            let mut seen = self.seen();
            seen.vitals.set_stuck_since(stuck.values().min().copied());
            seen.stuck = stuck;
        }
        let mut states: BTreeMap<&str, u32> = STATES.iter().map(|name| (*name, 0)).collect();
        let mut locked: BTreeMap<Address, u128> = BTreeMap::new();
        for (_, record) in self.payer.deposits().await? {
            *states.entry(record.state.name()).or_default() += 1;
            let sum = locked.entry(record.deposit.token).or_default();
            if let DepositState::Active
            | DepositState::PastCutoff
            | DepositState::Drawn { .. }
            | DepositState::Reclaimable = record.state
            {
                *sum = sum.saturating_add(record.deposit.amount);
            }
        }
        for (state, number) in states {
            gauge!(names::PAYER_DEPOSITS, "state" => state).set(number);
        }
        for (token, units) in locked {
            gauge!(names::PAYER_LOCKED, "token" => token.to_string()).set(units as f64);
        }
        Ok(())
    }

    /// Deposits with a transaction that has been pending for long at `now`, and the time since which.
    async fn find_stuck(&self, now: u64) -> Result<BTreeMap<DepositId, u64>, PayerError> {
        let wallet = self.payer.wallet().ok_or(PayerError::NoWallet)?;
        let stuck_after = wallet.stuck_after();
        let txs = self.payer.deposit_txs().await?;
        let mut late: Vec<_> = txs.openings.into_iter().chain(txs.reclaims).collect();
        late.retain(|(_, tx)| is_older(tx.since, now, stuck_after));
        if late.is_empty() {
            return Ok(BTreeMap::new());
        }
        let next_nonce = self.payer.mined_nonce().await?;
        let pending = late.into_iter().filter(|(_, tx)| tx.nonce >= next_nonce);
        Ok(pending.map(|(id, tx)| (id, tx.since)).collect())
    }

    /// True if a transaction of the wallet is stuck, and delays all later ones.
    pub(super) fn is_stuck(&self) -> bool {
        !self.seen().stuck.is_empty()
    }
}

/// The names of all states, so that a gauge of zero is reported, too.
const STATES: [&str; 8] = [
    "pending",
    "active",
    "past_cutoff",
    "drawn",
    "redeemed",
    "reclaimable",
    "reclaimed",
    "never_opened",
];
