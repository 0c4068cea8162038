//! Durable payments, acknowledged only when on disk: many concurrent payers, one payee, one store.

use crate::fixture::address;
use crate::measure::median;
use alloy_primitives::Address;
use cheque::{
    Account, AllowanceTree, Amount, Bank, ChainProfile, ChequeContext, Deposit, MasterSalt, Now,
    Opening, Policy, Position, PositionKey, Proof, Purse, REDEEM_WINDOW, SigningKey, View,
    payee::{PositionCache, Replaced, StoredPosition},
    receive_payment,
    store::{Store, Swap, Table, position_key},
};
use std::{
    fs::OpenOptions,
    hint::black_box,
    io::Write,
    iter::repeat_n,
    path::Path,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime, sync, task::JoinSet, time::sleep};

/// Concurrent payers.
pub const PAYERS: [usize; 5] = [1, 4, 16, 64, 256];
const SLICE: Duration = Duration::from_millis(1_500);
/// Duration and maximum number of cheques per payer before a load is measured, because a new database creates its files
/// first.
const WARM_UP: Duration = Duration::from_millis(500);
const WARM_UP_CHEQUES: usize = CHEQUES / 4;
/// Cheques of a payer in a run. A payer stops after its last cheque.
const CHEQUES: usize = 2_000;
/// Passes over the same cheques without a store, enough for a slice.
const AGAIN: usize = 25;
/// Measurements with the most payers, each paired with one without a store, and measurements at half their load.
const PAIRS: usize = 7;
/// The time of the payments, in seconds since 1970.
const NOW: u64 = 1_800_000_000;
const ALLOWANCE: Amount = Amount::new(10_000_000_000_000_000);

/// Figures of a store under load.
pub struct Durable {
    /// Acknowledged payments per second, for each of [`PAYERS`]; the median for the most payers.
    pub per_second: Vec<f64>,
    /// CPU limit without a store, one thread per core: from the stored bytes to the new bytes.
    pub cpu: CpuLimit,
    /// CPU limit with the old position in memory, as under this load.
    pub cpu_cached: CpuLimit,
    /// Waiting time at half the load of the most payers, in milliseconds: median and slowest 1 %, each the median of
    /// [`PAIRS`] runs.
    pub p50_millis: f64,
    pub p99_millis: f64,
}

/// CPU limit, measured several times, each time right after the store with the most payers.
#[derive(Default)]
pub struct CpuLimit {
    per_second: Vec<f64>,
    store_over_cpu: Vec<f64>,
}

impl CpuLimit {
    fn add(&mut self, per_second: f64, store: f64) {
        self.per_second.push(per_second);
        self.store_over_cpu.push(store / per_second);
    }

    /// Median payments per second.
    pub fn per_second(&self) -> f64 {
        median(self.per_second.clone())
    }

    /// Median of the store's payments per second divided by the CPU limit.
    pub fn store_over_cpu(&self) -> f64 {
        median(self.store_over_cpu.clone())
    }
}

/// Measures durable appends of 512 bytes per second.
pub fn syncs_per_second(directory: &Path) -> f64 {
    let path = directory.join("syncs");
    let mut options = OpenOptions::new();
    let mut file = options.create_new(true).append(true).open(path).unwrap();
    let (start, mut syncs) = (Instant::now(), 0.0);
    while start.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 512]).unwrap();
        file.sync_data().unwrap();
        syncs += 1.0;
    }
    syncs / start.elapsed().as_secs_f64()
}

/// Measures a store. `open` returns a new empty store at each call.
pub fn measure(mut open: impl FnMut() -> Arc<dyn Store>) -> Durable {
    let max = PAYERS[PAYERS.len() - 1];
    let payers = (0..max).map(|number| Arc::new(Payer::new(number as u64)));
    let payers: Vec<_> = payers.collect();
    let mut with_store = |count: usize| durably(&payers[..count], Payee::new(open()));
    let fewer = PAYERS.iter().filter(|count| **count < max);
    let mut per_second: Vec<_> = fewer.map(|count| with_store(*count)).collect();
    let (mut cpu, mut cpu_cached) = (CpuLimit::default(), CpuLimit::default());
    let few = &payers[..cores()];
    let pairs = (0..PAIRS).map(|_| {
        let store = with_store(max);
        cpu.add(flat_out(few, Payer::receive_in_memory), store);
        cpu_cached.add(flat_out(few, Payer::receive_cached), store);
        store
    });
    let all = median(pairs.collect());
    per_second.push(all);
    let halves = (0..PAIRS).map(|_| {
        let mut waits = paced(&payers, Payee::new(open()), all / 2.0);
        waits.sort();
        let at = |percent: usize| waits[waits.len() * percent / 100].as_secs_f64() * 1e3;
        (at(50), at(99))
    });
    let (p50, p99) = halves.unzip();
    Durable {
        per_second,
        cpu,
        cpu_cached,
        p50_millis: median(p50),
        p99_millis: median(p99),
    }
}

fn cores() -> usize {
    thread::available_parallelism().unwrap().get()
}

/// Payments per second without a store, one thread per payer, with repeated passes over its cheques.
fn flat_out(payers: &[Arc<Payer>], receive: impl Fn(&Payer, &[u8]) + Sync) -> f64 {
    let ready = Barrier::new(payers.len());
    let pay = |payer: &Payer| {
        ready.wait();
        let (start, mut paid) = (Instant::now(), 0.0);
        for cheque in repeat_n(&payer.cheques, AGAIN).flatten() {
            if start.elapsed() >= SLICE {
                break;
            }
            receive(payer, cheque);
            paid += 1.0;
        }
        paid / start.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let pay = &pay;
        let threads: Vec<_> = payers
            .iter()
            .map(|payer| scope.spawn(move || pay(payer)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    })
}

/// Payments per second, with each payer paying as soon as its last payment is acknowledged.
fn durably(payers: &[Arc<Payer>], payee: Payee) -> f64 {
    let rates = all_at_once(payers, payee, |_, payer, payee| async move {
        let (first, cheques) = payer.cheques.split_at(WARM_UP_CHEQUES);
        let _ = pay_for(WARM_UP, first, &payer, &payee).await;
        pay_for(SLICE, cheques, &payer, &payee).await
    });
    rates.iter().sum()
}

/// Payments per second of a payer, for `time` or until its cheques end.
async fn pay_for(time: Duration, cheques: &[Vec<u8>], payer: &Payer, payee: &Payee) -> f64 {
    let (start, mut paid) = (Instant::now(), 0.0);
    for cheque in cheques {
        if start.elapsed() >= time {
            break;
        }
        payee.receive(payer, cheque).await;
        paid += 1.0;
    }
    paid / start.elapsed().as_secs_f64()
}

/// Waiting times of payments for their acknowledgement, at an even load of `per_second` payments. Each wait counts from
/// the time at which the payment was due, so a late payment does not delay later ones.
fn paced(payers: &[Arc<Payer>], payee: Payee, per_second: f64) -> Vec<Duration> {
    let every = Duration::from_secs_f64(payers.len() as f64 / per_second);
    let apart = every / u32::try_from(payers.len()).unwrap();
    let waits = all_at_once(payers, payee, move |number, payer, payee| async move {
        let mut due = Instant::now() + apart * number;
        let counting = due + WARM_UP;
        let end = counting + 2 * SLICE;
        let mut waits = Vec::new();
        for cheque in &payer.cheques {
            if due >= end {
                break;
            }
            sleep(due.saturating_duration_since(Instant::now())).await;
            payee.receive(&payer, cheque).await;
            if due >= counting {
                waits.push(due.elapsed());
            }
            due += every;
        }
        waits
    });
    waits.concat()
}

/// Runs a task for each payer, on one thread per core.
fn all_at_once<T, Paying>(
    payers: &[Arc<Payer>],
    payee: Payee,
    pay: impl Fn(u32, Arc<Payer>, Arc<Payee>) -> Paying,
) -> Vec<T>
where
    T: Send + 'static,
    Paying: Future<Output = T> + Send + 'static,
{
    for payer in payers {
        payer.begin(&*payee.store);
    }
    let threads = runtime::Builder::new_multi_thread()
        .worker_threads(cores())
        .enable_time()
        .build()
        .unwrap();
    let payee = Arc::new(payee);
    let ready = Arc::new(sync::Barrier::new(payers.len()));
    threads.block_on(async {
        let tasks = (0..).zip(payers).map(|(number, payer)| {
            let paying = pay(number, payer.clone(), payee.clone());
            let ready = ready.clone();
            async move {
                ready.wait().await;
                paying.await
            }
        });
        tasks.collect::<JoinSet<_>>().join_all().await
    })
}

/// The payee of all payers.
struct Payee {
    store: Arc<dyn Store>,
    positions: PositionCache,
}

impl Payee {
    fn new(store: Arc<dyn Store>) -> Self {
        let positions = PositionCache::default();
        Self { store, positions }
    }

    /// Receives a payment: from the bytes received to the durable write.
    async fn receive(&self, payer: &Payer, cheque: &[u8]) {
        let Self { store, positions } = self;
        let old = positions.recent(&payer.key);
        let old = old.or_else(|| positions.read(&**store, &payer.key).unwrap());
        let proof = Proof::decode(cheque).unwrap();
        let new = payer.judge(&proof, old.as_ref().map(StoredPosition::position));
        let replaced = positions.begin_replace(&**store, payer.key, old.as_ref(), new);
        assert_eq!(replaced.unwrap().await.unwrap(), Replaced::Done);
    }
}

/// A payer with a deposit for the payee alone, and the payee's view and policy.
pub struct Payer {
    key: PositionKey,
    /// The encoded position after the opening.
    stored: Vec<u8>,
    cached: Position,
    cheques: Vec<Vec<u8>>,
    view: View,
    policy: Policy,
}

impl Payer {
    fn new(number: u64) -> Self {
        Self::with_cheques(number, CHEQUES)
    }

    pub fn with_cheques(number: u64, cheques: usize) -> Self {
        let mut secret = [1; 32];
        secret[24..].copy_from_slice(&(number + 1).to_be_bytes());
        let key = SigningKey::from_bytes(&secret).unwrap();
        let (bank, payee) = (Bank::new(1, Address::repeat_byte(0xba)), address(77));
        let salt = MasterSalt::from_bytes([9; 32]);
        let tree = AllowanceTree::build([(payee, ALLOWANCE)], &salt).unwrap();
        let deposit = Deposit {
            payer: key.address(),
            signer: key.address(),
            token: Address::ZERO,
            lane: 1,
            amount: tree.total().get(),
            minPayout: tree.total().get(),
            drawTime: NOW + 3_600,
            redeemUntil: NOW + 3_600 + REDEEM_WINDOW,
            root: tree.root(),
        };
        let id = bank.deposit_id(&deposit);
        let context = ChequeContext {
            key: &key,
            bank: &bank,
            deposit: id,
            payee,
        };
        let amount = Amount::new(1_000_000_000);
        let mut account = Account::new(ALLOWANCE)
            .write_cheque(amount, &context)
            .unwrap();
        let opening = Proof::Opening(Box::new(Opening {
            bank,
            allowance: tree.proof(payee).unwrap(),
            deposit,
            payee,
            cheque: *account.newest().unwrap(),
        }));
        let cheques = (0..cheques)
            .map(|_| {
                account = account.write_cheque(amount, &context).unwrap();
                account.last_proof(id).unwrap().encode()
            })
            .collect();
        let view = View {
            now: Now {
                clock: NOW,
                head_time: NOW - 3,
                round_time: Some(NOW - 1),
            },
            final_time: Some(NOW - 800),
            purse: Purse::Open(id).word(),
            settled: true,
            redeem_cost: Some(Amount::new(100_000_000_000_000)),
            exposure: Amount::ZERO,
            unsettled: Amount::ZERO,
        };
        let policy = Policy::new(payee, bank, ChainProfile::of(1).unwrap());
        let first = judge(&opening, None, &view, &policy);
        Self {
            key: PositionKey {
                bank: bank.address(),
                deposit: id,
                payee,
            },
            stored: first.to_bytes(),
            cached: first,
            cheques,
            view,
            policy,
        }
    }

    /// Returns key and value of the stored position after the opening.
    pub fn first(&self) -> (Vec<u8>, Vec<u8>) {
        let key = position_key(self.key.bank, self.key.deposit, self.key.payee);
        (key.to_vec(), self.stored.clone())
    }

    fn begin(&self, store: &dyn Store) {
        let (key, position) = self.first();
        let swap = store
            .compare_and_set(Table::Positions, &key, None, &position)
            .unwrap();
        assert_eq!(swap, Swap::Done);
    }

    /// Receives a payment without a store, from the stored bytes to the new bytes.
    fn receive_in_memory(&self, cheque: &[u8]) {
        black_box(self.judged(cheque, &self.stored));
    }

    fn receive_cached(&self, cheque: &[u8]) {
        let proof = Proof::decode(cheque).unwrap();
        black_box(self.judge(&proof, Some(&self.cached)).to_bytes());
    }

    /// Looks the deposit up and judges its first cheque, without storing the result.
    pub fn look_up_and_judge(&self, store: &dyn Store) {
        let old = store.get(Table::Positions, &self.first().0).unwrap();
        black_box(self.judged(&self.cheques[0], &old.unwrap()));
    }

    fn judged(&self, cheque: &[u8], old: &[u8]) -> Vec<u8> {
        let proof = Proof::decode(cheque).unwrap();
        let old = Position::from_bytes(old).unwrap();
        self.judge(&proof, Some(&old)).to_bytes()
    }

    fn judge(&self, proof: &Proof, old: Option<&Position>) -> Position {
        judge(proof, old, &self.view, &self.policy)
    }
}

fn judge(proof: &Proof, old: Option<&Position>, view: &View, policy: &Policy) -> Position {
    let received = receive_payment(None, proof, old, view, policy);
    received.unwrap().position().clone()
}
