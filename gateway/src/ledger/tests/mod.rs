mod attacks;
mod authorizations;
mod credits;
mod keys;
mod model;
mod parallel;
mod settling;
mod sweeping;

use crate::ledger::{
    AccountKey, Admission, Admitted, Ask, Currencies, Currency, Fingerprint, Ledger, MaxPrice,
    Outcome, Payment, Receipt, Refusal, Room, RoomFor, Settings, Sums, Terms, ViewJudge,
};
use alloy_primitives::{Address, B128, B256};
use cheque::{
    AllowanceTree, Amount, Bank, ChainProfile, Deposit, DepositBuilder, DepositId, MasterSalt, Now,
    Opening, Policy, Proof, Purse, SignedCheque, SigningKey, TokenLimits, View,
    store::{Memory, Store},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

pub(crate) const NOW: u64 = 1_800_000_000;
/// A time at which the payee's clock is behind the chain's.
const STALE: u64 = 1_000_000;
const ALLOWANCE: u128 = 1_000_000;

/// The price of a request, in most tests.
pub(crate) const PRICE: Amount = Amount::new(10);

pub(crate) const fn payee() -> Address {
    Address::repeat_byte(0xaa)
}

/// A deposit of one payer, in which the payee has an allowance.
#[derive(Clone)]
pub(crate) struct Payer {
    key: SigningKey,
    bank: Bank,
    terms: Deposit,
    tree: Arc<AllowanceTree>,
}

impl Payer {
    pub(crate) fn new(key: u8, chain_id: u64, token: Address, lane: u64) -> Self {
        let key = SigningKey::from_bytes(&[key; 32]).unwrap();
        let others = Address::repeat_byte(0x22);
        let allowances = [payee(), others].map(|of| (of, Amount::new(ALLOWANCE)));
        let tree = AllowanceTree::build(allowances, &MasterSalt::from_bytes([9; 32])).unwrap();
        let terms = DepositBuilder::new(Address::repeat_byte(1), key.address())
            .token(token)
            .lane(lane)
            .draw_time(NOW + 86_400)
            .min_payout(Amount::new(500_000));
        Self {
            key,
            bank: Bank::new(chain_id, Address::repeat_byte(0xba)),
            terms: terms.build(&tree).unwrap(),
            tree: Arc::new(tree),
        }
    }

    pub(crate) fn native(key: u8) -> Self {
        Self::new(key, 1, Address::ZERO, 1)
    }

    pub(crate) fn id(&self) -> DepositId {
        self.bank.deposit_id(&self.terms)
    }

    pub(crate) const fn currency(&self) -> Currency {
        Currency {
            chain_id: self.bank.chain_id(),
            token: self.terms.token,
        }
    }

    pub(crate) fn account(&self) -> AccountKey {
        AccountKey {
            signer: self.key.address(),
            currency: self.currency(),
        }
    }

    pub(crate) fn signed(&self, total: u128, stream: Option<(B256, Amount)>) -> SignedCheque {
        let total = Amount::new(total);
        SignedCheque::sign(&self.key, &self.bank, self.id(), payee(), total, stream)
    }

    pub(crate) fn cheque(&self, total: u128) -> Proof {
        Proof::Cheque(self.id(), self.signed(total, None))
    }

    pub(crate) fn opening(&self, total: u128) -> Proof {
        self.opening_with(self.signed(total, None))
    }

    pub(crate) fn opening_with(&self, cheque: SignedCheque) -> Proof {
        Proof::Opening(Box::new(Opening {
            bank: self.bank,
            deposit: self.terms.clone(),
            allowance: self.tree.proof(payee()).unwrap(),
            payee: payee(),
            cheque,
        }))
    }
}

/// A payee's workers on one store, with a chain whose deposits are all open, except those that are listed.
pub(crate) struct Shop {
    pub(crate) store: Arc<dyn Store>,
    /// The payee's clock.
    clock: Arc<AtomicU64>,
    closed: Arc<Mutex<BTreeSet<DepositId>>>,
    currencies: Currencies,
    /// The workers' lease, in seconds.
    lease: u64,
    pub(crate) ledger: Ledger,
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(Memory::new()), Currencies::distinct())
    }

    pub(crate) fn with(store: Arc<dyn Store>, currencies: Currencies) -> Self {
        Self::leasing(store, currencies, 60)
    }

    pub(crate) fn leasing(store: Arc<dyn Store>, currencies: Currencies, lease: u64) -> Self {
        let (clock, closed) = (Arc::new(AtomicU64::new(NOW)), Arc::default());
        let ledger = worker(&store, (&clock, &closed), &currencies, (0, lease));
        Self {
            store,
            clock,
            closed,
            currencies,
            lease,
            ledger,
        }
    }

    /// Starts a worker, as another process would.
    pub(crate) fn worker(&self, name: u8) -> Ledger {
        let (clock, closed) = (&self.clock, &self.closed);
        worker(
            &self.store,
            (clock, closed),
            &self.currencies,
            (name, self.lease),
        )
    }

    pub(crate) fn set_clock(&self, now: u64) {
        self.clock.store(now, SeqCst);
    }

    /// Stops the payee's clocks far behind the newest block.
    pub(crate) fn set_stale(&self) {
        self.set_clock(STALE);
    }

    /// Removes a deposit from the chain, or brings it back.
    pub(crate) fn set_open(&self, id: DepositId, is_open: bool) {
        let mut closed = self.closed.lock().unwrap();
        match is_open {
            true => closed.remove(&id),
            false => closed.insert(id),
        };
    }

    pub(crate) async fn admit(&self, request: u8, payment: &Payment) -> Admitted {
        admit(&self.ledger, &ask(request, NOW), payment).await
    }

    /// Shows proofs with a request at the usual price, and expects that it is forwarded.
    pub(crate) async fn buy(&self, request: u8, proofs: &[Proof]) -> Admission {
        forwarded(self.admit(request, &paying(proofs)).await)
    }

    /// Shows proofs with a request at the usual price, and expects a refusal.
    pub(crate) async fn refused(&self, request: u8, proofs: &[Proof]) -> Refusal {
        refusal(self.admit(request, &paying(proofs)).await)
    }

    pub(crate) async fn settle(&self, admission: &Admission, outcome: Outcome) -> Receipt {
        let settled = self
            .ledger
            .settle(admission, (outcome, Terms::default()), None, NOW);
        settled.await.unwrap().unwrap()
    }

    pub(crate) async fn sums(&self, payer: &Payer) -> Sums {
        let sums = self.ledger.sums(payer.account()).await.unwrap();
        let left = sums.credited.get() + sums.debt.get();
        assert_eq!(
            left,
            sums.balance.get() + sums.reserved.get() + sums.charged.get()
        );
        assert!(sums.debt.is_zero() || sums.balance.is_zero());
        sums
    }

    pub(crate) async fn balance(&self, payer: &Payer) -> u128 {
        self.sums(payer).await.balance.get()
    }
}

type Chain<'a> = (&'a Arc<AtomicU64>, &'a Arc<Mutex<BTreeSet<DepositId>>>);

fn worker(
    store: &Arc<dyn Store>,
    (clock, closed): Chain<'_>,
    currencies: &Currencies,
    (name, lease): (u8, u64),
) -> Ledger {
    let bank = Bank::new(1, Address::repeat_byte(0xba));
    let mut policy = Policy::new(payee(), bank, ChainProfile::of(1).unwrap());
    policy.banks.push(Bank::new(2, Address::repeat_byte(0xba)));
    let limits = TokenLimits::exposure(Amount::MAX);
    policy.tokens.insert(Address::repeat_byte(0x70), limits);
    let (clock, closed) = (clock.clone(), closed.clone());
    let view = move |id| view(clock.load(SeqCst), closed.lock().unwrap().contains(&id), id);
    let judge = Arc::new(ViewJudge::new(policy, Box::new(view)));
    let settings = Settings {
        max_unused: 20,
        lease,
        ..Settings::new(B128::repeat_byte(name))
    };
    Ledger::new(store.clone(), judge, currencies.clone(), settings)
}

fn view(now: u64, is_closed: bool, id: DepositId) -> View {
    let purse = match is_closed {
        true => Purse::Idle(Amount::ZERO),
        false => Purse::Open(id),
    };
    View {
        now: Now {
            clock: now,
            head_time: now.max(NOW),
            round_time: Some(now.max(NOW)),
        },
        final_time: Some(now - 1_000),
        purse: purse.word(),
        settled: true,
        redeem_cost: Some(Amount::new(10)),
        exposure: Amount::ZERO,
        unsettled: Amount::ZERO,
    }
}

pub(crate) fn ask(request: u8, now: u64) -> Ask {
    let native = Currency {
        chain_id: 1,
        token: Address::ZERO,
    };
    Ask {
        fingerprint: Fingerprint(B256::repeat_byte(request)),
        prices: vec![(native, PRICE.into())],
        key: None,
        now,
    }
}

/// A payment that accepts the usual price.
pub(crate) fn paying(proofs: &[Proof]) -> Payment {
    Payment {
        proofs: proofs.to_vec(),
        max: Some(MaxPrice {
            currency: None,
            amount: PRICE,
        }),
    }
}

pub(crate) async fn admit(ledger: &Ledger, ask: &Ask, payment: &Payment) -> Admitted {
    let room: RoomFor = Arc::new(|_| Room::Free);
    ledger.admit(ask, payment, &room).await.unwrap()
}

pub(crate) fn forwarded(admitted: Admitted) -> Admission {
    match admitted {
        Admitted::Forward(admission) => admission,
        other => panic!("not forwarded: {other:?}"),
    }
}

pub(crate) fn refusal(admitted: Admitted) -> Refusal {
    match admitted {
        Admitted::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// An answer of the upstream at the reserved price.
pub(crate) const SERVED: Outcome = Outcome::Answered {
    status: 200,
    cost: None,
};
