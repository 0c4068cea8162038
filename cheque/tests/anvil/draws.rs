//! After the draw: redeeming, reclaiming, races for a win.

use crate::fixtures::{
    Fixture, HOUR, memory, not_payable, open_deposit, pay, pay_and_draw, poll, state,
};
use crate::node::{World, coins};
use crate::over;
use crate::settle::settle;
use alloy_primitives::{Address, Bytes, U256};
use cheque::{Outcome, PackError};
use cheque::{
    bank::{RedeemError, redeem, redeem_batch},
    payee::RedeemOptions,
    payer::{DepositEvent, DepositState, PayerError},
    tx::{Call, OutboxError},
};
use cheque_bindings::IChequeBank::IChequeBankErrors;
use std::time::Duration;

#[tokio::test]
async fn follows_deposit_from_pending_to_redeemed() {
    // The payout, the refusals and the bank's coin account for all the money.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (_, payees) = fixture.actors();
    let reader = over::final_after_64_seconds(world);
    let payer = over::payer(world, &reader, &fixture.payer, fixture.store.clone());
    let mut events = payer.subscribe_deposit_events();

    let opened = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
    let id = opened.id;
    assert_eq!(
        payer.deposit(id).await.unwrap().state,
        DepositState::Pending
    );
    assert_eq!(opened.deposit.amount, coins(600).get());
    assert_eq!(
        world.coin(world.reader.bank().address()).await,
        U256::from(coins(600).get())
    );
    poll(&payer).await;
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    assert_eq!(
        payout.get(),
        opened.deposit.amount,
        "the payout is less than the deposit"
    );

    let states = [
        DepositState::Active,
        DepositState::PastCutoff,
        DepositState::Drawn {
            winner: Some(payees[winner].policy().payee),
        },
    ];
    poll(&payer).await;
    for state in states {
        let event = events.try_recv().unwrap();
        assert_eq!((event.id, event.state), (id, state));
    }

    for (index, payee) in payees.iter().enumerate() {
        if index != winner {
            let refused = payee.redeem(id, &RedeemOptions::default()).await;
            assert_eq!(not_payable(refused), Outcome::Loses);
        }
    }
    let redeemed = settle(&payees[winner]).await.unwrap();
    let [(of, Ok(redeemed))] = &redeemed[..] else {
        panic!("not one win: {redeemed:?}");
    };
    assert_eq!((*of, redeemed.payout), (id, payout));
    let winner = payees[winner].policy().payee;
    assert_eq!(world.balance(winner).await, payout.to_u256());
    assert!(
        settle(&payees[0]).await.unwrap().is_empty(),
        "a loser has redeemed"
    );
    assert_eq!(
        state(&payer, id).await,
        DepositState::Redeemed {
            payee: winner,
            payout
        }
    );
    assert!(!payer.deposit(id).await.unwrap().settled);
    world.node.mine(63).await;
    poll(&payer).await;
    assert!(!payer.deposit(id).await.unwrap().settled);
    world.node.mine(1).await;
    assert!(poll(&payer).await.is_empty());
    assert!(payer.deposit(id).await.unwrap().settled);
    let before = DepositState::Drawn {
        winner: Some(winner),
    };
    let last: DepositEvent = events.try_recv().unwrap();
    assert_eq!((last.id, last.before), (id, before));
}

/// True if the call brings the proof of a draw's seed.
fn proves(call: &Call, world: &World, draw_time: u64) -> bool {
    let round = world.beacon.round(draw_time);
    let proof = round.proof().as_bytes();
    call.input.windows(proof.len()).any(|part| part == proof)
}

#[tokio::test]
async fn redeems_with_proof_hours_after_draw() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    let draw = opened.deposit.drawTime;
    world.mine_at(draw + 20 * HOUR).await;

    // Pays to an account without coin, outside the bank.
    let to = Address::repeat_byte(0x77);
    let options = RedeemOptions { to, consent: None };
    let planned = payees[winner].plan_redeem(opened.id, &options).await;
    assert!(proves(&planned.unwrap().call, world, draw));
    let redeemed = payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!(redeemed.payout, payout);
    assert_eq!(world.coin(to).await, payout.to_u256());
    assert_eq!(world.reader.recorded_seed(draw).await.unwrap(), None);
    let again = payees[winner].redeem(opened.id, &options).await;
    assert_eq!(not_payable(again), Outcome::NotOpen);
}

#[tokio::test]
async fn redeems_with_recorded_seed_in_last_second() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let mut request = fixture.request(HOUR);
    request.redeem_window = Some(300);
    let opened = open_deposit(world, &payer, &request).await;
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    let (draw, last) = (opened.deposit.drawTime, opened.deposit.redeemUntil);
    assert!(payees[0].record_seed(draw).await.unwrap().is_some());
    assert!(
        payees[1].record_seed(draw).await.unwrap().is_none(),
        "the seed was recorded twice"
    );

    world.mine_at(last - 1).await;
    let options = RedeemOptions::default();
    let planned = payees[winner].plan_redeem(opened.id, &options).await;
    assert!(!proves(&planned.unwrap().call, world, draw));
    let redeemed = payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!((redeemed.payout, world.now().await), (payout, last));
}

#[tokio::test]
async fn reclaims_only_after_last_time_to_redeem() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let mut request = fixture.request(HOUR);
    request.redeem_window = Some(20);
    let opened = open_deposit(world, &payer, &request).await;
    let (id, last) = (opened.id, opened.deposit.redeemUntil);
    pay(&payer, &payees[0], id, coins(5)).await;

    world.mine_at(last - 1).await;
    let early = payer.reclaim(id).await.unwrap_err();
    let refusal = match &early {
        PayerError::Outbox(OutboxError::Tx(error)) => {
            error.revert().and_then(|revert| revert.bank_error())
        }
        _ => None,
    };
    assert!(
        matches!(refusal, Some(IChequeBankErrors::StillRedeemable(_))),
        "{early}"
    );
    assert!(early.to_string().contains("reclaimed only after it"));

    world.advance(1).await;
    assert!(matches!(
        state(&payer, id).await,
        DepositState::Drawn { .. }
    ));
    world.advance(1).await;
    assert_eq!(state(&payer, id).await, DepositState::Reclaimable);
    payer.reclaim(id).await.unwrap();
    assert_eq!(state(&payer, id).await, DepositState::Reclaimed);
    let outcome = payees[0].outcome(id).await.unwrap().0;
    assert_eq!(outcome, Outcome::NotOpen);

    // The purse's idle money pays for the next deposit.
    let coin = world.coin(fixture.payer.address).await;
    let next = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
    assert_eq!(next.deposit.lane, opened.deposit.lane);
    assert_eq!(world.coin(fixture.payer.address).await, coin - next.tx.fee);
}

#[tokio::test]
async fn reclaims_and_reopens_in_one_transaction() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let mut request = fixture.request(HOUR);
    request.redeem_window = Some(20);
    let first = open_deposit(world, &payer, &request).await;
    world.mine_at(first.deposit.redeemUntil + 1).await;
    assert_eq!(state(&payer, first.id).await, DepositState::Reclaimable);

    let coin = world.coin(fixture.payer.address).await;
    let second = payer
        .reopen(first.id, &fixture.request(HOUR))
        .await
        .unwrap();
    assert_eq!(second.deposit.lane, first.deposit.lane);
    assert_eq!(
        world.coin(fixture.payer.address).await,
        coin - second.tx.fee
    );
    assert_eq!(state(&payer, first.id).await, DepositState::Reclaimed);
    assert_eq!(state(&payer, second.id).await, DepositState::Active);
    pay(&payer, &payees[1], second.id, coins(5)).await;
}

#[tokio::test]
async fn refuses_older_cheque_of_racing_payer() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let mut older = Vec::new();
    for payee in &payees {
        pay(&payer, payee, opened.id, coins(50)).await;
        older.push(payee.position(opened.id).await.unwrap().unwrap());
    }
    // Less than all, because a payout of the whole deposit takes no consent: no better cheque can exist.
    let second = payer.allowances_left(opened.id).await.unwrap();
    for payee in &payees {
        let left = second[&payee.policy().payee];
        let all_but_one = left.checked_sub(coins(1)).unwrap();
        pay(&payer, payee, opened.id, all_but_one).await;
    }
    world.mine_at(opened.deposit.drawTime + 1).await;
    let mut wins = 0;
    for (index, payee) in payees.iter().enumerate() {
        if payee.outcome(opened.id).await.unwrap().0 != Outcome::Payable {
            continue;
        }
        wins += 1;
        let round = world.beacon.round(opened.deposit.drawTime);
        let (reader, racer) = (&world.reader, &fixture.payer.wallet);
        // An older cheque without consent, then with the consent for the newest total; the newest cheque without
        // consent.
        let to = Address::ZERO;
        let key = &fixture.payees[index].key;
        let newest = payee.sign_consent(opened.id, to, key).await.unwrap();
        for consent in [Bytes::new(), newest.clone()] {
            let race = older[index].redemption(to, consent);
            let refused = redeem(reader, racer, &race, Some(&round)).await;
            assert_eq!(not_payable(refused), Outcome::ConsentMissing);
        }
        let race = payee.redemption(opened.id, to, Bytes::new()).await.unwrap();
        let refused = redeem(reader, racer, &race, Some(&round)).await;
        assert_eq!(not_payable(refused), Outcome::ConsentMissing);

        // With the payee's consent any account may send the redemption, and the payee is paid.
        let relayed = payee.redemption(opened.id, to, newest).await.unwrap();
        let redeemed = redeem(reader, racer, &relayed, Some(&round)).await.unwrap();
        assert_eq!(
            world.balance(payee.policy().payee).await,
            redeemed.payout.to_u256()
        );
        assert_eq!(world.balance(fixture.payer.address).await, U256::ZERO);
    }
    assert_eq!(wins, 1);
}

#[tokio::test]
async fn redeems_through_relayer_for_payee_without_coin() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    let relayer = world.account(99).await;
    let to = Address::repeat_byte(0x55);
    let options = RedeemOptions { to, consent: None };
    // The same store with another wallet.
    let relayed = payees[winner].clone().with_wallet(relayer.wallet);
    let refused = relayed.redeem(opened.id, &options).await;
    assert_eq!(not_payable(refused), Outcome::ConsentMissing);
    let relayed = relayed.with_key(fixture.payees[winner].key.clone());
    let redeemed = relayed.redeem(opened.id, &options).await.unwrap();
    assert_eq!(redeemed.payout, payout);
    assert_eq!(world.coin(to).await, payout.to_u256());
}

#[tokio::test]
async fn pays_winner_of_batch_and_reports_the_rest() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    let mut redemptions = Vec::new();
    for payee in &payees {
        let redemption = payee
            .redemption(opened.id, Address::ZERO, Bytes::new())
            .await;
        redemptions.push(redemption.unwrap());
    }
    // Everything was spent, so the payout is the whole deposit and takes no consent.
    let wallet = &fixture.payer.wallet;
    let signature = redemptions[2].signature.clone();
    redemptions[2].signature.truncate(64);
    let rounds = [world.beacon.round(opened.deposit.drawTime)];
    let unpackable = redeem_batch(&world.reader, wallet, &redemptions, &rounds).await;
    let RedeemError::Unpackable { id, payee, source } = unpackable.unwrap_err() else {
        panic!("a cheque with a truncated signature is sent");
    };
    assert_eq!((id, payee), (opened.id, redemptions[2].payee));
    assert_eq!(source, PackError::SignatureLength(64));
    redemptions[2].signature = signature;
    let batch = redeem_batch(&world.reader, wallet, &redemptions, &rounds)
        .await
        .unwrap();
    let winner = payees[winner].policy().payee;
    assert_eq!(batch.paid, [(opened.id, winner, payout)]);
    assert_eq!(batch.skipped.len(), 2);
    for (id, payee, outcome) in batch.skipped {
        assert_eq!(id, opened.id);
        assert_ne!(payee, winner);
        // After the winner's entry the deposit is no longer open.
        assert!(
            matches!(outcome, Outcome::Loses | Outcome::NotOpen),
            "{outcome:?}"
        );
    }
    assert_eq!(world.balance(winner).await, payout.to_u256());
}

#[tokio::test]
async fn signs_no_consent_before_draw_time() {
    // A payment accepted by a view from before the cutoff may be stored after the cutoff, so an earlier consent would
    // be for an outdated total.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let (account, key) = (&fixture.payees[0], &fixture.payees[0].key);
    let mut profile = *world.reader.profile();
    // A snapshot lives for two polls: for the whole test.
    profile.poll = Duration::from_secs(3_600);
    let reader = world.reader.clone().with_profile(profile);
    let payee = over::payee(world, &reader, account, memory());
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let draw = opened.deposit.drawTime;
    pay(&payer, &payee, opened.id, coins(5)).await;
    let late = payer
        .write_cheque(opened.id, account.address, coins(1))
        .await;
    let late = late.unwrap().proof;
    let cutoff = draw - payee.policy().cutoff;
    world.mine_at(cutoff - 1).await;
    payee.poll().await.unwrap();
    // The payee hears neither of a block nor of a round.
    world.beacon.stop();

    let sign = || payee.sign_consent(opened.id, Address::ZERO, key);
    for time in [cutoff, draw - 1] {
        world.node.mine_at(time).await;
        let early = sign().await.unwrap_err();
        assert!(
            matches!(early, RedeemError::ConsentTooEarly { now, safe_from }
                if (now, safe_from) == (time, draw)),
            "{early}"
        );
    }
    let taken = payee.receive_payment(None, &late).await.unwrap();
    world.node.mine(1).await;
    let consent = sign().await.unwrap();
    let bank = world.reader.bank();
    let digest = bank.consent_digest(opened.id, key.address(), taken.total, Address::ZERO);
    assert_eq!(consent[..], key.sign(digest).as_bytes()[..]);
}
