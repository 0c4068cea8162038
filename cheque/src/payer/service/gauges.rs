//! What those see who watch a service: its health, and gauges.

use crate::{
    bank::head::Head,
    payer::{error::PayerError, records::DepositState, service::PayerService},
    protocol::terms::DepositId,
    service::{health::Health, health_tracker::HealthTracker, metrics as names},
    sys::unix_now,
    tx::outbox::STUCK_AFTER,
};
use alloy_primitives::Address;
use metrics::gauge;
use std::collections::BTreeMap;
use tokio::time::Instant;

impl PayerService {
    /// How the service is. It is well while it sees the chain, the chain goes on, and it does what is to be done at each head;
    /// what single deposits wait for is in [`PayerService::status`].
    pub fn health(&self) -> Health {
        let profile = self.payer.reader().profile();
        let seen = self.seen();
        let limit = HealthTracker::limit(profile);
        let mut health = seen.vitals.health(Instant::now(), limit);
        let age = seen
            .vitals
            .newest()
            .map(|head| unix_now().abs_diff(head.time));
        if health.ok
            && let (Some(age), Some(limit), Some(head)) = (age, profile.stale_after, health.head)
            && age > limit
        {
            health.ok = false;
            health.reason = format!(
                "the time of block {head} differs from the clock's by more than {limit} s: no cheque is written"
            );
        }
        health
    }

    /// Sets the gauges.
    pub(super) async fn count(&self, head: &Head) -> Result<(), PayerError> {
        gauge!(names::PAYER_HEAD).set(head.number as f64);
        let stuck = match self.payer.wallet_address() {
            Some(_) => self.stuck(head.number).await?,
            None => BTreeMap::new(),
        };
        gauge!(names::PAYER_STUCK).set(u32::try_from(stuck.len()).unwrap_or(u32::MAX));
        {
            let mut seen = self.seen();
            seen.vitals.waits_since(stuck.values().min().copied());
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

    /// The deposits for which something waits for very long, and the block since which it does.
    async fn stuck(&self, head: u64) -> Result<BTreeMap<DepositId, u64>, PayerError> {
        let sent = self.payer.outstanding().await?;
        let mut late: Vec<_> = sent.openings.into_iter().chain(sent.reclaims).collect();
        late.retain(|(_, sent)| head >= sent.since.saturating_add(STUCK_AFTER));
        if late.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mined = self.payer.mined_nonce().await?;
        let waiting = late.into_iter().filter(|(_, sent)| sent.nonce >= mined);
        Ok(waiting.map(|(id, sent)| (id, sent.since)).collect())
    }

    /// Whether something of the wallet waits for very long, and everything that it sends later behind it.
    pub(super) fn is_stuck(&self) -> bool {
        !self.seen().stuck.is_empty()
    }
}

/// The names of all states.
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
