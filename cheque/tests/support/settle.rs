//! Redeeming all wins of a payee without its service.

use cheque::{
    DepositId, Outcome,
    bank::{RedeemError, Redeemed},
    payee::{Payee, RedeemOptions},
};

/// The deposits that the bank would pay now.
pub(crate) async fn won(payee: &Payee) -> Result<Vec<DepositId>, RedeemError> {
    let now = payee.reader().head().await?.time;
    let mut won = Vec::new();
    for position in payee.positions().await? {
        let terms = position.deposit();
        // The next block is a second later at least.
        let redeemable = terms.drawTime < now && now < terms.redeemUntil;
        let id = position.deposit_id();
        if redeemable && payee.outcome(id).await?.0 == Outcome::Payable {
            won.push(id);
        }
    }
    Ok(won)
}

/// Redeems each win to the payee's balance.
pub(crate) async fn settle(
    payee: &Payee,
) -> Result<Vec<(DepositId, Result<Redeemed, RedeemError>)>, RedeemError> {
    let mut settled = Vec::new();
    for id in won(payee).await? {
        settled.push((id, payee.redeem(id, &RedeemOptions::default()).await));
    }
    Ok(settled)
}
