//! `redeem_gas`, by which payees and payers reckon before there is anything to redeem, against what the worst
//! redemption takes.

use crate::figures::Figures;
use cheque::redeem_gas;

/// What the header of a busy chain takes beyond the node's: the bits of its log bloom (256 bytes that are zero here, 12
/// gas each), and the longest extra data (32 bytes, 16 gas each).
const BUSY_HEADER: u64 = 256 * 12 + 32 * 16;

/// A redemption, the levels of its proof and the steps of its stream.
const WORST: [(&str, usize, u32); 3] = [
    ("redeem_relayed_old_128", 7, 0),
    ("redeem_relayed_worst_128", 7, 1_024),
    ("redeem_relayed_worst_10000", 14, 1_024),
];

/// Fails where the estimate is too low, or more than 10 % too high.
pub(crate) fn check(measured: &Figures) {
    for (key, levels, steps) in WORST {
        let worst = measured.gas(key) + BUSY_HEADER;
        let estimate = redeem_gas(levels, steps);
        assert!(
            estimate >= worst && estimate * 100 <= worst * 110,
            "{levels} levels and {steps} steps take {worst} gas at worst, the estimate is {estimate}"
        );
    }
}
