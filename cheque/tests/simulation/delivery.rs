//! A network that loses, doubles, delays and reorders, between parties that crash.

use crate::{
    common::{TestRng, account, cases, pick, rng},
    host::{Host, Judged},
    payer::{Disk, Payer},
};
use alloy_primitives::{Address, B256};
use cheque::{Amount, Bank, Proof, Rejection, Stream, View};
use rand::Rng;
use std::collections::BTreeMap;

const START: u64 = 1_000;
const CONFIRMED: u64 = START + 5;
const DRAW: u64 = START + 2_000;

enum Message {
    /// A proof of payment, as bytes, to a payee.
    Proof(usize, Address, Vec<u8>),
    /// What a payee says to the payer.
    Rejected(usize, Address, Box<Rejection>),
}

struct World {
    rng: TestRng,
    head: u64,
    payers: Vec<Payer>,
    hosts: BTreeMap<Address, Host>,
    network: Vec<Message>,
    /// Payments that workers have judged and not stored: a crash of their payee takes them.
    judged: Vec<(usize, Address, Judged)>,
    backups: Vec<Option<Disk>>,
    /// What each payer has paid each payee in all, as its user counts it.
    paid: BTreeMap<(usize, Address), u128>,
    rejections: BTreeMap<&'static str, usize>,
    accepted: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = rng(seed);
        let bank = Bank::new(31_337, Address::repeat_byte(0xba));
        let payees: Vec<Address> = (0..3).map(|_| account(&mut rng)).collect();
        let payers: Vec<Payer> = (0..2)
            .map(|_| {
                let allowances: Vec<_> = payees
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
            hosts: payees
                .iter()
                .map(|&payee| (payee, Host::new(payee, bank)))
                .collect(),
            rng,
            head: START,
            network: Vec::new(),
            judged: Vec::new(),
            paid: BTreeMap::new(),
            rejections: BTreeMap::new(),
            accepted: 0,
        }
    }

    /// The chain as a payee sees it now. Gas prices go up and down.
    fn view(&mut self, payer: usize) -> View {
        let cost = Amount::new(self.rng.random_range(0..50));
        let payer = &self.payers[payer];
        if self.head < CONFIRMED {
            payer.early_view(self.head, cost)
        } else {
            payer.view(self.head, cost)
        }
    }

    fn send(&mut self, payer: usize, payee: Address, proofs: Vec<Proof>) {
        for proof in proofs {
            let bytes = proof.encode();
            self.network.push(Message::Proof(payer, payee, bytes));
        }
    }

    fn anybody(&mut self) -> (usize, Address) {
        let payer = self.rng.random_range(0..self.payers.len());
        let payees: Vec<Address> = self.hosts.keys().copied().collect();
        (payer, *pick(&payees, &mut self.rng))
    }

    /// One thing happens.
    fn tick(&mut self, restores: bool) {
        let (payer, payee) = self.anybody();
        match self.rng.random_range(0..100) {
            0..30 => self.pay(payer, payee),
            30..70 => self.deliver(),
            70..85 => self.store_one(),
            85..92 => self.head = (self.head + 1).min(DRAW - 100),
            92..94 => self.payers[payer].restart(),
            // The payee crashes: what is not stored is gone.
            94..97 => self.judged.retain(|(_, host, _)| *host != payee),
            97 if restores => self.restore(payer),
            98 => self.backups[payer] = Some(self.payers[payer].disk.clone()),
            _ => {
                // The payer grows impatient.
                let proofs = self.payers[payer].proofs(payee, false);
                self.send(payer, payee, proofs);
            }
        }
    }

    fn pay(&mut self, payer: usize, payee: Address) {
        let most = self.payers[payer].account(payee).allowance().get() / 40;
        let Ok(paid) = self.payers[payer].pay(&mut self.rng, payee, most) else {
            return;
        };
        *self.paid.entry((payer, payee)).or_default() += paid;
        if self.rng.random_ratio(1, 20) {
            // A crash between the disk and the network.
            self.payers[payer].restart();
            return;
        }
        let proof = self.payers[payer].last_proof(payee);
        self.send(payer, payee, proof.into_iter().collect());
    }

    /// A payer's disk is replaced by an older copy.
    fn restore(&mut self, payer: usize) {
        if let Some(old) = self.backups[payer].clone() {
            self.payers[payer].disk = old;
            self.payers[payer].restart();
        }
    }

    /// Any message arrives, or is lost, or arrives and stays under way.
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
                let host = &self.hosts[&payee];
                let before = host.disk.clone();
                match host.judge(proof, &view) {
                    Ok(judged) => self.judged.push((payer, payee, judged)),
                    Err(rejection) => self.reject(payer, payee, rejection),
                }
                assert_eq!(self.hosts[&payee].disk, before);
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

    /// One of the workers stores what it has judged.
    fn store_one(&mut self) {
        if self.judged.is_empty() {
            return;
        }
        let index = self.rng.random_range(0..self.judged.len());
        let (payer, payee, judged) = self.judged.swap_remove(index);
        let view = self.view(payer);
        let host = self.hosts.get_mut(&payee).unwrap();
        let before = host.disk.clone();
        match host.store(judged, &view) {
            Ok(_) => self.accepted += 1,
            Err(rejection) => {
                assert_eq!(host.disk, before);
                self.reject(payer, payee, rejection);
            }
        }
        let host = &self.hosts[&payee];
        host.assert_balances_are_the_value_of_all_totals();
        for position in host.positions() {
            let of = |payer: &&Payer| payer.id == position.deposit_id();
            let payer = self.payers.iter().find(of).unwrap();
            assert!(position.total() <= payer.promised[&payee]);
        }
    }

    /// The network works again: every payer shows every payee its newest payment until the payee has it.
    fn settle(&mut self) {
        self.network.clear();
        self.judged.clear();
        self.head = self.head.max(CONFIRMED);
        for payer in 0..self.payers.len() {
            for payee in self.hosts.keys().copied().collect::<Vec<_>>() {
                if self.payers[payer].account(payee).newest().is_none() {
                    // A payer that knows of no payment finds out when it makes one.
                    self.payers[payer].cheque(payee, Amount::new(1), None);
                    *self.paid.entry((payer, payee)).or_default() += 1;
                }
                let mut to_send = self.payers[payer].proofs(payee, false);
                for _ in 0..3 {
                    for proof in std::mem::take(&mut to_send) {
                        let view = self.view(payer);
                        let host = self.hosts.get_mut(&payee).unwrap();
                        if let Err(rejection) = host.receive(proof, &view) {
                            to_send.extend(self.payers[payer].learn(payee, &rejection));
                        }
                    }
                }
                let total = self.payers[payer].account(payee).total();
                assert_eq!(self.total(payer, payee), total);
            }
        }
        for host in self.hosts.values() {
            host.assert_balances_are_the_value_of_all_totals();
        }
    }

    /// What a payee has been shown by a payer.
    fn total(&self, payer: usize, payee: Address) -> Amount {
        let id = self.payers[payer].id;
        let mut positions = self.hosts[&payee].positions();
        let position = positions.find(|position| position.deposit_id() == id);
        position.map_or(Amount::ZERO, |position| position.total())
    }

    /// Close to the draw nothing counts any more.
    fn assert_closed(&mut self) {
        self.head = DRAW - self.hosts.values().next().unwrap().policy.cutoff;
        for payer in 0..self.payers.len() {
            for payee in self.hosts.keys().copied().collect::<Vec<_>>() {
                let _ = self.payers[payer].pay(&mut self.rng, payee, 10);
                let before = self.hosts[&payee].disk.clone();
                for proof in self.payers[payer].proofs(payee, true) {
                    let view = self.view(payer);
                    let host = self.hosts.get_mut(&payee).unwrap();
                    let rejection = host.receive(proof, &view).unwrap_err();
                    let late = matches!(
                        rejection,
                        Rejection::PastCutoff { .. } | Rejection::UnknownDeposit(_)
                    );
                    assert!(late, "{rejection}");
                    assert_eq!(self.hosts[&payee].disk, before);
                }
            }
        }
    }
}

/// Runs worlds and returns how often each rejection came up.
fn run(seeds: std::ops::Range<u64>, restores: bool) -> BTreeMap<&'static str, usize> {
    let mut rejections = BTreeMap::new();
    for seed in seeds {
        let mut world = World::new(seed);
        for _ in 0..600 {
            world.tick(restores);
        }
        world.settle();
        if !restores {
            // Every payment counted, and counted once.
            for (&(payer, payee), &paid) in &world.paid {
                assert_eq!(world.total(payer, payee).get(), paid, "seed {seed}");
            }
        }
        world.assert_closed();
        assert!(world.accepted > 10, "seed {seed}: {}", world.accepted);
        for (code, count) in world.rejections {
            *rejections.entry(code).or_default() += count;
        }
    }
    rejections
}

fn assert_common(rejections: &BTreeMap<&'static str, usize>, codes: &[&str]) {
    for code in codes {
        let count = rejections.get(code).copied().unwrap_or_default();
        assert!(count >= 10, "{code} came up {count} times: {rejections:?}");
    }
}

#[test]
fn every_payment_counts_once_however_messages_are_lost_doubled_and_delayed() {
    let worlds = cases(60) as u64;
    let rejections = run(0..worlds, false);
    assert_common(
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
fn a_payer_that_goes_back_to_an_old_backup_catches_up_with_its_payees() {
    let worlds = cases(60) as u64;
    let rejections = run(10_000..10_000 + worlds, true);
    assert_common(&rejections, &["replay", "stale"]);
}

#[test]
fn a_payer_that_went_on_another_way_from_an_old_backup_is_accepted_again() {
    let mut world = World::new(0);
    world.head = CONFIRMED;
    let payee = world.anybody().1;
    let payer = &mut world.payers[0];
    payer.cheque(payee, Amount::new(2_000), None);
    let backup = payer.disk.clone();
    payer.cheque(payee, Amount::new(100), None);
    let opening = payer.proofs(payee, true);
    world.send(0, payee, opening);
    let Some(message) = world.network.pop() else {
        panic!("a message is under way");
    };
    world.arrive(message);
    world.store_one();

    // Now the payee has a cheque over 2,100, of which the payer knows nothing.
    let payer = &mut world.payers[0];
    payer.disk = backup;
    payer.restart();
    let stream = Stream::new(B256::repeat_byte(5), 300).unwrap();
    payer.cheque(payee, Amount::new(50), Some(stream));
    payer.steps(payee, 200);
    assert_eq!(payer.account(payee).total(), Amount::new(2_250));
    world.settle();
    assert_eq!(world.total(0, payee), Amount::new(2_250));
}
