//! A world with a payer and three payees, and the steps shared by many tests.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use super::node::{Account, World, coins};
use cheque::store::Memory;
use cheque::{Amount, DepositId, Outcome, Rejection};
use cheque::{
    bank::RedeemError,
    payee::{Accepted, Payee, ReceiveError},
    payer::{DepositEvent, DepositRequest, DepositState, Draw, Opened, Payer, Payment},
};
use std::sync::Arc;

/// Seconds, as from opening a deposit to its draw.
pub(crate) const HOUR: u64 = 3_600;

pub(crate) fn memory() -> Arc<Memory> {
    Arc::new(Memory::new())
}

/// Terms with a draw in so many seconds, whose ranges cover all draws once every payee is paid its whole allowance: then exactly one payee wins.
pub(crate) fn request(payees: &[&Account], signer: &Account, draw_in: u64) -> DepositRequest {
    let allowances = (1..).zip(payees);
    let allowances = allowances.map(|(share, payee)| (payee.address, coins(100 * share)));
    let mut request = DepositRequest::new(allowances.collect(), signer.address, Draw::In(draw_in));
    request.min_payout = Some(Amount::ZERO);
    request
}

/// Polls the chain; panics on any error.
pub(crate) async fn poll(payer: &Payer) -> Vec<DepositEvent> {
    let polled = payer.poll().await.unwrap();
    assert!(polled.errors.is_empty(), "{:?}", polled.errors);
    polled.events
}

pub(crate) async fn state(payer: &Payer, id: DepositId) -> DepositState {
    poll(payer).await;
    payer.deposit(id).await.unwrap().state
}

pub(crate) async fn open_deposit(world: &World, payer: &Payer, request: &DepositRequest) -> Opened {
    let opened = payer.create_deposit(request).await.unwrap();
    assert_eq!(opened.tx.block, world.head().await);
    assert_eq!(state(payer, opened.id).await, DepositState::Active);
    opened
}

pub(crate) async fn pay(
    payer: &Payer,
    payee: &Payee,
    id: DepositId,
    amount: Amount,
) -> (Payment, Accepted) {
    let payment = payer
        .write_cheque(id, payee.policy().payee, amount)
        .await
        .unwrap();
    let proof = &payment.proof;
    let accepted = payee.receive_payment(None, proof).await.unwrap();
    assert_eq!(accepted.total, payment.spent);
    (payment, accepted)
}

pub(crate) fn rejection(result: Result<Accepted, ReceiveError>) -> Rejection {
    match result {
        Err(ReceiveError::Rejected(rejection)) => rejection,
        other => panic!("not a rejection: {other:?}"),
    }
}

pub(crate) fn not_payable<T: std::fmt::Debug>(result: Result<T, RedeemError>) -> Outcome {
    match result {
        Err(RedeemError::NotPayable { outcome, .. }) => outcome,
        other => panic!("not refused by the bank: {other:?}"),
    }
}

/// Pays every payee its whole allowance, mines a block after the draw and returns the winner with its payout.
pub(crate) async fn pay_and_draw(
    world: &World,
    payer: &Payer,
    payees: &[Payee],
    opened: &Opened,
) -> (usize, Amount) {
    for payee in payees {
        let left = payer.allowances_left(opened.id).await.unwrap();
        let allowance = left[&payee.policy().payee];
        pay(payer, payee, opened.id, allowance).await;
    }
    world.draw(&opened.deposit).await;
    let mut winners = Vec::new();
    for (index, payee) in payees.iter().enumerate() {
        match payee.outcome(opened.id).await.unwrap() {
            (Outcome::Payable, payout) => winners.push((index, payout)),
            (outcome, _) => assert_eq!(outcome, Outcome::Loses),
        }
    }
    assert_eq!(winners.len(), 1, "not exactly one winner");
    winners[0]
}

pub(crate) struct Fixture {
    pub(crate) world: World,
    pub(crate) payer: Account,
    pub(crate) payees: Vec<Account>,
    /// The store of the payer.
    pub(crate) store: Arc<Memory>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let payer = world.account(1).await;
        let payees = vec![
            world.account(11).await,
            world.account(12).await,
            world.account(13).await,
        ];
        Self {
            world,
            payer,
            payees,
            store: memory(),
        }
    }

    pub(crate) fn request(&self, draw_in: u64) -> DepositRequest {
        let payees: Vec<_> = self.payees.iter().collect();
        request(&payees, &self.payer, draw_in)
    }

    /// Rounds with 0.1, 0.2 and 0.3 coins for the payees, drawn after an hour and redeemable for another. A payee's first
    /// payment reserves the range of its whole allowance.
    #[cfg(feature = "service")]
    pub(crate) fn rounds(&self) -> cheque::payer::Rounds {
        use cheque::payer::Rounds;
        let list = self.request(0).allowances;
        let mut rounds = Rounds::new(Rounds::same_list(list), HOUR);
        rounds.redeem_window = Some(HOUR);
        rounds.min_payout = Some(Amount::ZERO);
        rounds
    }

    /// The payer, and each payee with a store of its own.
    pub(crate) fn actors(&self) -> (Payer, Vec<Payee>) {
        let payer = self.world.payer(&self.payer, self.store.clone());
        let payees = self.payees.iter();
        let payees = payees.map(|payee| self.world.payee(payee, memory()));
        (payer, payees.collect())
    }
}
