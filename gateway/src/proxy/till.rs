//! The money of a sale that is paid while its answer is on its way.

use super::selling::Selling;
use crate::{
    meter::{Metering, Part},
    offers::{PIECE, Usage},
    wire::{NeedVoucher, Reported},
};
use cheque::Amount;
use tokio::time::Instant;
use tracing::warn;

/// The number of looks at an account that other requests change at the same time.
const TRIES: usize = 16;

/// A sale with its meter.
pub(super) struct Till {
    pub(super) selling: Selling,
    pub(super) metering: Metering,
    /// True if the sale is paid in pieces. Others are paid in advance.
    pub(super) is_live: bool,
    /// The most that the client accepts, as of the last look at its account.
    limit: Amount,
}

/// The answer to the question whether a part is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// The price of the part is reserved.
    Paid,
    /// The account does not cover the part.
    Short(Short),
    /// The store failed.
    Unknown,
    /// The sale was released at the end of its lease.
    Lapsed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    /// The most that can be charged as things are.
    pub(super) reach: Amount,
    /// The payment that would pay for the part.
    pub(super) missing: Amount,
}

impl Till {
    pub(super) fn new(selling: Selling, metering: Metering, is_live: bool) -> Self {
        Self {
            limit: selling.sale.most(),
            selling,
            metering,
            is_live,
        }
    }

    /// Begins to meter a WebSocket.
    pub(super) fn of_socket(selling: Selling) -> Self {
        let (meter, is_live) = (selling.sale.meter(), selling.sale.is_live());
        let metering = Metering::new(meter, false, Reported::default(), Instant::now());
        Self::new(selling, metering, is_live)
    }

    /// True if the price of a part is reserved already.
    pub(super) fn is_paid(&self, part: Part) -> bool {
        !self.is_live || self.due(part) <= self.selling.sale.reserved()
    }

    /// True if the price of a part is at most `money`.
    pub(super) fn is_within(&self, part: Part, money: Amount) -> bool {
        self.due(part) <= money
    }

    /// Reserves the price of a part, and of a piece ahead if the account covers it.
    ///
    /// Never reserves more than the client accepts: what the request stated, and what the account was paid since. So an idle
    /// balance is safe from a stream that does not end.
    pub(super) async fn cover(&mut self, part: Part) -> Cover {
        let due = self.metering.due(part, Instant::now());
        let need = self.cost(&due);
        let ahead = self.cost(&plus_piece(&due)).max(need);
        let mut most = Amount::MAX;
        for _ in 0..TRIES {
            let reserved = self.selling.sale.reserved();
            if !self.is_live || need <= reserved {
                return Cover::Paid;
            }
            if need > self.limit {
                match self.look_at_limit(need, reserved).await {
                    Ok(None) => {}
                    Ok(Some(short)) => return Cover::Short(short),
                    Err(unknown) => return unknown,
                }
            }
            let more = ahead.min(self.limit).min(most).saturating_sub(reserved);
            let seller = &self.selling.shared.seller;
            match seller.extend(&self.selling.sale, more).await {
                Ok(Ok(Some(sale))) => self.selling.sale = sale,
                Ok(Ok(None)) => return Cover::Lapsed,
                // The balance may cover the part, and not the piece.
                Ok(Err(balance)) => match sum(reserved, balance) {
                    reach if reach >= need => most = reach,
                    reach => {
                        return Cover::Short(Short {
                            reach: reach.min(self.limit),
                            missing: need.saturating_sub(reach),
                        });
                    }
                },
                Err(fault) => {
                    warn!(%fault, "a stream's account cannot be read");
                    return Cover::Unknown;
                }
            }
        }
        Cover::Unknown
    }

    /// Raises the limit by what the account was paid. Returns the shortage if that is not enough.
    async fn look_at_limit(
        &mut self,
        need: Amount,
        reserved: Amount,
    ) -> Result<Option<Short>, Cover> {
        let sale = &self.selling.sale;
        let sums = match self.selling.shared.seller.sums(sale).await {
            Ok(sums) => sums,
            Err(fault) => {
                warn!(%fault, "a stream's account cannot be read");
                return Err(Cover::Unknown);
            }
        };
        self.limit = sale.limit(sums.credited);
        if need <= self.limit {
            return Ok(None);
        }
        let reach = sum(reserved, sums.balance);
        Ok(Some(Short {
            reach: reach.min(self.limit),
            missing: need.saturating_sub(reach.min(self.limit)),
        }))
    }

    /// Returns the wish for a payment. `None` if the deposit cannot be read.
    pub(super) async fn wish(&self, short: &Short) -> Option<NeedVoucher> {
        let sale = &self.selling.sale;
        let read = self.selling.shared.seller.channel(sale).await;
        let channel = read
            .inspect_err(|fault| warn!(%fault, "a stream's deposit cannot be read"))
            .ok()??;
        Some(NeedVoucher {
            channel_id: sale.payment().deposit().0.to_string(),
            required_cumulative: sum(channel.accepted, short.missing).to_string(),
            accepted_cumulative: channel.accepted.to_string(),
            deposit: channel.allowance.to_string(),
        })
    }

    fn due(&self, part: Part) -> Amount {
        self.cost(&self.metering.due(part, Instant::now()))
    }

    fn cost(&self, usage: &Usage) -> Amount {
        let sale = &self.selling.sale;
        // The sale was admitted by a price in its currency.
        let cost = self.selling.shared.seller.cost(sale, usage);
        cost.unwrap_or(Amount::MAX)
    }
}

fn plus_piece(usage: &Usage) -> Usage {
    Usage {
        bytes: usage.bytes.saturating_add(PIECE.bytes),
        milliseconds: usage.milliseconds.saturating_add(PIECE.milliseconds),
        units: usage
            .units
            .map(|units| units.saturating_add(PIECE.units.unwrap_or_default())),
        charge: usage.charge,
    }
}

fn sum(a: Amount, b: Amount) -> Amount {
    a.checked_add(b).unwrap_or(Amount::MAX)
}
