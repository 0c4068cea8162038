//! A payer tries to close its deposit before the winner does, with less than the winner's total.

use crate::{
    evm::{Evm, Revert, redeemBatchCall, redeemCall},
    random::{TestRng, rng, word},
    support::comparison::{Sent, judge_both, reason},
    support::generate::{self, OpenDeposit, Payees},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use cheque::{AllowanceTree, Amount, Deposit, Outcome, Redemption, SigningKey, Stream};
use std::collections::HashMap;

/// A deposit with a single payee, which wins with every cheque over more than nothing.
struct Race {
    chain: Evm,
    open: OpenDeposit,
    winner: SigningKey,
    /// The proof of the draw's seed.
    proof: Bytes,
    stream: Stream,
}

const ALLOWANCE: u128 = 1_000_000;
const STEP: u128 = 1_000;

/// The payments to the winner: a cheque over half, then 20 steps.
const SPENT: u128 = 500_000;
const STEPS: u32 = 20;
const TOTAL: u128 = SPENT + STEP * STEPS as u128;

fn race(min_payout: u128) -> Race {
    let rng: &mut TestRng = &mut rng(11);
    let mut chain = Evm::new(1);
    let payees = Payees::new(rng, 1);
    let winner = payees.0[0].clone();
    let signer = crate::random::key(rng);
    let allowances = [(winner.address(), Amount::new(ALLOWANCE))];
    let tree = AllowanceTree::build(allowances, &crate::random::salt(rng)).unwrap();
    let deposit = Deposit {
        minPayout: min_payout,
        ..generate::terms(&chain, rng, signer.address(), tree.root(), ALLOWANCE, 100)
    };
    chain.open(&deposit);
    chain.mine_at(deposit.drawTime + 1);
    let open = OpenDeposit {
        id: chain.bank.deposit_id(&deposit),
        deposit,
        signer,
        tree,
        starts: HashMap::from([(winner.address(), 0)]),
    };
    Race {
        proof: open.proof(&chain),
        chain,
        open,
        winner,
        stream: Stream::new(word(rng), 100).unwrap(),
    }
}

impl Race {
    fn cheque(&self, spent: u128, k: Option<u32>) -> Redemption {
        let stream = k.map(|k| (&self.stream, STEP, k));
        let payee = self.winner.address();
        self.open.redemption(&self.chain, payee, spent, stream)
    }

    fn call(&self, r: &Redemption) -> redeemCall {
        redeemCall {
            redemption: generate::packed(r),
            proof: self.proof.clone(),
        }
    }

    /// Asserts that the payer's redemption is refused for lack of consent, alone and in a batch, and changes nothing.
    fn assert_payer_gets_nothing_with(&mut self, r: &Redemption) {
        let payer = self.open.deposit.payer;
        let proof = self.proof.clone();
        let before = self.chain.state(&r.deposit, payer, &proof);
        let sent = Sent {
            packed: &generate::packed(r),
            proof: &proof,
            state: &before,
        };
        let (outcome, worth) = judge_both(&mut self.chain, sent);
        assert_eq!(outcome, Outcome::ConsentMissing);
        assert!(
            worth > 0,
            "with consent the redemption would have closed the deposit"
        );
        let refusal = self.chain.send(payer, 0, &self.call(r));
        assert_eq!(reason(refusal.unwrap_err(), sent), Outcome::ConsentMissing);
        let batch = redeemBatchCall {
            redemptions: vec![sent.packed.clone(); 2],
            drawTimes: vec![r.deposit.drawTime],
            proofs: vec![proof.clone()],
        };
        let payouts = self.chain.send(payer, 0, &batch);
        assert_eq!(payouts.unwrap(), [0, 0]);
        assert_eq!(self.chain.state(&r.deposit, payer, &proof), before);
    }

    /// Asserts that the winner still redeems its whole total.
    fn assert_winner_is_paid(mut self) {
        let best = self.cheque(SPENT, Some(STEPS));
        let winner = self.winner.address();
        let call = self.call(&best);
        assert_eq!(self.chain.send(winner, 0, &call).ok(), Some(TOTAL));
        let rest = U256::from(ALLOWANCE - TOTAL);
        assert_eq!(self.chain.purse(&self.open.deposit), rest);
    }
}

#[test]
fn pays_payer_nothing_with_older_cheque() {
    let mut race = race(0);
    for spent in [1, SPENT - 1, SPENT] {
        race.assert_payer_gets_nothing_with(&race.cheque(spent, None));
    }
    race.assert_winner_is_paid();
}

#[test]
fn pays_payer_nothing_with_shorter_stream() {
    let mut race = race(0);
    for k in [0, 1, STEPS - 1] {
        race.assert_payer_gets_nothing_with(&race.cheque(SPENT, Some(k)));
    }
    race.assert_winner_is_paid();
}

#[test]
fn pays_payer_nothing_with_consent_to_another_total_or_to() {
    let mut race = race(0);
    let winner = race.winner.clone();
    let consent = |race: &Race, total, to| race.open.consent(&race.chain, &winner, total, to);
    for total in [SPENT, TOTAL - STEP, TOTAL + 1] {
        let mut r = race.cheque(SPENT, Some(STEPS));
        r.consent = consent(&race, total, Address::ZERO);
        race.assert_payer_gets_nothing_with(&r);
    }
    // A consent to the newest total does not cover an older cheque.
    let mut r = race.cheque(SPENT, Some(STEPS - 1));
    r.consent = consent(&race, TOTAL, Address::ZERO);
    race.assert_payer_gets_nothing_with(&r);

    let mut r = race.cheque(SPENT, Some(STEPS));
    r.consent = consent(&race, TOTAL, winner.address());
    race.assert_payer_gets_nothing_with(&r);
    r.consent = consent(&race, TOTAL, Address::ZERO);
    r.to = race.open.deposit.payer;
    race.assert_payer_gets_nothing_with(&r);
    race.assert_winner_is_paid();
}

#[test]
fn pays_payer_nothing_with_consent_of_its_own_signer() {
    let mut race = race(0);
    let mut r = race.cheque(SPENT, None);
    let signer = race.open.signer.clone();
    r.consent = race
        .open
        .consent(&race.chain, &signer, SPENT, Address::ZERO);
    race.assert_payer_gets_nothing_with(&r);
    race.assert_winner_is_paid();
}

#[test]
fn lets_anybody_redeem_whole_deposit_to_winners_balance_only() {
    let mut race = race(ALLOWANCE);
    let mut r = race.cheque(ALLOWANCE, None);
    r.to = race.open.deposit.payer;
    race.assert_payer_gets_nothing_with(&r);
    r.to = Address::ZERO;
    let payer = race.open.deposit.payer;
    let call = race.call(&r);
    assert_eq!(race.chain.send(payer, 0, &call).ok(), Some(ALLOWANCE));
    let balance = Deposit {
        payer: race.winner.address(),
        lane: 0,
        ..race.open.deposit.clone()
    };
    assert_eq!(race.chain.purse(&balance), U256::from(ALLOWANCE));
}

#[test]
fn refuses_to_redeem_to_the_bank_itself() {
    let mut race = race(0);
    let mut r = race.cheque(SPENT, None);
    r.to = race.chain.bank.address();
    let winner = race.winner.address();
    let call = race.call(&r);
    let refusal = race.chain.send(winner, 0, &call).unwrap_err();
    assert!(matches!(refusal, Revert::InvalidRecipient(_)));
    let word = race.chain.purse(&race.open.deposit);
    assert_eq!(B256::from(word), race.open.id.0);
    race.assert_winner_is_paid();
}
