//! The payee's terms, as the payee's policy and the present cost of redeeming have them.

use crate::wire::{CHEQUE, PayeeTerms};
use cheque::payee::{Payee, ReceiveError};
use cheque::{Address, Amount};

/// Returns the terms of a payee for deposits in `token`. `None` for a token that its policy does not take, or whose rate is
/// unknown. `max_unused` is that of the [ledger](crate::ledger::Settings).
///
/// The least payout is that of the shortest allowance tree; a longer proof costs a little more.
///
/// # Errors
///
/// [`ReceiveError`] if the chain or the store cannot be read.
pub async fn terms_of(
    payee: &Payee,
    token: Address,
    max_unused: u64,
    pay_url: Option<String>,
) -> Result<Option<PayeeTerms>, ReceiveError> {
    let policy = payee.policy();
    let Some(limits) = policy.tokens.get(&token) else {
        return Ok(None);
    };
    let Some(cost) = payee.redeem_cost(token, 0).await? else {
        return Ok(None);
    };
    let times = u128::from(policy.min_payout_per_cost);
    let least_payout = cost.checked_mul(times).unwrap_or(Amount::MAX);
    let beacon = payee.reader().beacon().chain_hash();
    Ok(Some(PayeeTerms {
        version: "1".to_owned(),
        bank: payee.reader().bank().address(),
        beacon: format!("{beacon:x}"),
        least_payout,
        max_deposit: limits.max_deposit,
        horizon: policy.max_horizon,
        cutoff: policy.cutoff,
        finality: policy.finality,
        window: policy.min_window,
        in_flight: max_unused,
        header: CHEQUE.as_str().to_owned(),
        pay_url,
        unit: None,
        cheque_state: None,
    }))
}
