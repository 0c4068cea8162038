//! Bisection.

/// Returns the largest number up to `end` that is `fine`. 0 must be fine, and no number after one that is not.
pub(super) fn largest_where(end: u64, fine: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, end);
    while low < high {
        // Rounded up, without the overflow of a sum.
        let middle = high - (high - low) / 2;
        if fine(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}
