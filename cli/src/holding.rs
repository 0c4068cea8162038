//! A payee's holding of a deposit, for `holdings` and the service's API.

use alloy::primitives::U256;
use cheque::{Amount, Position, payee::HoldingStatus};
use serde_json::{Value, json};

use crate::{amount::Token, format, odds::Odds, opts::time::show_time};

/// A deposit's line of the list.
#[derive(Debug)]
pub(crate) struct Holding {
    status: HoldingStatus,
    odds: Odds,
}

impl Holding {
    /// The column heads of [`Self::row`].
    pub(crate) const HEAD: [&str; 8] = [
        "deposit", "state", "draw", "paid", "chance", "payout", "expected", "unit",
    ];

    pub(crate) fn new(status: HoldingStatus) -> Self {
        let amount = Amount::new(status.position.deposit().amount);
        let odds = status
            .position
            .payout()
            .map(|payout| Odds::of(&payout, amount));
        Self {
            odds: odds.unwrap_or_default(),
            status,
        }
    }

    pub(crate) const fn position(&self) -> &Position {
        &self.status.position
    }

    /// The odds of the draw; `None` once decided.
    pub(crate) fn odds(&self) -> Option<Odds> {
        self.status.state.is_to_be_drawn().then_some(self.odds)
    }

    /// The chance as a part of a whole.
    fn chance(&self) -> (U256, U256) {
        let payout = self.position().payout();
        let range = payout.map(|payout| payout.range).unwrap_or_default();
        let amount = U256::from(self.position().deposit().amount);
        (range.to_u256(), amount)
    }

    fn payout(&self) -> Amount {
        self.position()
            .payout()
            .map(|payout| payout.amount)
            .unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        let position = self.position();
        let terms = position.deposit();
        let (part, whole) = self.chance();
        json!({
            "deposit": position.deposit_id(),
            "state": self.status.state.name(),
            "reason": self.status.reason(),
            "closes_at": self.status.closes_at,
            "estimated_expiry": self.status.state.estimated_expiry(),
            "signer": terms.signer,
            "token": terms.token,
            "draw_time": terms.drawTime,
            "redeem_until": terms.redeemUntil,
            "amount": terms.amount.to_string(),
            "allowance": position.allowance(),
            "total": position.total(),
            "credited": position.credited(),
            "redeem_cost": position.redeem_cost(),
            "payout": self.payout(),
            "range": position.payout().map(|payout| payout.range),
            "chance": format::percent(part, whole),
            "expected": self.odds.expected.to_string(),
            "variance": self.odds.variance.to_string(),
            "deviation": self.odds.deviation().to_string(),
        })
    }

    /// A line of the table, with all amounts in one unit and rounded down.
    pub(crate) fn row(&self, token: &Token) -> Vec<String> {
        let position = self.position();
        let (paid, payout) = (position.total().to_u256(), self.payout().to_u256());
        let (decimals, unit) = token.unit_for(payout.max(paid));
        let (part, whole) = self.chance();
        vec![
            format::short_id(position.deposit_id()),
            self.status.state.name().to_owned(),
            show_time(position.deposit().drawTime),
            format::rounded(paid, decimals),
            format::short_percent(part, whole),
            format::rounded(payout, decimals),
            format::rounded(self.odds.expected, decimals),
            format::short_unit(unit),
        ]
    }

    /// The state's reason, below the line of the table.
    pub(crate) fn reason(&self) -> String {
        self.status.reason()
    }
}
