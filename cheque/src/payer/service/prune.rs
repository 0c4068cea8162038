//! Prunes closed deposits.

use crate::{
    bank::head::Head,
    payer::{
        error::PayerError,
        pay::{MAX_PRUNED_RECEIPTS, RECEIPT_RETENTION},
        records::DepositRecord,
        service::{PayerService, decide::DAY},
    },
    sys::unix_now,
};
use alloy_primitives::Address;
use std::sync::atomic::Ordering;

/// Default retention of deposits other than rounds, in seconds: 30 days.
const RETENTION: u64 = 30 * DAY;

/// Pause between two prunings, in seconds.
const PAUSE: u64 = 3_600;

/// Decides which settled deposits to prune. Times are seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pruning {
    /// The latest clock.
    pub(super) now: u64,
    /// Retention after the redemption window, in seconds, as set by the operator.
    pub(super) retention: Option<u64>,
    /// Account, signer and token of the service's rounds.
    pub(super) rounds: Option<(Address, Address, Address)>,
}

impl Pruning {
    /// True if a settled deposit is old. The daily budget counts a deposit for a day in any case.
    pub(super) fn is_old(&self, record: &DepositRecord) -> bool {
        let terms = &record.deposit;
        let is_round = self.rounds == Some((terms.payer, terms.signer, terms.token));
        let is_counted = record.created.saturating_add(DAY) > self.now;
        let retention = match (self.retention, is_round) {
            // A round is over as soon as it is settled, be it before the end of its window.
            (None, true) => return !is_counted,
            (None, false) => RETENTION,
            (Some(retention), _) => retention,
        };
        !is_counted && terms.redeemUntil.saturating_add(retention) < self.now
    }
}

impl PayerService {
    /// Keeps settled deposits for this many seconds after their redemption window, and for a day after their opening
    /// at least, because the daily budget counts them. By default, rounds are not kept for longer than that, and
    /// other deposits for 30 days.
    #[must_use]
    pub const fn with_retention(mut self, seconds: u64) -> Self {
        self.retention = Some(seconds);
        self
    }

    /// Once an hour, removes settled deposits that are past their retention. Without pruning, every poll would read
    /// all deposits ever made.
    pub(super) async fn prune_old(&self, head: &Head) -> Result<(), PayerError> {
        let now = unix_now().max(head.time);
        let next = &self.shared.next_prune;
        let due = next.load(Ordering::Relaxed);
        if now < due && due <= now.saturating_add(PAUSE) {
            return Ok(());
        }
        let rounds = self.rounds.as_ref().and_then(|rounds| {
            let account = self.payer.wallet_address()?;
            Some((account, self.payer.signer()?, rounds.token))
        });
        let pruning = Pruning {
            now,
            retention: self.retention,
            rounds,
        };
        self.payer.prune_if(|record| pruning.is_old(record)).await?;
        let old = unix_now().min(head.time).saturating_sub(RECEIPT_RETENTION);
        if self.payer.prune_receipts_before(old).await? >= MAX_PRUNED_RECEIPTS {
            // The others at the next head: heads must not wait for all of them.
            return Ok(());
        }
        // A payee may keep its deposits in the same store, so not only by the deposits of this payer.
        let rounds_of_draws = now.saturating_sub(RETENTION.max(self.retention.unwrap_or_default()));
        self.payer.seeds.forget_before(rounds_of_draws).await?;
        next.store(now.saturating_add(PAUSE), Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payer::records::DepositState;
    use alloy_primitives::B256;
    use cheque_bindings::Deposit;

    const ME: Address = Address::repeat_byte(1);
    const SIGNER: Address = Address::repeat_byte(2);

    /// Made at time 0, redeemable until 100,000.
    fn record(signer: Address) -> DepositRecord {
        DepositRecord {
            deposit: Deposit {
                payer: ME,
                signer,
                token: Address::ZERO,
                lane: 1,
                amount: 1,
                minPayout: 0,
                drawTime: 13_600,
                redeemUntil: 100_000,
                root: B256::ZERO,
            },
            since: 1,
            created: 0,
            open_at: None,
            draw: None,
            state: DepositState::Reclaimed,
            settled: true,
        }
    }

    fn at(now: u64, retention: Option<u64>) -> Pruning {
        Pruning {
            now,
            retention,
            rounds: Some((ME, SIGNER, Address::ZERO)),
        }
    }

    #[test]
    fn prunes_rounds_once_the_budget_no_longer_counts_them() {
        assert!(!at(DAY - 1, None).is_old(&record(SIGNER)));
        assert!(at(DAY, None).is_old(&record(SIGNER)));
    }

    #[test]
    fn keeps_other_deposits_for_30_days() {
        let last = 100_000 + 30 * DAY;
        assert!(!at(last, None).is_old(&record(ME)));
        assert!(at(last + 1, None).is_old(&record(ME)));
        let without_rounds = Pruning {
            rounds: None,
            ..at(DAY, None)
        };
        assert!(!without_rounds.is_old(&record(SIGNER)));
    }

    #[test]
    fn keeps_all_deposits_for_the_operators_retention() {
        for signer in [SIGNER, ME] {
            assert!(!at(100_005, Some(5)).is_old(&record(signer)));
            assert!(at(100_006, Some(5)).is_old(&record(signer)));
            assert!(!at(u64::MAX, Some(u64::MAX)).is_old(&record(signer)));
        }
    }

    #[test]
    fn counts_deposits_for_a_day_whatever_the_retention() {
        let mut young = record(SIGNER);
        young.created = 100_000;
        assert!(!at(100_001 + DAY - 2, Some(0)).is_old(&young));
        assert!(at(100_000 + DAY, Some(0)).is_old(&young));
    }
}
