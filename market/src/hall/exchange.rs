//! Trades of tokens for money.

use super::{error::HallError, owner::Hall};
use crate::{
    id::PeerId,
    store::interface::{Batch, Store},
};
use std::error::Error;

/// An order of a customer. Negative numbers sell tokens back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Least number of tokens to buy; or minus the most to sell.
    pub min: i64,
    /// Most tokens to buy; or minus the least to sell.
    pub max: i64,
    /// Most money to pay, in units; or minus the least to get. Below 2^127.
    pub money: i128,
}

/// A trade in whole tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trade {
    /// Tokens that the customer gets; negative if it has sold.
    pub tokens: i64,
    /// Money that the customer pays; negative if it is paid out.
    pub cost: i128,
    /// The rest of the customer's money, which buys no whole token more; 0 if tokens were sold.
    pub change: u128,
    /// The customer's tokens before and after.
    pub balance: crate::balance::Added,
}

impl<Id: PeerId, S: Store> Hall<Id, S> {
    /// Sells a customer as many tokens as its money buys, within the bounds of its order, or buys from it as few as
    /// give the money. A customer sells no more than it has, and all there is if it offers more.
    ///
    /// `money` moves the customer's money, by writes to the batch of the trade. The hall checks neither the customer's
    /// identity nor a repeated order: see [`LastSerial`](crate::tokens::LastSerial).
    ///
    /// # Errors
    ///
    /// [`HallError`]; nothing changes.
    pub fn exchange(
        &mut self,
        id: &Id,
        order: Order,
        money: impl FnOnce(&Trade, &mut Batch) -> Result<(), Box<dyn Error + Send + Sync>>,
        now_ns: u64,
    ) -> Result<Trade, HallError> {
        let mut next = self.sale.clone().ok_or(HallError::NoSale)?;
        let tracker = self.clients.tracker_mut();
        // At most 2^63 - 1.
        let held = tracker.tokens(id, now_ns)?;
        let [min, max] =
            [order.min, order.max].map(|tokens| tokens.max(0i64.saturating_sub_unsigned(held)));
        let exchanged = next.exchange(min, max, order.money);
        let exchanged = exchanged.ok_or(HallError::Terms)?;
        let key = &self.sale_key;
        let trade = tracker.operation(id, None, now_ns, |balance| {
            let change = match exchanged.tokens > 0 {
                true => order.money.saturating_sub(exchanged.cost),
                false => 0,
            };
            let trade = Trade {
                tokens: exchanged.tokens,
                cost: exchanged.cost,
                change: u128::try_from(change).unwrap_or(0),
                balance: balance.add(exchanged.tokens)?,
            };
            let batch = balance.extra_writes();
            money(&trade, batch).map_err(HallError::Money)?;
            next.put(batch, key, now_ns);
            Ok::<_, HallError>(trade)
        })?;
        self.sale = Some(next);
        Ok(trade)
    }
}
