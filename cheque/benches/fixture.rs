//! The measured payments: a payer, a deposit for 128 payees, and a payee. Shared by the criterion benches, the counts of
//! instructions, the test of allocations, and the comparison with other systems in `benches/peers`.

use alloy_primitives::{Address, B256, keccak256};
use cheque::*;

/// Number of payees of the deposit.
pub(crate) const PAYEES: u64 = 128;
/// Steps of a stream: the default maximum of a payee.
pub(crate) const STEPS: u32 = 1024;

/// The time of the payments, in seconds since 1970.
const NOW: u64 = 1_800_000_000;
const SHARE: u128 = 7_000_000_000_000_000;
const FIRST: u128 = 1_000_000_000_000_000;
const STEP: u128 = 1_000_000_000;

/// A deposit with its payer's secrets and a payee's view and policy.
pub(crate) struct Fixture {
    pub(crate) key: SigningKey,
    pub(crate) bank: Bank,
    pub(crate) deposit: Deposit,
    pub(crate) id: DepositId,
    pub(crate) tree: AllowanceTree,
    pub(crate) payee: Address,
    pub(crate) policy: Policy,
    pub(crate) view: View,
}

/// Derives a random-looking address from its number.
pub(crate) fn address(number: u64) -> Address {
    Address::from_word(keccak256(number.to_be_bytes()))
}

/// Equal allowances of `payees` payees.
pub(crate) fn allowances(payees: u64) -> impl ExactSizeIterator<Item = (Address, Amount)> {
    (0..payees as usize).map(|number| (address(number as u64), Amount::new(SHARE)))
}

pub(crate) fn tree(payees: u64) -> AllowanceTree {
    AllowanceTree::build(allowances(payees), &MasterSalt::from_bytes([9; 32])).unwrap()
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let key = SigningKey::from_bytes(&[7; 32]).unwrap();
        let bank = Bank::new(1, Address::repeat_byte(0xba));
        let (tree, payee) = (tree(PAYEES), address(77));
        let deposit = Deposit {
            payer: Address::repeat_byte(1),
            signer: key.address(),
            token: Address::ZERO,
            lane: 1,
            amount: tree.total().get(),
            minPayout: tree.total().get() / 10,
            drawTime: NOW + 3_600,
            redeemUntil: NOW + 3_600 + REDEEM_WINDOW,
            root: tree.root(),
        };
        let id = bank.deposit_id(&deposit);
        let view = View {
            now: Now {
                clock: NOW,
                head_time: NOW - 3,
                round_time: Some(NOW - 1),
            },
            final_time: Some(NOW - 800),
            purse: Purse::Open(id).word(),
            settled: true,
            redeem_cost: Some(Amount::new(100_000_000_000_000)),
            exposure: Amount::ZERO,
            unsettled: Amount::ZERO,
        };
        let policy = Policy::new(payee, bank, ChainProfile::of(1).unwrap());
        Self {
            key,
            bank,
            deposit,
            id,
            tree,
            payee,
            policy,
            view,
        }
    }

    pub(crate) fn context(&self) -> ChequeContext<'_> {
        ChequeContext {
            key: &self.key,
            bank: &self.bank,
            deposit: self.id,
            payee: self.payee,
        }
    }

    /// Returns the payer's account after the first cheque.
    pub(crate) fn account(&self) -> Account {
        Account::new(Amount::new(SHARE))
            .write_cheque(Amount::new(FIRST), &self.context())
            .unwrap()
    }

    pub(crate) fn opening(&self) -> Proof {
        Proof::Opening(Box::new(Opening {
            bank: self.bank,
            deposit: self.deposit.clone(),
            payee: self.payee,
            allowance: self.tree.proof(self.payee).unwrap(),
            cheque: *self.account().newest().unwrap(),
        }))
    }

    /// Writes `count` cheques, each over slightly more than the cheque before.
    pub(crate) fn cheques(&self, count: usize) -> Vec<Proof> {
        let mut account = self.account();
        (0..count)
            .map(|_| {
                account = account
                    .write_cheque(Amount::new(STEP), &self.context())
                    .unwrap();
                account.last_proof(self.id).unwrap()
            })
            .collect()
    }

    /// Writes a cheque with a stream, and all its steps. The cheque is newer than 1,000 of [`Fixture::cheques`].
    pub(crate) fn stream(&self) -> (Proof, Vec<Proof>) {
        let stream = Stream::new(B256::repeat_byte(5), STEPS).unwrap();
        let mut account = self
            .account()
            .open_stream(
                Amount::new(1_001 * STEP),
                Amount::new(STEP),
                stream,
                &self.context(),
            )
            .unwrap();
        let begin = account.last_proof(self.id).unwrap();
        let steps = (0..STEPS)
            .map(|_| {
                account = account.pay_steps(1).unwrap();
                account.last_proof(self.id).unwrap()
            })
            .collect();
        (begin, steps)
    }

    pub(crate) fn receive(&self, proof: &Proof, old: Option<&Position>) -> Received {
        receive_payment(None, proof, old, &self.view, &self.policy).unwrap()
    }

    /// Returns the payee's position after the opening.
    pub(crate) fn position(&self) -> Position {
        self.receive(&self.opening(), None).position().clone()
    }
}
