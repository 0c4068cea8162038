//! Callers that pay without pause: they get cheques from the payer, send them to the payee, and record the answers.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use cheque::{Amount, Proof};
use serde_json::{Value, json};

use crate::{
    observations::{Observations, Units, units},
    support::{http::request, pause, service::Url},
};

/// The amount of every payment, in wei.
const PAYMENT: &str = "100000000000000";

/// The time between two attempts, in milliseconds.
const RETRY: u64 = 20;

/// The state that all callers share.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) payer: Url,
    pub(crate) payee: Url,
    /// The payee's address.
    pub(crate) address: String,
    observations: Arc<Mutex<Observations>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    pub(crate) fn new(payer: Url, payee: Url, address: String) -> Self {
        Self {
            payer,
            payee,
            address,
            observations: Arc::default(),
            stop: Arc::default(),
        }
    }

    pub(crate) fn observations(&self) -> MutexGuard<'_, Observations> {
        let locked = self.observations.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Pays until [`Self::stop`].
    pub(crate) fn run(&self) {
        while !self.is_stopped() {
            match self.get_cheques() {
                Some(proofs) => proofs.iter().for_each(|proof| self.send(proof)),
                None => pause(RETRY),
            }
        }
    }

    /// Gets the proofs of one payment from the payer. `None`: the payer refused, or the answer was lost.
    fn get_cheques(&self) -> Option<Vec<String>> {
        let before = self.observations().clone();
        let body = json!({ "payee": self.address, "amount": PAYMENT });
        let asked = request(&self.payer.get(), "POST", "/cheques", Some(&body));
        let (status, answer) = asked.ok()?;
        if status != 200 {
            assert!(status >= 500 || status == 409, "{status}: {answer}");
            return None;
        }
        let proofs: Vec<String> = serde_json::from_value(answer["proofs"].clone()).expect("proofs");
        for text in &proofs {
            let (deposit, total) = deposit_and_total(text);
            let known = before
                .deposits
                .get(&deposit)
                .map_or(0, |payments| payments.written);
            assert!(total > known, "{deposit}: {total} after {known}");
            let mut observations = self.observations();
            let payments = observations.of(&deposit);
            payments.written = payments.written.max(total);
        }
        Some(proofs)
    }

    /// Sends a proof to the payee until it answers, or until the end.
    fn send(&self, text: &str) {
        let (deposit, total) = deposit_and_total(text);
        let body = json!({ "proof": text });
        self.observations().of(&deposit).sent.insert(total);
        loop {
            // Every written cheque is sent at least once, even after the end.
            let is_last = self.is_stopped();
            let sent = request(&self.payee.get(), "POST", "/payments", Some(&body));
            match sent {
                Ok((200, answer)) => return self.record(&deposit, total, &answer),
                // The payee counted the cheque or a newer one before.
                Ok((409, _)) => return,
                Ok((503, _)) if !is_last => {}
                Ok((402, answer)) => match answer["code"].as_str() {
                    // The payee has not read the newest block yet.
                    Some("not_confirmed") => {}
                    // Another caller has the opening, or the payer was killed before its answer.
                    Some("unknown_deposit") => match self.opening(&deposit) {
                        Some(opening) => self.send(&opening),
                        None => return,
                    },
                    Some("past_cutoff") => return,
                    _ => panic!("{deposit}: {answer}"),
                },
                Ok((503, _)) | Err(_) => {
                    self.observations().of(&deposit).unanswered.insert(total);
                }
                Ok((status, answer)) => panic!("{deposit}: {status}: {answer}"),
            }
            if is_last {
                return;
            }
            pause(RETRY);
        }
    }

    /// Gets the opening of a deposit from the payer. `None`: the deposit is final, or the answer was lost.
    fn opening(&self, deposit: &str) -> Option<String> {
        let path = format!("/payees/{}", self.address);
        let (_, found) = request(&self.payer.get(), "GET", &path, None).ok()?;
        let open = found["deposits"].as_array()?.iter();
        let mut matching = open.filter(|open| open["deposit"] == *deposit);
        Some(matching.next()?["opening"].as_str()?.to_owned())
    }

    /// Records an acknowledged payment.
    fn record(&self, deposit: &str, total: Units, answer: &Value) {
        assert_eq!(answer["deposit"], json!(deposit));
        assert_eq!(units(&answer["total"]), total);
        let value = units(&answer["value"]);
        let mut observations = self.observations();
        let payments = observations.of(deposit);
        let again = payments.acknowledged.insert(total, value);
        assert_eq!(again, None, "{deposit}: {total} counted twice");
    }
}

/// Parses deposit and total of a proof.
fn deposit_and_total(text: &str) -> (String, Units) {
    let proof: Proof = text.parse().expect("a proof");
    let spent: Amount = match &proof {
        Proof::Opening(opening) => opening.cheque.spent,
        Proof::Cheque(_, cheque) => cheque.spent,
        Proof::Step { .. } => panic!("the proof is a step, but no stream was opened"),
    };
    let units = spent.to_string().parse().expect("units");
    (proof.deposit_id().to_string(), units)
}
