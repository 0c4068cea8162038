//! Compares core and contract at the edges of the redemption window, to the second.

use crate::{
    evm::{Evm, Revert, reclaimCall, recordSeedCall},
    random::rng,
    support::comparison::{Sent, assert_batch_matches, assert_redeem_matches, judge_both},
    support::generate::{self, OpenDeposit, Payees},
};
use alloy_primitives::{Address, Bytes};
use cheque::{Amount, Outcome, Redemption, roll};

/// A year, in seconds.
const YEAR: u64 = 31_536_000;

/// Opens a deposit with a window of `window` seconds, and returns a winning redemption and the proof of its seed.
fn winning_deposit(seed: u64, window: u64) -> (Evm, OpenDeposit, Redemption, Bytes) {
    let rng = &mut rng(seed);
    let mut chain = Evm::new(1);
    let payees = Payees::new(rng, 20);
    let open = generate::open(&mut chain, rng, &payees, 20, window);
    let round = chain.round(open.deposit.drawTime);
    let point = roll(round.seed(), open.id, Amount::new(open.deposit.amount));
    let winner = open.tree.payee_at(point).unwrap();
    let allowance = open.tree.allowance(winner).unwrap();
    let r = open.redemption(&chain, winner, allowance.get(), None);
    let proof = open.proof(&chain);
    (chain, open, r, proof)
}

/// Asserts the outcome by core and contract, and that the contract acts on it, alone and in a batch.
fn assert_outcome(chain: &mut Evm, r: &Redemption, proof: &Bytes, expected: Outcome) {
    let state = chain.state(&r.deposit, r.payee, proof);
    let packed = generate::packed(r);
    let sent = Sent {
        packed: &packed,
        proof,
        state: &state,
    };
    let judgement = judge_both(chain, sent);
    assert_eq!(judgement.0, expected, "at {}", chain.time());
    assert_redeem_matches(chain, sent, judgement);
    assert_batch_matches(chain, sent, judgement);
}

fn record_seed(chain: &mut Evm, open: &OpenDeposit, proof: &Bytes) -> Result<(), Revert> {
    let record = recordSeedCall {
        drawTime: open.deposit.drawTime,
        proof: proof.clone(),
    };
    chain.send(Address::ZERO, 0, &record).map(|_| ())
}

/// Asserts that anybody can take the deposit back for its payer, or that nobody can.
fn assert_reclaimable(chain: &mut Evm, open: &OpenDeposit, expected: bool) {
    let deposit = open.deposit.clone();
    let last = deposit.redeemUntil;
    let reclaimed = chain.attempt(Address::ZERO, 0, &reclaimCall { deposit });
    chain.forget();
    match reclaimed.map(|_| ()) {
        Ok(()) => assert!(expected, "reclaimed at {}", chain.time()),
        Err(Revert::StillRedeemable(error)) if !expected => assert_eq!(error.redeemUntil, last),
        other => panic!("{other:?}"),
    }
}

#[test]
fn redeems_after_the_draw_time_until_redeem_until() {
    for (seed, window) in [(20, 2), (21, 86_400), (22, YEAR)] {
        for is_recorded in [false, true] {
            let (mut chain, open, r, proof) = winning_deposit(seed, window);
            let (draw, last) = (open.deposit.drawTime, open.deposit.redeemUntil);
            let proof = if is_recorded {
                assert!(record_seed(&mut chain, &open, &proof).is_ok());
                Bytes::new()
            } else {
                proof
            };
            for (time, outcome) in [
                (draw - 1, Outcome::TooEarly),
                (draw, Outcome::TooEarly),
                (draw + 1, Outcome::Payable),
                (last - 1, Outcome::Payable),
                (last, Outcome::Payable),
                (last + 1, Outcome::TooLate),
                (last + YEAR, Outcome::TooLate),
            ] {
                // With a window of two seconds, the first second after the draw is the last but one.
                if time > chain.time() {
                    chain.mine_at(time);
                }
                assert_outcome(&mut chain, &r, &proof, outcome);
                assert_reclaimable(&mut chain, &open, outcome == Outcome::TooLate);
            }
        }
    }
}

#[test]
fn redeems_in_the_only_second_of_the_shortest_window() {
    let (mut chain, open, r, proof) = winning_deposit(23, 1);
    for (time, outcome) in [
        (0, Outcome::TooEarly),
        (1, Outcome::Payable),
        (2, Outcome::TooLate),
    ] {
        chain.mine_at(open.deposit.drawTime + time);
        assert_outcome(&mut chain, &r, &proof, outcome);
    }
}

#[test]
fn records_a_seed_at_any_time_once_and_for_ever() {
    let (mut chain, open, r, proof) = winning_deposit(24, YEAR);
    let none = Bytes::new();
    assert!(record_seed(&mut chain, &open, &none).is_err());
    // The chain's clock does not matter: a valid signature shows that the time has come.
    assert!(chain.time() < open.deposit.drawTime);
    assert!(record_seed(&mut chain, &open, &proof).is_ok());
    let seed = chain.recorded(open.deposit.drawTime);
    assert_eq!(seed, chain.round(open.deposit.drawTime).seed().0);
    chain.mine_at(open.deposit.redeemUntil);
    assert_outcome(&mut chain, &r, &none, Outcome::Payable);
    // Recording again changes nothing and needs no proof.
    for proof in [none, Bytes::from_static(b"no proof"), proof] {
        assert!(record_seed(&mut chain, &open, &proof).is_ok());
        assert_eq!(chain.recorded(open.deposit.drawTime), seed);
    }
}

#[test]
fn pays_nothing_without_the_seed_or_with_a_false_proof() {
    let (mut chain, open, r, proof) = winning_deposit(25, 100);
    chain.mine_at(open.deposit.drawTime + 1);
    assert_outcome(&mut chain, &r, &Bytes::new(), Outcome::SeedUnknown);
    let other = chain.proof(chain.draw_in(1_000));
    assert_outcome(&mut chain, &r, &other, Outcome::SeedUnknown);
    assert_outcome(&mut chain, &r, &proof, Outcome::Payable);
}
