//! Estimates how long a deposit can still be paid from.

use crate::{
    payer::{
        Payer,
        error::PayerError,
        records::{DepositRecord, DepositState},
    },
    protocol::{amount::Amount, terms::DepositId},
    sys::unix_now,
};
use alloy_primitives::U256;

impl Payer {
    /// Estimates until when cheques can be written from a deposit, in seconds since 1970: the payer's cutoff, or the
    /// time at which the allowances are used up if they go on being spent as since the deposit was made. `None` for a
    /// deposit that is past its cutoff, drawn or closed.
    ///
    /// The allowance of a single payee may be used up earlier.
    ///
    /// # Errors
    ///
    /// [`PayerError::UnknownDeposit`]; [`PayerError::Stored`] if the store cannot be read.
    pub async fn estimated_expiry(&self, id: DepositId) -> Result<Option<u64>, PayerError> {
        let record = self.record(id).await?;
        let spent = self.spent(id).await?;
        Ok(expiry(&record, spent, self.cutoff, unix_now()))
    }
}

/// Estimates until when cheques can be written at `now`, given the sum of all payments. Rounded down.
pub(super) fn expiry(record: &DepositRecord, spent: Amount, cutoff: u64, now: u64) -> Option<u64> {
    if !matches!(record.state, DepositState::Pending | DepositState::Active) {
        return None;
    }
    let end = record.deposit.drawTime.saturating_sub(cutoff);
    if end <= now {
        return None;
    }
    let elapsed = U256::from(now.saturating_sub(record.created));
    if spent.is_zero() || elapsed.is_zero() {
        return Some(end);
    }
    let left = Amount::new(record.deposit.amount).saturating_sub(spent);
    // Below 2^192, since `left` is below 2^128.
    let lasts = left.to_u256() * elapsed / spent.to_u256();
    let used_up = u64::try_from(lasts).map_or(u64::MAX, |lasts| now.saturating_add(lasts));
    Some(end.min(used_up))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256};
    use cheque_bindings::Deposit;

    /// 900 units, made at 10_000, drawn at 20_045.
    fn record(state: DepositState) -> DepositRecord {
        DepositRecord {
            deposit: Deposit {
                payer: Address::ZERO,
                signer: Address::ZERO,
                token: Address::ZERO,
                lane: 1,
                amount: 900,
                minPayout: 0,
                drawTime: 20_045,
                redeemUntil: 30_000,
                root: B256::ZERO,
            },
            since: 1,
            created: 10_000,
            open_at: None,
            draw: None,
            state,
            settled: false,
        }
    }

    fn at(now: u64, spent: u128) -> Option<u64> {
        expiry(&record(DepositState::Active), Amount::new(spent), 45, now)
    }

    #[test]
    fn expires_at_the_cutoff_while_little_is_spent() {
        assert_eq!(at(11_000, 0), Some(20_000));
        // 90 units in 1,000 s: the rest lasts for 9,000 s.
        assert_eq!(at(11_000, 90), Some(20_000));
        assert_eq!(at(19_999, 0), Some(20_000));
        assert_eq!(at(20_000, 0), None);
    }

    #[test]
    fn expires_when_allowances_are_used_up_at_the_rate_so_far() {
        assert_eq!(at(11_000, 91), Some(11_000 + 8_890));
        assert_eq!(at(11_000, 450), Some(12_000));
        assert_eq!(at(11_000, 900), Some(11_000));
    }

    #[test]
    fn knows_no_rate_by_a_clock_that_was_set_back() {
        assert_eq!(at(10_000, 1), Some(20_000));
        assert_eq!(at(9_000, 1), Some(20_000));
    }

    #[test]
    fn expires_only_before_the_cutoff() {
        for state in [
            DepositState::PastCutoff,
            DepositState::Drawn { winner: None },
            DepositState::Reclaimable,
            DepositState::Reclaimed,
            DepositState::NeverOpened,
        ] {
            assert_eq!(expiry(&record(state), Amount::ZERO, 45, 11_000), None);
        }
        let pending = expiry(&record(DepositState::Pending), Amount::ZERO, 45, 11_000);
        assert_eq!(pending, Some(20_000));
    }
}
