//! Sales: requests whose price is reserved.

use crate::{
    ledger::{AccountKey, Admission, PaymentId, Receipt},
    offers::{Meter, Tariff},
    wire::{Protocol, Reply, Reported, strip_answer},
};
use cheque::Amount;
use http::{HeaderMap, StatusCode};

/// What becomes of a request.
#[derive(Debug)]
#[must_use = "a sale is to be forwarded and settled"]
pub enum Entry {
    /// Forward the request; it costs nothing.
    Free,
    /// Forward the request, then settle.
    Sale(Box<Sale>),
    /// Send the answer that the host gave to the settlement, with the receipt.
    Again {
        /// The host's bytes.
        answer: Vec<u8>,
        /// The receipt.
        receipt: Receipt,
        /// The protocol of the payment, for [`Seller::receipt`](crate::Seller::receipt).
        protocol: Protocol,
    },
    /// Send this reply.
    Reply(Reply),
}

/// A request whose price is reserved.
#[derive(Clone, Debug)]
pub struct Sale {
    pub(super) admission: Admission,
    pub(super) tariff: Tariff,
    /// The most that the route asks for in the account's currency.
    pub(super) top: Amount,
    pub(super) protocol: Protocol,
}

/// The end of a sale, as the host has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The upstream answered with this status, to the end if the price is variable.
    Answered(StatusCode),
    /// The upstream refused the connection, or failed before the first byte.
    Failed,
    /// The upstream did not answer in time.
    TimedOut,
    /// The answer broke off after its first byte.
    Broken,
    /// The host did not forward the request.
    NotForwarded,
}

impl Sale {
    /// Returns the account that pays.
    pub const fn account(&self) -> &AccountKey {
        self.admission.account()
    }

    /// Returns the payment's id, for the upstream and for logs.
    pub const fn payment(&self) -> &PaymentId {
        self.admission.payment()
    }

    /// Returns the protocol of the payment, for [`Seller::receipt`](crate::Seller::receipt).
    pub const fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// Returns the money that is reserved for the request, in units of the token. A sale that is not live costs no more.
    pub const fn reserved(&self) -> Amount {
        self.admission.reserved()
    }

    /// Returns the most that the request costs without a top-up, in units of the token.
    pub fn most(&self) -> Amount {
        match self.is_live() {
            true => self.admission.limit().min(self.top),
            false => self.reserved(),
        }
    }

    /// True if the cost depends on the answer.
    pub fn is_variable(&self) -> bool {
        self.tariff.is_variable()
    }

    /// True if the answer is paid in pieces, while it is on its way.
    pub fn is_live(&self) -> bool {
        self.tariff.is_live()
    }

    /// Returns the way in which units are counted.
    pub const fn meter(&self) -> Meter {
        self.tariff.meter()
    }

    /// Returns the most that a live sale may cost after all payments of its account are `credited`, in units of the token: what
    /// the request accepted, and what came since.
    pub fn limit(&self, credited: Amount) -> Amount {
        let since = credited.saturating_sub(self.admission.credited());
        let limit = self.admission.limit().checked_add(since);
        limit.unwrap_or(Amount::MAX)
    }

    /// Returns the second from which other workers may release the sale; renew it before.
    pub const fn lease_until(&self) -> u64 {
        self.admission.lease_until()
    }

    /// Takes what the upstream reports, and what only the gateway may say, out of the headers of its answer.
    pub fn read_answer(&self, headers: &mut HeaderMap) -> Reported {
        strip_answer(headers, self.most())
    }
}
