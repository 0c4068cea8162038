//! `GET /terms`: what a payee accepts, for payers to read before they pay.

use cheque::payee::Payee;
use serde_json::{Value, json};

/// The policy in JSON, with the cost to redeem at present.
pub(super) async fn terms(payee: &Payee) -> Value {
    let (policy, bank) = (payee.policy(), payee.reader().bank());
    let mut tokens = Vec::new();
    for (token, limits) in &policy.tokens {
        // The cost of a deposit for a single payee; each level of a list adds a little.
        let cost = payee.redeem_cost(*token, 0).await;
        let cost = cost.unwrap_or_else(|error| {
            tracing::warn!(event = "price_not_read", reason = %error);
            None
        });
        let times = |times: u32| cost.and_then(|cost| cost.checked_mul(u128::from(times)));
        tokens.push(json!({
            "token": token,
            "max_deposit": limits.max_deposit,
            "max_exposure": limits.max_exposure,
            "redeem_cost": cost,
            "min_payout": times(policy.min_payout_per_cost),
            "max_unsettled": times(policy.max_unsettled_costs),
        }));
    }
    json!({
        "payee": policy.payee,
        "chain_id": bank.chain_id(),
        "bank": bank.address(),
        "beacon": payee.reader().beacon().chain_hash(),
        "cutoff": policy.cutoff,
        "max_horizon": policy.max_horizon,
        "min_window": policy.min_window,
        "finality": policy.finality,
        "max_steps": policy.max_steps,
        "min_payout_per_cost": policy.min_payout_per_cost,
        "max_unsettled_costs": policy.max_unsettled_costs,
        "tokens": tokens,
    })
}
