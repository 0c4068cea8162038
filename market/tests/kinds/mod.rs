//! Kinds of state that a market stores. Each step loads its state from the store, like a process that starts.

use cheque_market::{
    balance::*,
    compose::Composer,
    peers::*,
    pool::*,
    rpc::{Operator, Params},
    select::StoredSelect,
    store::{Batch, Store},
    tokens::*,
    value::{ExpirationRate, Log2},
};
use ruint::aliases::U256;
use serde_json::{Value, json};
use std::{
    num::{NonZeroU64, NonZeroU128},
    sync::Arc,
};

pub(super) type Shared = Arc<dyn Store + Send + Sync>;
type Id = [u8; 4];

const SECOND: u64 = 1_000_000_000;
pub(super) const MARKET: &[u8] = b"market:";

/// A kind of state, stored in steps.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Takes and stores a step.
    pub(super) step: fn(&Shared, u64),
    /// The whole stored state as text.
    pub(super) state: fn(&Shared) -> String,
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "balances",
        step: balances_step,
        state: balances_state,
    },
    Kind {
        name: "peers",
        step: peers_step,
        state: peers_state,
    },
    Kind {
        name: "weights",
        step: weights_step,
        state: weights_state,
    },
    Kind {
        name: "composer",
        step: composer_step,
        state: composer_state,
    },
    Kind {
        name: "orders",
        step: orders_step,
        state: orders_state,
    },
    Kind {
        name: "operator",
        step: operator_step,
        state: operator_state,
    },
    Kind {
        name: "payments",
        step: payments_step,
        state: payments_state,
    },
];

fn id(n: u64) -> Id {
    [n as u8; 4]
}

fn nonzero(n: u64) -> NonZeroU64 {
    NonZeroU64::new(n).unwrap()
}

fn number(store: &Shared, key: &str) -> Option<u64> {
    let bytes = store.get(key.as_bytes()).unwrap()?;
    Some(u64::from_be_bytes(bytes.try_into().unwrap()))
}

/// A half-life of ten steps, each of a second.
fn tracker(store: &Shared) -> BalanceTracker<Id, Shared> {
    let settings = BalanceSettings {
        positive_rate: ExpirationRate::from_half_life(nonzero(10 * SECOND)),
        negative_rate: ExpirationRate::from_half_life(nonzero(20 * SECOND)),
        positive_drop: 0,
        negative_drop: 0,
        ..BalanceSettings::default()
    };
    BalanceTracker::open(Arc::clone(store), MARKET, settings, 0).unwrap()
}

fn balances_step(store: &Shared, step: u64) {
    let mut tracker = tracker(store);
    let set = tracker.operation(&id(step % 3), Some(&[7]), SECOND, |balance| {
        let negative = balance.balances().negative + step;
        let positive = balance.balances().positive + 1_000_000;
        balance.set(Balances { positive, negative })
    });
    set.unwrap();
}

fn balances_state(store: &Shared) -> String {
    let mut tracker = tracker(store);
    let mut found = Vec::new();
    for n in 0..3 {
        let read = tracker.operation(&id(n), Some(&[7]), 0, |balance| {
            Ok::<_, LoadBalanceError>(balance.balances())
        });
        found.push(read.unwrap());
    }
    // A later value shows the offsets.
    let later = tracker.tokens(&id(0), 10 * SECOND).unwrap();
    format!(
        "{found:?} {later} {:?}",
        store.get(b"market:expiration:").unwrap()
    )
}

struct Peers {
    machine: PeerStateMachine<Id, Shared>,
    trusted: Flags,
    banned: Flags,
    score: Field<u64>,
}

fn peers(store: &Shared) -> Peers {
    let mut setup = SetupBuilder::new(1);
    let trusted = setup.persistent_flag("trusted").unwrap();
    let banned = setup.persistent_flag("banned").unwrap();
    let decode = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
    let score = setup.persistent_field("score", |n: &u64| n.to_be_bytes().to_vec(), decode);
    let machine = PeerStateMachine::prepare(&setup.build(), Arc::clone(store), b"peers:");
    Peers {
        machine: machine.start(0).unwrap(),
        trusted,
        banned,
        score: score.unwrap(),
    }
}

/// Two of three steps change a peer and save it. The third resets its last flag, which needs no save.
fn peers_step(store: &Shared, step: u64) {
    let Peers {
        mut machine,
        trusted,
        banned,
        score,
    } = peers(store);
    let (peer, none) = (id(step / 3 % 5), Flags::none());
    match step % 3 {
        0 => machine.set_state(&peer, &trusted, &none, None).unwrap(),
        1 => machine.set_state(&peer, &banned, &trusted, None).unwrap(),
        _ => return machine.set_state(&peer, &none, &banned, None).unwrap(),
    }
    machine.set_field(&peer, &score, Some(step)).unwrap();
    machine.persist(&peer).unwrap();
}

fn peers_state(store: &Shared) -> String {
    let Peers { machine, score, .. } = peers(store);
    let found = (0..5).map(|n| {
        let state = machine.state(&id(n)).unwrap().to_string();
        (n, state, machine.field(&id(n), &score).unwrap())
    });
    format!("{:?}", found.collect::<Vec<_>>())
}

fn weights(store: &Shared) -> StoredSelect<Id, Shared> {
    StoredSelect::open(Arc::clone(store), b"weights:").unwrap()
}

fn weights_step(store: &Shared, step: u64) {
    let weight = match step % 4 {
        1 => 2 * step,
        3 => 0,
        _ => step,
    };
    let updated = weights(store).update(id(step / 2 % 6), weight, Batch::new());
    updated.unwrap();
}

fn weights_state(store: &Shared) -> String {
    let weights = weights(store);
    let found = (0..6).map(|n| weights.select().weight(&id(n)));
    format!("{:?}", found.collect::<Vec<_>>())
}

fn composer(store: &Shared) -> Composer<Id> {
    let stored = store.get(b"composer").unwrap();
    stored.map_or_else(Composer::new, |bytes| Composer::from_bytes(&bytes).unwrap())
}

/// Composes and opens a deposit, and pays twice from the deposit.
fn composer_step(store: &Shared, step: u64) {
    let mut composer = composer(store);
    let round = step.div_ceil(4);
    match step % 4 {
        1 => {
            // A process that runs for long prunes too.
            composer.prune(1_000 * round.saturating_sub(10));
            let size = NonZeroU128::new(1_000_000).unwrap();
            let candidates = (0..4).map(id);
            let composed = composer.compose(size, nonzero(1), candidates, |_| 5, step * 10_000);
            composed.unwrap();
        }
        2 => {
            let deposit = U256::from(round).to_be_bytes();
            composer
                .opened(round, deposit, 1_000, 1_000 * round)
                .unwrap();
        }
        paid => {
            let quote = composer.quote(&id(paid), 1, 50 * u128::from(step), 0);
            composer.record(&quote.unwrap()).unwrap();
        }
    }
    let mut batch = Batch::new();
    batch.put("composer", composer.to_bytes());
    store.write(&batch).unwrap();
}

fn composer_state(store: &Shared) -> String {
    format!("{:?}", composer(store))
}

fn issuer(store: &Shared) -> TokenIssuer {
    let terms = IssuerTerms {
        min_limit_ns: SECOND,
        max_limit_ns: 1_000_000 * SECOND,
        capacity_factor: nonzero(1_000_000),
        max_capacity: nonzero(1_000_000),
    };
    TokenIssuer::load(number(store, "limit_ns"), terms, 0).unwrap()
}

fn curve(store: &Shared) -> BondingCurve {
    let limit = number(store, "limit").map_or(issuer(store).token_limit(), nonzero);
    let price = number(store, "price").map_or(Log2::ZERO, |steps| Log2::from_steps(steps as i64));
    BondingCurve::restore(number(store, "amount").unwrap_or(0), limit, price).unwrap()
}

fn last_serial(store: &Shared) -> LastSerial {
    number(store, "serial").map_or(LastSerial::NONE, LastSerial::from_stored)
}

/// In one transaction a customer buys tokens, the issuer's limit grows, and the base price rises.
fn orders_step(store: &Shared, step: u64) {
    let (mut issuer, mut curve) = (issuer(store), curve(store));
    issuer.set_free(FreeRatio::ALL, u64::MAX, 0);
    issuer.set_free(FreeRatio::ALL, u64::MAX, SECOND);
    let serial = last_serial(store).next(step).unwrap();
    let mut tracker = tracker(store);
    let bought = tracker.operation(&id(1), None, 0, |balance| {
        let bought = curve.exchange(1, 1_000, i128::MAX).unwrap();
        let price = Log2::from_steps(curve.log_base_price().steps() + 1);
        curve.adjust(curve.amount(), issuer.token_limit(), price);
        let extra = balance.extra_writes();
        for (key, number) in [
            ("limit_ns", issuer.limit_ns()),
            ("limit", curve.limit().get()),
            ("price", curve.log_base_price().steps() as u64),
            ("amount", curve.amount()),
            ("serial", serial.get()),
        ] {
            extra.put(key, number.to_be_bytes());
        }
        balance.add(bought.tokens)
    });
    let bought: Result<_, ChangeBalanceError> = bought;
    bought.unwrap();
}

fn orders_state(store: &Shared) -> String {
    let (issuer, curve, last) = (issuer(store), curve(store), last_serial(store));
    let tokens = tracker(store).tokens(&id(1), 0).unwrap();
    assert!(last.next(last.get()).is_err());
    format!("{issuer:?} {curve:?} {last:?} {tokens}")
}

fn operator(store: &Shared) -> Operator<Id, Shared> {
    let settings = ClientPoolSettings {
        pool: PoolSettings {
            min_capacity: nonzero(100),
            active_bias_ns: 1,
            step_divisor: nonzero(10),
            fine_step_divisor: nonzero(100),
        },
        grace_period_ns: SECOND,
        connected_bias_ns: 0,
    };
    let pool = ClientPool::new(tracker(store), settings);
    Operator::open(pool, Arc::clone(store), MARKET).unwrap()
}

fn params(value: Value) -> Params {
    value.as_object().unwrap().clone()
}

fn operator_step(store: &Shared, step: u64) {
    let mut operator = operator(store);
    let peer = id(step / 5 % 4);
    let done = match step % 5 {
        0 => operator.set_default_params(&params(json!({ "pricing/timeFactor": step }))),
        1 => operator.set_connected_bias(step as i64),
        2 => operator.add_balance(&peer, step as i64, 0).map(|_| ()),
        3 => {
            // Sets tags and notices of two clients in one call.
            let tags = [format!("tag{step}")];
            let set = params(json!({ "userTags": tags, "pricing/alert": step }));
            operator.set_client_params(&[peer, id(9)], &[], &set, 0)
        }
        _ => {
            let set = params(json!({ "pricing/periodicUpdate": step }));
            operator.set_client_params(&[peer], &[], &set, 0)
        }
    };
    done.unwrap();
}

fn operator_state(store: &Shared) -> String {
    let mut operator = operator(store);
    let infos = operator.client_info(&[], &["$all".to_owned()], 0).unwrap();
    // A new client shows the default prices; the settings of the pool show the bias.
    operator.connect(&id(0xff), b"home", 0).unwrap();
    let prices = operator.client_info(&[id(0xff)], &[], 0).unwrap();
    let clients = operator.clients_mut().settings();
    format!("{infos:?} {prices:?} {clients:?}")
}

/// Key of a received payment: a `ChequeStore` has it in another table than balances.
const PAYMENT: &[u8] = b"market:pay:cheque/1:deposit";

/// Stores a received payment and the credited balance in one transaction.
fn payments_step(store: &Shared, step: u64) {
    let mut tracker = tracker(store);
    let credited = tracker.operation(&id(1), None, 0, |balance| {
        balance.extra_writes().put(PAYMENT, step.to_be_bytes());
        balance.add(5)
    });
    let credited: Result<_, ChangeBalanceError> = credited;
    credited.unwrap();
}

fn payments_state(store: &Shared) -> String {
    let payment = store.get(PAYMENT).unwrap();
    let tokens = tracker(store).tokens(&id(1), 0).unwrap();
    format!("{payment:?} {tokens}")
}
