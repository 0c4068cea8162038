//! Callers that have the payer write cheques and bring them to the payee, without end, and note what they learn.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use cheque::{Amount, Proof};
use serde_json::{Value, json};

use crate::{
    books::{Books, Units, units},
    common::{http::request, pause, service::Url},
};

/// What every request pays, in wei.
const PAYMENT: &str = "100000000000000";

/// Between two tries of what failed, in milliseconds.
const AGAIN: u64 = 20;

/// What callers share.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) payer: Url,
    pub(crate) payee: Url,
    /// The payee's address.
    pub(crate) address: String,
    books: Arc<Mutex<Books>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    pub(crate) fn new(payer: Url, payee: Url, address: String) -> Self {
        Self {
            payer,
            payee,
            address,
            books: Arc::default(),
            stop: Arc::default(),
        }
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Pays until it is told to stop.
    pub(crate) fn run(&self) {
        while !self.is_stopped() {
            match self.ask() {
                Some(proofs) => proofs.iter().for_each(|proof| self.bring(proof)),
                None => pause(AGAIN),
            }
        }
    }

    /// Proofs of one payment. `None`: there is none, or nobody knows.
    fn ask(&self) -> Option<Vec<String>> {
        let before = self.books().clone();
        let body = json!({ "payee": self.address, "amount": PAYMENT });
        let asked = request(&self.payer.get(), "POST", "/cheques", Some(&body));
        let (status, answer) = asked.ok()?;
        if status != 200 {
            assert!(status >= 500 || status == 409, "{status}: {answer}");
            return None;
        }
        let proofs: Vec<String> = serde_json::from_value(answer["proofs"].clone()).expect("proofs");
        for text in &proofs {
            let (deposit, total) = promised(text);
            let known = before
                .deposits
                .get(&deposit)
                .map_or(0, |seen| seen.handed_out);
            assert!(total > known, "{deposit}: {total} again, after {known}");
            let mut books = self.books();
            let seen = books.of(&deposit);
            seen.handed_out = seen.handed_out.max(total);
        }
        Some(proofs)
    }

    /// Shows a proof to the payee until it says what it holds of it, or the end has come and it does not say.
    fn bring(&self, text: &str) {
        let (deposit, total) = promised(text);
        let body = json!({ "proof": text });
        self.books().of(&deposit).shown.insert(total);
        loop {
            // What is handed out is brought once after the end, too.
            let is_last = self.is_stopped();
            let shown = request(&self.payee.get(), "POST", "/payments", Some(&body));
            match shown {
                Ok((200, answer)) => return self.took(&deposit, total, &answer),
                // Counted before, or a newer one was.
                Ok((409, _)) => return,
                Ok((503, _)) if !is_last => {}
                Ok((402, answer)) => match answer["code"].as_str() {
                    // The payee has not seen the newest block yet.
                    Some("not_confirmed") => {}
                    // Another caller has the opening, or nobody got it, as the payer was killed.
                    Some("unknown_deposit") => match self.opening(&deposit) {
                        Some(opening) => self.bring(&opening),
                        None => return,
                    },
                    Some("past_cutoff") => return,
                    _ => panic!("{deposit}: {answer}"),
                },
                Ok((503, _)) | Err(_) => {
                    self.books().of(&deposit).unanswered.insert(total);
                }
                Ok((status, answer)) => panic!("{deposit}: {status}: {answer}"),
            }
            if is_last {
                return;
            }
            pause(AGAIN);
        }
    }

    /// What the payer has for a payee that does not know a deposit. `None`: the deposit is over, or nobody knows.
    fn opening(&self, deposit: &str) -> Option<String> {
        let path = format!("/payees/{}", self.address);
        let (_, found) = request(&self.payer.get(), "GET", &path, None).ok()?;
        let open = found["deposits"].as_array()?.iter();
        let mut of_it = open.filter(|open| open["deposit"] == *deposit);
        Some(of_it.next()?["opening"].as_str()?.to_owned())
    }

    fn took(&self, deposit: &str, total: Units, answer: &Value) {
        assert_eq!(answer["deposit"], json!(deposit));
        assert_eq!(units(&answer["total"]), total);
        let value = units(&answer["value"]);
        let mut books = self.books();
        let seen = books.of(deposit);
        let again = seen.acknowledged.insert(total, value);
        assert_eq!(again, None, "{deposit}: {total} counts twice");
    }
}

/// Deposit and total of a proof.
fn promised(text: &str) -> (String, Units) {
    let proof: Proof = text.parse().expect("a proof");
    let spent: Amount = match &proof {
        Proof::Opening(opening) => opening.cheque.spent,
        Proof::Cheque(_, cheque) => cheque.spent,
        Proof::Step { .. } => panic!("nobody has opened a stream"),
    };
    let units = spent.to_string().parse().expect("units");
    (proof.deposit_id().to_string(), units)
}
