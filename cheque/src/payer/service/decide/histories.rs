//! Random histories of a chain, a payer and its crashes.

use crate::{
    payer::{
        records::DepositState,
        service::{
            decide::{
                Action, RoundNeed, TrackedDeposit,
                tests::{
                    ACTIVE, CUTOFF, DAY, LEAD, PENDING, RECLAIMABLE, SIGNER, at, known, rounds,
                },
            },
            rounds::Rounds,
        },
    },
    protocol::{amount::Amount, terms::DepositId},
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// When a service is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Killed {
    Never,
    /// It has decided, and nothing is stored.
    BeforeStoring,
    /// The next round is stored, and nothing is sent.
    BeforeSending,
}

/// What happens in between.
#[derive(Clone, Copy, Debug)]
enum Event {
    Blocks(u64),
    /// This part in 255 of what is left of active deposits is spent.
    Spend(u8),
    /// A step of the service, whose next round has this amount.
    Step {
        amount: u128,
        killed: Killed,
    },
    /// What was sent is mined.
    Mine,
    /// The draw of what can be drawn is won by somebody.
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
        (1..60_u64).prop_map(Event::Blocks),
        any::<u8>().prop_map(Event::Spend),
        (1..1_000_u128, killed()).prop_map(|(amount, killed)| Event::Step { amount, killed }),
        Just(Event::Mine),
        Just(Event::Redeem),
    ]
}

/// A chain and a store, as simple as they can be.
#[derive(Default)]
struct Model {
    head: u64,
    deposits: Vec<TrackedDeposit>,
    sent: Vec<DepositId>,
}

impl Model {
    fn happen(&mut self, event: Event, rounds: &Rounds) {
        match event {
            Event::Blocks(blocks) => self.head += blocks,
            Event::Spend(part) => {
                for known in self.in_state(ACTIVE) {
                    let left = known.record.deposit.amount - known.spent.get();
                    known.spent = Amount::new(known.spent.get() + left * u128::from(part) / 255);
                }
            }
            Event::Step { amount, killed } => self.step(rounds, amount, killed),
            Event::Mine => {
                for id in std::mem::take(&mut self.sent) {
                    let mined = self.deposits.iter_mut().find(|known| known.id == id);
                    let mined = mined.expect("it was stored");
                    if mined.record.state == PENDING {
                        mined.record.state = ACTIVE;
                        let lane = mined.record.deposit.lane;
                        let before = self.in_state(RECLAIMABLE);
                        for known in before.filter(|known| known.record.deposit.lane == lane) {
                            known.record.state = DepositState::Reclaimed;
                        }
                    }
                }
            }
            Event::Redeem => {
                for known in self.in_state(DepositState::PastCutoff) {
                    known.record.state = DepositState::Redeemed {
                        payee: SIGNER,
                        payout: Amount::new(1),
                    };
                }
            }
        }
        let head = self.head;
        for known in &mut self.deposits {
            let terms = &known.record.deposit;
            known.record.state = match known.record.state {
                DepositState::Pending if head + CUTOFF >= terms.drawBlock => {
                    DepositState::NeverOpened
                }
                DepositState::Active if head + CUTOFF >= terms.drawBlock => {
                    DepositState::PastCutoff
                }
                DepositState::PastCutoff if head >= terms.lastRedeemBlock => RECLAIMABLE,
                state => state,
            };
        }
    }

    fn in_state(&mut self, state: DepositState) -> impl Iterator<Item = &mut TrackedDeposit> {
        let deposits = self.deposits.iter_mut();
        deposits.filter(move |known| known.record.state == state)
    }

    /// What `act` does, by the same decisions.
    fn step(&mut self, rounds: &Rounds, amount: u128, killed: Killed) {
        let head = self.head;
        let situation = at(head, &self.deposits);
        let tasks = situation.tasks(Some(rounds));
        let need = situation.need(rounds, LEAD);
        let fits = situation.check_budget(rounds, Amount::new(amount)).is_ok();
        for task in tasks {
            match task {
                Action::Open(id) => self.sent.push(id),
                Action::Reclaim(id) => {
                    let mut taken = self.in_state(RECLAIMABLE);
                    let taken = taken.find(|known| known.id == id);
                    taken.expect("it can be taken back").record.state = DepositState::Reclaimed;
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
        let mut next = known(number, PENDING);
        if let Some(expired) = expired {
            let expired = self.deposits.iter().find(|known| known.id == expired);
            next.record.deposit.lane = expired.expect("it is stored").record.deposit.lane;
        }
        next.record.since = head;
        next.record.deposit.amount = amount;
        next.record.deposit.drawBlock = head + 100;
        next.record.deposit.lastRedeemBlock = head + 200;
        if killed == Killed::Never {
            self.sent.push(next.id);
        }
        self.deposits.push(next);
    }
}

proptest! {
    #[test]
    fn no_sequence_of_blocks_payments_and_crashes_exceeds_the_budget_or_opens_two_next_rounds(
        events in prop::collection::vec(event(), 0..200)
    ) {
        let rounds = rounds(Some(1_500));
        let mut model = Model::default();
        for event in events {
            model.happen(event, &rounds);
            let in_a_day = model.deposits.iter().filter(|known| {
                known.record.since + DAY > model.head && known.record.state != DepositState::NeverOpened
            });
            let sum: u128 = in_a_day.map(|known| known.record.deposit.amount).sum();
            prop_assert!(sum <= 1_500, "{sum} within a day");
            let situation = at(model.head, &model.deposits);
            let next = model.deposits.iter().filter(|known| match known.record.state {
                DepositState::Pending => true,
                DepositState::Active => situation.serves(known, &rounds, LEAD),
                _ => false,
            });
            prop_assert!(next.count() <= 1, "two rounds to pay from");
            let open = model.deposits.iter().filter(|known| !matches!(
                known.record.state,
                DepositState::NeverOpened | DepositState::Reclaimed | DepositState::Redeemed { .. }
            ));
            // But one that can be taken back, and one that is about to take over its purse.
            let open = open.filter(|known| known.record.state != RECLAIMABLE);
            let lanes: Vec<_> = open.map(|known| known.record.deposit.lane).collect();
            let distinct: BTreeSet<_> = lanes.iter().collect();
            prop_assert_eq!(distinct.len(), lanes.len(), "two deposits in one purse");
        }
    }

    #[test]
    fn a_round_is_there_again_as_soon_as_money_and_budget_allow_it(
        events in prop::collection::vec(event(), 0..100)
    ) {
        let rounds = rounds(None);
        let mut model = Model::default();
        for event in events {
            model.happen(event, &rounds);
        }
        model.step(&rounds, 10, Killed::Never);
        model.happen(Event::Mine, &rounds);
        // What was pending may have been of no use any more.
        model.happen(Event::Blocks(100), &rounds);
        model.step(&rounds, 10, Killed::Never);
        model.happen(Event::Mine, &rounds);
        let need = at(model.head, &model.deposits).need(&rounds, LEAD);
        prop_assert!(matches!(need, RoundNeed::Serves(_)), "{need:?}");
    }
}
