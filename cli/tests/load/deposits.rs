//! The payee's service with many open deposits.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;
use cheque::{
    Account, AllowanceTree, Amount, Bank, ChainProfile, ChequeContext, Deposit, DepositId,
    MasterSalt, Now, Opening, Policy, Proof, Purse, SigningKey, TokenLimits, View, receive_payment,
    store::{Change, Redb, Store, Swap, Table, position_key},
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::Instant};

use crate::{
    callers::{Held, Make, call},
    plan::Plan,
    report::{Report, Setting, peak_memory},
    support::{Machine, Node, http, pause, service::Service, wait_for},
    wire::Wire,
};

/// The amount of every deposit, and the allowance of the only payee, in wei.
const DEPOSIT: u128 = 1_000_000_000_000_000_000;

/// The amount of every payment, in wei.
const PAYMENT: Amount = Amount::new(1_000_000_000_000);

/// The pause between two blocks, in milliseconds. A block of a large storage takes the node a third of a second.
const BLOCK: u64 = 2_000;

/// The length of batches of requests and of swaps.
const BATCH: usize = 1_000;

/// A day, in seconds.
const DAY: u64 = 86_400;

/// The payer's side of one deposit.
struct Payer {
    id: DepositId,
    account: Mutex<Account>,
}

/// The keys of all deposits, and their accounts.
struct Payers {
    key: SigningKey,
    bank: Bank,
    payee: Address,
    deposits: Vec<Payer>,
}

impl Payers {
    /// Writes the next cheque of a deposit.
    fn pay(&self, deposit: usize) -> String {
        let Payer { id, account } = &self.deposits[deposit];
        let context = ChequeContext {
            key: &self.key,
            bank: &self.bank,
            deposit: *id,
            payee: self.payee,
        };
        let mut account = account.lock().unwrap();
        *account = account.write_cheque(PAYMENT, &context).unwrap();
        account.last_proof(*id).unwrap().to_string()
    }
}

/// Measures the service with `size` open deposits.
pub(crate) fn measure(runtime: &Runtime, plan: &Plan, size: usize, report: &mut Report) {
    let node = Node::keeping_states(64);
    let (payer, payee) = (node.machine(0), Arc::new(node.machine(1)));
    payer.deploy();
    let payers = Arc::new(open_deposits(&node, &payee, size));
    let blocks = Blocks::begin(&node);
    let wire = runtime.block_on(Wire::to(&node.url()));
    let flags = [
        "--rpc-url",
        &wire.url,
        "--max-exposure",
        "1000000000ether",
        "--log-level",
        "warn",
    ];
    let begun = Instant::now();
    let service = Service::run(&payee, "payee", &flags, None);
    let answers = || {
        http::request(&service.url.get(), "GET", "/health", None)
            .is_ok_and(|(status, _)| status == 200)
    };
    wait_for(|| answers().then_some(())).unwrap_or_else(|| panic!("{}", service.log()));
    let name = "milliseconds from the start to the first good health";
    report.add_fact(("payee", size), name, begun.elapsed().as_millis(), "ms");
    let make: Arc<Make> = {
        let payers = Arc::clone(&payers);
        Arc::new(move |caller, callers, count| {
            // Each caller has deposits of its own, and comes to each of them.
            let own = (size / callers).max(1);
            let deposit = (count.wrapping_mul(7_919) % own) * callers + caller;
            let proof = payers.pay(deposit % size);
            ("/payments", json!({ "proof": proof }).to_string())
        })
    };
    measure_all(
        runtime,
        plan,
        ("payee", size),
        (&service, &wire),
        &make,
        report,
    );
    drop(blocks);
}

/// Measures a service in all settings of the plan.
pub(crate) fn measure_all(
    runtime: &Runtime,
    plan: &Plan,
    (name, size): (&'static str, usize),
    (service, wire): (&Service, &Wire),
    make: &Arc<Make>,
    report: &mut Report,
) {
    let url = service.url.get();
    for held in plan.held {
        let _held = (*held > 0).then(|| runtime.block_on(Held::open(&url, *held)));
        for delay in plan.delays {
            wire.set_delay(*delay);
            for callers in plan.callers {
                let time = plan.time_at(std::time::Duration::from_millis(*delay));
                let (waits, took) = runtime.block_on(call(&url, *callers, time, make));
                let setting = Setting {
                    service: name,
                    size,
                    delay: *delay,
                    held: *held,
                    callers: *callers,
                };
                report.add(setting, waits, took);
            }
        }
        wire.set_delay(0);
    }
    if let Some(peak) = peak_memory(service.pid()) {
        report.add_fact((name, size), "peak of memory", peak, "MiB");
    }
}

/// Blocks that come at intervals until the value is dropped.
pub(crate) struct Blocks {
    stop: Arc<AtomicBool>,
    mining: Option<thread::JoinHandle<()>>,
}

impl Blocks {
    pub(crate) fn begin(node: &Node) -> Self {
        let (stop, url) = (Arc::new(AtomicBool::new(false)), node.url());
        let stopped = Arc::clone(&stop);
        let mining = thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                ask(&url, &[("evm_mine", json!([]))]);
                pause(BLOCK);
            }
        });
        Self {
            stop,
            mining: Some(mining),
        }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(mining) = self.mining.take() {
            let _ = mining.join();
        }
    }
}

/// Opens deposits of one payer in the chain's storage, where `open` would put them, and gives the payee a payment of each.
///
/// A transaction each would take minutes, and its traces are not measured here: the services read the purses.
fn open_deposits(node: &Node, payee: &Machine, size: usize) -> Payers {
    let key = SigningKey::from_bytes(&[7; 32]).unwrap();
    let address: Address = payee.address.parse().unwrap();
    let bank = Bank::new(31_337, payee.bank().parse().unwrap());
    let draw = node.now() + DAY;
    let allowance = Amount::new(DEPOSIT);
    let tree =
        AllowanceTree::build([(address, allowance)], &MasterSalt::from_bytes([9; 32])).unwrap();
    let folder = payee.store();
    std::fs::create_dir_all(&folder).unwrap();
    let store = Redb::open(folder.join("cheque.redb")).unwrap();
    let mut policy = Policy::new(address, bank, ChainProfile::of(31_337).unwrap());
    policy
        .tokens
        .insert(Address::ZERO, TokenLimits::exposure(Amount::MAX));
    let view = View {
        now: Now {
            clock: node.now(),
            head_time: node.now(),
            round_time: Some(node.now()),
        },
        final_time: Some(node.now()),
        purse: U256::ZERO,
        settled: true,
        redeem_cost: Some(Amount::new(1_000_000)),
        exposure: Amount::ZERO,
        unsettled: Amount::ZERO,
    };
    let (mut words, mut positions, mut deposits) = (Vec::new(), Vec::new(), Vec::new());
    for lane in 1..=u64::try_from(size).unwrap() {
        let deposit = Deposit {
            payer: key.address(),
            signer: key.address(),
            token: Address::ZERO,
            lane,
            amount: DEPOSIT,
            minPayout: DEPOSIT,
            drawTime: draw,
            redeemUntil: draw + DAY,
            root: tree.root(),
        };
        let id = bank.deposit_id(&deposit);
        let slot = keccak256((deposit.payer, deposit.token, lane).abi_encode());
        words.push((
            "anvil_setStorageAt",
            json!([bank.address(), slot, B256::from(Purse::Open(id).word())]),
        ));
        let context = ChequeContext {
            key: &key,
            bank: &bank,
            deposit: id,
            payee: address,
        };
        let account = Account::new(allowance)
            .write_cheque(PAYMENT, &context)
            .unwrap();
        let opening = Proof::Opening(Box::new(Opening {
            bank,
            allowance: tree.proof(address).unwrap(),
            deposit,
            payee: address,
            cheque: *account.newest().unwrap(),
        }));
        let view = View {
            purse: Purse::Open(id).word(),
            ..view
        };
        let received = receive_payment(None, &opening, None, &view, &policy).unwrap();
        let stored = position_key(bank.address(), id, address);
        positions.push((stored, received.position().to_bytes()));
        deposits.push(Payer {
            id,
            account: Mutex::new(account),
        });
    }
    for words in words.chunks(BATCH) {
        ask(&node.url(), words);
    }
    node.mine(2);
    for positions in positions.chunks(BATCH) {
        let changes = positions.iter().map(|(key, position)| Change {
            table: Table::Positions,
            key,
            old: None,
            new: Some(position),
        });
        let swap = store.swap(&changes.collect::<Vec<_>>());
        assert_eq!(swap.unwrap(), Swap::Done);
    }
    Payers {
        key,
        bank,
        payee: address,
        deposits,
    }
}

/// Sends a batch of requests to a node, which must all succeed.
fn ask(url: &str, requests: &[(&str, Value)]) {
    let batch = (0..).zip(requests).map(|(id, (method, params)): (usize, _)| {
        json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
    });
    let batch = Value::Array(batch.collect());
    let (status, answers) = http::request(url, "POST", "/", Some(&batch)).unwrap();
    let answers = answers.as_array().expect("an answer to a batch");
    assert_eq!((status, answers.len()), (200, requests.len()));
    let failed = answers.iter().find(|answer| !answer["error"].is_null());
    assert_eq!(failed, None);
}
