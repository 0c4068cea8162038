//! The money at risk: exposure by totals, and the part that is not settled.

use super::*;
use crate::{
    bank::{error::BankError, head::HeadCheckError},
    protocol::now::Freshness,
};

/// More than the least payout, and less than what is taken before a deposit is settled.
const PAYMENT: u128 = 10_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn payments_at_once_never_exceed_the_exposure_together() {
    let fixture = Fixture::with(|policy| limit(policy, 2 * PAYMENT + 1)).await;
    let fixture = Arc::new(fixture);
    let mut raced = 0;
    for signer in 1..=20 {
        let deposits: Vec<_> = (1..=6)
            .map(|lane| fixture.open(signer, lane, fixture.draw))
            .collect();
        let paid = deposits.into_iter().map(|opened| {
            let fixture = fixture.clone();
            tokio::spawn(async move { code(fixture.pay(&opened, PAYMENT).await) })
        });
        let paid: Vec<_> = paid.collect();
        let mut codes = Vec::new();
        for paid in paid {
            codes.push(paid.await.unwrap());
        }
        let accepted = codes.iter().filter(|code| **code == "accepted").count();
        raced += accepted;
        let refused = codes.iter().filter(|code| **code == "exposure_too_large");
        assert_eq!((accepted, refused.count()), (2, 4), "{codes:?}");
    }
    assert_eq!(raced, 40);
}

#[tokio::test]
async fn exposure_counts_later_payments_of_all_deposits() {
    let fixture = Fixture::with(|policy| limit(policy, 3 * PAYMENT)).await;
    let (a, b) = (
        fixture.open(1, 1, fixture.draw),
        fixture.open(1, 2, fixture.draw),
    );
    assert_eq!(code(fixture.pay(&a, PAYMENT).await), "accepted");
    assert_eq!(code(fixture.pay(&a, 2 * PAYMENT).await), "accepted");
    assert_eq!(code(fixture.pay(&b, PAYMENT).await), "accepted");
    let refused = rejection(fixture.pay(&b, PAYMENT + 1).await);
    let Rejection::ExposureTooLarge { exposure, limit } = refused else {
        panic!("{refused}");
    };
    assert_eq!(exposure, Amount::new(3 * PAYMENT + 1));
    assert_eq!(limit, Amount::new(3 * PAYMENT));
    // Another signer has its own limit.
    let other = fixture.open(2, 1, fixture.draw);
    assert_eq!(code(fixture.pay(&other, 3 * PAYMENT).await), "accepted");
    // A restart keeps what was paid.
    let restarted = fixture.restarted().await;
    let proof = fixture.opening(&b, PAYMENT + 1);
    let refused = rejection(restarted.receive_payment(None, &proof).await);
    assert_eq!(refused.code(), "exposure_too_large");
}

#[tokio::test]
async fn a_loss_frees_exposure_at_once_and_a_win_when_closed() {
    let fixture = Fixture::with(|policy| limit(policy, 2 * PAYMENT)).await;
    let lost = fixture.open_for(false, 1, fixture.draw);
    let won = fixture.open_for(true, 1, fixture.draw);
    let next = fixture.open(1, 1_000, fixture.draw + 3_600);
    assert_eq!(code(fixture.pay(&lost, PAYMENT).await), "accepted");
    assert_eq!(code(fixture.pay(&won, PAYMENT).await), "accepted");
    let pay = async |units| code(fixture.pay(&next, units).await);
    // The draw is over, but its round not known.
    fixture.go_to(fixture.draw + 144);
    fixture.payee.poll().await.unwrap();
    assert_eq!(pay(PAYMENT).await, "exposure_too_large");
    fixture.publish(fixture.draw);
    fixture.payee.poll().await.unwrap();
    assert_eq!(pay(PAYMENT).await, "accepted");
    assert_eq!(pay(PAYMENT + 1).await, "exposure_too_large");
    // Redeemed, and the redemption confirmed.
    fixture.go_to(fixture.draw + 156);
    fixture.node.redeem(won.purse(), PAYEE);
    fixture.payee.poll().await.unwrap();
    assert_eq!(
        pay(PAYMENT + 1).await,
        "exposure_too_large",
        "not confirmed"
    );
    fixture.go_to(fixture.draw + 300);
    fixture.payee.poll().await.unwrap();
    assert_eq!(pay(2 * PAYMENT).await, "accepted");
}

/// A payee without a service decides draws when exposure is too large.
#[tokio::test]
async fn decides_draws_by_stored_rounds_after_a_restart() {
    let fixture = Fixture::with(|policy| limit(policy, PAYMENT)).await;
    let lost = fixture.open_for(false, 1, fixture.draw);
    assert_eq!(code(fixture.pay(&lost, PAYMENT).await), "accepted");
    fixture.go_to(fixture.draw + 3);
    fixture.publish(fixture.draw);
    let restarted = fixture.restarted().await;
    let next = fixture.open(1, 1_000, fixture.draw + 3_600);
    let proof = fixture.opening(&next, PAYMENT);
    let paid = restarted.receive_payment(None, &proof).await;
    assert_eq!(code(paid), "accepted");
}

#[tokio::test]
async fn bounds_what_is_taken_before_a_deposit_is_settled() {
    let fixture = Fixture::new().await;
    let (head, final_block) = (BLOCKS - 1, BLOCKS - 60);
    fixture.node.set_finalized(Some(final_block));
    let opened = |lane, block| fixture.open_in(1, lane, fixture.draw, block);
    // Confirmed, and not final.
    let (new, newer) = (opened(1, final_block + 1), opened(2, head - 20));
    let old = opened(3, final_block);
    let first = fixture.pay(&new, PAYMENT).await.unwrap();
    let most = 50 * first.position.redeem_cost().get();
    assert!(PAYMENT < most, "the test pays too much at first");
    let rest = most - PAYMENT;
    let pay = async |opened: &Opened, units| code(fixture.pay(opened, units).await);
    // The first deposit was seen at the confirmed block, twelve before the head; the second is seen five blocks later.
    for after in 1..=5 {
        fixture.node.add_block(fixture.now + 12 * after, "first");
    }
    fixture.payee.poll().await.unwrap();
    assert_eq!(pay(&newer, rest + 1).await, "unsettled_too_large");
    assert_eq!(pay(&newer, rest).await, "accepted");
    assert_eq!(pay(&new, PAYMENT + 1).await, "unsettled_too_large");
    // A settled deposit does not count, and has no such limit.
    assert_eq!(pay(&old, 3 * most).await, "accepted");
    assert_eq!(pay(&new, PAYMENT + 1).await, "unsettled_too_large");
    // The final block moves on: the first deposit is settled, the second is not.
    for (last_final, expected) in [(head - 13, "unsettled_too_large"), (head - 12, "accepted")] {
        fixture.node.set_finalized(Some(last_final));
        fixture
            .node
            .add_block(fixture.now + 72 + last_final, "first");
        fixture.payee.poll().await.unwrap();
        assert_eq!(pay(&new, 2 * PAYMENT).await, expected);
    }
    assert_eq!(pay(&newer, most + 1).await, "unsettled_too_large");
    assert_eq!(pay(&newer, most).await, "accepted");
}

/// A full node has the state of 128 blocks only, which on a rollup is less than finality.
#[tokio::test]
async fn settles_by_age_where_the_node_has_no_old_state() {
    let fixture = Fixture::new().await;
    fixture.node.set_finalized(None);
    fixture.node.state_is_kept_from(BLOCKS - 128);
    let opened = fixture.open_in(1, 1, fixture.draw, 10);
    let first = fixture.pay(&opened, PAYMENT).await.unwrap();
    let too_much = 50 * first.position.redeem_cost().get() + 1;
    let pay = async |units| code(fixture.pay(&opened, units).await);
    assert_eq!(pay(too_much).await, "unsettled_too_large");
    // The block at which it was seen is as old as confirmation takes.
    let age = fixture.profile.finality - fixture.profile.confirm;
    for (after, expected) in [(age - 1, "unsettled_too_large"), (age, "accepted")] {
        fixture.node.add_block(fixture.now + after, "first");
        fixture.payee.poll().await.unwrap();
        assert_eq!(pay(too_much).await, expected, "after {after} s");
    }
}

/// After a restart, the event of its opening shows that a deposit is as old as finality.
#[tokio::test]
async fn settles_by_the_event_of_the_opening_after_a_restart() {
    let fixture = Fixture::new().await;
    let final_block = BLOCKS - 201;
    fixture.node.set_finalized(Some(final_block));
    fixture.node.state_is_kept_from(BLOCKS - 128);
    let opened = |signer, block| {
        let opened = fixture.terms(signer, 1, fixture.draw);
        let (id, terms) = (opened.id, &opened.terms);
        fixture.node.open_with_event(id, terms, block);
        opened
    };
    let (old, new) = (opened(1, final_block), opened(2, final_block + 1));
    let mut most = 0;
    for opened in [&old, &new] {
        let first = fixture.pay(opened, PAYMENT).await.unwrap();
        most = 50 * first.position.redeem_cost().get();
    }
    let restarted = fixture.restarted().await;
    for polled in [false, true] {
        if polled {
            restarted.poll().await.unwrap();
        }
        let pay = async |opened: &Opened, units| {
            let proof = fixture.opening(opened, units);
            code(restarted.receive_payment(None, &proof).await)
        };
        let more = u128::from(polled);
        assert_eq!(pay(&old, most + 1 + more).await, "accepted");
        assert_eq!(pay(&new, most + 1).await, "unsettled_too_large");
    }
    // Events of no use are not asked for again.
    fixture.node.asked();
    restarted.poll().await.unwrap();
    assert!(fixture.node.asked().0 <= 8);
}

/// A node that is ten seconds behind has replaced nothing.
#[tokio::test]
async fn keeps_deposits_settled_while_a_node_is_behind() {
    let mut fixture = Fixture::new().await;
    fixture.profile.confirm = 10;
    fixture.payee = fixture.restarted().await;
    for second in 1..=60 {
        for _ in 0..5 {
            fixture.node.add_block(fixture.now + second, "first");
        }
    }
    let opened = fixture.open(1, 1, fixture.draw);
    let first = fixture.pay(&opened, PAYMENT).await.unwrap();
    let too_much = 50 * first.position.redeem_cost().get() + 1;
    let head = fixture.node.head().number;
    fixture.node.state_is_kept_from(head - 128);
    let cut = fixture.node.cut(75);
    fixture.payee.poll().await.unwrap();
    fixture.node.restore(cut);
    fixture.payee.poll().await.unwrap();
    assert_eq!(fixture.payee.index().generation(), 0, "all was forgotten");
    assert_eq!(code(fixture.pay(&opened, too_much).await), "accepted");
}

/// Nothing unsettles a deposit that was open in a final block of this chain.
#[tokio::test]
async fn keeps_deposits_settled_when_confirmed_blocks_are_replaced() {
    let fixture = Fixture::new().await;
    let last_final = BLOCKS - 100;
    fixture.node.set_finalized(Some(last_final));
    let old = fixture.open_in(1, 1, fixture.draw, last_final);
    let new = fixture.open_in(1, 2, fixture.draw, last_final + 1);
    let mut most = 0;
    for opened in [&old, &new] {
        let first = fixture.pay(opened, PAYMENT).await.unwrap();
        most = 50 * first.position.redeem_cost().get();
    }
    fixture.node.state_is_kept_from(BLOCKS - 60);
    fixture.node.reorganise(50, "second");
    fixture.payee.poll().await.unwrap();
    assert_eq!(fixture.payee.index().generation(), 1);
    assert_eq!(code(fixture.pay(&old, most + 1).await), "accepted");
    let refused = fixture.pay(&new, most + 1).await;
    assert_eq!(code(refused), "unsettled_too_large");
}

/// A head of the far future would end all deposits, and with them the exposure.
#[tokio::test]
async fn neither_acts_upon_nor_remembers_a_head_of_the_future() {
    let mut fixture = Fixture::with(|policy| limit(policy, PAYMENT)).await;
    fixture.profile.freshness = Some(Freshness {
        max_ahead: 10,
        max_head_age: 3_600,
        max_round_age: 3_600,
    });
    fixture.payee = fixture.restarted().await;
    let (paid, other) = (
        fixture.open(1, 1, fixture.draw),
        fixture.open(1, 2, fixture.draw),
    );
    assert_eq!(code(fixture.pay(&paid, PAYMENT).await), "accepted");
    // Both at the first head, and at a later one.
    let restarted = fixture.restarted().await;
    for payee in [&restarted, &fixture.payee] {
        let pay = async || {
            let proof = fixture.opening(&other, PAYMENT);
            payee.receive_payment(None, &proof).await
        };
        // The policy has no bounds of its own here, and only the later of these heads is past the cutoff.
        for (lead, is_past) in [(1_000, false), (1_000_000, true)] {
            fixture.node.add_block(fixture.now + lead, "bogus");
            payee.poll().await.unwrap();
            match pay().await {
                Err(ReceiveError::Rejected(Rejection::PastCutoff { .. })) => assert!(is_past),
                // As before, if the exposure was read by an earlier head.
                Err(ReceiveError::Rejected(Rejection::ExposureTooLarge { .. })) => {
                    assert!(!is_past);
                }
                Err(ReceiveError::Bank(BankError::Head(HeadCheckError::Ahead { .. }))) => {
                    assert!(!is_past);
                }
                other => panic!("{other:?}"),
            }
            fixture.node.cut(1);
            payee.poll().await.unwrap();
            assert_eq!(code(pay().await), "exposure_too_large");
        }
    }
}
