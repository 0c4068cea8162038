//! Payments over a network with loss, duplicates, delays and reordering, between parties that crash.

use crate::{
    random::{TestRng, account, cases, pick, rng},
    support::{
        payee::{Judged, Payee},
        payer::{Disk, Payer},
    },
};
use alloy_primitives::{Address, B256};
use cheque::{Amount, Bank, Proof, Rejection, Stream, View};
use rand::Rng;
use std::collections::BTreeMap;

const START: u64 = 1_800_000_000;
const CONFIRMED: u64 = START + 5;
const DRAW: u64 = START + 2_000;

enum Message {
    /// An encoded proof of payment, to a payee.
    Proof(usize, Address, Vec<u8>),
    /// A payee's answer to the payer.
    Rejected(usize, Address, Box<Rejection>),
}

struct World {
    rng: TestRng,
    /// The time, in seconds since 1970: all clocks agree.
    now: u64,
    payers: Vec<Payer>,
    payees: BTreeMap<Address, Payee>,
    network: Vec<Message>,
    /// Payments judged by workers and not stored, lost if their payee crashes.
    judged: Vec<(usize, Address, Judged)>,
    backups: Vec<Option<Disk>>,
    /// Total of each payer's payments to each payee, counted by the test.
    paid: BTreeMap<(usize, Address), u128>,
    rejections: BTreeMap<&'static str, usize>,
    accepted: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = rng(seed);
        let bank = Bank::new(31_337, Address::repeat_byte(0xba));
        let addresses: Vec<Address> = (0..3).map(|_| account(&mut rng)).collect();
        let payers: Vec<Payer> = (0..2)
            .map(|_| {
                let allowances: Vec<_> = addresses
                    .iter()
                    .map(|payee| (*payee, Amount::new(rng.random_range(10_000..10_000_000))))
                    .collect();
                let part = *pick(&[1, 3, 20], &mut rng);
                Payer::new(&mut rng, bank, allowances, |amount| amount / part, DRAW)
            })
            .collect();
        Self {
            backups: payers.iter().map(|_| None).collect(),
            payers,
            payees: addresses
                .iter()
                .map(|&payee| (payee, Payee::new(payee, bank)))
                .collect(),
            rng,
            now: START,
            network: Vec::new(),
            judged: Vec::new(),
            paid: BTreeMap::new(),
            rejections: BTreeMap::new(),
            accepted: 0,
        }
    }

    /// Returns the payee's view of the chain, with a random gas price.
    fn view(&mut self, payer: usize) -> View {
        let cost = Amount::new(self.rng.random_range(0..50));
        let payer = &self.payers[payer];
        if self.now < CONFIRMED {
            payer.early_view(self.now, cost)
        } else {
            payer.view(self.now, cost)
        }
    }

    fn send(&mut self, payer: usize, payee: Address, proofs: Vec<Proof>) {
        for proof in proofs {
            let bytes = proof.encode();
            self.network.push(Message::Proof(payer, payee, bytes));
        }
    }

    fn random_pair(&mut self) -> (usize, Address) {
        let payer = self.rng.random_range(0..self.payers.len());
        let addresses: Vec<Address> = self.payees.keys().copied().collect();
        (payer, *pick(&addresses, &mut self.rng))
    }

    /// Simulates a random event.
    fn step(&mut self, restores: bool) {
        let (payer, payee) = self.random_pair();
        match self.rng.random_range(0..100) {
            0..30 => self.pay(payer, payee),
            30..70 => self.deliver(),
            70..85 => self.store_one(),
            85..92 => self.now = (self.now + 1).min(DRAW - 100),
            92..94 => self.payers[payer].restart(),
            // The payee crashes and loses judged payments not stored yet.
            94..97 => self.judged.retain(|(_, payee_app, _)| *payee_app != payee),
            97 if restores => self.restore(payer),
            98 => self.backups[payer] = Some(self.payers[payer].disk.clone()),
            _ => {
                // The payer sends its proofs again.
                let proofs = self.payers[payer].proofs(payee, false);
                self.send(payer, payee, proofs);
            }
        }
    }

    fn pay(&mut self, payer: usize, payee: Address) {
        let max = self.payers[payer].account(payee).allowance().get() / 40;
        let Ok(paid) = self.payers[payer].pay(&mut self.rng, payee, max) else {
            return;
        };
        *self.paid.entry((payer, payee)).or_default() += paid;
        if self.rng.random_ratio(1, 20) {
            // The payer crashes after writing to disk and before sending.
            self.payers[payer].restart();
            return;
        }
        let proof = self.payers[payer].last_proof(payee);
        self.send(payer, payee, proof.into_iter().collect());
    }

    /// Restores a payer's disk from its backup.
    fn restore(&mut self, payer: usize) {
        if let Some(old) = self.backups[payer].clone() {
            self.payers[payer].disk = old;
            self.payers[payer].restart();
        }
    }

    /// Delivers, loses or duplicates a random message.
    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let index = self.rng.random_range(0..self.network.len());
        let message = self.network.swap_remove(index);
        match self.rng.random_range(0..10) {
            0 => return,
            1 => match &message {
                Message::Proof(payer, payee, bytes) => {
                    let copy = Message::Proof(*payer, *payee, bytes.clone());
                    self.network.push(copy);
                }
                Message::Rejected(payer, payee, rejection) => {
                    let copy = Message::Rejected(*payer, *payee, rejection.clone());
                    self.network.push(copy);
                }
            },
            _ => {}
        }
        self.arrive(message);
    }

    fn arrive(&mut self, message: Message) {
        match message {
            Message::Proof(payer, payee, bytes) => {
                let proof = Proof::decode(&bytes).unwrap();
                let view = self.view(payer);
                let payee_app = &self.payees[&payee];
                let before = payee_app.disk.clone();
                match payee_app.judge(proof, &view) {
                    Ok(judged) => self.judged.push((payer, payee, judged)),
                    Err(rejection) => self.reject(payer, payee, rejection),
                }
                assert_eq!(self.payees[&payee].disk, before);
            }
            Message::Rejected(payer, payee, rejection) => {
                let proofs = self.payers[payer].learn(payee, &rejection);
                self.send(payer, payee, proofs);
            }
        }
    }

    fn reject(&mut self, payer: usize, payee: Address, rejection: Rejection) {
        *self.rejections.entry(rejection.code()).or_default() += 1;
        let message = Message::Rejected(payer, payee, Box::new(rejection));
        self.network.push(message);
    }

    /// Stores a random judged payment.
    fn store_one(&mut self) {
        if self.judged.is_empty() {
            return;
        }
        let index = self.rng.random_range(0..self.judged.len());
        let (payer, payee, judged) = self.judged.swap_remove(index);
        let view = self.view(payer);
        let payee_app = self.payees.get_mut(&payee).unwrap();
        let before = payee_app.disk.clone();
        match payee_app.store(judged, &view) {
            Ok(_) => self.accepted += 1,
            Err(rejection) => {
                assert_eq!(payee_app.disk, before);
                self.reject(payer, payee, rejection);
            }
        }
        let payee_app = &self.payees[&payee];
        payee_app.assert_balances_match_totals();
        for position in payee_app.positions() {
            let is_payer = |payer: &&Payer| payer.id == position.deposit_id();
            let payer = self.payers.iter().find(is_payer).unwrap();
            assert!(position.total() <= payer.promised[&payee]);
        }
    }

    /// Repairs the network and shows each payee the newest payment of each payer until the payee has stored it.
    fn deliver_all(&mut self) {
        self.network.clear();
        self.judged.clear();
        self.now = self.now.max(CONFIRMED);
        for payer in 0..self.payers.len() {
            for payee in self.payees.keys().copied().collect::<Vec<_>>() {
                if self.payers[payer].account(payee).newest().is_none() {
                    // A payer restored to a state without payments learns of earlier ones by paying.
                    self.payers[payer].cheque(payee, Amount::new(1), None);
                    *self.paid.entry((payer, payee)).or_default() += 1;
                }
                let mut to_send = self.payers[payer].proofs(payee, false);
                for _ in 0..3 {
                    for proof in std::mem::take(&mut to_send) {
                        let view = self.view(payer);
                        let payee_app = self.payees.get_mut(&payee).unwrap();
                        if let Err(rejection) = payee_app.receive(proof, &view) {
                            to_send.extend(self.payers[payer].learn(payee, &rejection));
                        }
                    }
                }
                let total = self.payers[payer].account(payee).total();
                assert_eq!(self.total(payer, payee), total);
            }
        }
        for payee_app in self.payees.values() {
            payee_app.assert_balances_match_totals();
        }
    }

    /// Returns the total that a payee holds from a payer.
    fn total(&self, payer: usize, payee: Address) -> Amount {
        let id = self.payers[payer].id;
        let mut positions = self.payees[&payee].positions();
        let position = positions.find(|position| position.deposit_id() == id);
        position.map_or(Amount::ZERO, |position| position.total())
    }

    /// Asserts that every payee rejects payments from the cutoff on.
    fn assert_rejected_past_cutoff(&mut self) {
        self.now = DRAW - self.payees.values().next().unwrap().policy.cutoff;
        for payer in 0..self.payers.len() {
            for payee in self.payees.keys().copied().collect::<Vec<_>>() {
                let _ = self.payers[payer].pay(&mut self.rng, payee, 10);
                let before = self.payees[&payee].disk.clone();
                for proof in self.payers[payer].proofs(payee, true) {
                    let view = self.view(payer);
                    let payee_app = self.payees.get_mut(&payee).unwrap();
                    let rejection = payee_app.receive(proof, &view).unwrap_err();
                    let late = matches!(
                        rejection,
                        Rejection::PastCutoff { .. } | Rejection::UnknownDeposit(_)
                    );
                    assert!(late, "{rejection}");
                    assert_eq!(self.payees[&payee].disk, before);
                }
            }
        }
    }
}

/// Runs a world per seed and returns how often each rejection occurred.
fn run(seeds: std::ops::Range<u64>, restores: bool) -> BTreeMap<&'static str, usize> {
    let mut rejections = BTreeMap::new();
    for seed in seeds {
        let mut world = World::new(seed);
        for _ in 0..600 {
            world.step(restores);
        }
        world.deliver_all();
        if !restores {
            // Every payment counts exactly once.
            for (&(payer, payee), &paid) in &world.paid {
                assert_eq!(world.total(payer, payee).get(), paid, "seed {seed}");
            }
        }
        world.assert_rejected_past_cutoff();
        assert!(world.accepted > 10, "seed {seed}: {}", world.accepted);
        for (code, count) in world.rejections {
            *rejections.entry(code).or_default() += count;
        }
    }
    rejections
}

fn assert_frequent(rejections: &BTreeMap<&'static str, usize>, codes: &[&str]) {
    for code in codes {
        let count = rejections.get(code).copied().unwrap_or_default();
        assert!(count >= 10, "{code} occurred {count} times: {rejections:?}");
    }
}

#[test]
fn counts_each_payment_once_over_unreliable_network() {
    let worlds = cases(60) as u64;
    let rejections = run(0..worlds, false);
    assert_frequent(
        &rejections,
        &[
            "replay",
            "stale",
            "unknown_deposit",
            "no_stream",
            "wrong_step",
            "not_confirmed",
        ],
    );
}

#[test]
fn catches_up_after_payer_restores_old_backup() {
    let worlds = cases(60) as u64;
    let rejections = run(10_000..10_000 + worlds, true);
    assert_frequent(&rejections, &["replay", "stale"]);
}

#[test]
fn accepts_payer_that_paid_differently_after_restore() {
    let mut world = World::new(0);
    world.now = CONFIRMED;
    let payee = world.random_pair().1;
    let payer = &mut world.payers[0];
    payer.cheque(payee, Amount::new(2_000), None);
    let backup = payer.disk.clone();
    payer.cheque(payee, Amount::new(100), None);
    let opening = payer.proofs(payee, true);
    world.send(0, payee, opening);
    let Some(message) = world.network.pop() else {
        panic!("no message is in flight");
    };
    world.arrive(message);
    world.store_one();

    // The payee now holds a cheque over 2,100, unknown to the restored payer.
    let payer = &mut world.payers[0];
    payer.disk = backup;
    payer.restart();
    let stream = Stream::new(B256::repeat_byte(5), 300).unwrap();
    payer.cheque(payee, Amount::new(50), Some(stream));
    payer.steps(payee, 200);
    assert_eq!(payer.account(payee).total(), Amount::new(2_250));
    world.deliver_all();
    assert_eq!(world.total(0, payee), Amount::new(2_250));
}
