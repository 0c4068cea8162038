//! The record of an account: what it was credited and charged.

use crate::ledger::{
    fault::LedgerFault,
    records::codec::{Record, RecordError},
};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use cheque::Amount;

/// The number of timeouts in an hour for which an account does not pay, and the hour, in seconds.
const FREE_TIMEOUTS: usize = 3;
const TIMEOUT_WINDOW: u64 = 3_600;

/// The number of answers 4xx in a row, to requests with a body, for which an account does not pay.
const FREE_CLIENT_ERRORS: u64 = 3;

/// An account. At all times credited + debt = balance + reserved + charged, and debt or balance is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(in crate::ledger) struct AccountRecord {
    balance: u128,
    debt: u128,
    reserved: u128,
    charged: u128,
    credited: u128,
    timeouts: Vec<u64>,
    client_errors: u64,
}

/// The sums of an account, in token units. Plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The money that new requests can use.
    pub balance: Amount,
    /// The missing part of money that was spent and then taken back, because its deposit had never been opened.
    pub debt: Amount,
    /// The money of requests in progress.
    pub reserved: Amount,
    /// The money of all answers so far.
    pub charged: Amount,
    /// All payments so far, without those of lost deposits.
    pub credited: Amount,
}

impl AccountRecord {
    pub(in crate::ledger) const fn sums(&self) -> Sums {
        Sums {
            balance: Amount::new(self.balance),
            debt: Amount::new(self.debt),
            reserved: Amount::new(self.reserved),
            charged: Amount::new(self.charged),
            credited: Amount::new(self.credited),
        }
    }

    pub(in crate::ledger) const fn balance(&self) -> Amount {
        Amount::new(self.balance)
    }

    pub(in crate::ledger) const fn debt(&self) -> Amount {
        Amount::new(self.debt)
    }

    /// Adds a payment. Pays debt first.
    pub(in crate::ledger) fn credit(&mut self, amount: Amount) -> Result<(), LedgerFault> {
        self.credited = sum(self.credited, amount.get())?;
        self.add(amount.get())
    }

    /// Takes back a payment whose deposit is gone.
    pub(in crate::ledger) fn take_back(&mut self, amount: Amount) -> Result<(), LedgerFault> {
        self.credited = difference(self.credited, amount.get())?;
        let taken = self.balance.min(amount.get());
        self.balance = difference(self.balance, taken)?;
        self.debt = sum(self.debt, difference(amount.get(), taken)?)?;
        Ok(())
    }

    /// Reserves money of the balance. The caller has compared it with the balance.
    pub(in crate::ledger) fn reserve(&mut self, amount: Amount) -> Result<(), LedgerFault> {
        self.balance = difference(self.balance, amount.get())?;
        self.reserved = sum(self.reserved, amount.get())?;
        Ok(())
    }

    /// Ends a reservation: `charged` of it is spent, the rest returns.
    pub(in crate::ledger) fn settle(
        &mut self,
        reserved: Amount,
        charged: Amount,
    ) -> Result<(), LedgerFault> {
        let rest = difference(reserved.get(), charged.get())?;
        self.reserved = difference(self.reserved, reserved.get())?;
        self.charged = sum(self.charged, charged.get())?;
        self.add(rest)
    }

    /// True if a request that timed out at `now` is released. Counts it then.
    pub(in crate::ledger) fn releases_timeout(&mut self, now: u64) -> bool {
        self.timeouts
            .retain(|at| now.saturating_sub(*at) < TIMEOUT_WINDOW);
        let is_free = self.timeouts.len() < FREE_TIMEOUTS;
        if is_free {
            self.timeouts.push(now);
        }
        is_free
    }

    /// True if an answer 4xx to a request with a body is released. Counts it then.
    pub(in crate::ledger) const fn releases_client_error(&mut self) -> bool {
        let is_free = self.client_errors < FREE_CLIENT_ERRORS;
        if is_free {
            self.client_errors += 1;
        }
        is_free
    }

    /// Ends a row of answers 4xx.
    pub(in crate::ledger) const fn end_client_errors(&mut self) {
        self.client_errors = 0;
    }

    fn add(&mut self, amount: u128) -> Result<(), LedgerFault> {
        let paid = self.debt.min(amount);
        self.debt = difference(self.debt, paid)?;
        self.balance = sum(self.balance, difference(amount, paid)?)?;
        Ok(())
    }
}

fn sum(a: u128, b: u128) -> Result<u128, LedgerFault> {
    a.checked_add(b).ok_or(LedgerFault::OutOfRange)
}

fn difference(a: u128, b: u128) -> Result<u128, LedgerFault> {
    a.checked_sub(b).ok_or(LedgerFault::OutOfRange)
}

impl Record for AccountRecord {
    type Fields = Self;

    fn to_fields(&self) -> Self {
        self.clone()
    }

    fn from_fields(fields: Self) -> Result<Self, RecordError> {
        Ok(fields)
    }
}
