//! What those see who watch a service: its health, and gauges.

use super::PayerService;
use crate::{
    DepositId,
    chain::{Head, PayerError, STUCK_AFTER, machine::unix_now},
    service::{Health, metrics as names},
    store::DepositState,
};
use alloy_primitives::Address;
use metrics::gauge;
use std::{collections::BTreeMap, time::Duration};

impl PayerService {
    /// Whether the service follows the chain, and the chain goes on.
    pub fn health(&self) -> Health {
        let seen = self.seen();
        let age = seen.head.map(|(_, at)| at.elapsed());
        let mut health = Health {
            ok: false,
            reason: String::new(),
            head: seen.head.map(|(head, _)| head.number),
            head_age: age.map(|age| age.as_secs()),
            last_error: seen.last_error.clone(),
        };
        let profile = self.payer.reader().profile();
        let late = Duration::from_secs(profile.block_time.saturating_mul(5).max(60));
        let stale = |head: &Head| {
            let age = unix_now().abs_diff(head.time);
            profile.stale_after.filter(|limit| age > *limit)
        };
        match (seen.head, age) {
            (Some((head, _)), Some(age)) if age <= late => match stale(&head) {
                Some(limit) => {
                    health.reason = format!(
                        "the time of block {} differs from the clock's by more than {limit} s: no cheque is written",
                        head.number
                    );
                }
                None => {
                    health.ok = true;
                    health.reason = match seen.stuck.values().min() {
                        None => "it follows the chain".to_owned(),
                        Some(since) => format!(
                            "it follows the chain, and what the wallet has sent waits since block {since}"
                        ),
                    };
                }
            },
            (Some(_), _) => {
                let error = seen.failed.as_deref().unwrap_or("a look is taking long");
                health.reason = format!("the chain was not seen for too long: {error}");
            }
            (None, _) => {
                let error = seen.failed.as_deref().unwrap_or("it has just begun");
                health.reason = format!("the chain was not seen yet: {error}");
            }
        }
        health
    }

    /// Sets the gauges.
    pub(super) async fn count(&self, head: &Head) -> Result<(), PayerError> {
        gauge!(names::PAYER_HEAD).set(head.number as f64);
        let stuck = match self.payer.wallet() {
            Some(_) => self.stuck(head.number).await?,
            None => BTreeMap::new(),
        };
        gauge!(names::PAYER_STUCK).set(u32::try_from(stuck.len()).unwrap_or(u32::MAX));
        self.seen().stuck = stuck;
        let mut states: BTreeMap<&str, u32> = STATES.iter().map(|name| (*name, 0)).collect();
        let mut locked: BTreeMap<Address, u128> = BTreeMap::new();
        for (_, record) in self.payer.deposits().await? {
            *states.entry(record.state.name()).or_default() += 1;
            let sum = locked.entry(record.deposit.token).or_default();
            if let DepositState::Active
            | DepositState::Expired
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
    "expired",
    "drawn",
    "redeemed",
    "reclaimable",
    "reclaimed",
    "lost",
];
