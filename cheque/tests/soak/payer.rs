//! The payer: its records and its cheques.

use alloy_primitives::{Address, B256};
use cheque::{
    Account, AllowanceTree, Amount, Bank, ChequeContext, Deposit, DepositId, MasterSalt, Opening,
    Proof, SigningKey, Stream, WriteError,
    payer::{AllowanceList, DepositRecord, DepositState},
    store::{Change, Memory, Store, Swap, Table, account_key, deposit_key},
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow;

pub(crate) struct Payer {
    pub(crate) address: Address,
    signer: SigningKey,
    bank: Bank,
    store: Memory,
}

/// A deposit with its allowances.
pub(crate) struct Opened {
    pub(crate) id: DepositId,
    pub(crate) deposit: Deposit,
    pub(crate) tree: AllowanceTree,
}

impl Payer {
    pub(crate) fn new(address: Address, signer: SigningKey, bank: Bank) -> Self {
        Self {
            address,
            signer,
            bank,
            store: Memory::new(),
        }
    }

    /// Composes a deposit and stores its records. Sends nothing.
    pub(crate) fn prepare(
        &self,
        lane: u64,
        allowances: Vec<(Address, Amount)>,
        master: MasterSalt,
        min_payout: u128,
        (created, draw_time, redeem_until): (u64, u64, u64),
    ) -> Opened {
        let tree = AllowanceTree::build(allowances.iter().copied(), &master).unwrap();
        let amount = tree.total().get();
        let deposit = Deposit {
            payer: self.address,
            signer: self.signer.address(),
            token: Address::ZERO,
            lane,
            amount,
            minPayout: min_payout.min(amount),
            drawTime: draw_time,
            redeemUntil: redeem_until,
            root: tree.root(),
        };
        let id = self.bank.deposit_id(&deposit);
        let record = DepositRecord {
            deposit: deposit.clone(),
            since: 1,
            created,
            open_at: None,
            draw: None,
            state: DepositState::Pending,
            settled: false,
        };
        let list = AllowanceList {
            master,
            allowances,
            names: Default::default(),
        };
        let key = deposit_key(&self.bank, id);
        let fresh = |table, new| Change {
            table,
            key: &key,
            old: None,
            new: Some(new),
        };
        let (record, list) = (record.to_bytes(), list.to_bytes());
        let changes = [fresh(Table::Deposits, &record), fresh(Table::Trees, &list)];
        assert_eq!(self.store.swap(&changes).unwrap(), Swap::Done);
        Opened { id, deposit, tree }
    }

    /// Pays a part of a payee's remaining allowance by a cheque or in a stream. Returns the proofs, stored before the
    /// return, or `None` if nothing remains.
    pub(crate) fn pay(
        &self,
        opened: &Opened,
        payee: Address,
        rng: &mut ChaCha8Rng,
    ) -> Option<Vec<Proof>> {
        let key = account_key(opened.id, payee);
        let old = self.store.get(Table::Accounts, &key).unwrap();
        let account = match &old {
            Some(bytes) => Account::from_bytes(bytes).unwrap(),
            None => Account::new(opened.tree.allowance(payee)?),
        };
        let (account, with_cheque) = match self.next(&account, opened.id, payee, rng) {
            Ok(next) => next,
            Err(WriteError::NotCovered { .. } | WriteError::ZeroAmount) => return None,
            Err(error) => panic!("{error}"),
        };
        let new = account.to_bytes();
        let swap = self
            .store
            .compare_and_set(Table::Accounts, &key, old.as_deref(), &new);
        assert_eq!(swap.unwrap(), Swap::Done);
        let cheque = match old {
            None => Some(self.opening(opened, payee, &account)),
            Some(_) => with_cheque.then(|| Proof::Cheque(opened.id, *account.newest().unwrap())),
        };
        let last = account.last_proof(opened.id).unwrap();
        let step = matches!(last, Proof::Step { .. }).then_some(last);
        Some(cheque.into_iter().chain(step).collect())
    }

    /// The proofs of all payments to a payee, for a payee that may not know the deposit.
    pub(crate) fn all_proofs(&self, opened: &Opened, payee: Address) -> Vec<Proof> {
        let key = account_key(opened.id, payee);
        let bytes = self.store.get(Table::Accounts, &key).unwrap().unwrap();
        let account = Account::from_bytes(&bytes).unwrap();
        let last = account.last_proof(opened.id);
        let step = last.filter(|last| matches!(last, Proof::Step { .. }));
        let opening = self.opening(opened, payee, &account);
        [opening].into_iter().chain(step).collect()
    }

    /// The account after another payment, and true if the payment took a new cheque.
    fn next(
        &self,
        account: &Account,
        deposit: DepositId,
        payee: Address,
        rng: &mut ChaCha8Rng,
    ) -> Result<(Account, bool), WriteError> {
        if account.steps_left() > 0 && rng.random_ratio(2, 3) {
            let steps = rng.random_range(1..=account.steps_left());
            return Ok((account.pay_steps(steps)?, false));
        }
        let context = ChequeContext {
            key: &self.signer,
            bank: &self.bank,
            deposit,
            payee,
        };
        let left = account.left().get();
        let amount = Amount::new(rng.random_range(left / 4..=left / 4 * 3));
        if rng.random_ratio(3, 4) {
            return Ok((account.write_cheque(amount, &context)?, true));
        }
        let stream = Stream::new(B256::from(rng.random::<[u8; 32]>()), 32).unwrap();
        let step = Amount::new((left - amount.get()) / 64);
        let opened = account.open_stream(amount, step, stream, &context)?;
        let steps = rng.random_range(1..=8);
        Ok((opened.pay_steps(steps)?, true))
    }

    /// The newest cheque with the terms and the proof of its deposit.
    fn opening(&self, opened: &Opened, payee: Address, account: &Account) -> Proof {
        Proof::Opening(Box::new(Opening {
            bank: self.bank,
            deposit: opened.deposit.clone(),
            allowance: opened.tree.proof(payee).unwrap(),
            payee,
            cheque: *account.newest().unwrap(),
        }))
    }

    /// Removes the records of a closed deposit.
    pub(crate) fn forget(&self, id: DepositId) {
        remove(&self.store, Table::Accounts, id.0.as_slice());
        let key = deposit_key(&self.bank, id);
        remove(&self.store, Table::Trees, &key);
        remove(&self.store, Table::Deposits, &key);
    }

    pub(crate) fn kept(&self) -> usize {
        rows(&self.store)
    }
}

/// Removes all rows whose keys start with `prefix`.
pub(crate) fn remove(store: &Memory, table: Table, prefix: &[u8]) {
    store
        .scan(table, prefix, &mut |key, value| {
            let change = Change {
                table,
                key,
                old: Some(value),
                new: None,
            };
            assert_eq!(store.swap(&[change]).unwrap(), Swap::Done);
            ControlFlow::Continue(())
        })
        .unwrap();
}

/// Number of rows in a store.
pub(crate) fn rows(store: &Memory) -> usize {
    let mut count = 0;
    store
        .scan_all(&mut |_, _, _| {
            count += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    count
}
