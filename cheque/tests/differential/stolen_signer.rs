//! A thief with the signer's key, the payer's store and all the time it wants. It can spend allowances of listed payees,
//! and nothing else: it gets no coin, and neither bank nor payees take anything else for good.

use crate::{
    common::{TestRng, account, key, rng, salt},
    evm::{Evm, Revert, openCall, reclaimCall, redeemBatchCall, redeemCall},
    judged::{judged, reason},
    world::{self, Open, Payees},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use cheque::{
    AllowanceTree, Amount, ChainProfile, Deposit, Meta, Opening, Outcome, Policy, Proof, Purse,
    Redemption, Rejection, SeedSource, SignedCheque, SigningKey, TokenLimits, View, Withdraw,
    receive_payment,
};
use cheque_bindings::IChequeBank::{
    fundCall, openForCall, reopenCall, withdrawCall, withdrawForCall,
};

const ALLOWANCE: u128 = 1_000_000;
const SAVINGS: u128 = 5_000_000;

/// A deposit of two payees, and another one of the same payer with another signer.
struct Scene {
    chain: Evm,
    open: Open,
    other: Deposit,
    payees: Payees,
    /// The account of the thief, which has nothing.
    thief: Address,
    header: Bytes,
}

fn scene() -> Scene {
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
const DEADLINE: U256 = U256::MAX;

impl Scene {
    fn payee(&self) -> Address {
        self.payees.0[0].address()
    }

    /// The payee that the draw has selected.
    fn selected(&mut self) -> Address {
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
    fn redemption(&self, payee: Address, spent: u128) -> Redemption {
        let mut r = self.open.redemption(&self.chain, payee, spent, None);
        r.header = self.header.clone();
        r
    }

    /// What bank and core say to a redemption. Where they refuse, nothing is paid, alone or in a batch.
    fn outcome(&mut self, r: &Redemption, caller: Address) -> Outcome {
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
    fn received(&mut self, payee: Address, opening: Opening) -> Result<Meta, Rejection> {
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
        Ok(received.meta().clone())
    }

    /// An opening with a cheque by the stolen key.
    fn opening(&self, payee: Address, leaf_of: Address, spent: u128) -> Opening {
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

    fn sign(&self, digest: B256) -> Bytes {
        let signature = self.open.signer.sign(digest);
        Bytes::copy_from_slice(signature.as_bytes())
    }

    /// What the thief, or the stolen key's own account, sends to the bank is refused.
    fn refused<C: SolCall + Clone>(&mut self, call: &C, is_why: impl Fn(&Revert) -> bool) {
        for from in [self.thief, self.open.signer.address()] {
            let Err(why) = self.chain.send(from, 0, call) else {
                panic!("the bank does it");
            };
            assert!(is_why(&why), "{why:?}");
        }
    }

    fn idle(&mut self, account: Address, lane: u64) -> U256 {
        let of = Deposit {
            payer: account,
            lane,
            ..self.open.deposit.clone()
        };
        self.chain.purse(&of)
    }

    /// Everything is where it was, and the thief has nothing.
    fn nothing_was_taken(mut self) {
        assert_eq!(
            B256::from(self.idle(self.open.deposit.payer, 1)),
            self.open.id.0
        );
        let other = self.chain.bank.deposit_id(&self.other);
        assert_eq!(B256::from(self.idle(self.open.deposit.payer, 2)), other.0);
        assert_eq!(self.idle(self.open.deposit.payer, 0), U256::from(SAVINGS));
        self.thief_has_nothing();
    }

    fn thief_has_nothing(&mut self) {
        for account in [self.thief, self.open.signer.address()] {
            assert_eq!(self.idle(account, 0), U256::ZERO);
            assert_eq!(self.chain.coins(account), U256::ZERO);
        }
        self.chain.forget();
    }
}

#[test]
fn a_stolen_signer_pays_nobody_who_is_not_listed() {
    let mut scene = scene();
    let (payee, thief) = (scene.payee(), scene.thief);
    // Its own cheque, with somebody else's place in the tree.
    let mut r = scene.redemption(payee, ALLOWANCE);
    let (spent, bank) = (Amount::new(ALLOWANCE), scene.chain.bank);
    let cheque = SignedCheque::sign(&scene.open.signer, &bank, scene.open.id, thief, spent, None);
    r.payee = thief;
    r.signature = Bytes::copy_from_slice(cheque.signature.as_bytes());
    assert_eq!(scene.outcome(&r, thief), Outcome::BadProof);
    let opening = scene.opening(thief, payee, ALLOWANCE);
    let refused = scene.received(thief, opening);
    assert!(
        matches!(refused, Err(Rejection::BadAllowanceProof(_))),
        "{refused:?}"
    );

    // Another tree in which it is listed: that is another deposit, and nobody has opened it.
    let own = AllowanceTree::build([(thief, scene.open.tree.total())], &salt(&mut rng(1))).unwrap();
    let mut deposit = scene.open.deposit.clone();
    deposit.root = own.root();
    let id = bank.deposit_id(&deposit);
    let all = own.total();
    let opening = Opening {
        bank,
        deposit,
        allowance: own.proof(thief).unwrap(),
        payee: thief,
        cheque: SignedCheque::sign(&scene.open.signer, &bank, id, thief, all, None),
    };
    let mut r = scene.redemption(payee, 1);
    r.deposit = opening.deposit.clone();
    r.payee = thief;
    r.allowance = all.get();
    r.spent = all.get();
    r.salt = opening.allowance.salt;
    r.path = Default::default();
    r.siblings = Bytes::new();
    r.signature = Bytes::copy_from_slice(opening.cheque.signature.as_bytes());
    assert_eq!(scene.outcome(&r, thief), Outcome::NotOpen);
    assert_eq!(
        scene.received(thief, opening),
        Err(Rejection::NotConfirmed(id))
    );
    scene.nothing_was_taken();
}

#[test]
fn a_stolen_signer_pays_nobody_more_than_its_allowance() {
    let mut scene = scene();
    let payee = scene.payee();
    let all = scene.open.deposit.amount;
    for spent in [ALLOWANCE + 1, all, u128::MAX] {
        let r = scene.redemption(payee, spent);
        assert_eq!(scene.outcome(&r, payee), Outcome::OverAllowance);
        let opening = scene.opening(payee, payee, spent);
        let refused = scene.received(payee, opening);
        assert!(
            matches!(refused, Err(Rejection::OverAllowance { .. })),
            "{refused:?}"
        );
    }
    // A larger allowance is not in the tree.
    let mut r = scene.redemption(payee, all);
    r.allowance = all;
    assert_eq!(scene.outcome(&r, payee), Outcome::BadProof);
    let mut opening = scene.opening(payee, payee, all);
    opening.allowance.allowance = Amount::new(all);
    let refused = scene.received(payee, opening);
    assert!(
        matches!(refused, Err(Rejection::BadAllowanceProof(_))),
        "{refused:?}"
    );
    scene.nothing_was_taken();
}

#[test]
fn a_stolen_signer_pays_nothing_from_deposits_of_other_signers() {
    let mut scene = scene();
    let (payee, bank) = (scene.payee(), scene.chain.bank);
    let id = bank.deposit_id(&scene.other);
    let spent = Amount::new(ALLOWANCE);
    let cheque = SignedCheque::sign(&scene.open.signer, &bank, id, payee, spent, None);
    let mut r = scene.redemption(payee, ALLOWANCE);
    r.deposit = scene.other.clone();
    r.signature = Bytes::copy_from_slice(cheque.signature.as_bytes());
    assert_eq!(scene.outcome(&r, payee), Outcome::BadSignature);
    let opening = Opening {
        deposit: scene.other.clone(),
        cheque,
        ..scene.opening(payee, payee, ALLOWANCE)
    };
    let refused = scene.received(payee, opening);
    assert!(
        matches!(refused, Err(Rejection::WrongSigner { .. })),
        "{refused:?}"
    );
    scene.nothing_was_taken();
}

#[test]
fn a_stolen_signer_consents_to_nothing_and_redirects_no_payout() {
    let mut scene = scene();
    let (payee, thief) = (scene.selected(), scene.thief);
    for (spent, to) in [(1, thief), (1, Address::ZERO), (ALLOWANCE - 1, thief)] {
        let mut r = scene.redemption(payee, spent);
        r.to = to;
        let digest = scene
            .chain
            .bank
            .consent_digest(scene.open.id, Amount::new(spent), to);
        for consent in [Bytes::new(), scene.sign(digest)] {
            r.consent = consent;
            let outcome = scene.outcome(&r, thief);
            assert_eq!(outcome, Outcome::ConsentMissing);
        }
    }
    // The whole deposit, which anybody may redeem for the payee: to its balance, and nowhere else.
    let mut r = scene.redemption(payee, ALLOWANCE);
    r.to = thief;
    assert_eq!(scene.outcome(&r, thief), Outcome::ConsentMissing);
    scene.nothing_was_taken();
}

#[test]
fn a_stolen_signer_opens_and_closes_no_deposits() {
    let mut scene = scene();
    let payer = scene.open.deposit.payer;
    let mut next = Deposit {
        lane: 3,
        drawBlock: scene.chain.block() + 10,
        lastRedeemBlock: scene.chain.block() + 20,
        amount: SAVINGS,
        minPayout: SAVINGS,
        ..scene.open.deposit.clone()
    };
    let not_payer = |why: &Revert| matches!(why, Revert::NotPayer(_));
    let deposit = next.clone();
    scene.refused(&openCall { deposit }, not_payer);
    let digest = scene
        .chain
        .bank
        .open_digest(scene.chain.bank.deposit_id(&next), DEADLINE);
    let open_for = openForCall {
        deposit: next.clone(),
        deadline: DEADLINE,
        signature: scene.sign(digest),
    };
    scene.refused(
        &open_for,
        |why| matches!(why, Revert::InvalidSignature(error) if error.account == payer),
    );
    let deposit = scene.open.deposit.clone();
    scene.refused(&reclaimCall { deposit }, |why| {
        matches!(why, Revert::StillRedeemable(_))
    });
    next.lane = scene.open.deposit.lane;
    let expired = scene.open.deposit.clone();
    scene.refused(&reopenCall { expired, next }, not_payer);
    scene.nothing_was_taken();
}

#[test]
fn a_stolen_signer_withdraws_nothing() {
    let mut scene = scene();
    let (payer, thief) = (scene.open.deposit.payer, scene.thief);
    for lane in [0, 1, 2] {
        let amount = U256::from(SAVINGS);
        // From purses of its own, for it has no others.
        let own = withdrawCall {
            token: Address::ZERO,
            lane,
            amount,
            to: thief,
        };
        scene.refused(&own, |why| matches!(why, Revert::InsufficientFunds(_)));
        let withdraw = Withdraw {
            account: payer,
            token: Address::ZERO,
            lane,
            amount,
            to: thief,
            nonce: U256::from(7),
            deadline: DEADLINE,
        };
        let payers = withdrawForCall {
            account: payer,
            token: Address::ZERO,
            lane,
            amount,
            to: thief,
            nonce: withdraw.nonce,
            deadline: DEADLINE,
            signature: scene.sign(scene.chain.bank.withdraw_digest(&withdraw)),
        };
        scene.refused(
            &payers,
            |why| matches!(why, Revert::InvalidSignature(error) if error.account == payer),
        );
    }
    scene.nothing_was_taken();
}

#[test]
fn the_most_that_a_stolen_signer_can_do_is_to_spend_the_allowances_of_listed_payees() {
    let mut scene = scene();
    // All of them, to the last unit: payees take it, for they cannot know.
    let all: Vec<_> = scene.payees.0.iter().map(SigningKey::address).collect();
    let mut spent = 0;
    for payee in all {
        let opening = scene.opening(payee, payee, ALLOWANCE);
        let meta = scene.received(payee, opening).unwrap();
        spent += meta.total().get();
    }
    let amount = scene.open.deposit.amount;
    assert_eq!(spent, amount);
    // One of them is drawn, and gets at most the deposit.
    let winner = scene.selected();
    let redemption = world::packed(&scene.redemption(winner, ALLOWANCE));
    let paid = scene.chain.send(scene.thief, 0, &redeemCall { redemption });
    assert_eq!(paid.unwrap(), amount);
    assert_eq!(scene.idle(winner, 0), U256::from(amount));
    let payer = scene.open.deposit.payer;
    assert_eq!(scene.idle(payer, 0), U256::from(SAVINGS));
    let other = scene.chain.bank.deposit_id(&scene.other);
    assert_eq!(scene.idle(payer, 2), Purse::Open(other).word());
    scene.thief_has_nothing();
}
