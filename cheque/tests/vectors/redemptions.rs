//! Checks redemptions.json: whole deposits with the bank's verdict on each redemption.

use crate::file::{Int, Place, deposit, vectors, word};
use alloy_primitives::{Address, B128, B256, Bytes, aliases::U40};
use cheque::{
    Amount, BankSnapshot, Deposit, DepositId, Outcome, Redemption, Seed, SeedSource, roll,
    seed_from_header, simulate_packed_redemption,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Redemptions {
    #[serde(flatten)]
    place: Place,
    draw_block: Int<u64>,
    block_hash: B256,
    seed: B256,
    header: Bytes,
    deposits: Vec<Drawn>,
    redemptions: Vec<Vector>,
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
    header: String,
    to: Address,
    consent: Bytes,
    packed: Bytes,
}

#[derive(Deserialize)]
struct Seeds {
    recorded: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    header: Bytes,
}

#[test]
fn simulates_every_outcome_and_payout() {
    let vectors: Redemptions = vectors!("redemptions");
    let seeds: Seeds = vectors!("seeds");
    assert!(!vectors.redemptions.is_empty());
    for v in vectors.redemptions {
        let drawn = &vectors.deposits[v.deposit.0];
        let state = BankSnapshot {
            bank: vectors.place.bank(),
            seed_source: SeedSource::PrevRandao,
            block: vectors.draw_block.0 + 1,
            purse: word(drawn.id.0),
            recorded_seed: None,
            draw_block_hash: Some(vectors.block_hash),
            caller: v.caller,
        };
        let header = match v.header.as_str() {
            "draw" => vectors.header.clone(),
            "other" => seeds.recorded[1].header.clone(),
            "none" => Bytes::new(),
            header => panic!("{}: unknown header {header}", v.name),
        };
        let redemption = Redemption {
            deposit: drawn.deposit.clone(),
            payee: v.payee,
            allowance: v.allowance.0,
            salt: v.salt,
            path: U40::from(v.path.0),
            spent: v.spent.0,
            signature: v.signature,
            to: v.to,
            siblings: v.siblings,
            anchor: v.anchor,
            step: v.step.0,
            k: v.k.0,
            x: v.x,
            header,
            consent: v.consent,
        };
        match Redemption::unpack(&v.packed) {
            Ok(sent) => {
                assert_eq!(sent, redemption, "{}", v.name);
                assert_eq!(redemption.pack().unwrap(), v.packed, "{}", v.name);
            }
            Err(_) => assert_eq!(v.outcome, "Malformed", "{}", v.name),
        }

        let (outcome, payout) = simulate_packed_redemption(&v.packed, &state);
        assert_eq!(format!("{outcome:?}"), v.outcome, "{}", v.name);
        assert_eq!(payout, v.payout, "{}", v.name);

        let recorded = BankSnapshot {
            recorded_seed: Some(Seed(vectors.seed)),
            draw_block_hash: None,
            ..state
        };
        let by_record = match outcome {
            // A recorded seed needs no header.
            Outcome::SeedUnknown | Outcome::BadHeader => Outcome::Payable,
            outcome => outcome,
        };
        assert_eq!(
            simulate_packed_redemption(&v.packed, &recorded).0,
            by_record,
            "{}",
            v.name
        );
    }
}

#[test]
fn rolls_every_deposit_from_the_header() {
    let vectors: Redemptions = vectors!("redemptions");
    let seed = seed_from_header(&vectors.header, vectors.block_hash).unwrap();
    assert_eq!(seed, Seed(vectors.seed));
    assert!(!vectors.deposits.is_empty());
    for v in vectors.deposits {
        assert_eq!(
            vectors.place.bank().deposit_id(&v.deposit),
            v.id,
            "{}",
            v.name
        );
        let amount = Amount::new(v.deposit.amount);
        assert_eq!(roll(seed, v.id, amount), v.roll, "{}", v.name);
    }
}
