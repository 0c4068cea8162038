//! Property tests: random histories of a chain, a payer and its crashes.

use crate::{
    payer::{
        records::DepositState,
        service::{
            decide::{
                Action, DAY, RoundNeed, TrackedDeposit,
                tests::{
                    ACTIVE, CUTOFF, LEAD, MIN_LEAD, PENDING, RECLAIMABLE, SIGNER, at, rounds,
                    tracked,
                },
            },
            rounds::Rounds,
        },
    },
    protocol::{amount::Amount, terms::DepositId},
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Moment at which the service is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Killed {
    Never,
    /// After its decisions, before anything is stored.
    BeforeStoring,
    /// After the next round is stored, before anything is sent.
    BeforeSending,
}

/// One event of a history.
#[derive(Clone, Copy, Debug)]
enum Event {
    Seconds(u64),
    /// Spends this part in 255 of the remaining money of active deposits.
    Spend(u8),
    /// A step of the service, with this amount for the next round.
    Step {
        amount: u128,
        killed: Killed,
    },
    /// The sent transactions are mined.
    Mine,
    /// A payee wins and redeems each deposit that can be drawn.
    Redeem,
}

fn killed() -> impl Strategy<Value = Killed> {
    prop_oneof![
        2 => Just(Killed::Never),
        1 => Just(Killed::BeforeStoring),
        1 => Just(Killed::BeforeSending),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..60_u64).prop_map(Event::Seconds),
        (1..DAY / 2).prop_map(Event::Seconds),
        any::<u8>().prop_map(Event::Spend),
        (1..1_000_u128, killed()).prop_map(|(amount, killed)| Event::Step { amount, killed }),
        Just(Event::Mine),
        Just(Event::Redeem),
    ]
}

/// A minimal chain and store.
#[derive(Default)]
struct Model {
    now: u64,
    deposits: Vec<TrackedDeposit>,
    /// Deposits whose opening is sent and not mined.
    mempool: Vec<DepositId>,
}

impl Model {
    fn happen(&mut self, event: Event, rounds: &Rounds) {
        match event {
            Event::Seconds(seconds) => self.now += seconds,
            Event::Spend(part) => {
                for tracked in self.in_state(ACTIVE) {
                    let left = tracked.record.deposit.amount - tracked.spent.get();
                    tracked.spent =
                        Amount::new(tracked.spent.get() + left * u128::from(part) / 255);
                }
            }
            Event::Step { amount, killed } => self.step(rounds, amount, killed),
            Event::Mine => {
                for id in std::mem::take(&mut self.mempool) {
                    let mined = self.deposits.iter_mut().find(|tracked| tracked.id == id);
                    let mined = mined.expect("the deposit is stored");
                    if mined.record.state == PENDING {
                        mined.record.state = ACTIVE;
                        let lane = mined.record.deposit.lane;
                        let before = self.in_state(RECLAIMABLE);
                        for tracked in before.filter(|tracked| tracked.record.deposit.lane == lane)
                        {
                            tracked.record.state = DepositState::Reclaimed;
                        }
                    }
                }
            }
            Event::Redeem => {
                for tracked in self.in_state(DepositState::PastCutoff) {
                    tracked.record.state = DepositState::Redeemed {
                        payee: SIGNER,
                        payout: Amount::new(1),
                    };
                }
            }
        }
        let now = self.now;
        for tracked in &mut self.deposits {
            let terms = &tracked.record.deposit;
            tracked.record.state = match tracked.record.state {
                DepositState::Pending if now + MIN_LEAD > terms.drawTime => {
                    DepositState::NeverOpened
                }
                DepositState::Active if now + CUTOFF >= terms.drawTime => DepositState::PastCutoff,
                DepositState::PastCutoff if now > terms.redeemUntil => RECLAIMABLE,
                state => state,
            };
            // By then no reorganisation brings the opening back.
            tracked.record.settled =
                tracked.record.state == DepositState::NeverOpened && now > terms.drawTime;
        }
    }

    fn in_state(&mut self, state: DepositState) -> impl Iterator<Item = &mut TrackedDeposit> {
        let deposits = self.deposits.iter_mut();
        deposits.filter(move |tracked| tracked.record.state == state)
    }

    /// Does the work of `act` by the same decisions.
    fn step(&mut self, rounds: &Rounds, amount: u128, killed: Killed) {
        let now = self.now;
        let situation = at(now, &self.deposits);
        let actions = situation.actions(Some(rounds));
        let need = situation.need(rounds, LEAD);
        let fits = situation.check_budget(rounds, Amount::new(amount)).is_ok();
        for action in actions {
            match action {
                Action::Open(id) => self.mempool.push(id),
                Action::Reclaim(id) => {
                    let mut reclaimable = self.in_state(RECLAIMABLE);
                    let reclaimable = reclaimable.find(|tracked| tracked.id == id);
                    reclaimable
                        .expect("the deposit is reclaimable")
                        .record
                        .state = DepositState::Reclaimed;
                }
                Action::CancelOpening(_) | Action::CancelReclaim(_) => {}
            }
        }
        let RoundNeed::Another { expired } = need else {
            return;
        };
        if !fits || killed == Killed::BeforeStoring {
            return;
        }
        let number = u8::try_from(self.deposits.len() + 1).expect("few deposits");
        let mut next = tracked(number, PENDING);
        if let Some(expired) = expired {
            let expired = self.deposits.iter().find(|tracked| tracked.id == expired);
            next.record.deposit.lane = expired.expect("the deposit is stored").record.deposit.lane;
        }
        next.record.created = now;
        next.record.deposit.amount = amount;
        next.record.deposit.drawTime = now + 100;
        next.record.deposit.redeemUntil = now + 200;
        if killed == Killed::Never {
            self.mempool.push(next.id);
        }
        self.deposits.push(next);
    }
}

proptest! {
    #[test]
    fn never_exceeds_budget_or_opens_two_rounds(
        events in prop::collection::vec(event(), 0..200)
    ) {
        let rounds = rounds(Some(1_500));
        let mut model = Model::default();
        for event in events {
            model.happen(event, &rounds);
            let in_a_day = model.deposits.iter().filter(|tracked| {
                let is_void = tracked.record.settled && tracked.record.state == DepositState::NeverOpened;
                tracked.record.created + DAY > model.now && !is_void
            });
            let sum: u128 = in_a_day.map(|tracked| tracked.record.deposit.amount).sum();
            prop_assert!(sum <= 1_500, "{sum} within a day");
            let situation = at(model.now, &model.deposits);
            let next = model.deposits.iter().filter(|tracked| match tracked.record.state {
                DepositState::Pending => true,
                DepositState::Active => situation.serves(tracked, &rounds, LEAD),
                _ => false,
            });
            prop_assert!(next.count() <= 1, "two rounds to pay from");
            let open = model.deposits.iter().filter(|tracked| !matches!(
                tracked.record.state,
                DepositState::NeverOpened | DepositState::Reclaimed | DepositState::Redeemed { .. }
            ));
            // A reclaimable deposit may share its purse with the deposit that takes it over.
            let open = open.filter(|tracked| tracked.record.state != RECLAIMABLE);
            let lanes: Vec<_> = open.map(|tracked| tracked.record.deposit.lane).collect();
            let distinct: BTreeSet<_> = lanes.iter().collect();
            prop_assert_eq!(distinct.len(), lanes.len(), "two deposits in one purse");
        }
    }

    #[test]
    fn restores_a_round_once_money_and_budget_allow(
        events in prop::collection::vec(event(), 0..100)
    ) {
        let rounds = rounds(None);
        let mut model = Model::default();
        for event in events {
            model.happen(event, &rounds);
        }
        model.step(&rounds, 10, Killed::Never);
        model.happen(Event::Mine, &rounds);
        // A pending deposit may have become obsolete.
        model.happen(Event::Seconds(100), &rounds);
        model.step(&rounds, 10, Killed::Never);
        model.happen(Event::Mine, &rounds);
        let need = at(model.now, &model.deposits).need(&rounds, LEAD);
        prop_assert!(matches!(need, RoundNeed::Serves(_)), "{need:?}");
    }
}
