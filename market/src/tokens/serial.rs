//! Serial numbers of orders.

/// The serial number of an account's last order. Store it in the transaction of the order's changes; otherwise
/// another party could send a signed order again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LastSerial(u64);

impl LastSerial {
    /// No order so far: the first serial number is at least 1.
    pub const NONE: Self = Self(0);

    /// Restores a stored number.
    pub const fn from_stored(serial: u64) -> Self {
        Self(serial)
    }

    /// Returns the number to store, or to tell a customer that has lost count.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the last serial number after an order with number `serial`. Numbers must rise and may leave gaps.
    /// Checks neither the order's signature nor its contents.
    ///
    /// # Errors
    ///
    /// [`SerialError`] for a number not above the last one.
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

/// An error of an order's serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SerialError {
    /// This order, or a later one, was carried out before.
    #[error(
        "serial number {serial} is not above the last one, {last}; sign a new order with a larger number"
    )]
    NotAbove {
        /// Number of the order.
        serial: u64,
        /// Number of the last order.
        last: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_a_serial_number_once() {
        let last = LastSerial::NONE.next(1).unwrap();
        assert_eq!(last.get(), 1);
        assert_eq!(
            last.next(1),
            Err(SerialError::NotAbove { serial: 1, last: 1 })
        );
    }

    #[test]
    fn accepts_rising_serial_numbers_with_gaps() {
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
