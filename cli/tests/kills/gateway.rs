//! The run of a gateway under load and kills. Its upstream counts what it has served.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use axum::{Json, Router, http::HeaderMap, response::IntoResponse};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::{
    harness::kills,
    observations::{Units, units},
    support::{
        Machine, Node,
        http::{request, request_with},
        pause,
        service::{Service, Url},
    },
};

/// The price of every request, in wei.
const PRICE: Units = 100_000_000_000_000;

/// Customers that ask without pause, all at once.
const CUSTOMERS: usize = 3;

/// The time between two attempts, in milliseconds.
const RETRY: u64 = 20;

/// A request that was answered.
struct Sold {
    proof: String,
    path: String,
    answer: Value,
}

/// What customers and upstream share.
struct Shop {
    payer: Url,
    gateway: Url,
    payee: String,
    sold: Mutex<Vec<Sold>>,
    stop: AtomicBool,
}

/// Kills a gateway with a store in a file at random moments.
pub(crate) fn kill_gateway_repeatedly(seed: u64) {
    let node = Node::start();
    let (payer, shop) = (Arc::new(node.machine(0)), Arc::new(node.machine(1)));
    payer.deploy();
    open_deposit(&payer, &shop.address);
    let mut payer_service = Service::run(&payer, "payer", &[], None);
    let runtime = Runtime::new().unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let upstream = runtime.block_on(upstream(Arc::clone(&served)));
    let price = PRICE.to_string();
    let mut gateway = start_gateway(&shop, &upstream, &price);
    let customers = Shop {
        payer: payer_service.url.clone(),
        gateway: gateway.sells.clone(),
        payee: shop.address.clone(),
        sold: Mutex::default(),
        stop: AtomicBool::default(),
    };
    customers.show_deposit();
    thread::scope(|scope| {
        let _stop = StopOnDrop(&customers);
        for number in 0..CUSTOMERS {
            let customers = &customers;
            scope.spawn(move || customers.buy(number));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..kills() {
            customers.wait_for_sales(&gateway);
            pause(rng.random_range(0..60));
            gateway.kill_and_restart();
        }
        customers.wait_for_sales(&gateway);
        customers.stop.store(true, Ordering::Relaxed);
    });

    let sold = customers.sold.into_inner().unwrap();
    assert!(sold.len() > 2 * kills(), "{}", sold.len());
    let account = gateway.get("/accounts")["accounts"][0].clone();
    let sum = |name: &str| units(&account[name]);
    let charged = PRICE * Units::try_from(sold.len()).unwrap();
    assert_eq!((sum("charged"), sum("reserved")), (charged, 0), "{account}");
    assert_eq!(sum("credited"), charged + sum("balance"), "{account}");
    let before = served.load(Ordering::Relaxed);
    // A killed gateway forgets the outcome of the requests in hand, and serves them again: its loss, not the customer's.
    assert!((sold.len()..=sold.len() + kills() * CUSTOMERS).contains(&before));
    assert_nobody_gains_by_a_replay(&gateway, &sold);
    assert_eq!(served.load(Ordering::Relaxed), before);
    gateway.stop();
    payer_service.stop();
}

fn open_deposit(payer: &Machine, payee: &str) {
    let allowance = format!("{payee}=1ether");
    let create = ["deposit", "create", "--allowance", &allowance];
    payer.json(&[&create[..], &["--draw-in", "6h"]].concat());
}

fn start_gateway(shop: &Arc<Machine>, upstream: &str, price: &str) -> Service {
    let run = ["--json", "gateway", "run", "--create-store"];
    // A port for all starts, because the host is a part of what a payment buys.
    let listen = format!("--listen=127.0.0.1:{}", free_port());
    let at = [listen.as_str(), "--operator-listen=127.0.0.1:0"];
    let sells = ["--upstream", upstream, "--price", price];
    let args = [&run[..], &at, &sells].concat();
    let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
    let (machine, log) = (Arc::clone(shop), shop.folder().join("log"));
    let command = move || {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        machine.command(&args)
    };
    Service::start(command, log)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts a service that answers with the payment that it is told of.
async fn upstream(served: Arc<AtomicUsize>) -> String {
    let answer = async move |headers: HeaderMap| {
        served.fetch_add(1, Ordering::Relaxed);
        let payment = headers.get("x-payment-id").map(|id| id.to_str().unwrap());
        Json(json!({ "payment": payment })).into_response()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, Router::new().fallback(answer))
            .await
            .unwrap();
    });
    format!("http://{address}")
}

impl Shop {
    /// Shows the gateway the deposit. The cheque of its opening buys no request.
    fn show_deposit(&self) {
        let (status, _) = self.cheque(0);
        assert_eq!(status, 200);
        let path = format!("/payees/{}", self.payee);
        let (_, found) = request(&self.payer.get(), "GET", &path, None).unwrap();
        let opening = found["deposits"][0]["opening"].as_str().unwrap();
        let header = format!("cheque: {opening}\r\ncheque-max: {PRICE}\r\n");
        let (status, answer) = self.ask(&header, "/first").unwrap();
        assert_eq!(status, 200, "{answer}");
        self.record(opening, "/first", answer);
    }

    /// Lets the payer write a cheque. Returns the answer.
    fn cheque(&self, customer: usize) -> (u16, Value) {
        let body = json!({ "payee": self.payee, "amount": PRICE.to_string() });
        request(&self.payer.get(), "POST", "/cheques", Some(&body))
            .unwrap_or_else(|error| panic!("customer {customer}: {error}"))
    }

    fn ask(&self, header: &str, path: &str) -> std::io::Result<(u16, Value)> {
        request_with(header, &self.gateway.get(), "GET", path, None)
    }

    /// Buys until the end. Shows each cheque until it is answered.
    fn buy(&self, customer: usize) {
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let (status, written) = self.cheque(customer);
            assert_eq!(status, 200, "{written}");
            let proof = written["proofs"][0].as_str().unwrap();
            let path = format!("/{customer}/{number}");
            let header = format!("cheque: {proof}\r\ncheque-max: {PRICE}\r\n");
            loop {
                match self.ask(&header, &path) {
                    Ok((200, answer)) => {
                        self.record(proof, &path, answer);
                        break;
                    }
                    // Another attempt of the same request is in hand, or the gateway has just started.
                    Ok((409 | 503, _)) | Err(_) => pause(RETRY),
                    Ok((status, answer)) => panic!("{path}: {status}: {answer}"),
                }
            }
        }
    }

    fn record(&self, proof: &str, path: &str, answer: Value) {
        let sold = Sold {
            proof: proof.to_owned(),
            path: path.to_owned(),
            answer,
        };
        let mut all = self.sold.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(sold);
    }

    /// Waits until the gateway has sold to every customer.
    fn wait_for_sales(&self, gateway: &Service) {
        let count = || {
            self.sold
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .len()
        };
        let wanted = count() + CUSTOMERS;
        let reached = || (count() >= wanted).then_some(());
        crate::support::wait_for(reached).unwrap_or_else(|| panic!("no sales: {}", gateway.log()));
    }
}

/// Shows payments again. For its own request each brings the kept answer, and for another one nothing.
fn assert_nobody_gains_by_a_replay(gateway: &Service, sold: &[Sold]) {
    let mut payments = BTreeMap::new();
    for Sold {
        proof,
        path,
        answer,
    } in sold
    {
        let payment = answer["payment"].as_str().unwrap().to_owned();
        assert_eq!(payments.insert(payment, path), None, "{path}");
        let header = format!("cheque: {proof}\r\ncheque-max: {PRICE}\r\n");
        let ask = |path: &str| request_with(&header, &gateway.sells.get(), "GET", path, None);
        assert_eq!(ask("/other").unwrap().0, 402, "{path}");
    }
}

/// Stops the customers even if the test panics.
struct StopOnDrop<'a>(&'a Shop);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}
