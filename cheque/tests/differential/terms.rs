//! Compares the terms refused by core and contract.

use crate::{
    evm::{Evm, GENESIS, PERIOD, Revert, START, openCall},
    random::{TestRng, account, cases, pick, rng, word},
};
use alloy_primitives::{Address, U256};
use cheque::{Deposit, LocalBeacon, ScheduleError, TermsError, check_terms};
use cheque_bindings::IDrandBankErrors;
use rand::Rng;

const MIN_LEAD: u64 = 2_400;

/// Returns the core's error for a revert of `open` about the terms, or `None` for other reverts.
fn of_terms(revert: &Revert) -> Option<fn(&TermsError) -> bool> {
    Some(match revert {
        Revert::ZeroAmount(_) => |error| matches!(error, TermsError::ZeroAmount),
        Revert::ZeroSigner(_) => |error| matches!(error, TermsError::ZeroSigner),
        Revert::ZeroLane(_) => |error| matches!(error, TermsError::ZeroLane),
        Revert::MinPayoutTooHigh(_) => |error| matches!(error, TermsError::MinPayoutTooHigh { .. }),
        Revert::RedeemWindowEmpty(_) => {
            |error| matches!(error, TermsError::RedeemWindowEmpty { .. })
        }
        _ => return None,
    })
}

#[test]
fn refuses_the_same_terms_as_the_contract() {
    let rng = &mut rng(50);
    let mut chain = Evm::new(MIN_LEAD);
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..cases(2_000) {
        let earliest = chain.draw_in(MIN_LEAD);
        let last = u64::MAX - (u64::MAX - GENESIS) % PERIOD;
        let amount = *pick(&[1, u128::MAX, rng.random_range(1..=u128::MAX)], rng);
        let draw_time = *pick(&[earliest, earliest + PERIOD, last - PERIOD], rng);
        let mut deposit = Deposit {
            payer: account(rng),
            signer: account(rng),
            token: Address::ZERO,
            lane: *pick(&[1, 2, u64::MAX], rng),
            amount,
            minPayout: *pick(&[0, 1, amount], rng),
            drawTime: draw_time,
            redeemUntil: *pick(&[draw_time + 1, u64::MAX], rng),
            root: word(rng),
        };
        let mistakes = *pick(&[0, 1, 1, 2], rng);
        for _ in 0..mistakes {
            match rng.random_range(0..6) {
                0 => deposit.amount = 0,
                1 => deposit.signer = Address::ZERO,
                2 => deposit.lane = 0,
                3 => deposit.minPayout = deposit.amount.saturating_add(1),
                4 => deposit.redeemUntil = deposit.drawTime,
                _ => deposit.redeemUntil = rng.random_range(0..=deposit.drawTime),
            }
        }
        let ours = check_terms(&deposit);
        let call = openCall {
            deposit: deposit.clone(),
        };
        let contracts = chain.send(deposit.payer, deposit.amount, &call);
        match (ours, contracts) {
            (Ok(()), Ok(id)) => {
                assert_eq!(id, chain.bank.deposit_id(&deposit).0);
                opened += 1;
            }
            (Err(error), Err(revert)) => {
                let same = of_terms(&revert).expect("a mistake in the terms");
                // Of two mistakes each side names the first by its own order of checks.
                assert!(mistakes > 1 || same(&error), "{error} and {revert:?}");
                refused += 1;
            }
            (ours, contracts) => panic!("core: {ours:?}, contract: {contracts:?}, {deposit:?}"),
        }
    }
    assert!(
        opened > 100 && refused > 100,
        "{opened} opened, {refused} refused"
    );
}

/// Terms that only a bank with its clock and its beacon can refuse.
fn deposit_at(rng: &mut TestRng, draw_time: u64) -> Deposit {
    let deposit = Deposit {
        payer: account(rng),
        signer: account(rng),
        token: Address::ZERO,
        lane: 1,
        amount: 10,
        minPayout: 10,
        drawTime: draw_time,
        redeemUntil: u64::MAX,
        root: word(rng),
    };
    assert_eq!(check_terms(&deposit), Ok(()));
    deposit
}

#[test]
fn opens_from_exactly_the_least_lead_before_the_draw() {
    let rng = &mut rng(51);
    let mut chain = Evm::new(MIN_LEAD);
    let draw_time = chain.draw_in(MIN_LEAD + 60);
    let refused = |chain: &mut Evm, deposit: Deposit| {
        let (payer, amount) = (deposit.payer, deposit.amount);
        chain.send(payer, amount, &openCall { deposit }).err()
    };
    for (lead, opens) in [
        (MIN_LEAD + 1, true),
        (MIN_LEAD, true),
        (MIN_LEAD - 1, false),
    ] {
        chain.mine_at(draw_time - lead);
        match refused(&mut chain, deposit_at(rng, draw_time)) {
            None => assert!(opens, "opened {lead} s before the draw"),
            Some(Revert::DrawTooSoon(error)) if !opens => {
                assert_eq!(error.drawTime, draw_time);
                assert_eq!(error.earliest, U256::from(draw_time + 1));
            }
            other => panic!("{lead} s before the draw: {other:?}"),
        }
    }
    for draw_time in [GENESIS, chain.time() - chain.time() % PERIOD, draw_time] {
        let early = refused(&mut chain, deposit_at(rng, draw_time));
        assert!(matches!(early, Some(Revert::DrawTooSoon(_))), "{early:?}");
    }
}

#[test]
fn takes_the_same_draw_times_as_the_core() {
    let rng = &mut rng(52);
    let mut chain = Evm::new(1);
    let near = chain.draw_in(MIN_LEAD);
    let mut on_schedule = 0;
    for draw_time in (near..near + 3 * PERIOD).chain(u64::MAX - 2 * PERIOD..u64::MAX) {
        let deposit = deposit_at(rng, draw_time);
        let (payer, call) = (deposit.payer, openCall { deposit });
        match chain.beacon.round_at(draw_time) {
            Ok(_) => {
                chain.send(payer, 10, &call).unwrap();
                on_schedule += 1;
            }
            Err(ScheduleError::OffSchedule { time, .. }) => {
                let refusal = chain.refused_by_beacon(payer, 10, &call);
                let IDrandBankErrors::DrawOffSchedule(error) = refusal else {
                    panic!("{refusal:?}");
                };
                assert_eq!(error.drawTime, time);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(on_schedule, 3 + 2);
}

#[test]
fn takes_no_draw_before_the_beacons_first_round() {
    let rng = &mut rng(53);
    let genesis = START + 1_000;
    let local = LocalBeacon::new(&[5; 32], genesis, PERIOD).unwrap();
    let mut chain = Evm::drawing_from(local.beacon().clone(), 1);
    for (draw_time, opens) in [
        (genesis - PERIOD, false),
        (genesis - 1, false),
        (genesis, true),
    ] {
        let deposit = deposit_at(rng, draw_time);
        let (payer, call) = (deposit.payer, openCall { deposit });
        assert_eq!(chain.beacon.round_at(draw_time).is_ok(), opens);
        if opens {
            chain.send(payer, 10, &call).unwrap();
            continue;
        }
        let refusal = chain.refused_by_beacon(payer, 10, &call);
        let IDrandBankErrors::DrawBeforeGenesis(error) = refusal else {
            panic!("{refusal:?}");
        };
        assert_eq!((error.drawTime, error.genesis), (draw_time, genesis));
    }
}
