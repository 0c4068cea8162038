//! Tests of the payee against a node, a bank and a beacon in memory.

mod chain;
mod credit;
mod first_payments;
#[cfg(all(feature = "service", feature = "local-beacon"))]
mod halted_beacon;
#[path = "../../../tests/support/host_balance.rs"]
mod host_balance;
#[cfg(feature = "service")]
mod late_writes;
mod risk;
#[cfg(feature = "service")]
mod steps;

use crate::{
    bank::{fake_bank::FakeBank, purses::PurseKey},
    payee::{Payee, accepted::Accepted, error::ReceiveError},
    protocol::{
        account::{Account, ChequeContext},
        allowance::{MasterSalt, tree::AllowanceTree},
        amount::Amount,
        beacon::local::LocalBeacon,
        chain_profile::ChainProfile,
        draw::{Seed, roll},
        proof::{Opening, Proof},
        receive::{
            policy::{Policy, TokenLimits},
            rejection::Rejection,
        },
        signature::SigningKey,
        terms::{Bank, DepositId},
    },
    store::{Memory, Store, Swap, Table, codec::encode, keys::seed_key},
    sys::unix_now,
};
use alloy_primitives::{Address, FixedBytes};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use cheque_bindings::Deposit;
use std::sync::Arc;

const GENESIS: u64 = 1_700_000_000;
const PERIOD: u64 = 3;
const PAYEE: Address = Address::repeat_byte(0x11);

/// The payee's allowance in each deposit: half of the amount.
const ALLOWANCE: u64 = 500_000_000;

/// The number of blocks before the head at the start of a test: more than finality takes.
const BLOCKS: u64 = 400;

/// A node, a beacon, a store, and a payee that checks no clock.
struct Fixture {
    node: FakeBank,
    beacon: LocalBeacon,
    store: Arc<Memory>,
    tree: AllowanceTree,
    profile: ChainProfile,
    policy: Policy,
    payee: Payee,
    /// The draw time of the usual deposit: in an hour.
    draw: u64,
    /// The time of the head at the start.
    now: u64,
}

/// A deposit with the key of its signer.
#[derive(Clone)]
struct Opened {
    key: SigningKey,
    terms: Deposit,
    id: DepositId,
}

#[derive(RlpEncodable, RlpDecodable)]
struct SeedRow {
    signature: FixedBytes<48>,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Makes a fixture with another policy.
    async fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let beacon = LocalBeacon::new(&[7; 32], GENESIS, PERIOD).unwrap();
        // Heads and clock agree, and all times are on the beacon's schedule.
        let now = unix_now() / 300 * 300 + (GENESIS % PERIOD);
        let now = now - (now - GENESIS) % PERIOD;
        let node = FakeBank::new(beacon.beacon().parameters(), BLOCKS, now);
        node.set_finalized(Some(BLOCKS - 1));
        let profile = ChainProfile {
            freshness: None,
            ..*ChainProfile::of(1).unwrap()
        };
        let allowances = [(PAYEE, ALLOWANCE), (Address::repeat_byte(0x22), ALLOWANCE)];
        let allowances = allowances.map(|(payee, units)| (payee, Amount::new(units.into())));
        let tree = AllowanceTree::build(allowances, &MasterSalt::from_bytes([9; 32])).unwrap();
        let reader = node.reader(profile).await;
        let mut policy = Policy::new(PAYEE, *reader.bank(), &profile);
        change(&mut policy);
        let store = Arc::new(Memory::new());
        let payee = Payee::new(reader, policy.clone(), store.clone()).unwrap();
        Self {
            node,
            beacon,
            store,
            tree,
            profile,
            policy,
            payee,
            draw: now + 3_600,
            now,
        }
    }

    /// Another payee with the same store, as after a restart.
    async fn restarted(&self) -> Payee {
        let reader = self.node.reader(self.profile).await;
        Payee::new(reader, self.policy.clone(), self.store.clone()).unwrap()
    }

    /// The terms of a deposit of a signer.
    fn terms(&self, signer: u8, lane: u64, draw: u64) -> Opened {
        let key = SigningKey::from_bytes(&[signer; 32]).unwrap();
        let terms = Deposit {
            payer: key.address(),
            signer: key.address(),
            token: Address::ZERO,
            lane,
            amount: self.tree.total().get(),
            minPayout: 0,
            drawTime: draw,
            redeemUntil: draw + 86_400,
            root: self.tree.root(),
        };
        let id = self.bank().deposit_id(&terms);
        Opened { key, terms, id }
    }

    fn bank(&self) -> Bank {
        *self.payee.reader().bank()
    }

    /// Opens a deposit in block 10, which is final.
    fn open(&self, signer: u8, lane: u64, draw: u64) -> Opened {
        self.open_in(signer, lane, draw, 10)
    }

    fn open_in(&self, signer: u8, lane: u64, draw: u64, block: u64) -> Opened {
        let opened = self.terms(signer, lane, draw);
        self.node.open(opened.purse(), opened.id, block);
        opened
    }

    /// Opens a deposit that wins its draw, or loses it.
    fn open_for(&self, wins: bool, signer: u8, draw: u64) -> Opened {
        let found = (1..)
            .map(|lane| self.terms(signer, lane, draw))
            .find(|opened| self.wins(opened) == wins)
            .unwrap();
        self.node.open(found.purse(), found.id, 10);
        found
    }

    /// True if the payee's range, which is its whole allowance, has the roll.
    fn wins(&self, opened: &Opened) -> bool {
        let amount = Amount::new(opened.terms.amount);
        let proof = self.tree.proof(PAYEE).unwrap();
        let start = proof.start(PAYEE, &opened.terms).unwrap();
        let roll = roll(self.seed(opened.terms.drawTime), opened.id, amount);
        let offset = roll.checked_sub(start);
        offset.is_some_and(|offset| offset < Amount::new(ALLOWANCE.into()))
    }

    fn seed(&self, draw: u64) -> Seed {
        let round = self.beacon.beacon().round_at(draw).unwrap();
        self.beacon.round(round).unwrap().seed()
    }

    /// Puts the round of a draw time into the store, as if a relay had published it.
    fn publish(&self, draw: u64) {
        let beacon = self.beacon.beacon();
        let signature = self.beacon.sign(beacon.round_at(draw).unwrap()).into();
        let row = encode(&SeedRow { signature });
        let key = seed_key(beacon, draw);
        let set = self.store.compare_and_set(Table::Seeds, &key, None, &row);
        assert_eq!(set.unwrap(), Swap::Done);
    }

    /// Adds a block at a time, and makes it final.
    fn go_to(&self, time: u64) {
        self.node.add_block(time, "first");
        self.node.set_finalized(Some(self.node.head().number));
    }

    /// The first payment from a deposit.
    fn opening(&self, opened: &Opened, units: u128) -> Proof {
        let bank = self.bank();
        let context = ChequeContext {
            key: &opened.key,
            bank: &bank,
            deposit: opened.id,
            payee: PAYEE,
        };
        let account = Account::new(Amount::new(ALLOWANCE.into()));
        let account = account.write_cheque(Amount::new(units), &context).unwrap();
        Proof::Opening(Box::new(Opening {
            bank,
            deposit: opened.terms.clone(),
            allowance: self.tree.proof(PAYEE).unwrap(),
            payee: PAYEE,
            cheque: *account.newest().unwrap(),
        }))
    }

    async fn pay(&self, opened: &Opened, units: u128) -> Result<Accepted, ReceiveError> {
        let proof = self.opening(opened, units);
        self.payee.receive_payment(None, &proof).await
    }
}

impl Opened {
    fn purse(&self) -> PurseKey {
        (self.terms.payer, self.terms.token, self.terms.lane)
    }
}

/// Sets the largest exposure in the native coin.
fn limit(policy: &mut Policy, units: u128) {
    let limits = TokenLimits::exposure(Amount::new(units));
    policy.tokens.insert(Address::ZERO, limits);
}

fn code(result: Result<Accepted, ReceiveError>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(ReceiveError::Rejected(rejection)) => rejection.code(),
        Err(error) => panic!("{error}"),
    }
}

fn rejection(result: Result<Accepted, ReceiveError>) -> Rejection {
    match result {
        Err(ReceiveError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}
