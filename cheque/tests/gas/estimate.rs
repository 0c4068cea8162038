//! Compares `redeem_gas`, the estimate that payees and payers use before a win, with the most expensive redemption
//! measured.

use crate::figures::Figures;
use cheque::redeem_gas;

/// Extra gas for the header of a busy chain: the bits of its log bloom (256 bytes, zero on the test node, 12 gas each)
/// and the longest extra data (32 bytes, 16 gas each).
const BUSY_HEADER: u64 = 256 * 12 + 32 * 16;

/// Key of a measured redemption, levels of its proof, steps of its stream.
const WORST: [(&str, usize, u32); 3] = [
    ("redeem_relayed_old_128", 7, 0),
    ("redeem_relayed_worst_128", 7, 1_024),
    ("redeem_relayed_worst_10000", 14, 1_024),
];

/// Fails if the estimate is too low or more than 10 % too high.
pub(crate) fn check(measured: &Figures) {
    for (key, levels, steps) in WORST {
        let worst = measured.gas(key) + BUSY_HEADER;
        let estimate = redeem_gas(levels, steps);
        assert!(
            estimate >= worst && estimate * 100 <= worst * 110,
            "{levels} levels and {steps} steps take up to {worst} gas, the estimate is {estimate}"
        );
    }
}
