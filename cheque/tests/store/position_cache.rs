//! The cache of a payee's positions: a hint to save reads, checked by every write.

use alloy_primitives::Address;
use cheque::{
    Account, AllowanceTree, Amount, Bank, ChainProfile, ChequeContext, Deposit, MasterSalt, Now,
    Opening, Policy, Position, PositionKey, Proof, Purse, REDEEM_WINDOW, SigningKey, View,
    payee::{PositionCache, PositionCacheError, Replaced, StoredPosition},
    receive_payment,
    store::{Change, Memory, Store, StoreError, Swap, Table, Visit, VisitAll, position_key},
};
use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// The time of all payments, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// A store that counts reads, and fails writes on demand.
#[derive(Default)]
struct Watched {
    inner: Memory,
    reads: AtomicUsize,
    fails: AtomicBool,
}

impl Store for Watched {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get(table, key)
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        let swap = self.inner.swap(changes);
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::Unknown {
                path: PathBuf::from("watched"),
                cause: std::sync::Arc::new(std::io::Error::other("on purpose")),
            });
        }
        swap
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.scan(table, prefix, each)
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.inner.scan_all(each)
    }
}

/// Makes the positions of a deposit after each of `count` payments of 1 unit.
fn positions_of(lane: u64, count: usize) -> Vec<Position> {
    let key = SigningKey::from_bytes(&[7; 32]).unwrap();
    let (bank, payee) = (
        Bank::new(1, Address::repeat_byte(2)),
        Address::repeat_byte(3),
    );
    let salt = MasterSalt::from_bytes([9; 32]);
    let tree = AllowanceTree::build([(payee, Amount::new(1_000))], &salt).unwrap();
    let deposit = Deposit {
        payer: key.address(),
        signer: key.address(),
        token: Address::ZERO,
        lane,
        amount: 1_000,
        minPayout: 1_000,
        drawTime: NOW + 3_600,
        redeemUntil: NOW + 3_600 + REDEEM_WINDOW,
        root: tree.root(),
    };
    let id = bank.deposit_id(&deposit);
    let view = View {
        now: Now {
            clock: NOW,
            head_time: NOW,
            round_time: Some(NOW),
        },
        final_time: None,
        purse: Purse::Open(id).word(),
        settled: true,
        redeem_cost: Some(Amount::ZERO),
        exposure: Amount::ZERO,
        unsettled: Amount::ZERO,
    };
    let policy = Policy::new(payee, bank, ChainProfile::of(1).unwrap());
    let context = ChequeContext {
        key: &key,
        bank: &bank,
        deposit: id,
        payee,
    };
    let mut account = Account::new(Amount::new(1_000));
    let mut positions: Vec<Position> = Vec::new();
    for _ in 0..count {
        account = account.write_cheque(Amount::new(1), &context).unwrap();
        let proof = Proof::Opening(Box::new(Opening {
            bank,
            deposit: deposit.clone(),
            payee,
            allowance: tree.proof(payee).unwrap(),
            cheque: *account.newest().unwrap(),
        }));
        let received = receive_payment(None, &proof, positions.last(), &view, &policy).unwrap();
        positions.push(received.position().clone());
    }
    positions
}

fn key_of(position: &Position) -> PositionKey {
    PositionKey {
        bank: position.bank().address(),
        deposit: position.deposit_id(),
        payee: position.payee(),
    }
}

fn stored(store: &Memory, key: &PositionKey) -> Option<Position> {
    let key = position_key(key.bank, key.deposit, key.payee);
    let bytes = store.get(Table::Positions, &key).unwrap()?;
    Some(Position::from_bytes(&bytes).unwrap())
}

pub(crate) fn reads_own_writes_from_memory() {
    let (store, positions) = (Watched::default(), PositionCache::default());
    let payments = positions_of(1, 3);
    let key = key_of(&payments[0]);
    assert!(positions.read(&store, &key).unwrap().is_none());
    let mut held = None;
    for position in &payments {
        let replaced = positions.replace(&store, &key, held.as_ref(), position.clone());
        assert_eq!(replaced.unwrap(), Replaced::Done);
        held = positions.recent(&key);
        assert_eq!(held.as_ref().unwrap().position(), position);
    }
    assert_eq!(stored(&store.inner, &key).as_ref(), payments.last());
    assert_eq!(store.reads.into_inner(), 1);
}

pub(crate) fn remembers_stored_position_after_a_conflict() {
    let (store, here, elsewhere) = (
        Memory::default(),
        PositionCache::default(),
        PositionCache::default(),
    );
    let payments = positions_of(1, 3);
    let key = key_of(&payments[0]);
    let done = here.replace(&store, &key, None, payments[0].clone());
    assert_eq!(done.unwrap(), Replaced::Done);
    let other = elsewhere.read(&store, &key).unwrap();
    let done = elsewhere.replace(&store, &key, other.as_ref(), payments[2].clone());
    assert_eq!(done.unwrap(), Replaced::Done);

    let outdated = here.recent(&key);
    let refused = here.replace(&store, &key, outdated.as_ref(), payments[1].clone());
    assert_eq!(refused.unwrap(), Replaced::Conflict);
    assert_eq!(stored(&store, &key).as_ref(), Some(&payments[2]));
    assert_eq!(here.recent(&key).unwrap().position(), &payments[2]);
}

pub(crate) fn ends_a_begun_replacement_like_a_blocking_one() {
    let (store, positions) = (Memory::default(), PositionCache::default());
    let payments = positions_of(1, 3);
    let key = key_of(&payments[0]);
    let replace = |old: Option<&StoredPosition>, new: &Position| {
        let begun = positions.begin_replace(&store, key, old, new.clone());
        pollster::block_on(begun.unwrap()).unwrap()
    };
    assert_eq!(replace(None, &payments[0]), Replaced::Done);
    let first = positions.recent(&key);
    assert_eq!(replace(first.as_ref(), &payments[1]), Replaced::Done);
    assert_eq!(stored(&store, &key).as_ref(), Some(&payments[1]));
    assert_eq!(positions.recent(&key).unwrap().position(), &payments[1]);

    assert_eq!(replace(first.as_ref(), &payments[2]), Replaced::Conflict);
    assert_eq!(stored(&store, &key).as_ref(), Some(&payments[1]));
    assert_eq!(positions.recent(&key).unwrap().position(), &payments[1]);
}

pub(crate) fn makes_a_replacement_without_waiter_but_forgets_it() {
    let (store, positions) = (Memory::default(), PositionCache::default());
    let payments = positions_of(1, 2);
    let key = key_of(&payments[0]);
    let done = positions.replace(&store, &key, None, payments[0].clone());
    assert_eq!(done.unwrap(), Replaced::Done);
    let held = positions.recent(&key);
    drop(positions.begin_replace(&store, key, held.as_ref(), payments[1].clone()));
    assert_eq!(stored(&store, &key).as_ref(), Some(&payments[1]));

    // The next payment is judged by the remembered position, conflicts, and is judged again by the stored position.
    let held = positions.recent(&key);
    let again = positions.replace(&store, &key, held.as_ref(), payments[1].clone());
    assert_eq!(again.unwrap(), Replaced::Conflict);
    assert_eq!(positions.recent(&key).unwrap().position(), &payments[1]);
}

pub(crate) fn begins_no_replacement_in_a_blocking_store() {
    let (store, positions) = (Watched::default(), PositionCache::default());
    let payment = positions_of(1, 1).remove(0);
    let key = key_of(&payment);
    assert!(
        positions
            .begin_replace(&store, key, None, payment)
            .is_none()
    );
    assert_eq!(stored(&store.inner, &key), None);
}

pub(crate) fn forgets_a_removed_position() {
    let (store, positions) = (Memory::default(), PositionCache::default());
    let payments = positions_of(1, 2);
    let key = key_of(&payments[0]);
    let done = positions.replace(&store, &key, None, payments[0].clone());
    assert_eq!(done.unwrap(), Replaced::Done);
    let remove = Change {
        table: Table::Positions,
        key: &position_key(key.bank, key.deposit, key.payee),
        old: Some(&payments[0].to_bytes()),
        new: None,
    };
    assert_eq!(store.swap(&[remove]).unwrap(), Swap::Done);

    let held = positions.recent(&key);
    let refused = positions.replace(&store, &key, held.as_ref(), payments[1].clone());
    assert_eq!(refused.unwrap(), Replaced::Conflict);
    assert!(positions.recent(&key).is_none());
}

pub(crate) fn reads_the_store_after_a_write_of_unknown_outcome() {
    let (store, positions) = (Watched::default(), PositionCache::default());
    let payments = positions_of(1, 2);
    let key = key_of(&payments[0]);
    let done = positions.replace(&store, &key, None, payments[0].clone());
    assert_eq!(done.unwrap(), Replaced::Done);
    store.fails.store(true, Ordering::Relaxed);
    let held = positions.recent(&key);
    let unknown = positions.replace(&store, &key, held.as_ref(), payments[1].clone());
    assert!(matches!(
        unknown,
        Err(PositionCacheError::Store(StoreError::Unknown { .. }))
    ));
    assert!(positions.recent(&key).is_none());
    let read = positions.read(&store, &key).unwrap();
    assert_eq!(read.unwrap().position(), &payments[1]);
}

pub(crate) fn remembers_no_more_positions_than_its_limit() {
    let store = Memory::default();
    let positions = PositionCache::with_capacity(NonZeroUsize::new(2).unwrap());
    let payments: Vec<_> = (1..=3)
        .map(|lane| positions_of(lane, 1).remove(0))
        .collect();
    for position in &payments {
        let done = positions.replace(&store, &key_of(position), None, position.clone());
        assert_eq!(done.unwrap(), Replaced::Done);
    }
    let remembered = payments
        .iter()
        .map(|position| positions.recent(&key_of(position)).is_some());
    assert_eq!(remembered.collect::<Vec<_>>(), [false, true, true]);
}
