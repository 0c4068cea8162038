//! Previews of payments: their parts, and the credit that the payee is likely to give.

use crate::{
    payer::{Payer, error::PayerError, pay::Part},
    protocol::{
        account::{Account, WriteError},
        amount::Amount,
        draw::{Payout, payout},
        receive::policy::redeem_gas,
        stream::MAX_STEPS,
        terms::DepositId,
    },
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;

/// A part of a payment that was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreviewedPart {
    /// The deposit.
    pub deposit: DepositId,
    /// The part of the amount, in token units.
    pub amount: Amount,
    /// Total paid to the payee from the deposit after the payment, in token units.
    pub spent: Amount,
    /// The payee's remaining allowance after the payment, in token units.
    pub left: Amount,
    /// The payout of a win after the payment, and its range.
    pub payout: Option<Payout>,
    /// The cost to redeem a win at present, in token units. `None` for a token without a rate.
    pub redeem_cost: Option<Amount>,
    /// The credit for the payment, in token units: the growth of the expected value, net of the cost to redeem. The payee
    /// decides, by the cost at its first payment from the deposit.
    pub value: Option<Amount>,
}

impl Payer {
    /// Previews [`Payer::pay_before`]: divides the amount among the active deposits, and pays nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Payer::pay`], and of the node at reading the price of gas.
    pub async fn preview(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
        payee_cutoff: u64,
    ) -> Result<Vec<PreviewedPart>, PayerError> {
        if amount.is_zero() {
            return Err(WriteError::ZeroAmount.into());
        }
        let parts = self.split(payee, token, amount, payee_cutoff).await?;
        let prices = self.reader.prices().await?;
        self.rates.refresh(self.reader.provider()).await;
        let rate = self.rates.of(token).ok();
        let mut previewed = Vec::with_capacity(parts.len());
        for part in &parts {
            let depth = self.tree(part.id).await?.proof(payee);
            let depth = depth.map_or(0, |proof| proof.siblings.len());
            // As a payee with the default policy counts it.
            let cost =
                rate.map(|rate| rate.units_up(prices.wei(redeem_gas(depth, MAX_STEPS.min(1024)))));
            let deposit = self.record(part.id).await?.deposit;
            previewed.push(previewed_part(part, &deposit, cost));
        }
        Ok(previewed)
    }
}

fn previewed_part(part: &Part, deposit: &Deposit, redeem_cost: Option<Amount>) -> PreviewedPart {
    let (old, new) = (&part.old.1, &part.new);
    PreviewedPart {
        deposit: part.id,
        amount: new.total().saturating_sub(old.total()),
        spent: new.total(),
        left: new.left(),
        payout: payout(new.total(), new.allowance(), deposit),
        redeem_cost,
        value: redeem_cost.map(|cost| {
            let worth = |account| worth(account, deposit, cost);
            worth(new).saturating_sub(worth(old))
        }),
    }
}

/// The expected value of an account's newest cheque for the payee, rounded down as the payee does.
fn worth(account: &Account, deposit: &Deposit, cost: Amount) -> Amount {
    let payout = payout(account.total(), account.allowance(), deposit);
    let amount = Amount::new(deposit.amount);
    payout.map_or(Amount::ZERO, |payout| payout.expected_value(amount, cost))
}
