//! The capacity of a file of offers: how much is served at once, and what the payments of accounts weigh.

use crate::ledger::{Currencies, Currency};
use cheque::{Amount, U256};
use cheque_market::admission::{AdmissionSettings, Tier};
use std::collections::BTreeMap;

/// Worth of one yardstick price: fine enough for payments of a millionth of it.
const WORTH: u32 = 20;
/// Fractional bits of a yardstick.
pub(super) const YARD: u32 = 32;

/// Capacity, tiers and weights.
///
/// Payments in different tokens are compared by the offers' own prices. The yardstick is the most that a request of the first
/// sold route in the file can cost, in each of its tokens; a token that this route does not take is compared by the first
/// later route that takes it beside a known one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityTerms {
    pub(super) settings: AdmissionSettings,
    /// Worth of the payments of the last ten minutes from which a tier counts, in ascending order; the first from 0.
    pub(super) tiers: Vec<(u128, Tier)>,
    pub(super) yards: BTreeMap<Currency, U256>,
    pub(super) currencies: Currencies,
}

impl CapacityTerms {
    /// Returns the settings of the admission.
    pub const fn settings(&self) -> &AdmissionSettings {
        &self.settings
    }

    /// Returns the worth of a payment in units for all tokens, rounded down: 2^20 for the yardstick price. 0 in a currency
    /// without a price.
    pub fn worth(&self, currency: Currency, amount: Amount) -> u128 {
        let Some(yard) = self.yards.get(&self.currencies.canonical(currency)) else {
            return 0;
        };
        // 128 and 52 bits. A yard is at least 1.
        let worth = (amount.to_u256() << (WORTH + YARD)) / *yard;
        u128::try_from(worth).unwrap_or(u128::MAX)
    }

    /// Returns the most units that a request may cost: of the account with the smallest burst, and of a free client.
    pub fn largest(&self) -> (u64, u64) {
        let bursts = self.tiers.iter().map(|(_, tier)| tier.burst);
        let paid = bursts.fold(self.settings.paid_share().burst, u64::min);
        let AdmissionSettings { capacity, free, .. } = &self.settings;
        (paid, capacity.burst.min(free.prefix.burst))
    }

    /// Returns the tier of an account that has paid so much lately.
    pub fn tier(&self, worth: u128) -> Tier {
        let fits = self.tiers.iter().rev().find(|(from, _)| *from <= worth);
        let (_, tier) = fits.unwrap_or(&self.tiers[0]);
        *tier
    }
}
