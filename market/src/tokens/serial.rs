//! Orders that must not be carried out twice.

/// The serial number of the last order that was carried out for an account. Store it in the transaction that stores what
/// the order changed: whoever has a signed order could otherwise send it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LastSerial(u64);

impl LastSerial {
    /// No order yet: the first serial number is at least 1.
    pub const NONE: Self = Self(0);

    /// The number as it was stored.
    pub const fn from_stored(serial: u64) -> Self {
        Self(serial)
    }

    /// The number: what to store, and what to tell a customer that has lost count.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// What the last serial number is once the order with number `serial` is carried out. Numbers must rise, and may leave
    /// some out. Checks neither the order's signature nor what it asks for.
    ///
    /// # Errors
    ///
    /// [`SerialError`] for a number that is not above the last one.
    pub const fn next(self, serial: u64) -> Result<Self, SerialError> {
        if serial <= self.0 {
            return Err(SerialError::NotAbove {
                serial,
                last: self.0,
            });
        }
        Ok(Self(serial))
    }
}

/// Why an order is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SerialError {
    /// The order, or a later one, was carried out before.
    #[error(
        "serial number {serial} is not above the last one, {last}: sign a new order with a larger one"
    )]
    NotAbove {
        /// Of the order.
        serial: u64,
        /// Of the last order that was carried out.
        last: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_taken_once() {
        let last = LastSerial::NONE.next(1).unwrap();
        assert_eq!(last.get(), 1);
        assert_eq!(
            last.next(1),
            Err(SerialError::NotAbove { serial: 1, last: 1 })
        );
    }

    #[test]
    fn serial_numbers_rise_and_may_leave_some_out() {
        let last = LastSerial::from_stored(7);
        assert_eq!(last.next(8).map(LastSerial::get), Ok(8));
        assert_eq!(last.next(u64::MAX).map(LastSerial::get), Ok(u64::MAX));
        assert_eq!(
            last.next(6),
            Err(SerialError::NotAbove { serial: 6, last: 7 })
        );
        assert_eq!(
            LastSerial::NONE.next(0),
            Err(SerialError::NotAbove { serial: 0, last: 0 })
        );
    }
}
