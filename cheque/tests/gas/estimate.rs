//! Compares `redeem_gas`, the estimate that payees and payers use before a win, with the most expensive redemption
//! measured.

use crate::figures::Figures;
use cheque::redeem_gas;

/// Key of a measured redemption, levels of its proof, steps of its stream.
const WORST: [(&str, usize, u32); 3] = [
    ("redeem_relayed_new_128", 7, 0),
    ("redeem_relayed_worst_128", 7, 1_024),
    ("redeem_relayed_worst_10000", 14, 1_024),
];

/// Fails if the estimate is too low or more than 5 % too high.
pub(crate) fn check(measured: &Figures) {
    for (key, levels, steps) in WORST {
        let worst = measured.gas(key);
        let estimate = redeem_gas(levels, steps);
        assert!(
            estimate >= worst && estimate * 100 <= worst * 105,
            "{levels} levels and {steps} steps take up to {worst} gas, the estimate is {estimate}"
        );
    }
}
