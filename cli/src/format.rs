//! Chains, chances, terms and amounts as several verbs print them.

use alloy::primitives::U256;
use cheque::{ChainProfile, Deposit, DepositId, format_tokens};
use serde_json::{Value, json};

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
    format!("{} %", format_tokens(scaled, 4))
}

/// [`percent`] for a table.
pub(crate) fn short_percent(part: U256, whole: U256) -> String {
    percent(part, whole).replace("less than ", "<")
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

/// The digits of an amount in a table.
const TABLE_DIGITS: usize = 6;
/// The decimals of an amount in a table.
const TABLE_DECIMALS: usize = 8;

/// `units / 10^decimals` for a table, rounded down: six digits after the leading zeros, at most eight decimals, all digits of
/// whole numbers. `--json` has every digit.
pub(crate) fn rounded(units: U256, decimals: u8) -> String {
    let exact = format_tokens(units, decimals);
    let Some((whole, fraction)) = exact.split_once('.') else {
        return exact;
    };
    let leading = match whole {
        "0" => fraction.bytes().take_while(|digit| *digit == b'0').count() + TABLE_DIGITS,
        whole => TABLE_DIGITS.saturating_sub(whole.len()),
    };
    let kept = &fraction[..fraction.len().min(leading).min(TABLE_DECIMALS)];
    match kept.trim_end_matches('0') {
        "" if whole == "0" => format!("<0.{:0>TABLE_DECIMALS$}", 1),
        "" => whole.to_owned(),
        kept => format!("{whole}.{kept}"),
    }
}

/// The beginning of an id, for tables. Commands take it for the id.
pub(crate) fn short_id(id: DepositId) -> String {
    id.to_string().chars().take(12).collect()
}

/// The name of a unit for tables: of a token without a symbol the beginning of its address.
pub(crate) fn short_unit(unit: &str) -> String {
    match unit.split_once(" of 0x") {
        Some((kind, address)) => {
            let start: String = address.chars().take(4).collect();
            format!("{kind} 0x{start}...")
        }
        None => unit.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cheque::payee::HoldingState;

    #[test]
    fn rounds_amounts_of_tables_down() {
        let show = |units: u128, decimals| rounded(U256::from(units), decimals);
        assert_eq!(show(100_000_000_000_000_000, 18), "0.1");
        assert_eq!(show(123_456_789_012_345_678, 18), "0.123456");
        assert_eq!(show(1_999_999_999_999_999_999, 18), "1.99999");
        assert_eq!(show(1_234_567_999_999_999_999_999_999, 18), "1234567");
        assert_eq!(show(123_456_789_012, 18), "0.00000012");
        assert_eq!(show(1, 18), "<0.00000001");
        assert_eq!(show(0, 18), "0");
        assert_eq!(show(7, 0), "7");
    }

    #[test]
    fn fits_the_widest_row_of_a_table_into_120_columns() {
        let longest = |cells: &[String]| cells.iter().map(|cell| cell.chars().count()).max();
        let id = short_id(DepositId::default());
        let amount = longest(
            &[1_u64, 123_456_789_012, 999_999_999_999_999_999]
                .map(|units| rounded(U256::from(units), 18)),
        );
        let unit = short_unit("tokens of 0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
        let time = crate::opts::time::show_time(4_000_000_000);
        let chance = longest(
            &[1_u64, 999_999]
                .map(|part| short_percent(U256::from(part), U256::from(9_999_999_u64))),
        );
        let state = HoldingState::NAMES.map(str::len).into_iter().max().unwrap();
        let (amount, chance) = (amount.unwrap(), chance.unwrap());
        let holding = [
            id.len(),
            state,
            time.len(),
            amount,
            chance,
            amount,
            amount,
            unit.len(),
        ];
        let gaps = 2 * (holding.len() - 1);
        let width = holding.into_iter().sum::<usize>() + gaps;
        assert!(width <= 120, "{width}: {holding:?}");
    }

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
