//! A payer whose signer key is stolen, and the thief's use of the key.

use crate::{
    evm::{Evm, Revert, redeemBatchCall, redeemCall},
    random::{TestRng, account, key, rng, salt},
    support::comparison::{Sent, judge_both, reason},
    support::generate::{self, OpenDeposit, Payees},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use cheque::{
    AllowanceTree, Amount, ChainProfile, Deposit, Now, Opening, Outcome, Policy, Position, Proof,
    Redemption, Rejection, SignedCheque, SigningKey, TokenLimits, View, receive_payment,
};
use cheque_bindings::IChequeBank::fundCall;

pub(crate) const ALLOWANCE: u128 = 1_000_000;
pub(crate) const SAVINGS: u128 = 5_000_000;

/// A deposit of two payees with the stolen signer, and a second deposit of the same payer with another signer.
pub(crate) struct Theft {
    pub(crate) chain: Evm,
    pub(crate) open: OpenDeposit,
    pub(crate) other: Deposit,
    pub(crate) payees: Payees,
    /// The account of the thief, without money.
    pub(crate) thief: Address,
    /// The proof of the draw's seed.
    pub(crate) proof: Bytes,
}

pub(crate) fn theft() -> Theft {
    let rng: &mut TestRng = &mut rng(21);
    let mut chain = Evm::new(1);
    let payees = Payees::new(rng, 2);
    let (stolen, safe) = (key(rng), key(rng));
    let allowances = payees
        .0
        .iter()
        .map(|payee| (payee.address(), Amount::new(ALLOWANCE)));
    let tree = AllowanceTree::build(allowances, &salt(rng)).unwrap();
    let amount = tree.total().get();
    let deposit = Deposit {
        lane: 1,
        minPayout: 0,
        ..generate::terms(&chain, rng, stolen.address(), tree.root(), amount, 100)
    };
    let other = Deposit {
        lane: 2,
        signer: safe.address(),
        ..deposit.clone()
    };
    chain.open(&deposit);
    chain.open(&other);
    let savings = fundCall {
        token: Address::ZERO,
        account: deposit.payer,
        amount: U256::from(SAVINGS),
    };
    chain.send(deposit.payer, SAVINGS, &savings).unwrap();
    let id = chain.bank.deposit_id(&deposit);
    let mut start = 0;
    let starts = tree.iter().map(|(payee, allowance)| {
        start += allowance.get();
        (payee, start - allowance.get())
    });
    let open = OpenDeposit {
        id,
        starts: starts.collect(),
        deposit,
        signer: stolen,
        tree,
    };
    chain.mine_at(open.deposit.drawTime + 1);
    Theft {
        proof: open.proof(&chain),
        chain,
        open,
        other,
        payees,
        thief: account(rng),
    }
}

/// The last possible deadline, so that no signature fails by its deadline.
pub(crate) const DEADLINE: U256 = U256::MAX;

impl Theft {
    pub(crate) fn payee(&self) -> Address {
        self.payees.0[0].address()
    }

    /// Returns the payee winner by the draw.
    pub(crate) fn winner(&mut self) -> Address {
        let all: Vec<_> = self.payees.0.iter().map(SigningKey::address).collect();
        let winners = all.into_iter().filter(|payee| {
            let r = self.redemption(*payee, ALLOWANCE);
            self.outcome(&r, *payee) == Outcome::Payable
        });
        let winners: Vec<_> = winners.collect();
        assert_eq!(winners.len(), 1);
        winners[0]
    }

    /// Builds the redemption of a cheque signed with the stolen key.
    pub(crate) fn redemption(&self, payee: Address, spent: u128) -> Redemption {
        self.open.redemption(&self.chain, payee, spent, None)
    }

    /// Returns the outcome by core and contract. Asserts that a refused redemption pays nothing, alone or in a batch.
    pub(crate) fn outcome(&mut self, r: &Redemption, caller: Address) -> Outcome {
        let proof = self.proof.clone();
        let before = self.chain.state(&r.deposit, caller, &proof);
        let packed = generate::packed(r);
        let sent = Sent {
            packed: &packed,
            proof: &proof,
            state: &before,
        };
        let (outcome, _) = judge_both(&mut self.chain, sent);
        if outcome != Outcome::Payable {
            let (redemption, proof) = (packed.clone(), proof.clone());
            let refusal = self
                .chain
                .send(caller, 0, &redeemCall { redemption, proof });
            assert_eq!(reason(refusal.unwrap_err(), sent), outcome);
            let batch = redeemBatchCall {
                redemptions: vec![packed.clone()],
                drawTimes: vec![r.deposit.drawTime],
                proofs: vec![sent.proof.clone()],
            };
            let batch = self.chain.send(caller, 0, &batch);
            assert_eq!(batch.unwrap(), [0]);
            assert_eq!(self.chain.state(&r.deposit, caller, sent.proof), before);
        }
        outcome
    }

    /// Judges an opening as its payee before the draw.
    pub(crate) fn receive(
        &mut self,
        payee: Address,
        opening: Opening,
    ) -> Result<Position, Rejection> {
        let deposit = &opening.deposit;
        let purse = self.chain.purse(deposit);
        let view = View {
            now: Now {
                clock: 0,
                head_time: deposit.drawTime - 100,
                round_time: None,
            },
            final_time: None,
            purse,
            settled: true,
            redeem_cost: Some(Amount::new(10)),
            exposure: Amount::ZERO,
            unsettled: Amount::ZERO,
        };
        let profile = ChainProfile::of(31_337).unwrap();
        let mut policy = Policy::new(payee, self.chain.bank, profile);
        policy.min_payout_per_cost = 0;
        let limits = TokenLimits::exposure(Amount::MAX);
        policy.tokens.insert(Address::ZERO, limits);
        let proof = Proof::Opening(Box::new(opening));
        let received = receive_payment(None, &proof, None, &view, &policy)?;
        Ok(received.position().clone())
    }

    /// Builds an opening with a cheque signed with the stolen key.
    pub(crate) fn opening(&self, payee: Address, leaf_of: Address, spent: u128) -> Opening {
        let spent = Amount::new(spent);
        let (signer, bank) = (&self.open.signer, self.chain.bank);
        Opening {
            bank,
            deposit: self.open.deposit.clone(),
            allowance: self.open.tree.proof(leaf_of).unwrap(),
            payee,
            cheque: SignedCheque::sign(signer, &bank, self.open.id, payee, spent, None),
        }
    }

    pub(crate) fn sign(&self, digest: B256) -> Bytes {
        let signature = self.open.signer.sign(digest);
        Bytes::copy_from_slice(signature.as_bytes())
    }

    /// Asserts that the bank refuses a call from the thief and from the stolen key's own account.
    pub(crate) fn assert_refused<C: SolCall + Clone>(
        &mut self,
        call: &C,
        is_expected: impl Fn(&Revert) -> bool,
    ) {
        for from in [self.thief, self.open.signer.address()] {
            let Err(why) = self.chain.send(from, 0, call) else {
                panic!("the bank accepted the call");
            };
            assert!(is_expected(&why), "{why:?}");
        }
    }

    pub(crate) fn idle(&mut self, account: Address, lane: u64) -> U256 {
        let of = Deposit {
            payer: account,
            lane,
            ..self.open.deposit.clone()
        };
        self.chain.purse(&of)
    }

    /// Asserts that all purses are unchanged and the thief has nothing.
    pub(crate) fn assert_nothing_taken(mut self) {
        assert_eq!(
            B256::from(self.idle(self.open.deposit.payer, 1)),
            self.open.id.0
        );
        let other = self.chain.bank.deposit_id(&self.other);
        assert_eq!(B256::from(self.idle(self.open.deposit.payer, 2)), other.0);
        assert_eq!(self.idle(self.open.deposit.payer, 0), U256::from(SAVINGS));
        self.assert_thief_has_nothing();
    }

    pub(crate) fn assert_thief_has_nothing(&mut self) {
        for account in [self.thief, self.open.signer.address()] {
            assert_eq!(self.idle(account, 0), U256::ZERO);
            assert_eq!(self.chain.coins(account), U256::ZERO);
        }
        self.chain.forget();
    }
}
