//! Computes a deposit's state from facts of the chain and of the beacon. No IO.

use crate::{
    bank::ends::Closed,
    payer::records::{DepositRecord, DepositState},
    protocol::terms::{DepositId, Purse},
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;

/// The settings that decide states, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Time between the last cheque and the draw.
    pub(super) cutoff: u64,
    /// Shortest time between the opening of a deposit and its draw, by the bank.
    pub(super) min_lead: u64,
    /// Age from which a block counts as confirmed.
    pub(super) confirm: u64,
}

/// A look at the chain: its clocks and its final block. Times are seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Time of the newest block. Decides what the bank decides.
    pub(super) head_time: u64,
    /// The latest of the three clocks. Decides the cutoff.
    pub(super) now: u64,
    /// Number of the final block: no reorganisation can replace it.
    pub(super) final_number: u64,
    /// Time of the final block.
    pub(super) final_time: u64,
}

/// Facts about one deposit at one head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) moment: Moment,
    /// The deposit's purse at the head.
    pub(super) purse_now: Purse,
    /// The deposit's purse at the confirmed block.
    pub(super) purse_confirmed: Purse,
    /// The redemption or reclaim, if the node's events show one.
    pub(super) closed: Option<Closed>,
    /// `None`: the round is not verified, or the winner was not computed. `Some(None)`: no payee won.
    pub(super) winner: Option<Option<Address>>,
}

/// Returns the state, and true if it is final: no reorganisation can change it.
pub(super) fn state(
    id: DepositId,
    deposit: &Deposit,
    limits: &Limits,
    facts: &Facts,
) -> (DepositState, bool) {
    let open = Purse::Open(id);
    if facts.purse_now == open {
        let confirmed = facts.purse_confirmed == open;
        return (open_state(deposit, limits, facts, confirmed), false);
    }
    let settled = is_decided(deposit, limits, &facts.moment, facts.closed.as_ref());
    match facts.closed {
        Some(Closed::Redeemed { payee, payout, .. }) => {
            (DepositState::Redeemed { payee, payout }, settled)
        }
        Some(Closed::Reclaimed { .. }) => (DepositState::Reclaimed, settled),
        None if is_too_late_to_open(deposit, limits, facts.moment.head_time) => {
            (DepositState::NeverOpened, settled)
        }
        None => (DepositState::Pending, false),
    }
}

fn open_state(
    deposit: &Deposit,
    limits: &Limits,
    facts: &Facts,
    is_confirmed: bool,
) -> DepositState {
    if !is_confirmed {
        return DepositState::Pending;
    }
    if facts.moment.head_time > deposit.redeemUntil {
        // No later block has an earlier time.
        return DepositState::Reclaimable;
    }
    if let Some(winner) = facts.winner {
        return DepositState::Drawn { winner };
    }
    if is_past_cutoff(deposit, limits.cutoff, facts.moment.now) {
        return DepositState::PastCutoff;
    }
    DepositState::Active
}

/// True if no cheque may be written at `now`, the latest of the three clocks.
pub(super) fn is_past_cutoff(deposit: &Deposit, cutoff: u64, now: u64) -> bool {
    now.saturating_add(cutoff) >= deposit.drawTime
}

/// True if no block after one of this time can open the deposit.
pub(super) fn is_too_late_to_open(deposit: &Deposit, limits: &Limits, time: u64) -> bool {
    time.saturating_add(limits.min_lead) > deposit.drawTime
}

/// True if the end of a deposit, or its failure to open, is final: no reorganisation can change the events found.
pub(super) fn is_decided(
    deposit: &Deposit,
    limits: &Limits,
    moment: &Moment,
    closed: Option<&Closed>,
) -> bool {
    match closed {
        Some(Closed::Redeemed { block, .. } | Closed::Reclaimed { block }) => {
            *block <= moment.final_number
        }
        None => is_too_late_to_open(deposit, limits, moment.final_time),
    }
}

/// True if only events can tell the state: the purse does not hold the deposit, and no later block can open it.
pub(super) fn needs_events(
    id: DepositId,
    deposit: &Deposit,
    limits: &Limits,
    moment: &Moment,
    purse_now: Purse,
) -> bool {
    purse_now != Purse::Open(id) && is_too_late_to_open(deposit, limits, moment.head_time)
}

/// True if a deposit is due for a look at its purse, after the last look at `looked`. Once no cheque is written,
/// nothing changes that counts before it is confirmed.
pub(super) fn is_due(
    record: &DepositRecord,
    limits: &Limits,
    moment: &Moment,
    looked: Option<u64>,
) -> bool {
    let Some(looked) = looked else {
        return true;
    };
    match record.state {
        DepositState::Pending | DepositState::Active | DepositState::Reclaimable => true,
        DepositState::PastCutoff | DepositState::Drawn { .. }
            if moment.head_time > record.deposit.redeemUntil =>
        {
            true
        }
        // A clock that was set back makes every deposit due.
        _ => moment.now < looked || moment.now - looked >= limits.confirm,
    }
}

#[cfg(test)]
mod tests;
