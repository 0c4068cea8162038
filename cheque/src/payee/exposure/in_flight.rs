//! The totals of payments that are being written.

use crate::protocol::amount::Amount;

/// The totals of one deposit's payments that are being written.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// The largest total of payments in the store. `None`: none is known to be.
    stored: Option<Amount>,
    /// The totals being written.
    writing: Vec<Amount>,
}

impl InFlight {
    /// No payment yet, after those with a total of `stored`.
    pub(super) const fn after(stored: Option<Amount>) -> Self {
        Self {
            stored,
            writing: Vec::new(),
        }
    }

    /// Begins to write a payment.
    pub(super) fn begin(&mut self, total: Amount) {
        self.writing.push(total);
    }

    /// Ends the write of a payment.
    pub(super) fn end(&mut self, total: Amount, written: bool) {
        if let Some(index) = self.writing.iter().position(|other| *other == total) {
            self.writing.swap_remove(index);
        }
        if written {
            self.store(total);
        }
    }

    /// Counts a total as stored.
    pub(super) fn store(&mut self, total: Amount) {
        self.stored = self.stored.max(Some(total));
    }

    /// The largest total, stored or being written. `None` without a payment.
    pub(super) fn largest(&self) -> Option<Amount> {
        let writing = self.writing.iter().copied().max();
        writing.max(self.stored)
    }

    /// True if nothing is being written.
    pub(super) const fn is_over(&self) -> bool {
        self.writing.is_empty()
    }
}
