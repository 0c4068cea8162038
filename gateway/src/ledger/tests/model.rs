//! Random histories of payments, faults, restarts and workers, against a model of a few lines that knows no records.

use super::*;
use crate::ledger::IdempotencyKey;
use proptest::prelude::*;
use std::collections::HashMap;

/// The bounds of the shop's settings.
const MAX_UNUSED: usize = 20;
const LEASE: u64 = 60;

/// An event. Numbers name deposits, requests and workers.
#[derive(Clone, Debug)]
enum Event {
    Pay {
        deposit: usize,
        total: u128,
        request: u8,
        key: Option<u8>,
        worker: usize,
    },
    /// The end of one of the requests in progress.
    End {
        pick: usize,
        outcome: Outcome,
    },
    /// Seconds pass.
    Wait(u64),
    /// A worker is killed, and forgets its requests.
    Restart(usize),
    Sweep,
    /// A reorganisation removes the opening, and another one brings it back.
    Lose(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![Just(SERVED), Just(Outcome::Failed), Just(Outcome::TimedOut)];
    prop_oneof![
        12 => (0..2_usize, 1..150_u128, 1..4_u8, prop::option::of(0..3_u8), 0..2_usize)
            .prop_map(|(deposit, total, request, key, worker)| {
                Event::Pay { deposit, total, request, key, worker }
            }),
        6 => (any::<usize>(), outcome).prop_map(|(pick, outcome)| Event::End { pick, outcome }),
        1 => (1..90_u64).prop_map(Event::Wait),
        1 => (590..610_u64).prop_map(Event::Wait),
        1 => (0..2_usize).prop_map(Event::Restart),
        1 => Just(Event::Sweep),
        1 => (0..2_usize).prop_map(Event::Lose),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Unused,
    /// By the reservation with this number.
    Reserved(usize),
    Charged,
    Burnt,
}

type Id = (usize, u128);

/// The model: what a shopkeeper would write down.
#[derive(Default)]
struct Model {
    now: u64,
    balance: u128,
    debt: u128,
    charged: u128,
    newest: [u128; 2],
    credited: [u128; 2],
    /// The number of ids that were not used, and of ids that were burnt at their first sight.
    unused: [usize; 2],
    ids: HashMap<Id, (u8, Use)>,
    /// The id and the end of the lease of each reservation; `None` after its end.
    reservations: Vec<Option<(Id, u64)>>,
    timeouts: Vec<u64>,
    /// The request and the reservation of each key, and the second until which it counts after a charge.
    keys: HashMap<u8, (u8, usize, u64)>,
}

impl Model {
    /// The code of the expected answer, `forward` for an admission.
    fn pay(&mut self, id: Id, request: u8, key: Option<u8>) -> &'static str {
        if let Some((bound, Use::Reserved(number))) = self.ids.get(&id).copied()
            && bound == request
        {
            let (_, until) = self.reservations[number].unwrap();
            if until > self.now {
                return "in_progress";
            }
            self.release(number);
        }
        if let Some((bound, Use::Charged)) = self.ids.get(&id).copied()
            && bound == request
        {
            return "used";
        }
        if let Some((_, number, _)) = self.live(key)
            && let Some((_, until)) = self.reservations[number]
            && until <= self.now
        {
            self.release(number);
        }
        let is_stale = id.1 < self.newest[id.0];
        match self.ids.get(&id).copied() {
            Some((bound, Use::Unused)) if bound == request => {
                return self.sell(id, request, key, false);
            }
            Some(_) if self.live(key).is_some_and(|(of, ..)| of != request) => {
                return "key_conflict";
            }
            Some(_) if is_stale && self.shows_newest(id) => return "stale",
            Some(_) => return "used",
            None => {}
        }
        self.newest[id.0] = self.newest[id.0].max(id.1);
        self.add(self.newest[id.0] - self.credited[id.0]);
        self.credited[id.0] = self.newest[id.0];
        self.sell(id, request, key, is_stale)
    }

    /// What a key names, while it counts.
    fn live(&self, key: Option<u8>) -> Option<(u8, usize, u64)> {
        let named = self.keys.get(&key?).copied();
        named.filter(|(_, number, until)| self.reservations[*number].is_some() || *until > self.now)
    }

    fn sell(&mut self, id: Id, request: u8, key: Option<u8>, is_stale: bool) -> &'static str {
        let named = self.live(key);
        let code = match () {
            () if named.is_some_and(|(of, ..)| of != request) => "key_conflict",
            () if named.is_some_and(|(_, number, _)| self.reservations[number].is_some()) => {
                "in_progress"
            }
            () if named.is_some() => "key_used",
            () if self.debt > 0 => "in_debt",
            () if self.balance >= PRICE.get() => "forward",
            () if is_stale && self.shows_newest(id) => "stale",
            () => "insufficient",
        };
        let is_new = !self.ids.contains_key(&id);
        if code == "forward" {
            self.balance -= PRICE.get();
            self.unused[id.0] -= usize::from(!is_new);
            self.ids
                .insert(id, (request, Use::Reserved(self.reservations.len())));
            if let Some(key) = key {
                self.keys.insert(key, (request, self.reservations.len(), 0));
            }
            self.reservations.push(Some((id, self.now + LEASE)));
        } else if is_new && self.unused[id.0] < MAX_UNUSED {
            self.unused[id.0] += 1;
            self.ids.insert(id, (request, Use::Unused));
        }
        code
    }

    /// True if the newest cheque may be shown: nobody can use it then.
    fn shows_newest(&mut self, shown: Id) -> bool {
        let newest = (shown.0, self.newest[shown.0]);
        match self.ids.get(&newest).copied() {
            Some((bound, Use::Unused)) => {
                self.ids.insert(newest, (bound, Use::Burnt));
            }
            Some(_) => {}
            None if self.unused[shown.0] >= MAX_UNUSED => return false,
            None => {
                self.unused[shown.0] += 1;
                self.ids.insert(newest, (0, Use::Burnt));
            }
        }
        true
    }

    fn add(&mut self, amount: u128) {
        let paid = self.debt.min(amount);
        self.debt -= paid;
        self.balance += amount - paid;
    }

    fn release(&mut self, number: usize) {
        let (id, _) = self.reservations[number].take().unwrap();
        self.add(PRICE.get());
        let has_place = self.unused[id.0] < MAX_UNUSED;
        self.unused[id.0] += usize::from(has_place);
        let state = if has_place { Use::Unused } else { Use::Burnt };
        self.ids.get_mut(&id).unwrap().1 = state;
    }

    /// Returns the expected charge; `None` for a reservation that was released meanwhile.
    fn end(&mut self, number: usize, outcome: Outcome) -> Option<u128> {
        let (id, _) = self.reservations[number]?;
        let now = self.now;
        self.timeouts.retain(|at| now - at < 3_600);
        let is_free = match outcome {
            Outcome::TimedOut => self.timeouts.len() < 3,
            outcome => outcome == Outcome::Failed,
        };
        if is_free {
            if outcome == Outcome::TimedOut {
                self.timeouts.push(now);
            }
            self.release(number);
            return Some(0);
        }
        self.reservations[number] = None;
        self.charged += PRICE.get();
        self.ids.get_mut(&id).unwrap().1 = Use::Charged;
        for (_, of, until) in self.keys.values_mut() {
            if *of == number {
                *until = now + 600;
            }
        }
        Some(PRICE.get())
    }

    fn sweep(&mut self) -> usize {
        let expired: Vec<_> = (0..self.reservations.len())
            .filter(|number| self.reservations[*number].is_some_and(|(_, until)| until <= self.now))
            .collect();
        for number in &expired {
            self.release(*number);
        }
        expired.len()
    }

    fn lose(&mut self, deposit: usize) {
        let lost = std::mem::take(&mut self.credited[deposit]);
        let taken = self.balance.min(lost);
        self.balance -= taken;
        self.debt += lost - taken;
    }
}

/// The number of a reservation in the model, the worker that serves it, and its admission.
type Serving = (usize, usize, Admission);

async fn step(
    (shop, payers, workers): (&Shop, &[Payer; 2], &mut [Ledger; 2]),
    model: &mut Model,
    serving: &mut Vec<Serving>,
    event: Event,
) {
    match event {
        Event::Pay {
            deposit,
            total,
            request,
            key,
            worker,
        } => {
            let payment = paying(&[payers[deposit].opening(total)]);
            let ask = Ask {
                key: key.map(|key| IdempotencyKey::of(&key.to_string())),
                ..ask(request, model.now)
            };
            let (expected, number) = (
                model.pay((deposit, total), request, key),
                model.reservations.len(),
            );
            let code = match admit(&workers[worker], &ask, &payment).await {
                Admitted::Forward(admission) => {
                    serving.push((number - 1, worker, admission));
                    "forward"
                }
                Admitted::Refused(refusal) => refusal.code(),
                Admitted::Again(_) => "again",
            };
            assert_eq!(code, expected);
        }
        Event::End { pick, outcome } if !serving.is_empty() => {
            let at = pick % serving.len();
            let (number, worker, admission) = serving.swap_remove(at);
            let end = (outcome, Terms::default());
            let receipt = workers[worker].settle(&admission, end, None, model.now);
            let charged = receipt.await.unwrap().map(|receipt| receipt.charged.get());
            assert_eq!(charged, model.end(number, outcome));
        }
        Event::End { .. } => {}
        Event::Wait(seconds) => model.now += seconds,
        Event::Restart(worker) => {
            workers[worker] = shop.worker(u8::try_from(worker).unwrap());
            serving.retain(|(_, of, _)| *of != worker);
        }
        Event::Sweep => {
            let done = workers[0].sweep(model.now).await.unwrap();
            assert_eq!(done.released, model.sweep());
        }
        Event::Lose(deposit) => {
            workers[1].lose_deposit(payers[deposit].id()).await.unwrap();
            model.lose(deposit);
        }
    }
    let sums = shop.sums(&payers[0]).await;
    let reserved = model.reservations.iter().flatten().count() as u128 * PRICE.get();
    assert_eq!(
        (
            sums.balance.get(),
            sums.debt.get(),
            sums.charged.get(),
            sums.reserved.get()
        ),
        (model.balance, model.debt, model.charged, reserved)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn ledger_agrees_with_the_model(events in prop::collection::vec(event(), 1..90)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let shop = Shop::new();
            let payers = [1, 2].map(|lane| Payer::new(1, 1, Address::ZERO, lane));
            let mut workers = [shop.worker(0), shop.worker(1)];
            let mut model = Model { now: NOW, ..Model::default() };
            let mut serving = Vec::new();
            for event in events {
                let place = (&shop, &payers, &mut workers);
                step(place, &mut model, &mut serving, event).await;
            }
        });
    }
}
