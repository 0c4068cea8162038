//! Payer and payee against a real node.

#![cfg(all(feature = "chain", feature = "redb"))]

mod node;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::sol;
use cheque::{
    Amount, DepositId, Outcome, Proof, Rejection, TokenLimits,
    chain::{
        Accepted, Call, ChainError, DepositEvent, DepositRequest, DepositState, Draw, FoundDeposit,
        OnceError, Opened, Payee, Payer, PayerError, Payment, Rate, Rates, Reader, ReceiveError,
        RedeemError, RedeemOptions, connect, redeem,
    },
    store::{Memory, Redb},
};
use cheque_bindings::IChequeBank::IChequeBankErrors;
use node::{COIN, Party, World, coins};
use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

sol! {
    interface TestToken {
        function mint(address to, uint256 amount) external;
    }
}

fn memory() -> Arc<Memory> {
    Arc::new(Memory::new())
}

/// A deposit in which whoever is paid its whole allowance has a range as wide as it: somebody always wins.
fn request(payees: &[&Party], signer: &Party, draw_in: u64) -> DepositRequest {
    let allowances = (1..).zip(payees);
    let allowances = allowances.map(|(share, payee)| (payee.address, coins(100 * share)));
    let mut request = DepositRequest::new(allowances.collect(), signer.address, Draw::In(draw_in));
    request.min_payout = Some(Amount::ZERO);
    request
}

async fn state(payer: &Payer, id: DepositId) -> DepositState {
    payer.poll().await.unwrap();
    payer.deposit(id).await.unwrap().state
}

async fn opened(world: &World, payer: &Payer, request: &DepositRequest) -> Opened {
    let opened = payer.create_deposit(request).await.unwrap();
    assert_eq!(opened.sent.block, world.head().await);
    assert_eq!(state(payer, opened.id).await, DepositState::Active);
    opened
}

async fn pay(payer: &Payer, payee: &Payee, id: DepositId, amount: Amount) -> (Payment, Accepted) {
    let payment = payer
        .write_cheque(id, payee.policy().payee, amount)
        .await
        .unwrap();
    let proof = payment.proof.as_ref().expect("the deposit covers it");
    let accepted = payee.receive_payment(None, proof).await.unwrap();
    assert_eq!(accepted.total, payment.spent);
    (payment, accepted)
}

fn rejection(result: Result<Accepted, ReceiveError>) -> Rejection {
    match result {
        Err(ReceiveError::Rejected(rejection)) => rejection,
        other => panic!("not a rejection: {other:?}"),
    }
}

fn not_payable<T: std::fmt::Debug>(result: Result<T, RedeemError>) -> Outcome {
    match result {
        Err(RedeemError::NotPayable { outcome, .. }) => outcome,
        other => panic!("not refused by the bank: {other:?}"),
    }
}

/// Pays every payee its whole allowance, mines to the draw and returns the one that wins.
async fn play(world: &World, payer: &Payer, payees: &[Payee], opened: &Opened) -> (usize, Amount) {
    for payee in payees {
        let left = payer.allowances_left(opened.id).await.unwrap();
        let allowance = left[&payee.policy().payee];
        pay(payer, payee, opened.id, allowance).await;
    }
    world.node.mine_to(opened.deposit.drawBlock).await;
    let mut winners = Vec::new();
    for (index, payee) in payees.iter().enumerate() {
        match payee.outcome(opened.id).await.unwrap() {
            (Outcome::TooEarly, _) => winners.clear(),
            (Outcome::Payable, payout) => winners.push((index, payout)),
            (outcome, _) => assert_eq!(outcome, Outcome::Loses),
        }
    }
    assert_eq!(winners.len(), 1, "exactly one payee wins");
    winners[0]
}

struct Cast {
    world: World,
    payer: Party,
    payees: Vec<Party>,
}

impl Cast {
    async fn new() -> Self {
        let world = World::new().await;
        let payer = world.party(1).await;
        let payees = vec![
            world.party(11).await,
            world.party(12).await,
            world.party(13).await,
        ];
        Self {
            world,
            payer,
            payees,
        }
    }

    fn request(&self, draw_in: u64) -> DepositRequest {
        let payees: Vec<_> = self.payees.iter().collect();
        request(&payees, &self.payer, draw_in)
    }

    fn players(&self) -> (Payer, Vec<Payee>) {
        let payer = self.world.payer(&self.payer, memory());
        let payees = self.payees.iter();
        let payees = payees.map(|payee| self.world.payee(payee, memory()));
        (payer, payees.collect())
    }
}

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
    payer.poll().await.unwrap();
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
    payer.poll().await.unwrap();
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
    assert!(payer.deposit(id).await.unwrap().settled);
    let before = DepositState::Drawn {
        winner: Some(winner),
    };
    let last: DepositEvent = events.try_recv().unwrap();
    assert_eq!((last.id, last.before), (id, before));
}

#[tokio::test]
async fn cheques_stop_at_the_payers_cutoff_and_payments_at_the_payees() {
    let cast = Cast::new().await;
    let (payer, payees) = cast.players();
    let opened = opened(&cast.world, &payer, &cast.request(60)).await;
    let (id, payee) = (opened.id, cast.payees[0].address);
    let draw = opened.deposit.drawBlock;
    let expiry = payer.estimated_expiry(id).await.unwrap().as_secs();
    assert!((30..=60).contains(&expiry), "{expiry} s to the cutoff");

    cast.world.node.mine_to(draw - 17).await;
    assert_eq!(state(&payer, id).await, DepositState::Active);
    let (payment, _) = pay(&payer, &payees[0], id, coins(10)).await;
    assert_eq!((payment.spent, payment.left), (coins(10), coins(90)));
    let last = payer.write_cheque(id, payee, coins(1)).await.unwrap();

    cast.world.node.mine_to(draw - 16).await;
    assert_eq!(state(&payer, id).await, DepositState::Expired);
    let refused = payer.write_cheque(id, payee, coins(1)).await.unwrap();
    assert_eq!((refused.spent, refused.proof), (coins(11), None));
    let after = payer.last_cheque(id, payee).await.unwrap();
    assert_eq!(after, Some((coins(11), coins(89))), "nothing was recorded");

    cast.world.node.mine_to(draw - 8).await;
    payees[0].poll().await.unwrap();
    let late = payees[0].receive_payment(None, &last.proof.unwrap()).await;
    assert!(matches!(rejection(late), Rejection::PastCutoff { .. }));
    assert_eq!(
        payees[0].holding(id).await.unwrap().unwrap().total(),
        coins(10)
    );
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
        PayerError::Once(OnceError::Chain(error)) => error.refusal(),
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
async fn deposits_take_the_lowest_free_lane_and_the_balance_pays_first() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let token = Address::ZERO;
    let funded = payer.ensure_funded(token, coins(700)).await.unwrap();
    assert_eq!(funded.len(), 1);
    assert!(
        payer
            .ensure_funded(token, coins(700))
            .await
            .unwrap()
            .is_empty()
    );

    let first = opened(world, &payer, &cast.request(60)).await;
    assert_eq!(
        world.balance(cast.payer.address).await,
        coins(100).to_u256()
    );
    let coin = world.coin(cast.payer.address).await;
    let second = opened(world, &payer, &cast.request(60)).await;
    assert_eq!((first.deposit.lane, second.deposit.lane), (1, 2));
    assert_eq!(world.balance(cast.payer.address).await, U256::ZERO);
    let paid = coin - world.coin(cast.payer.address).await - second.sent.fee;
    assert_eq!(paid, coins(500).to_u256());

    let mut taken = cast.request(60);
    taken.lane = Some(2);
    let refused = payer.create_deposit(&taken).await.unwrap_err();
    assert!(matches!(refused, PayerError::LaneBusy { lane: 2, deposit } if deposit == second.id));
    // A deposit that is prepared only keeps its lane too.
    let third = payer.prepare_deposit(&cast.request(60)).await.unwrap();
    let fourth = payer.plan_deposit(&cast.request(60), None).await.unwrap();
    assert_eq!((third.deposit.lane, fourth.deposit.lane), (3, 4));
}

#[tokio::test]
async fn a_draw_that_leaves_no_time_to_pay_is_refused() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let head = cast.world.head().await;
    for draw in [Draw::In(1), Draw::At(head), Draw::At(0)] {
        let mut request = cast.request(0);
        request.draw = draw;
        let refused = payer.create_deposit(&request).await.unwrap_err();
        let PayerError::DrawTooSoon { earliest, .. } = refused else {
            panic!("{refused}");
        };
        request.draw = Draw::At(earliest);
        assert!(payer.plan_deposit(&request, None).await.is_ok());
        request.draw = Draw::At(earliest - 1);
        assert!(payer.plan_deposit(&request, None).await.is_err());
    }
    assert!(payer.deposits().await.unwrap().is_empty());
    let mut endless = cast.request(u64::MAX);
    let refused = payer.create_deposit(&endless).await.unwrap_err();
    assert!(matches!(refused, PayerError::BlockOutOfRange));
    endless.draw = Draw::At(u64::MAX);
    let refused = payer.create_deposit(&endless).await.unwrap_err();
    assert!(matches!(refused, PayerError::BlockOutOfRange));
}

#[tokio::test]
async fn one_proof_shown_twice_at_once_is_credited_once() {
    let cast = Cast::new().await;
    let (payer, payees) = cast.players();
    let opened = opened(&cast.world, &payer, &cast.request(60)).await;
    let (id, payee) = (opened.id, &payees[0]);
    let address = cast.payees[0].address;
    let mut credited = Amount::ZERO;
    // The first is an opening, the others are cheques.
    for _ in 0..5 {
        let payment = payer.write_cheque(id, address, coins(3)).await.unwrap();
        let proof = payment.proof.unwrap();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (payee, proof) = (payee.clone(), proof.clone());
                tokio::spawn(async move { payee.receive_payment(None, &proof).await })
            })
            .collect();
        let mut accepted = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(taken) => {
                    accepted += 1;
                    credited = credited.checked_add(taken.value).unwrap();
                }
                Err(error) => assert_eq!(rejection(Err(error)), Rejection::Replay),
            }
        }
        assert_eq!(accepted, 1);
    }
    let meta = payee.holding(id).await.unwrap().unwrap();
    assert_eq!((meta.total(), meta.credited()), (coins(15), credited));
}

#[tokio::test]
async fn payments_written_at_once_add_up_and_never_exceed_the_allowance() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let id = opened(&cast.world, &payer, &cast.request(60)).await.id;
    let payee = cast.payees[0].address;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let payer = payer.clone();
            tokio::spawn(async move { payer.write_cheque(id, payee, coins(9)).await.unwrap() })
        })
        .collect();
    let mut totals = Vec::new();
    for task in tasks {
        let payment = task.await.unwrap();
        if payment.proof.is_some() {
            totals.push(payment.spent);
        }
    }
    totals.sort();
    let expected: Vec<_> = (1..=11).map(|paid| coins(9 * paid)).collect();
    assert_eq!(
        totals, expected,
        "an allowance of 100 covers eleven times 9"
    );
    let last = payer.last_cheque(id, payee).await.unwrap();
    assert_eq!(last, Some((coins(99), coins(1))));
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
    world.node.mine_to(opened.deposit.drawBlock).await;
    let mut wins = 0;
    for (index, payee) in payees.iter().enumerate() {
        if payee.outcome(opened.id).await.unwrap().0 != Outcome::Payable {
            continue;
        }
        wins += 1;
        let seed = world.reader.seed(opened.deposit.drawBlock).await.unwrap();
        let header = seed.unwrap().1;
        let (reader, racer) = (&world.reader, &cast.payer.sender);
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
    let relayed = payees[winner].clone().with_sender(relayer.sender);
    let refused = relayed.redeem(opened.id, &options).await;
    assert_eq!(not_payable(refused), Outcome::ConsentMissing);
    let relayed = relayed.with_key(cast.payees[winner].key.clone());
    let redeemed = relayed.redeem(opened.id, &options).await.unwrap();
    assert_eq!(redeemed.payout, payout);
    assert_eq!(world.coin(to).await, payout.to_u256());
}

#[tokio::test]
async fn streams_pay_by_steps_and_the_shown_total_is_what_a_win_pays() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let opened = opened(world, &payer, &cast.request(60)).await;
    let id = opened.id;
    for (payee, party) in payees.iter().zip(&cast.payees) {
        let allowance = payer
            .last_cheque(id, party.address)
            .await
            .unwrap()
            .unwrap()
            .1;
        let step = Amount::new(allowance.get() / 100);
        let opening = payer.open_stream(id, party.address, Amount::ZERO, step, 100);
        let opening = opening.await.unwrap();
        let first = payee
            .receive_payment(None, &opening.proof.unwrap())
            .await
            .unwrap();
        assert_eq!((first.value, first.total), (Amount::ZERO, Amount::ZERO));
        for steps in [1, 30, 69] {
            let payment = payer.pay_steps(id, party.address, steps).await.unwrap();
            let proof = payment.proof.unwrap();
            assert!(matches!(proof, Proof::Step { .. }));
            let taken = payee.receive_payment(None, &proof).await.unwrap();
            assert_eq!(taken.total, payment.spent);
        }
        let over = payer.pay_steps(id, party.address, 1).await;
        assert!(matches!(over, Err(PayerError::Write(_))));
    }
    world.node.mine_to(opened.deposit.drawBlock).await;
    let mut paid = 0;
    for payee in &payees {
        for (_, result) in payee.settle().await.unwrap() {
            assert_eq!(result.unwrap().payout.get(), opened.deposit.amount);
            paid += 1;
        }
    }
    assert_eq!(paid, 1);
}

#[tokio::test]
async fn one_payment_is_split_over_several_deposits_or_not_made_at_all() {
    let cast = Cast::new().await;
    let (payer, payees) = cast.players();
    let payee = cast.payees[0].address;
    let later = opened(&cast.world, &payer, &cast.request(90)).await;
    let sooner = opened(&cast.world, &payer, &cast.request(60)).await;
    let native = Address::ZERO;

    let refused = payer.pay(payee, native, coins(201)).await.unwrap_err();
    let PayerError::NotCovered {
        available, needed, ..
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!((available, needed), (coins(200), coins(201)));
    for id in [sooner.id, later.id] {
        let untouched = payer.last_cheque(id, payee).await.unwrap();
        assert_eq!(untouched, Some((Amount::ZERO, coins(100))));
    }

    let payments = payer.pay(payee, native, coins(150)).await.unwrap();
    let parts: Vec<_> = payments
        .iter()
        .map(|part| (part.deposit, part.spent))
        .collect();
    assert_eq!(parts, [(sooner.id, coins(100)), (later.id, coins(50))]);
    for part in payments {
        let proof = part.proof.unwrap();
        assert!(matches!(proof, Proof::Opening(_)));
        let taken = payees[0].receive_payment(None, &proof).await.unwrap();
        assert_eq!(taken.total, part.spent);
    }
}

#[tokio::test]
async fn a_deposit_that_a_reorganisation_takes_away_is_pending_again_and_then_lost() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let snapshot = world.node.anvil("evm_snapshot", ()).await;
    let opened = opened(world, &payer, &cast.request(60)).await;
    let id = opened.id;
    let payment = payer.write_cheque(id, cast.payees[0].address, coins(1));
    let proof = payment.await.unwrap().proof.unwrap();
    let mut events = payer.subscribe_deposit_events();

    world.node.anvil("evm_revert", [snapshot]).await;
    world.node.mine(3).await;
    payer.poll().await.unwrap();
    let event = events.try_recv().unwrap();
    assert_eq!(
        (event.before, event.state),
        (DepositState::Active, DepositState::Pending)
    );
    let refused = payer
        .write_cheque(id, cast.payees[0].address, coins(1))
        .await
        .unwrap();
    assert_eq!(refused.proof, None);
    let taken = payees[0].receive_payment(None, &proof).await;
    assert_eq!(rejection(taken), Rejection::NotConfirmed(id));

    // Too late to open it again: the bank wants a lead of 4 blocks.
    world.node.mine_to(opened.deposit.drawBlock - 4).await;
    payer.poll().await.unwrap();
    assert_eq!(events.try_recv().unwrap().state, DepositState::Lost);
    let refused = payer.open(id).await.unwrap_err();
    assert!(matches!(&refused, PayerError::Once(_)), "{refused}");
    assert!(payer.deposit(id).await.unwrap().settled);
    // Its lane is free again.
    let next = payer.create_deposit(&cast.request(60)).await.unwrap();
    assert_eq!(next.deposit.lane, opened.deposit.lane);
}

#[tokio::test]
async fn a_deposit_waits_for_as_many_confirmations_as_the_profile_asks_for() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let mut profile = *world.reader.profile();
    profile.confirmations = 3;
    let reader = world.reader.clone().with_profile(profile);
    let payer = Payer::new(reader.clone(), memory())
        .with_sender(cast.payer.sender.clone())
        .with_key(cast.payer.key.clone());
    let payee = Payee::new(reader, world.policy(&cast.payees[0]), memory());
    let opened = payer.create_deposit(&cast.request(60)).await.unwrap();
    assert_eq!(state(&payer, opened.id).await, DepositState::Pending);
    world.node.mine(1).await;
    assert_eq!(state(&payer, opened.id).await, DepositState::Pending);
    world.node.mine(1).await;
    assert_eq!(state(&payer, opened.id).await, DepositState::Active);
    pay(&payer, &payee, opened.id, coins(1)).await;
}

/// The store of a party, opened anew: as a process that was killed and started again sees it.
fn reopened(directory: &Path, name: &str) -> Arc<Redb> {
    Arc::new(Redb::open(directory.join(name)).unwrap())
}

#[tokio::test]
async fn payer_and_payee_go_on_after_a_restart_between_any_two_steps() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let payer = || world.payer(&cast.payer, reopened(at, "payer"));
    let payee = |index: usize| {
        let store = reopened(at, &format!("payee{index}"));
        world.payee(&cast.payees[index], store)
    };

    let opened = payer().create_deposit(&cast.request(80)).await.unwrap();
    let id = opened.id;
    assert_eq!(state(&payer(), id).await, DepositState::Active);
    let mut spent = [Amount::ZERO; 3];
    for round in 1..=3 {
        for (index, party) in cast.payees.iter().enumerate() {
            let allowance = coins(100 * (index as u128 + 1));
            let amount = Amount::new(allowance.get() / 3);
            let payment = payer()
                .write_cheque(id, party.address, amount)
                .await
                .unwrap();
            spent[index] = spent[index].checked_add(amount).unwrap();
            assert_eq!(payment.spent, spent[index], "round {round}");
            let proof = payment.proof.unwrap();
            assert_eq!(matches!(proof, Proof::Opening(_)), round == 1);
            let taken = payee(index).receive_payment(None, &proof).await.unwrap();
            assert_eq!(taken.total, spent[index]);
            let again = payee(index).receive_payment(None, &proof).await;
            assert_eq!(rejection(again), Rejection::Replay);
            let last = payer()
                .last_proof(id, party.address)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(last.deposit_id(), proof.deposit_id());
        }
    }
    world.node.mine_to(opened.deposit.drawBlock).await;
    let mut won = Amount::ZERO;
    for index in 0..3 {
        for (_, result) in payee(index).settle().await.unwrap() {
            won = result.unwrap().payout;
        }
        assert!(payee(index).settle().await.unwrap().is_empty());
    }
    assert!(!won.is_zero());
    assert!(matches!(
        state(&payer(), id).await,
        DepositState::Redeemed { payout, .. } if payout == won
    ));
}

#[tokio::test]
async fn a_deposit_that_was_stored_and_not_sent_is_opened_once() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let directory = tempfile::tempdir().unwrap();
    let payer = || world.payer(&cast.payer, reopened(directory.path(), "payer"));
    let planned = payer().prepare_deposit(&cast.request(60)).await.unwrap();
    assert_eq!(state(&payer(), planned.id).await, DepositState::Pending);
    assert_eq!(world.coin(world.reader.bank().address()).await, U256::ZERO);

    let opened = payer().open(planned.id).await.unwrap();
    assert_eq!(opened.deposit, planned.deposit);
    assert_eq!(state(&payer(), planned.id).await, DepositState::Active);
    let twice = payer().open(planned.id).await.unwrap_err();
    let PayerError::Once(OnceError::Chain(ChainError::Refused(refusal))) = &twice else {
        panic!("{twice}");
    };
    assert!(matches!(*refusal.0, IChequeBankErrors::PurseBusy(_)));
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(held, coins(600).to_u256(), "paid once");
}

#[tokio::test]
async fn a_transaction_that_waits_is_found_again_and_not_sent_twice() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let directory = tempfile::tempdir().unwrap();
    let impatient = cast
        .payer
        .sender
        .clone()
        .with_timeout(std::time::Duration::ZERO);
    let payer = |sender| {
        let store = reopened(directory.path(), "payer");
        world.payer(&cast.payer, store).with_sender(sender)
    };
    world.node.anvil("evm_setAutomine", [false]).await;
    let waiting = payer(impatient.clone())
        .create_deposit(&cast.request(90))
        .await;
    let PayerError::Once(OnceError::Chain(ChainError::NotMined { hash, .. })) =
        waiting.unwrap_err()
    else {
        panic!("nothing mines it");
    };
    let first = payer(impatient.clone()).deposits().await.unwrap();
    let [(id, _)] = first[..] else {
        panic!("one deposit: {first:?}");
    };
    // Once more at once: the same transaction. After ten blocks: a dearer one with the same nonce.
    let again = payer(impatient.clone()).open(id).await.unwrap_err();
    assert!(again.to_string().contains(&hash.to_string()), "{again}");
    world.node.anvil("anvil_dropTransaction", [hash]).await;
    world.node.mine(12).await;
    let dearer = payer(impatient).open(id).await.unwrap_err();
    assert!(!dearer.to_string().contains(&hash.to_string()), "{dearer}");

    world.node.mine(1).await;
    world.node.anvil("evm_setAutomine", [true]).await;
    let opened = payer(cast.payer.sender.clone()).open(id).await.unwrap();
    assert_ne!(opened.sent.hash, hash);
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(held, coins(600).to_u256(), "paid once");
    assert_eq!(
        state(&payer(cast.payer.sender.clone()), id).await,
        DepositState::Active
    );
}

#[tokio::test]
async fn a_relayer_opens_a_deposit_by_the_payers_signature() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let relayer = world.party(99).await;
    payer
        .ensure_funded(Address::ZERO, coins(600))
        .await
        .unwrap();
    let planned = payer.prepare_deposit(&cast.request(60)).await.unwrap();
    let deadline = U256::from(u64::MAX);
    let signed = payer.sign_opening(planned.id, deadline).await.unwrap();
    let bank = world.reader.bank();
    let call = Call::open_for(bank, &signed.deposit, deadline, &signed.signature);
    relayer.sender.send(&call).await.unwrap();
    assert_eq!(state(&payer, planned.id).await, DepositState::Active);
    pay(&payer, &payees[0], planned.id, coins(1)).await;
}

#[tokio::test]
async fn a_payer_without_its_store_finds_its_deposits_on_the_chain() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let mut request = cast.request(60);
    request.redeem_window = Some(10);
    let first = opened(world, &payer, &request).await;
    let second = opened(world, &payer, &request).await;
    let head = world.head().await;
    let found = world
        .reader
        .find_deposits(cast.payer.address, 0, head)
        .await
        .unwrap();
    let expected = [&first, &second].map(|opened| FoundDeposit {
        id: opened.id,
        deposit: opened.deposit.clone(),
        block: opened.sent.block,
    });
    assert_eq!(found, expected);
    let one = world.reader.find_deposit(second.id, 0, head).await.unwrap();
    assert_eq!(one.as_ref(), Some(&expected[1]));
    let stranger = cast.payees[0].address;
    assert!(
        world
            .reader
            .find_deposits(stranger, 0, head)
            .await
            .unwrap()
            .is_empty()
    );

    world.node.mine_to(second.deposit.lastRedeemBlock).await;
    let reclaim = Call::reclaim(world.reader.bank(), &found[0].deposit);
    cast.payees[0].sender.send(&reclaim).await.unwrap();
    assert_eq!(state(&payer, first.id).await, DepositState::Reclaimed);
}

#[tokio::test]
async fn exposure_to_one_signer_and_draw_block_is_bounded_over_all_deposits() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let mut policy = world.policy(&cast.payees[0]);
    let limits = policy.tokens.get_mut(&Address::ZERO).unwrap();
    limits.max_exposure = coins(1_200);
    let store = memory();
    let payee = Payee::new(world.reader.clone(), policy.clone(), store.clone());
    let mut request = cast.request(0);
    request.draw = Draw::At(world.head().await + 80);
    let mut proofs = Vec::new();
    for _ in 0..3 {
        let id = opened(world, &payer, &request).await.id;
        let payment = payer
            .write_cheque(id, cast.payees[0].address, coins(1))
            .await;
        proofs.push(payment.unwrap().proof.unwrap());
    }
    payee.poll().await.unwrap();
    // All at once: whichever come first, the third is too much.
    let tasks: Vec<_> = proofs
        .iter()
        .map(|proof| {
            let (payee, proof) = (payee.clone(), proof.clone());
            tokio::spawn(async move { payee.receive_payment(None, &proof).await })
        })
        .collect();
    let mut refused = Vec::new();
    for (task, proof) in tasks.into_iter().zip(&proofs) {
        if let Err(error) = task.await.unwrap() {
            refused.push((rejection(Err(error)), proof));
        }
    }
    let [(Rejection::ExposureTooLarge { exposure, .. }, third)] = &refused[..] else {
        panic!("{refused:?}");
    };
    assert_eq!(*exposure, coins(1_800));
    // A restart does not forget what is held.
    let restarted = Payee::new(world.reader.clone(), policy, store);
    let again = restarted.receive_payment(None, third).await;
    assert!(matches!(
        rejection(again),
        Rejection::ExposureTooLarge { .. }
    ));
}

#[tokio::test]
async fn speaks_http_and_websocket_and_says_what_is_wrong_with_other_urls() {
    let world = World::new().await;
    let bank = world.reader.bank().address();
    let socket = world.node.url.replace("http://", "ws://");
    let reader = Reader::open(connect(&socket).await.unwrap(), bank)
        .await
        .unwrap();
    assert_eq!(
        reader.head().await.unwrap(),
        world.reader.head().await.unwrap()
    );
    for url in ["", "localhost", "ftp://localhost", "/tmp/node.ipc"] {
        let refused = connect(url).await.unwrap_err();
        assert!(matches!(refused, ChainError::Url { .. }), "{refused}");
    }

    let provider = &world.node.provider;
    let nothing = Address::repeat_byte(0x33);
    let refused = Reader::open(provider.clone(), nothing).await.unwrap_err();
    assert!(matches!(refused, ChainError::NoBank { bank, .. } if bank == nothing));
    let other = cheque_bindings::CREATE2_DEPLOYER;
    let refused = Reader::open(provider.clone(), other).await.unwrap_err();
    assert!(
        matches!(refused, ChainError::NotABank(_) | ChainError::Reverted(_)),
        "{refused}"
    );
}

#[tokio::test]
async fn asks_again_what_was_lost_on_the_way_but_not_what_was_refused() {
    let world = World::new().await;
    let bank = world.reader.bank().address();
    let (url, connections) = node::unreliable(&world.node.url, 2);
    let reader = Reader::open(connect(&url).await.unwrap(), bank)
        .await
        .unwrap();
    assert_eq!(
        reader.head().await.unwrap(),
        world.reader.head().await.unwrap()
    );
    assert!(
        connections.load(Ordering::SeqCst) > 2,
        "two connections were cut"
    );

    let (url, connections) = node::unreliable(&world.node.url, usize::MAX);
    let refused = Reader::open(connect(&url).await.unwrap(), bank)
        .await
        .unwrap_err();
    assert!(matches!(refused, ChainError::Rpc(_)), "{refused}");
    assert_eq!(
        connections.load(Ordering::SeqCst),
        5,
        "one try and four more"
    );

    // A refusal is an answer: it comes at once.
    let poor = world.party(5).await;
    let much = U256::from(COIN) * U256::from(2_000);
    let fund = Call::fund(
        world.reader.bank(),
        Address::ZERO,
        poor.address,
        Amount::MAX,
    );
    let started = tokio::time::Instant::now();
    let refused = poor.sender.send(&fund.with_value(much)).await.unwrap_err();
    assert!(
        matches!(refused, ChainError::NotEnoughCoin { .. }),
        "{refused}"
    );
    assert!(started.elapsed() < std::time::Duration::from_millis(300));
}

/// Deploys `TestToken` of the Solidity tests.
async fn test_token(world: &World, party: &Party) -> Address {
    let artifact = node::compiled("contracts/test/mocks/TestToken.sol", "TestToken");
    let decimals = U256::from(6).to_be_bytes_vec();
    let code = [&artifact[..], &decimals].concat();
    let deploy = Call {
        to: cheque_bindings::CREATE2_DEPLOYER,
        input: [&[0; 32], &code[..]].concat().into(),
        value: U256::ZERO,
    };
    party.sender.send(&deploy).await.unwrap();
    let token = cheque_bindings::CREATE2_DEPLOYER.create2_from_code(B256::ZERO, code);
    let mint = Call::new(
        token,
        &TestToken::mintCall {
            to: party.address,
            amount: U256::from(10_000_000_000_u64),
        },
    );
    party.sender.send(&mint).await.unwrap();
    assert_eq!(world.reader.token(token).decimals().await.unwrap(), 6);
    token
}

#[tokio::test]
async fn a_deposit_in_tokens_is_funded_opened_paid_won_and_redeemed() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let token = test_token(world, &cast.payer).await;
    // 1 million units, one whole token, are worth 0.0004 coins.
    let mut rates = Rates::default();
    rates.set(token, Rate::new(400_000_000_000_000, 1_000_000).unwrap());
    let (payer, _) = cast.players();
    let mut request = cast.request(60);
    request.token = token;
    request.min_payout = None;
    let million = Amount::new(1_000_000_000);
    request.allowances = cast
        .payees
        .iter()
        .map(|payee| (payee.address, million))
        .collect();

    let refused = payer.create_deposit(&request).await.unwrap_err();
    assert!(matches!(refused, PayerError::NoRate(of) if of == token));
    let payer = payer.with_rates(rates.clone());
    let total = Amount::new(3_000_000_000);
    let refused = payer.create_deposit(&request).await.unwrap_err();
    assert!(matches!(refused, PayerError::NotFunded { missing, .. } if missing == total));
    let sent = payer.ensure_funded(token, total).await.unwrap();
    assert_eq!(sent.len(), 2, "an approval and a transfer");
    let opened = opened(world, &payer, &request).await;
    // 50 times the cost of redeeming, in the token.
    let prices = world.reader.prices().await.unwrap();
    let least = opened.deposit.minPayout;
    assert!(least > 0 && least < total.get(), "{least}");
    let dear = rates.of(token).unwrap().units_up(prices.wei(400_000)).get() * 50;
    assert!(least < dear, "{least} {dear}");

    let limits = TokenLimits {
        max_deposit: total,
        max_exposure: total,
    };
    let payees: Vec<_> = cast
        .payees
        .iter()
        .map(|party| {
            let mut policy = world.policy(party);
            policy.tokens.insert(token, limits);
            Payee::new(world.reader.clone(), policy, memory()).with_sender(party.sender.clone())
        })
        .collect();
    let first = payer.write_cheque(opened.id, cast.payees[0].address, Amount::new(1_000_000));
    let proof = first.await.unwrap().proof.unwrap();
    let refused = payees[0].receive_payment(None, &proof).await;
    assert_eq!(rejection(refused), Rejection::TokenWithoutRate(token));
    let payees: Vec<_> = payees
        .into_iter()
        .map(|payee| payee.with_rates(rates.clone()))
        .collect();
    payees[0].receive_payment(None, &proof).await.unwrap();

    let (winner, payout) = play(world, &payer, &payees, &opened).await;
    let to = Address::repeat_byte(0x66);
    let options = RedeemOptions { to, consent: None };
    let redeemed = payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!((redeemed.payout, payout), (total, total));
    let held = world.reader.token(token).balance(to).await.unwrap();
    assert_eq!(held, total.to_u256());
}

#[tokio::test]
async fn the_cost_of_redeeming_follows_the_gas_price_of_the_first_payment() {
    let cast = Cast::new().await;
    let (payer, payees) = cast.players();
    let opened = opened(&cast.world, &payer, &cast.request(60)).await;
    let (_, accepted) = pay(&payer, &payees[0], opened.id, coins(50)).await;
    let cost = accepted.meta.redeem_cost();
    let price = cast.world.reader.prices().await.unwrap().gas_price;
    let gas = cost.get() / price;
    assert!((150_000..300_000).contains(&gas), "{gas} gas");
    assert!(accepted.value < coins(50) && accepted.value > coins(49));
    assert_eq!(Amount::new(COIN), coins(1_000));
}
