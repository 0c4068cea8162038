//! A payer whose signer's key is stolen, and what the thief makes of it.

use crate::{
    common::{TestRng, account, key, rng, salt},
    evm::{Evm, Revert, redeemBatchCall, redeemCall},
    judged::{judged, reason},
    world::{self, Open, Payees},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use cheque::{
    AllowanceTree, Amount, ChainProfile, Deposit, Opening, Outcome, Policy, Position, Proof,
    Redemption, Rejection, SeedSource, SignedCheque, SigningKey, TokenLimits, View,
    receive_payment,
};
use cheque_bindings::IChequeBank::fundCall;

pub(crate) const ALLOWANCE: u128 = 1_000_000;
pub(crate) const SAVINGS: u128 = 5_000_000;

/// A deposit of two payees, and another one of the same payer with another signer.
pub(crate) struct Scene {
    pub(crate) chain: Evm,
    pub(crate) open: Open,
    pub(crate) other: Deposit,
    pub(crate) payees: Payees,
    /// The account of the thief, which has nothing.
    pub(crate) thief: Address,
    header: Bytes,
}

pub(crate) fn scene() -> Scene {
    let rng: &mut TestRng = &mut rng(21);
    let mut chain = Evm::new(SeedSource::PrevRandao, 1);
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
        ..world::terms(&chain, rng, stolen.address(), tree.root(), amount, 100)
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
    let open = Open {
        id,
        starts: starts.collect(),
        deposit,
        signer: stolen,
        tree,
    };
    let header = world::header(rng, open.deposit.drawBlock);
    let mut scene = Scene {
        chain,
        open,
        other,
        payees,
        thief: account(rng),
        header: Bytes::new(),
    };
    scene.chain.mine_to(scene.open.deposit.drawBlock + 1);
    scene.header = scene.open.draw(&mut scene.chain, &header).0;
    scene
}

/// The end of time: no signature fails for being late.
pub(crate) const DEADLINE: U256 = U256::MAX;

impl Scene {
    pub(crate) fn payee(&self) -> Address {
        self.payees.0[0].address()
    }

    /// The payee that the draw has selected.
    pub(crate) fn selected(&mut self) -> Address {
        let all: Vec<_> = self.payees.0.iter().map(SigningKey::address).collect();
        let winners = all.into_iter().filter(|payee| {
            let r = self.redemption(*payee, ALLOWANCE);
            self.outcome(&r, *payee) == Outcome::Payable
        });
        let winners: Vec<_> = winners.collect();
        assert_eq!(winners.len(), 1);
        winners[0]
    }

    /// A cheque of the thief's, as a redemption with all that it knows.
    pub(crate) fn redemption(&self, payee: Address, spent: u128) -> Redemption {
        let mut r = self.open.redemption(&self.chain, payee, spent, None);
        r.header = self.header.clone();
        r
    }

    /// What bank and core say to a redemption. Where they refuse, nothing is paid, alone or in a batch.
    pub(crate) fn outcome(&mut self, r: &Redemption, caller: Address) -> Outcome {
        let before = self.chain.state(&r.deposit, caller);
        let packed = world::packed(r);
        let (outcome, _) = judged(&mut self.chain, &packed, &before);
        if outcome != Outcome::Payable {
            let redemption = packed.clone();
            let refusal = self.chain.send(caller, 0, &redeemCall { redemption });
            assert_eq!(reason(refusal.unwrap_err()), outcome);
            let redemptions = vec![packed];
            let batch = self.chain.send(caller, 0, &redeemBatchCall { redemptions });
            assert_eq!(batch.unwrap(), [0]);
            assert_eq!(self.chain.state(&r.deposit, caller), before);
        }
        outcome
    }

    /// What a payee's library says to an opening, before the draw.
    pub(crate) fn received(
        &mut self,
        payee: Address,
        opening: Opening,
    ) -> Result<Position, Rejection> {
        let deposit = &opening.deposit;
        let purse = self.chain.purse(deposit);
        let view = View {
            head: deposit.drawBlock.saturating_sub(100),
            head_time: 0,
            now: 0,
            purse,
            redeem_cost: Some(Amount::new(10)),
            exposure: Amount::ZERO,
        };
        let profile = ChainProfile::of(31_337).unwrap();
        let mut policy = Policy::new(payee, self.chain.bank, profile);
        policy.min_payout_per_cost = 0;
        let limits = TokenLimits {
            max_deposit: Amount::MAX,
            max_exposure: Amount::MAX,
        };
        policy.tokens.insert(Address::ZERO, limits);
        let proof = Proof::Opening(Box::new(opening));
        let received = receive_payment(None, &proof, None, &view, &policy)?;
        Ok(received.position().clone())
    }

    /// An opening with a cheque by the stolen key.
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

    /// What the thief, or the stolen key's own account, sends to the bank is refused.
    pub(crate) fn refused<C: SolCall + Clone>(
        &mut self,
        call: &C,
        is_why: impl Fn(&Revert) -> bool,
    ) {
        for from in [self.thief, self.open.signer.address()] {
            let Err(why) = self.chain.send(from, 0, call) else {
                panic!("the bank does it");
            };
            assert!(is_why(&why), "{why:?}");
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

    /// Everything is where it was, and the thief has nothing.
    pub(crate) fn nothing_was_taken(mut self) {
        assert_eq!(
            B256::from(self.idle(self.open.deposit.payer, 1)),
            self.open.id.0
        );
        let other = self.chain.bank.deposit_id(&self.other);
        assert_eq!(B256::from(self.idle(self.open.deposit.payer, 2)), other.0);
        assert_eq!(self.idle(self.open.deposit.payer, 0), U256::from(SAVINGS));
        self.thief_has_nothing();
    }

    pub(crate) fn thief_has_nothing(&mut self) {
        for account in [self.thief, self.open.signer.address()] {
            assert_eq!(self.idle(account, 0), U256::ZERO);
            assert_eq!(self.chain.coins(account), U256::ZERO);
        }
        self.chain.forget();
    }
}
