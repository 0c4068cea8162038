//! Checks redemptions.json: whole deposits with the bank's verdict on each redemption.

use crate::{
    file::{Int, Place, deposit, vectors, word},
    seeds::seeds,
};
use alloy_primitives::{Address, B128, B256, Bytes, aliases::U40};
use cheque::{
    Amount, BankSnapshot, Deposit, DepositId, Outcome, Redemption, Seed, roll,
    simulate_packed_redemption,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Redemptions {
    #[serde(flatten)]
    place: Place,
    draw_time: Int<u64>,
    seed: B256,
    proofs: Proofs,
    deposits: Vec<Drawn>,
    redemptions: Vec<Vector>,
}

#[derive(Deserialize)]
struct Proofs {
    draw: Bytes,
}

#[derive(Deserialize)]
struct Drawn {
    name: String,
    #[serde(deserialize_with = "deposit")]
    deposit: Deposit,
    id: DepositId,
    roll: Amount,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    deposit: Int<usize>,
    time: Int<u64>,
    proof: String,
    outcome: String,
    payout: Amount,
    caller: Address,
    payee: Address,
    allowance: Int<u128>,
    salt: B128,
    path: Int<u64>,
    siblings: Bytes,
    spent: Int<u128>,
    anchor: B256,
    step: Int<u128>,
    signature: Bytes,
    k: Int<u16>,
    x: B256,
    to: Address,
    consent: Bytes,
    canonical: bool,
    packed: Bytes,
}

impl Vector {
    fn redemption(&self, deposit: &Deposit) -> Redemption {
        Redemption {
            deposit: deposit.clone(),
            payee: self.payee,
            allowance: self.allowance.0,
            salt: self.salt,
            path: U40::from(self.path.0),
            spent: self.spent.0,
            signature: self.signature.clone(),
            to: self.to,
            siblings: self.siblings.clone(),
            anchor: self.anchor,
            step: self.step.0,
            k: self.k.0,
            x: self.x,
            consent: self.consent.clone(),
        }
    }
}

fn redemptions() -> Redemptions {
    vectors!("redemptions")
}

#[test]
fn packs_redemptions_in_the_shortest_form() {
    let vectors = redemptions();
    let canonical = || vectors.redemptions.iter().filter(|v| v.canonical);
    assert!(canonical().count() > 60);
    for v in canonical() {
        let redemption = v.redemption(&vectors.deposits[v.deposit.0].deposit);
        assert_eq!(redemption.pack().unwrap(), v.packed, "{}", v.name);
    }
}

#[test]
fn unpacks_what_is_neither_malformed_nor_without_a_root() {
    let vectors = redemptions();
    for v in &vectors.redemptions {
        let Ok(sent) = Redemption::unpack(&v.packed) else {
            let outcome = v.outcome.as_str();
            // The bank as recipient is refused before the proof is walked.
            let is_refused = ["Malformed", "BadProof", "InvalidRecipient"].contains(&outcome);
            assert!(is_refused, "{} is {outcome}", v.name);
            continue;
        };
        assert_ne!(v.outcome, "Malformed", "{}", v.name);
        assert_ne!(v.outcome, "BadProof", "{}", v.name);
        // The packed form of the same fields has no more bytes, and the same meaning.
        let packed = sent.pack().unwrap();
        assert!(packed.len() <= v.packed.len(), "{}", v.name);
        assert_eq!(Redemption::unpack(&packed), Ok(sent.clone()), "{}", v.name);
        if v.canonical {
            let deposit = &vectors.deposits[v.deposit.0].deposit;
            // The proof says which amount and root.
            let expected = Redemption {
                deposit: Deposit {
                    amount: sent.deposit.amount,
                    root: sent.deposit.root,
                    ..deposit.clone()
                },
                ..v.redemption(deposit)
            };
            assert_eq!(sent, expected, "{}", v.name);
            let is_open =
                (sent.deposit.amount, sent.deposit.root) == (deposit.amount, deposit.root);
            assert_eq!(is_open, v.outcome != "NotOpen", "{}", v.name);
        }
    }
}

#[test]
fn simulates_every_outcome_and_payout() {
    let vectors = redemptions();
    assert!(vectors.redemptions.len() > 100);
    for v in &vectors.redemptions {
        // The bank reverts for its own address and for a false proof. The library verifies proofs before.
        if v.outcome.starts_with("Invalid") {
            continue;
        }
        let state = BankSnapshot {
            bank: vectors.place.bank(),
            time: v.time.0,
            purse: word(vectors.deposits[v.deposit.0].id.0),
            seed: (v.proof == "draw").then_some(Seed(vectors.seed)),
            caller: v.caller,
        };
        let (outcome, payout) = simulate_packed_redemption(&v.packed, &state);
        assert_eq!(format!("{outcome:?}"), v.outcome, "{}", v.name);
        assert_eq!(payout, v.payout, "{}", v.name);

        let recorded = BankSnapshot {
            seed: Some(Seed(vectors.seed)),
            ..state
        };
        let by_record = simulate_packed_redemption(&v.packed, &recorded).0;
        if outcome == Outcome::SeedUnknown {
            assert!(
                matches!(by_record, Outcome::Payable | Outcome::Loses),
                "{}",
                v.name
            );
        } else {
            assert_eq!(by_record, outcome, "{}", v.name);
        }
    }
}

#[test]
fn rolls_every_deposit_from_a_round_of_quicknet() {
    let vectors = redemptions();
    let beacon = seeds().beacons[0].beacon();
    let round = beacon.round_at(vectors.draw_time.0).unwrap();
    // Compressed: x, and the larger y of this round in the flags.
    let mut signature = vectors.proofs.draw[..48].to_vec();
    signature[0] |= 0xa0;
    let verified = beacon.verify(round, &signature).unwrap();
    assert_eq!(verified.seed(), Seed(vectors.seed));
    assert_eq!(verified.proof().as_bytes()[..], vectors.proofs.draw[..]);
    assert!(!vectors.deposits.is_empty());
    for v in vectors.deposits {
        let bank = vectors.place.bank();
        assert_eq!(bank.deposit_id(&v.deposit), v.id, "{}", v.name);
        let amount = Amount::new(v.deposit.amount);
        assert_eq!(roll(Seed(vectors.seed), v.id, amount), v.roll, "{}", v.name);
    }
}
