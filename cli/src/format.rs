//! Chains, chances, terms and amounts as several verbs print them.

use alloy::primitives::{Address, U256};
use cheque::{Amount, ChainProfile, Deposit};
use serde_json::{Value, json};

use crate::amount::{Token, decimal};

/// A chain's name and number.
pub(crate) fn chain(id: u64) -> String {
    match ChainProfile::of(id) {
        Ok(profile) => format!("{} ({id})", profile.name),
        Err(_) => format!("{id} (not listed)"),
    }
}

/// `part / whole` in percent with four decimals, rounded down; exact integers throughout.
pub(crate) fn percent(part: U256, whole: U256) -> String {
    // Amounts have 128 bits, so the product has less than 256.
    let Some(scaled) = (part * U256::from(1_000_000)).checked_div(whole) else {
        return "0 %".to_owned();
    };
    if scaled.is_zero() && !part.is_zero() {
        return "less than 0.0001 %".to_owned();
    }
    format!("{} %", decimal(scaled, 4))
}

/// A deposit's terms as JSON.
pub(crate) fn terms(deposit: &Deposit) -> Value {
    json!({
        "payer": deposit.payer,
        "signer": deposit.signer,
        "token": deposit.token,
        "lane": deposit.lane,
        "amount": deposit.amount.to_string(),
        "min_payout": deposit.minPayout.to_string(),
        "draw_time": deposit.drawTime,
        "redeem_until": deposit.redeemUntil,
        "root": deposit.root,
    })
}

/// An amount of any token, in units except for the native coin. Does not query the chain for decimals.
pub(crate) fn units(amount: Amount, token: Address) -> String {
    if token.is_zero() {
        Token::coin().show_amount(amount)
    } else {
        format!("{amount} units of {token}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_chances_exactly_and_never_rounds_up() {
        let show = |part: u64, whole: u64| percent(U256::from(part), U256::from(whole));
        assert_eq!(show(1, 64), "1.5625 %");
        assert_eq!(show(1, 1), "100 %");
        assert_eq!(show(2, 3), "66.6666 %");
        assert_eq!(show(1, 1_000_001), "less than 0.0001 %");
        assert_eq!(show(0, 5), "0 %");
        assert_eq!(show(5, 0), "0 %");
        assert_eq!(
            percent(U256::from(u128::MAX), U256::from(u128::MAX)),
            "100 %"
        );
    }
}
