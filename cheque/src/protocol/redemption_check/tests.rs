//! Outcomes and payouts computed by hand: the tree of SPEC section 15, drawn by round 1000 of quicknet. P4's range begins
//! at 0, its allowance is 300 of 1000, and the smallest payout 400. So its range is floor(2.5 * total) below a total of
//! 120, and 300 from there on, with a payout of floor(total * 1000 / 300).

use super::*;
use crate::protocol::{cheque::SignedCheque, signature::SigningKey, stream::Stream, terms::Purse};
use alloy_primitives::{B128, address, b128, b256};

const DRAW: u64 = 1_692_806_364;
const UNTIL: u64 = DRAW + 86_400;
const P4: Address = address!("1eff47bc3a10a45d4b230b5d10e37751fe6aa718");
const SALT: B128 = b128!("2bcbf98d94537f765896a06b5777b704");
const ID: B256 = b256!("e0e74ececcb26f292cc7e1ff22a073846f396e5a672902560105899adc49f6b4");
/// Selects the point 206.
const SEED: Seed = Seed(b256!(
    "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd"
));

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&B256::with_last_byte(number).0).unwrap()
}

fn bank() -> Bank {
    Bank::new(31_337, Address::repeat_byte(0xba))
}

fn siblings() -> Vec<u8> {
    let leaf_p5 = b256!("857e915a81530d4cbf6d72c7c39ef4b2d1cd818a2e616507435376b996b53a74");
    let leaf_p3 = b256!("b2b7d46a7f39e2b8b1044659fc6264391caf36b97f4d6d26ffa64d275cca59a9");
    let level = |hash: B256, sum: u128| [hash.as_slice(), &sum.to_be_bytes()].concat();
    [level(leaf_p5, 200), level(leaf_p3, 500)].concat()
}

/// A redemption of P4 with any amount and root, which are not sent.
fn redemption(spent: u128, stream: Option<(B256, Amount)>) -> Redemption {
    let id = DepositId(ID);
    let cheque = SignedCheque::sign(&key(2), &bank(), id, P4, Amount::new(spent), stream);
    Redemption {
        deposit: Deposit {
            payer: address!("7e5f4552091a69125d5dfcb7b8c2659029395bdf"),
            signer: address!("2b5ad5c4795c026514f8317c7a215e218dccd6cf"),
            token: Address::ZERO,
            lane: 1,
            amount: 7,
            minPayout: 400,
            drawTime: DRAW,
            redeemUntil: UNTIL,
            root: B256::ZERO,
        },
        payee: P4,
        allowance: 300,
        salt: SALT,
        siblings: siblings().into(),
        spent,
        anchor: cheque.anchor,
        step: cheque.step.get(),
        signature: cheque.signature.as_bytes().to_vec().into(),
        ..Redemption::default()
    }
}

fn snapshot() -> BankSnapshot {
    BankSnapshot {
        bank: bank(),
        time: DRAW + 1,
        purse: ID.into(),
        seed: Some(SEED),
        caller: P4,
    }
}

fn simulated(r: &Redemption, state: &BankSnapshot) -> (Outcome, u128) {
    let (outcome, payout) = simulate_redemption(r, state);
    let packed = simulate_packed_redemption(&r.pack().unwrap(), state);
    assert_eq!(packed, (outcome, payout));
    (outcome, payout.get())
}

fn outcome(change: impl FnOnce(&mut Redemption, &mut BankSnapshot)) -> Outcome {
    let (mut r, mut state) = (redemption(83, None), snapshot());
    change(&mut r, &mut state);
    simulated(&r, &state).0
}

#[test]
fn pays_by_totals_computed_by_hand() {
    for (total, expected) in [
        (1, (Outcome::Loses, 400)),
        (82, (Outcome::Loses, 400)),
        (83, (Outcome::Payable, 400)),
        (119, (Outcome::Payable, 400)),
        (120, (Outcome::Payable, 400)),
        (121, (Outcome::Payable, 403)),
        (299, (Outcome::Payable, 996)),
        (300, (Outcome::Payable, 1_000)),
    ] {
        let found = simulated(&redemption(total, None), &snapshot());
        assert_eq!(found, expected, "total {total}");
    }
}

#[test]
fn redeems_after_the_draw_until_the_end_of_the_window() {
    let at = |time| outcome(|_, state| state.time = time);
    for early in [0, DRAW - 1, DRAW] {
        assert_eq!(at(early), Outcome::TooEarly);
    }
    for in_time in [DRAW + 1, DRAW + 2, UNTIL - 1, UNTIL] {
        assert_eq!(at(in_time), Outcome::Payable);
    }
    for late in [UNTIL + 1, UNTIL + 2, u64::MAX] {
        assert_eq!(at(late), Outcome::TooLate);
    }
}

#[test]
fn makes_the_checks_in_the_order_of_the_bank() {
    // Every fault at once, repaired one by one.
    let stream = Stream::new(B256::repeat_byte(0x77), 10).unwrap();
    let mut r = redemption(0, None);
    r.k = 1;
    r.path = alloy_primitives::aliases::U40::from(4);
    let mut state = BankSnapshot {
        purse: Purse::Idle(Amount::new(1_000)).word(),
        time: DRAW,
        seed: None,
        caller: Address::ZERO,
        ..snapshot()
    };
    let check = |r: &Redemption, state: &BankSnapshot, expected| {
        assert_eq!(simulated(r, state).0, expected);
    };
    check(&r, &state, Outcome::BadProof);
    r.path = Default::default();
    check(&r, &state, Outcome::NotOpen);
    state.purse = ID.into();
    check(&r, &state, Outcome::TooEarly);
    state.time = UNTIL + 1;
    check(&r, &state, Outcome::TooLate);
    state.time = UNTIL;
    check(&r, &state, Outcome::BadStream);
    r.k = 0;
    check(&r, &state, Outcome::NothingSpent);
    r.spent = 301;
    check(&r, &state, Outcome::OverAllowance);
    r.spent = 300;
    check(&r, &state, Outcome::BadSignature);
    // A good signature over a stream, with a step that does not lead to its anchor.
    r = redemption(80, Some((stream.anchor(), Amount::new(1))));
    (r.k, r.x) = (2, stream.show(1).unwrap());
    check(&r, &state, Outcome::BadStream);
    r.x = stream.show(2).unwrap();
    check(&r, &state, Outcome::SeedUnknown);
    state.seed = Some(SEED);
    // 80 + 2 * 1 = 82
    check(&r, &state, Outcome::Loses);
    (r.k, r.x) = (3, stream.show(3).unwrap());
    check(&r, &state, Outcome::ConsentMissing);
    state.caller = P4;
    check(&r, &state, Outcome::Payable);
}

#[test]
fn pays_by_consent_to_exactly_the_total_and_recipient() {
    let (friend, relayer) = (Address::repeat_byte(5), Address::repeat_byte(6));
    let of = |payee, total, to, paid_to| {
        outcome(|r, state| {
            let digest = bank().consent_digest(DepositId(ID), payee, Amount::new(total), to);
            r.consent = key(4).sign(digest).as_bytes().to_vec().into();
            r.to = paid_to;
            state.caller = relayer;
        })
    };
    let by = |total, to, paid_to| of(P4, total, to, paid_to);
    assert_eq!(by(83, Address::ZERO, Address::ZERO), Outcome::Payable);
    assert_eq!(
        of(friend, 83, Address::ZERO, Address::ZERO),
        Outcome::ConsentMissing
    );
    assert_eq!(by(83, friend, friend), Outcome::Payable);
    assert_eq!(by(83, friend, relayer), Outcome::ConsentMissing);
    assert_eq!(
        by(82, Address::ZERO, Address::ZERO),
        Outcome::ConsentMissing
    );
}

#[test]
fn pays_a_whole_deposit_to_the_balance_for_anybody() {
    let anybody = |total, to| {
        let mut r = redemption(total, None);
        r.to = to;
        let state = BankSnapshot {
            caller: Address::repeat_byte(6),
            ..snapshot()
        };
        simulated(&r, &state)
    };
    assert_eq!(anybody(300, Address::ZERO), (Outcome::Payable, 1_000));
    assert_eq!(anybody(299, Address::ZERO), (Outcome::ConsentMissing, 996));
    let straight = anybody(300, Address::repeat_byte(6));
    assert_eq!(straight, (Outcome::ConsentMissing, 1_000));
}

#[test]
fn takes_a_proof_of_other_amounts_for_another_deposit() {
    assert_eq!(outcome(|r, _| r.salt = B128::ZERO), Outcome::NotOpen);
    assert_eq!(outcome(|r, _| r.allowance = 301), Outcome::NotOpen);
    assert_eq!(outcome(|r, _| r.deposit.minPayout = 399), Outcome::NotOpen);
    let sums = |r: &mut Redemption| {
        let mut siblings = siblings();
        siblings[47] += 1;
        r.siblings = siblings.into();
    };
    assert_eq!(outcome(|r, _| sums(r)), Outcome::NotOpen);
}

#[test]
fn judges_bytes_that_are_no_redemption() {
    let packed = redemption(83, None).pack().unwrap();
    for length in [0, 219, packed.len() - 1] {
        let found = simulate_packed_redemption(&packed[..length], &snapshot());
        assert_eq!(found, (Outcome::Malformed, Amount::ZERO));
    }
    let mut reserved = packed.to_vec();
    reserved[219] |= 0x80;
    let found = simulate_packed_redemption(&reserved, &snapshot());
    assert_eq!(found, (Outcome::Malformed, Amount::ZERO));
}
