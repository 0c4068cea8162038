//! Draws with a wanted winner: whoever has the beacon's secret key looks into the future.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use super::beacon::TestBeacon;
use alloy_primitives::Address;
use cheque::{
    AllowanceTree, Amount, Bank, Deposit, MasterSalt, Seed,
    payer::{DepositRequest, Draw, Payer},
    payout, roll,
};

/// The longest search, in draw times.
const MAX_TRIES: u32 = 20_000;

/// A deposit whose draw is known.
pub(crate) struct Foreseen<'a> {
    pub(crate) bank: &'a Bank,
    pub(crate) tree: &'a AllowanceTree,
    pub(crate) deposit: &'a Deposit,
    pub(crate) seed: Seed,
}

impl Foreseen<'_> {
    /// The draw's point in `[0, amount)`.
    pub(crate) fn roll(&self) -> Amount {
        let id = self.bank.deposit_id(self.deposit);
        roll(self.seed, id, Amount::new(self.deposit.amount))
    }

    /// True if a payee wins that has been paid `total`.
    pub(crate) fn is_won_by(&self, payee: Address, total: Amount) -> bool {
        let proof = self.tree.proof(payee).expect("a payee of the deposit");
        let start = proof.start(payee, self.deposit).unwrap();
        let payout = payout(total, proof.allowance, self.deposit);
        payout.is_some_and(|payout| payout.wins(start, self.roll()))
    }
}

/// Chooses the draw time of a request, its own or a later one, at which `payee` wins once it has been paid `total`.
///
/// Fixes all terms: salt, lane and smallest payout.
pub(crate) async fn won_by(
    beacon: &TestBeacon,
    payer: &Payer,
    request: &DepositRequest,
    (payee, total): (Address, Amount),
) -> DepositRequest {
    drawn(beacon, payer, request, |draw| draw.is_won_by(payee, total)).await
}

/// Like [`won_by`], but `payee` wins nothing.
pub(crate) async fn lost_by(
    beacon: &TestBeacon,
    payer: &Payer,
    request: &DepositRequest,
    (payee, total): (Address, Amount),
) -> DepositRequest {
    drawn(beacon, payer, request, |draw| !draw.is_won_by(payee, total)).await
}

/// Like [`won_by`], for any wish.
pub(crate) async fn drawn(
    beacon: &TestBeacon,
    payer: &Payer,
    request: &DepositRequest,
    wanted: impl Fn(&Foreseen<'_>) -> bool,
) -> DepositRequest {
    let mut request = request.clone();
    let master = request
        .master
        .get_or_insert(MasterSalt::from_bytes([9; 32]));
    let tree = AllowanceTree::build(request.allowances.clone(), master).unwrap();
    let mut deposit = payer.plan_deposit(&request, None).await.unwrap().deposit;
    assert_eq!(deposit.root, tree.root());
    for _ in 0..MAX_TRIES {
        let foreseen = Foreseen {
            bank: payer.reader().bank(),
            tree: &tree,
            deposit: &deposit,
            seed: beacon.seed(deposit.drawTime),
        };
        if wanted(&foreseen) {
            request.draw = Draw::At(deposit.drawTime);
            request.lane = Some(deposit.lane);
            request.min_payout = Some(Amount::new(deposit.minPayout));
            return request;
        }
        deposit.drawTime += beacon.local.beacon().period();
        deposit.redeemUntil += beacon.local.beacon().period();
    }
    panic!("no such draw among {MAX_TRIES}");
}
