//! The payer's side: accounts on a disk, and reactions to rejections.

use crate::random::{self, TestRng, pick, word};
use alloy_primitives::{Address, U256};
use cheque::{
    Account, AllowanceTree, Amount, Bank, ChequeContext, Deposit, DepositId, Now, Opening, Proof,
    Purse, Rejection, SigningKey, Stream, View, WriteError,
};
use rand::Rng;
use std::collections::BTreeMap;

/// Stored bytes of each payee's account.
pub(crate) type Disk = BTreeMap<Address, Vec<u8>>;

pub(crate) struct Payer {
    key: SigningKey,
    pub(crate) bank: Bank,
    pub(crate) deposit: Deposit,
    pub(crate) id: DepositId,
    pub(crate) tree: AllowanceTree,
    pub(crate) disk: Disk,
    /// The accounts of the running process, lost in a crash.
    memory: BTreeMap<Address, Account>,
    /// For the test, not for the payer: the largest total ever sent.
    pub(crate) promised: BTreeMap<Address, Amount>,
}

impl Payer {
    pub(crate) fn new(
        rng: &mut TestRng,
        bank: Bank,
        allowances: impl IntoIterator<Item = (Address, Amount)>,
        min_payout: impl FnOnce(u128) -> u128,
        draw_time: u64,
    ) -> Self {
        let key = random::key(rng);
        let tree = AllowanceTree::build(allowances, &random::salt(rng)).unwrap();
        let amount = tree.total().get();
        let deposit = Deposit {
            payer: random::account(rng),
            signer: key.address(),
            token: Address::ZERO,
            lane: 1,
            amount,
            minPayout: min_payout(amount),
            drawTime: draw_time,
            redeemUntil: draw_time + 86_400,
            root: tree.root(),
        };
        let fresh = |(payee, allowance)| (payee, Account::new(allowance).to_bytes());
        let mut payer = Self {
            id: bank.deposit_id(&deposit),
            disk: tree.iter().map(fresh).collect(),
            promised: tree
                .iter()
                .map(|(payee, _)| (payee, Amount::ZERO))
                .collect(),
            key,
            bank,
            deposit,
            tree,
            memory: BTreeMap::new(),
        };
        payer.restart();
        payer
    }

    /// Returns a view with the open and settled deposit, whose three clocks agree.
    pub(crate) fn view(&self, time: u64, redeem_cost: Amount) -> View {
        View {
            now: Now {
                clock: time,
                head_time: time,
                round_time: Some(time),
            },
            final_time: Some(time),
            purse: Purse::Open(self.id).word(),
            settled: true,
            redeem_cost: Some(redeem_cost),
            exposure: Amount::ZERO,
            unsettled: Amount::ZERO,
        }
    }

    /// Returns the view before the deposit is confirmed.
    pub(crate) fn early_view(&self, time: u64, redeem_cost: Amount) -> View {
        View {
            purse: U256::from(self.deposit.amount),
            ..self.view(time, redeem_cost)
        }
    }

    /// Replaces the accounts in memory by those on disk.
    pub(crate) fn restart(&mut self) {
        let read = |(payee, bytes): (&Address, &Vec<u8>)| {
            (*payee, Account::from_bytes(bytes).expect("own bytes"))
        };
        self.memory = self.disk.iter().map(read).collect();
    }

    pub(crate) fn account(&self, payee: Address) -> &Account {
        &self.memory[&payee]
    }

    fn context(&self, payee: Address) -> ChequeContext<'_> {
        ChequeContext {
            key: &self.key,
            bank: &self.bank,
            deposit: self.id,
            payee,
        }
    }

    /// Pays up to `max` by a random kind of payment, and writes the account to disk. Returns the amount paid.
    pub(crate) fn pay(
        &mut self,
        rng: &mut TestRng,
        payee: Address,
        max: u128,
    ) -> Result<u128, WriteError> {
        let account = self.account(payee).clone();
        let context = self.context(payee);
        let amount = Amount::new(rng.random_range(1..=max));
        let next = match rng.random_range(0..6) {
            0 | 1 => account.write_cheque(amount, &context),
            2 => {
                let stream = Stream::new(word(rng), rng.random_range(1..50)).unwrap();
                let step = Amount::new(rng.random_range(1..=amount.get() / 10 + 1));
                let first = *pick(&[Amount::ZERO, amount], rng);
                account.open_stream(first, step, stream, &context)
            }
            _ if account.steps_left() > 0 => {
                let steps = rng.random_range(1..=account.steps_left().min(5));
                account.pay_steps(steps)
            }
            _ => account.write_cheque(amount, &context),
        }?;
        let paid = next.total().checked_sub(account.total()).unwrap();
        self.record(payee, next);
        Ok(paid.get())
    }

    /// Pays by a cheque, optionally with a stream of one-unit steps.
    pub(crate) fn cheque(&mut self, payee: Address, amount: Amount, stream: Option<Stream>) {
        let context = self.context(payee);
        let account = self.account(payee);
        let next = match stream {
            Some(stream) => account.open_stream(amount, Amount::new(1), stream, &context),
            None => account.write_cheque(amount, &context),
        };
        self.record(payee, next.unwrap());
    }

    pub(crate) fn steps(&mut self, payee: Address, steps: u32) {
        let next = self.account(payee).pay_steps(steps);
        self.record(payee, next.unwrap());
    }

    /// Writes the account to disk first, then to memory.
    fn record(&mut self, payee: Address, account: Account) {
        self.disk.insert(payee, account.to_bytes());
        self.memory.insert(payee, account);
    }

    /// Returns the proofs of everything paid to a payee: the cheque, optionally in an opening, then the last step.
    pub(crate) fn proofs(&mut self, payee: Address, with_opening: bool) -> Vec<Proof> {
        let account = &self.memory[&payee];
        let (Some(&cheque), Some(last)) = (account.newest(), account.last_proof(self.id)) else {
            return Vec::new();
        };
        let promised = self.promised.get_mut(&payee).unwrap();
        *promised = account.total().max(*promised);
        let mut proofs = vec![Proof::Cheque(self.id, cheque)];
        if with_opening {
            proofs[0] = Proof::Opening(Box::new(Opening {
                bank: self.bank,
                deposit: self.deposit.clone(),
                allowance: self.tree.proof(payee).unwrap(),
                payee,
                cheque,
            }));
        }
        if !matches!(last, Proof::Cheque(..)) {
            proofs.push(last);
        }
        proofs
    }

    /// Returns the proof of the newest payment alone, enough while no message is lost.
    pub(crate) fn last_proof(&mut self, payee: Address) -> Option<Proof> {
        self.proofs(payee, false).pop()
    }

    /// Updates the account after a rejection, and returns the proofs to send.
    pub(crate) fn learn(&mut self, payee: Address, rejection: &Rejection) -> Vec<Proof> {
        match rejection {
            Rejection::Replay => Vec::new(),
            Rejection::UnknownDeposit(_) => self.proofs(payee, true),
            Rejection::Stale {
                newest,
                newest_total,
                shown,
                ..
            } => {
                assert!(*newest_total <= self.promised[&payee]);
                let account = self.account(payee);
                let next = account
                    .resume(newest, *shown, &self.context(payee))
                    .unwrap();
                assert!(next.total() >= *newest_total);
                if next == *account {
                    return Vec::new();
                }
                self.record(payee, next);
                self.proofs(payee, false)
            }
            // A step arrived before its cheque, or after the next cheque.
            Rejection::NoStream(_) | Rejection::WrongStep => self.proofs(payee, false),
            // The payer tries again later.
            Rejection::NotConfirmed(_) | Rejection::PastCutoff { .. } => Vec::new(),
            other => panic!("honest payer rejected: {other}"),
        }
    }
}
