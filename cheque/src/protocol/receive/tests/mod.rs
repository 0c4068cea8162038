mod order;
mod payments;
mod policies;
mod recovery_ids;
mod refusals;
mod risk;
mod trees;
mod wrong_clocks;

use crate::protocol::{
    account::{Account, ChequeContext},
    allowance::{MasterSalt, tree::AllowanceTree},
    amount::Amount,
    chain_profile::ChainProfile,
    cheque::SignedCheque,
    now::Now,
    proof::{Opening, Proof},
    receive::{
        judge::{Received, receive_payment},
        policy::{Policy, TokenLimits, View},
        position::{Position, PositionError},
        rejection::Rejection,
    },
    signature::SigningKey,
    stream::Stream,
    terms::{Bank, DepositId, Purse},
};
use alloy_primitives::{Address, B256};
use cheque_bindings::Deposit;

/// Now, by all clocks. The draw follows an hour later.
const NOW: u64 = 1_800_000_000;
const DRAW: u64 = NOW + 3_600;

/// A payer, a deposit over three payees, and the first payee.
struct Fixture {
    key: SigningKey,
    bank: Bank,
    deposit: Deposit,
    tree: AllowanceTree,
    payee: Address,
    policy: Policy,
    view: View,
}

const fn clocks(clock: u64, head_time: u64, round: u64) -> Now {
    Now {
        clock,
        head_time,
        round_time: Some(round),
    }
}

fn fixture() -> Fixture {
    fixture_with(|_| {})
}

/// Makes a fixture with other terms. The view follows the terms.
fn fixture_with(change: impl FnOnce(&mut Deposit)) -> Fixture {
    let key = SigningKey::from_bytes(&[1; 32]).unwrap();
    let bank = Bank::new(1, Address::repeat_byte(0xba));
    let payee = Address::repeat_byte(0x11);
    let allowances = [(0x11, 1_000_000), (0x22, 500), (0x33, 999_500)]
        .map(|(byte, units)| (Address::repeat_byte(byte), Amount::new(units)));
    let tree = AllowanceTree::build(allowances, &MasterSalt::from_bytes([9; 32])).unwrap();
    let mut deposit = Deposit {
        payer: Address::repeat_byte(0xaa),
        signer: key.address(),
        token: Address::ZERO,
        lane: 1,
        amount: tree.total().get(),
        minPayout: 200_000,
        drawTime: DRAW,
        redeemUntil: DRAW + 86_400,
        root: tree.root(),
    };
    change(&mut deposit);
    let view = View {
        now: clocks(NOW, NOW, NOW),
        final_time: Some(NOW - 1_000),
        purse: Purse::Open(bank.deposit_id(&deposit)).word(),
        settled: true,
        redeem_cost: Some(Amount::new(1_000)),
        exposure: Amount::ZERO,
        unsettled: Amount::ZERO,
    };
    let policy = Policy::new(payee, bank, ChainProfile::of(1).unwrap());
    Fixture {
        key,
        bank,
        deposit,
        tree,
        payee,
        policy,
        view,
    }
}

impl Fixture {
    fn id(&self) -> DepositId {
        self.bank.deposit_id(&self.deposit)
    }

    fn cheque(&self, spent: u128, stream: Option<(B256, Amount)>) -> SignedCheque {
        let spent = Amount::new(spent);
        SignedCheque::sign(&self.key, &self.bank, self.id(), self.payee, spent, stream)
    }

    fn opening_with(&self, cheque: SignedCheque) -> Opening {
        Opening {
            bank: self.bank,
            deposit: self.deposit.clone(),
            allowance: self.tree.proof(self.payee).unwrap(),
            payee: self.payee,
            cheque,
        }
    }

    fn opening(&self, spent: u128) -> Proof {
        Proof::Opening(Box::new(self.opening_with(self.cheque(spent, None))))
    }

    fn later(&self, spent: u128) -> Proof {
        Proof::Cheque(self.id(), self.cheque(spent, None))
    }

    fn receive(&self, proof: &Proof, old: Option<&Position>) -> Result<Received, Rejection> {
        receive_payment(None, proof, old, &self.view, &self.policy)
    }

    fn position(&self, proof: &Proof, old: Option<&Position>) -> Position {
        self.receive(proof, old).unwrap().position().clone()
    }

    fn rejects(&self, proof: &Proof, old: Option<&Position>) -> Rejection {
        self.receive(proof, old).unwrap_err()
    }

    /// Returns the rejection of an opening after a change of the view or the policy.
    fn refused(change: impl FnOnce(&mut Self)) -> Rejection {
        let mut fixture = fixture();
        change(&mut fixture);
        fixture.rejects(&fixture.opening(300_000), None)
    }

    fn step(&self, stream: &Stream, k: u32) -> Proof {
        Proof::Step {
            deposit: self.id(),
            k,
            x: stream.show(k).unwrap(),
        }
    }
}

/// V(spent) at the terms of the fixture, by hand: full = 2 * spent, the smallest payout is 200,000, the amount 2,000,000
/// and the cost 1,000. So from 100,000 on V = floor(1,000,000 * (2 * spent - 1,000) / 2,000,000), and below
/// floor(10 * spent * 199,000 / 2,000,000).
const fn worth(spent: u128) -> u128 {
    if spent >= 100_000 {
        spent - 500
    } else {
        spent * 199 / 200
    }
}
