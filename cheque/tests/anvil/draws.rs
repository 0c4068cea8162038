//! What happens after the draw.

use crate::cast::{Cast, memory, not_payable, opened, pay, play, poll, request, state};
use crate::node::{World, coins};
use alloy_primitives::{Address, Bytes, U256};
use cheque::{Outcome, PackError, SeedSource};
use cheque::{
    bank::{RedeemError, redeem, redeem_batch},
    payee::{Payee, RedeemOptions},
    payer::{DepositEvent, DepositState, PayerError},
    tx::OutboxError,
};
use cheque_bindings::IChequeBank::IChequeBankErrors;

#[tokio::test]
async fn a_deposit_lives_from_pending_to_redeemed_and_money_is_conserved() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let mut events = payer.subscribe_deposit_events();

    let opened = payer.create_deposit(&cast.request(60)).await.unwrap();
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
    let (winner, payout) = play(world, &payer, &payees, &opened).await;
    assert_eq!(
        payout.get(),
        opened.deposit.amount,
        "everything was spent, so all is won"
    );

    let states = [
        DepositState::Active,
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
    let redeemed = payees[winner].settle().await.unwrap();
    let [(of, Ok(redeemed))] = &redeemed[..] else {
        panic!("one win: {redeemed:?}");
    };
    assert_eq!((*of, redeemed.payout), (id, payout));
    let winner = payees[winner].policy().payee;
    assert_eq!(world.balance(winner).await, payout.to_u256());
    assert!(
        payees[0].settle().await.unwrap().is_empty(),
        "nothing is left to win"
    );
    assert_eq!(
        state(&payer, id).await,
        DepositState::Redeemed {
            payee: winner,
            payout
        }
    );
    assert!(!payer.deposit(id).await.unwrap().settled);
    world.node.mine(world.reader.profile().final_depth).await;
    assert!(poll(&payer).await.is_empty());
    assert!(payer.deposit(id).await.unwrap().settled);
    let before = DepositState::Drawn {
        winner: Some(winner),
    };
    let last: DepositEvent = events.try_recv().unwrap();
    assert_eq!((last.id, last.before), (id, before));
}

#[tokio::test]
async fn a_win_is_redeemed_300_blocks_after_the_draw_with_the_header_in_the_call() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let opened = opened(world, &payer, &cast.request(60)).await;
    let (winner, payout) = play(world, &payer, &payees, &opened).await;
    world.node.mine_to(opened.deposit.drawBlock + 300).await;

    let none = Bytes::new();
    let redemption = payees[winner]
        .redemption(opened.id, Address::ZERO, none)
        .await
        .unwrap();
    assert!(!redemption.header.is_empty());
    // Straight out, to somebody who has nothing yet.
    let to = Address::repeat_byte(0x77);
    let options = RedeemOptions { to, consent: None };
    let redeemed = payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!(redeemed.payout, payout);
    assert_eq!(world.coin(to).await, payout.to_u256());
    let again = payees[winner].redeem(opened.id, &options).await;
    assert_eq!(not_payable(again), Outcome::NotOpen);
}

#[tokio::test]
async fn with_a_recorded_seed_a_win_is_redeemed_in_the_very_last_block() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let mut request = cast.request(60);
    request.redeem_window = Some(300);
    let opened = opened(world, &payer, &request).await;
    let (winner, payout) = play(world, &payer, &payees, &opened).await;
    let (draw, last) = (opened.deposit.drawBlock, opened.deposit.lastRedeemBlock);
    assert!(payees[0].record_seed(draw).await.unwrap().is_some());
    assert!(
        payees[1].record_seed(draw).await.unwrap().is_none(),
        "it is recorded"
    );

    world.node.mine_to(last - 1).await;
    let redemption = payees[winner].redemption(opened.id, Address::ZERO, Bytes::new());
    assert!(redemption.await.unwrap().header.is_empty());
    let options = RedeemOptions::default();
    let redeemed = payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!((redeemed.payout, redeemed.sent.block), (payout, last));
}

#[tokio::test]
async fn what_nobody_redeems_is_reclaimed_only_after_the_last_block() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let mut request = cast.request(60);
    request.redeem_window = Some(20);
    let opened = opened(world, &payer, &request).await;
    let (id, last) = (opened.id, opened.deposit.lastRedeemBlock);
    pay(&payer, &payees[0], id, coins(5)).await;

    world.node.mine_to(last - 1).await;
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

    world.node.mine(1).await;
    assert_eq!(state(&payer, id).await, DepositState::Reclaimable);
    payer.reclaim(id).await.unwrap();
    assert_eq!(state(&payer, id).await, DepositState::Reclaimed);
    let outcome = payees[0].outcome(id).await.unwrap().0;
    assert_eq!(outcome, Outcome::NotOpen);

    // The idle money of the purse pays for the next deposit.
    let coin = world.coin(cast.payer.address).await;
    let next = payer.create_deposit(&cast.request(60)).await.unwrap();
    assert_eq!(next.deposit.lane, opened.deposit.lane);
    assert_eq!(world.coin(cast.payer.address).await, coin - next.sent.fee);
}

#[tokio::test]
async fn the_next_round_reclaims_and_opens_in_one_transaction() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let mut request = cast.request(60);
    request.redeem_window = Some(20);
    let first = opened(world, &payer, &request).await;
    world.node.mine_to(first.deposit.lastRedeemBlock).await;
    assert_eq!(state(&payer, first.id).await, DepositState::Reclaimable);

    let coin = world.coin(cast.payer.address).await;
    let second = payer.reopen(first.id, &cast.request(60)).await.unwrap();
    assert_eq!(second.deposit.lane, first.deposit.lane);
    assert_eq!(world.coin(cast.payer.address).await, coin - second.sent.fee);
    assert_eq!(state(&payer, first.id).await, DepositState::Reclaimed);
    assert_eq!(state(&payer, second.id).await, DepositState::Active);
    pay(&payer, &payees[1], second.id, coins(5)).await;
}

#[tokio::test]
async fn a_payer_that_races_the_winner_with_an_older_cheque_gets_nothing() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let opened = opened(world, &payer, &cast.request(60)).await;
    let mut older = Vec::new();
    for payee in &payees {
        pay(&payer, payee, opened.id, coins(50)).await;
        older.push(payee.holding(opened.id).await.unwrap().unwrap());
    }
    // Not quite all, for the whole deposit may be paid without consent: nothing better can exist.
    let second = payer.allowances_left(opened.id).await.unwrap();
    for payee in &payees {
        let left = second[&payee.policy().payee];
        let all_but_one = left.checked_sub(coins(1)).unwrap();
        pay(&payer, payee, opened.id, all_but_one).await;
    }
    world.node.mine_to(opened.deposit.drawBlock + 1).await;
    let mut wins = 0;
    for (index, payee) in payees.iter().enumerate() {
        if payee.outcome(opened.id).await.unwrap().0 != Outcome::Payable {
            continue;
        }
        wins += 1;
        let seed = world.reader.seed(opened.deposit.drawBlock).await.unwrap();
        let header = seed.unwrap().1;
        let (reader, racer) = (&world.reader, &cast.payer.wallet);
        // Without any consent, with one for the newest total, and with the newest cheque but no consent.
        let to = Address::ZERO;
        let key = &cast.payees[index].key;
        let newest = payee.sign_consent(opened.id, to, key).await.unwrap();
        for consent in [Bytes::new(), newest.clone()] {
            let race = older[index].redemption(to, consent, header.clone());
            let refused = redeem(reader, racer, &race).await;
            assert_eq!(not_payable(refused), Outcome::ConsentMissing);
        }
        let race = payee.redemption(opened.id, to, Bytes::new()).await.unwrap();
        let refused = redeem(reader, racer, &race).await;
        assert_eq!(not_payable(refused), Outcome::ConsentMissing);

        // With the payee's consent anybody may send it, and the payee is paid.
        let relayed = payee.redemption(opened.id, to, newest).await.unwrap();
        let redeemed = redeem(reader, racer, &relayed).await.unwrap();
        assert_eq!(
            world.balance(payee.policy().payee).await,
            redeemed.payout.to_u256()
        );
        assert_eq!(world.balance(cast.payer.address).await, U256::ZERO);
    }
    assert_eq!(wins, 1);
}

#[tokio::test]
async fn a_relayer_redeems_for_a_payee_that_has_no_coin() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let opened = opened(world, &payer, &cast.request(60)).await;
    let (winner, payout) = play(world, &payer, &payees, &opened).await;
    let relayer = world.party(99).await;
    let to = Address::repeat_byte(0x55);
    let options = RedeemOptions { to, consent: None };
    // With the same store, but another's wallet.
    let relayed = payees[winner].clone().with_wallet(relayer.wallet);
    let refused = relayed.redeem(opened.id, &options).await;
    assert_eq!(not_payable(refused), Outcome::ConsentMissing);
    let relayed = relayed.with_key(cast.payees[winner].key.clone());
    let redeemed = relayed.redeem(opened.id, &options).await.unwrap();
    assert_eq!(redeemed.payout, payout);
    assert_eq!(world.coin(to).await, payout.to_u256());
}

#[tokio::test]
async fn a_batch_pays_what_wins_and_reports_what_does_not() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let opened = opened(world, &payer, &cast.request(60)).await;
    let (winner, payout) = play(world, &payer, &payees, &opened).await;
    let mut redemptions = Vec::new();
    for payee in &payees {
        let redemption = payee
            .redemption(opened.id, Address::ZERO, Bytes::new())
            .await;
        redemptions.push(redemption.unwrap());
    }
    // Everything was spent, so the payout is the whole deposit and takes nobody's consent.
    let wallet = &cast.payer.wallet;
    let signature = redemptions[2].signature.clone();
    redemptions[2].signature.truncate(64);
    let unpackable = redeem_batch(&world.reader, wallet, &redemptions).await;
    let RedeemError::Unpackable { id, payee, source } = unpackable.unwrap_err() else {
        panic!("a cheque with a byte of its signature missing is sent");
    };
    assert_eq!((id, payee), (opened.id, redemptions[2].payee));
    assert_eq!(source, PackError::SignatureLength(64));
    redemptions[2].signature = signature;
    let batch = redeem_batch(&world.reader, wallet, &redemptions)
        .await
        .unwrap();
    let winner = payees[winner].policy().payee;
    assert_eq!(batch.paid, [(opened.id, winner, payout)]);
    assert_eq!(batch.skipped.len(), 2);
    for (id, payee, outcome) in batch.skipped {
        assert_eq!(id, opened.id);
        assert_ne!(payee, winner);
        // Behind the winner in the batch there is nothing left to win.
        assert!(
            matches!(outcome, Outcome::Loses | Outcome::NotOpen),
            "{outcome:?}"
        );
    }
    assert_eq!(world.balance(winner).await, payout.to_u256());
}

#[tokio::test]
async fn a_bank_without_randao_takes_the_block_hash_and_no_header() {
    let cast = Cast::new().await;
    let reader = cast.world.bank(4, SeedSource::BlockHash).await;
    assert_eq!(reader.seed_source(), SeedSource::BlockHash);
    let world = World {
        reader,
        ..cast.world
    };
    let payer = world.payer(&cast.payer, memory());
    let payees = cast.payees.iter().map(|party| world.payee(party, memory()));
    let payees: Vec<_> = payees.collect();
    let parties: Vec<_> = cast.payees.iter().collect();
    let opened = opened(&world, &payer, &request(&parties, &cast.payer, 60)).await;
    let (winner, payout) = play(&world, &payer, &payees, &opened).await;
    world.node.mine(1).await;
    let winner = &payees[winner];
    assert_eq!(
        state(&payer, opened.id).await,
        DepositState::Drawn {
            winner: Some(winner.policy().payee)
        }
    );
    let redemption = winner
        .redemption(opened.id, Address::ZERO, Bytes::new())
        .await;
    assert!(redemption.unwrap().header.is_empty());
    let settled = winner.settle().await.unwrap();
    let [(_, Ok(redeemed))] = &settled[..] else {
        panic!("one win: {settled:?}");
    };
    assert_eq!(redeemed.payout, payout);
}

#[tokio::test]
async fn a_consent_is_for_what_a_view_from_before_the_cutoff_lets_in_until_the_draw_too() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let (party, key) = (&cast.payees[0], &cast.payees[0].key);
    let mut profile = *world.reader.profile();
    // A view is kept for two blocks: for the whole test.
    profile.block_time = 3_600;
    let reader = world.reader.clone().with_profile(profile);
    let payee = Payee::new(reader, world.policy(party), memory());
    let opened = opened(world, &payer, &cast.request(60)).await;
    let draw = opened.deposit.drawBlock;
    pay(&payer, &payee, opened.id, coins(5)).await;
    let late = payer.write_cheque(opened.id, party.address, coins(1)).await;
    let late = late.unwrap().proof.unwrap();
    let cutoff = draw - payee.policy().cutoff;
    world.node.mine_to(cutoff - 1).await;
    payee.poll().await.unwrap();

    let sign = || payee.sign_consent(opened.id, Address::ZERO, key);
    for head in [cutoff, draw - 1] {
        world.node.mine_to(head).await;
        let early = sign().await.unwrap_err();
        assert!(
            matches!(early, RedeemError::ConsentTooEarly { head: at, safe_from }
                if (at, safe_from) == (head, draw)),
            "{early}"
        );
    }
    let taken = payee.receive_payment(None, &late).await.unwrap();
    world.node.mine(1).await;
    let consent = sign().await.unwrap();
    let bank = world.reader.bank();
    let digest = bank.consent_digest(opened.id, taken.total, Address::ZERO);
    assert_eq!(consent[..], key.sign(digest).as_bytes()[..]);
}
