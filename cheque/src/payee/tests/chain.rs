//! The view of the chain: requests, reorganisations, cutoffs and consents.

use super::*;
use crate::{
    bank::{error::BankError, head::HeadCheckError, redeem::RedeemError},
    payee::exposure::Sight,
    protocol::{
        now::{Freshness, Now},
        receive::{judge::receive_payment, policy::View},
        terms::Purse,
    },
    store::keys::position_key,
    tx::wallet::Wallet,
};
use alloy::{network::EthereumWallet, signers::local::PrivateKeySigner};
use std::time::Duration;

const PAYMENT: u128 = 10_000_000;

#[tokio::test]
async fn a_head_costs_the_same_with_many_deposits() {
    let mut costs = Vec::new();
    for deposits in [1, 2_000] {
        let fixture = Fixture::with(|policy| limit(policy, u128::MAX)).await;
        for lane in 1..=deposits {
            let opened = fixture.open(1, lane, fixture.draw);
            fixture.pay(&opened, PAYMENT).await.unwrap();
        }
        let mut asked = Vec::new();
        for number in 1..=5 {
            fixture.go_to(fixture.now + 12 * number);
            fixture.node.asked();
            fixture.payee.poll().await.unwrap();
            asked.push(fixture.node.asked());
        }
        let purses: u32 = asked.iter().map(|(_, purses)| purses).sum();
        assert_eq!(purses, 0, "purses of open deposits are read again");
        costs.push(asked);
    }
    assert_eq!(costs[0], costs[1]);
    assert!(
        costs[0].iter().all(|(requests, _)| *requests <= 10),
        "{costs:?}"
    );
}

#[tokio::test]
async fn payments_of_known_deposits_need_no_request() {
    let fixture = Fixture::new().await;
    let opened = fixture.open(1, 1, fixture.draw);
    fixture.pay(&opened, PAYMENT).await.unwrap();
    fixture.node.asked();
    for number in 1..=5 {
        let paid = fixture.pay(&opened, PAYMENT + number).await;
        assert_eq!(code(paid), "accepted");
    }
    let (_, purses) = fixture.node.asked();
    assert_eq!(purses, 0);
}

/// Payments that find a snapshot of half its life use it, and later ones find a new one.
#[tokio::test]
async fn takes_the_next_snapshot_before_the_last_is_too_old() {
    let fixture = Fixture::new().await;
    let payee = &fixture.payee;
    let first = payee.fresh_snapshot().await.unwrap();
    tokio::time::sleep(payee.max_age() / 2).await;
    let again = payee.fresh_snapshot().await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "the payment waited");
    let newest = || payee.shared.snapshots.newest();
    let renewed = async {
        while newest().is_some_and(|newest| Arc::ptr_eq(&first, &newest)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let renewed = tokio::time::timeout(payee.max_age(), renewed).await;
    renewed.expect("no new snapshot");
}

#[tokio::test]
async fn reads_purses_in_batches_after_a_restart() {
    let fixture = Fixture::with(|policy| limit(policy, u128::MAX)).await;
    for lane in 1..=150 {
        let opened = fixture.open(1, lane, fixture.draw);
        fixture.pay(&opened, PAYMENT).await.unwrap();
    }
    let restarted = fixture.restarted().await;
    fixture.node.set_finalized(Some(BLOCKS - 60));
    fixture.node.asked();
    restarted.poll().await.unwrap();
    let (requests, purses) = fixture.node.asked();
    // At the confirmed block and at the final one, a hundred in a request.
    assert_eq!(purses, 300);
    assert!(requests < 40, "{requests} requests");
    fixture.node.add_block(fixture.now + 12, "first");
    restarted.poll().await.unwrap();
    assert_eq!(fixture.node.asked().1, 0, "read again");
    assert!(restarted.unconfirmed().is_empty());
}

/// A wallet made for the chain's usual profile, at a reader with another one.
#[tokio::test]
async fn gives_its_wallet_the_pauses_of_the_readers_profile() {
    let mut fixture = Fixture::new().await;
    fixture.profile.confirm = 1_000;
    let payee = fixture.restarted().await;
    let account = EthereumWallet::from(PrivateKeySigner::random());
    let wallet = Wallet::new(payee.reader().provider().clone(), account, 1);
    assert_eq!(wallet.bump_after(), 144);
    let payee = payee.with_wallet(wallet);
    assert_eq!(payee.wallet().map(Wallet::bump_after), Some(1_000));
}

/// Counts a payment from a deposit whose purse is to be read, as after a restart.
fn count_unseen(fixture: &Fixture, opened: &Opened) {
    let unseen = Sight {
        open_at: u64::MAX,
        generation: 0,
    };
    let mut index = fixture.payee.index();
    let paid = index.begin(opened.id, &opened.terms, Amount::new(1), unseen);
    index.finish(paid, true);
}

/// At a node 50 ms away, 100,000 purses take twenty times as long as these: 9 s.
#[tokio::test]
async fn reads_thousands_of_purses_in_a_few_round_trips() {
    const DEPOSITS: u64 = 5_000;
    let fixture = Fixture::new().await;
    for lane in 1..=DEPOSITS {
        let opened = fixture.open(1, lane, fixture.draw);
        count_unseen(&fixture, &opened);
    }
    fixture.node.set_finalized(Some(BLOCKS - 60));
    fixture.node.set_delay(Duration::from_millis(50));
    fixture.node.asked();
    fixture.payee.poll().await.unwrap();
    let (_, purses) = fixture.node.asked();
    // At the confirmed block and at the final one.
    assert_eq!(u64::from(purses), 2 * DEPOSITS);
    assert_eq!(fixture.payee.index().count_unread(fixture.now), 0);
    assert_eq!(fixture.node.most_at_once(), 16, "batches in flight");
}

/// A slow node holds up a poll for the time of a few reads. The next polls read the rest.
#[tokio::test]
async fn reads_the_rest_of_the_purses_at_the_next_poll() {
    const DEPOSITS: u64 = 9_001;
    let mut fixture = Fixture::new().await;
    fixture.profile.poll = Duration::from_millis(100);
    fixture.payee = fixture.restarted().await;
    for lane in 1..=DEPOSITS {
        let opened = fixture.terms(1, lane, fixture.draw);
        // Every other deposit is missing, and stays to be read.
        if lane % 2 == 0 {
            fixture.node.open(opened.purse(), opened.id, 10);
        }
        count_unseen(&fixture, &opened);
    }
    fixture.node.set_delay(fixture.payee.max_age() / 6);
    let mut left = Vec::new();
    for _ in 0..3 {
        fixture.payee.poll().await.unwrap();
        left.push(fixture.payee.index().count_unread(fixture.now));
    }
    let [first, second, last] = left[..] else {
        panic!("{left:?}")
    };
    assert!(first > second && second > last, "{left:?}");
    assert_eq!(last, DEPOSITS as usize / 2 + 1, "the missing ones");
}

#[tokio::test]
async fn refuses_a_deposit_that_a_reorganisation_took_back() {
    let fixture = Fixture::new().await;
    let opened = fixture.open_in(1, 1, fixture.draw, BLOCKS - 30);
    fixture.node.set_finalized(Some(BLOCKS - 100));
    assert_eq!(code(fixture.pay(&opened, PAYMENT).await), "accepted");
    // Blocks that are not confirmed are replaced: nothing known is undone.
    fixture.node.reorganise(5, "second");
    fixture.node.asked();
    fixture.payee.poll().await.unwrap();
    assert_eq!(fixture.node.asked().1, 0);
    assert!(fixture.payee.unconfirmed().is_empty());
    // Confirmed blocks are, and the new chain does not have the deposit.
    fixture.node.reorganise(50, "third");
    fixture.node.take_back(opened.purse());
    fixture.payee.poll().await.unwrap();
    assert!(fixture.payee.unconfirmed().contains(&opened.id));
    let refused = fixture.pay(&opened, PAYMENT + 1).await;
    assert_eq!(code(refused), "not_confirmed");
    // Opened again, and confirmed after 144 s.
    let head = fixture.node.head();
    fixture.node.open(opened.purse(), opened.id, head.number);
    for (after, expected) in [(132, "not_confirmed"), (144, "accepted")] {
        fixture.node.add_block(head.time + after, "third");
        fixture.payee.poll().await.unwrap();
        let paid = fixture.pay(&opened, PAYMENT + after as u128).await;
        assert_eq!(code(paid), expected, "after {after} s");
    }
    assert!(fixture.payee.unconfirmed().is_empty());
}

#[tokio::test]
async fn takes_payments_until_the_cutoff_to_the_second() {
    let fixture = Fixture::new().await;
    let opened = fixture.open(1, 1, fixture.draw);
    for (before, expected) in [(31, "accepted"), (30, "past_cutoff")] {
        fixture.go_to(fixture.draw - before);
        fixture.payee.poll().await.unwrap();
        let paid = fixture.pay(&opened, PAYMENT + u128::from(before)).await;
        assert_eq!(code(paid), expected, "{before} s before the draw");
    }
}

/// A payee with a key, and the first payment of a deposit drawn at a time.
struct Consenting {
    payee: Payee,
    key: SigningKey,
    opened: Opened,
    proof: Proof,
}

async fn consenting(fixture: &Fixture, draw: u64) -> Consenting {
    let key = SigningKey::from_bytes(&[5; 32]).unwrap();
    let policy = Policy {
        payee: key.address(),
        ..fixture.policy.clone()
    };
    let reader = fixture.node.reader(fixture.profile).await;
    let store = fixture.store.clone();
    let payee = Payee::new(reader, policy, store).unwrap();
    let allowances = [(key.address(), fixture.tree.total())];
    let tree = AllowanceTree::build(allowances, &MasterSalt::from_bytes([9; 32])).unwrap();
    let mut opened = fixture.terms(1, 1, draw);
    opened.terms.root = tree.root();
    opened.id = fixture.bank().deposit_id(&opened.terms);
    fixture.node.open(opened.purse(), opened.id, 10);
    let bank = fixture.bank();
    let context = ChequeContext {
        key: &opened.key,
        bank: &bank,
        deposit: opened.id,
        payee: key.address(),
    };
    let account = Account::new(fixture.tree.total());
    let account = account
        .write_cheque(Amount::new(PAYMENT), &context)
        .unwrap();
    let proof = Proof::Opening(Box::new(Opening {
        bank,
        deposit: opened.terms.clone(),
        allowance: tree.proof(key.address()).unwrap(),
        payee: key.address(),
        cheque: *account.newest().unwrap(),
    }));
    Consenting {
        payee,
        key,
        opened,
        proof,
    }
}

impl Consenting {
    async fn sign(&self) -> Result<(), RedeemError> {
        let signed = self
            .payee
            .sign_consent(self.opened.id, Address::ZERO, &self.key);
        signed.await.map(drop)
    }

    /// Asserts that signing is too early by a time.
    async fn refuses(&self, time: u64) {
        match self.sign().await {
            Err(RedeemError::ConsentTooEarly { now, safe_from }) => {
                assert_eq!((now, safe_from), (time, self.opened.terms.drawTime));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn signs_consents_from_the_draw_time_on() {
    let fixture = Fixture::new().await;
    let consenting = consenting(&fixture, fixture.draw).await;
    let (payee, proof) = (&consenting.payee, &consenting.proof);
    payee.receive_payment(None, proof).await.unwrap();
    // Past the cutoff, a payment may still be on its way into the store.
    fixture.go_to(fixture.draw - 1);
    consenting.refuses(fixture.draw - 1).await;
    fixture.go_to(fixture.draw);
    consenting.sign().await.unwrap();
}

/// A fast clock does not prove that a draw is over: payments may still come.
#[tokio::test]
async fn signs_no_consent_by_the_own_clock_alone() {
    let fixture = Fixture::new().await;
    // The clock is past the draw, and chain and beacon are not.
    let draw = fixture.now - 300;
    let head = draw - 55;
    fixture.node.cut(BLOCKS as usize / 2);
    fixture.go_to(head);
    let consenting = consenting(&fixture, draw).await;
    let Consenting {
        payee,
        opened,
        proof,
        ..
    } = &consenting;
    // A payment of before.
    let now = Now {
        clock: draw - 100,
        head_time: draw - 100,
        round_time: None,
    };
    let view = View {
        now,
        final_time: None,
        purse: Purse::Open(opened.id).word(),
        settled: true,
        redeem_cost: Some(Amount::new(1)),
        exposure: Amount::ZERO,
        unsettled: Amount::ZERO,
    };
    let received = receive_payment(None, proof, None, &view, payee.policy()).unwrap();
    let key = position_key(fixture.bank().address(), opened.id, payee.policy().payee);
    let position = received.position().to_bytes();
    let stored = fixture
        .store
        .compare_and_set(Table::Positions, &key, None, &position);
    assert_eq!(stored.unwrap(), Swap::Done);
    consenting.refuses(head).await;
    // A verified round proves it.
    fixture.publish(draw);
    consenting.sign().await.unwrap();
}

/// A relayer redeems urgent wins while the head is off the clock, and needs the payee's consent.
#[tokio::test]
async fn signs_consents_by_a_round_while_the_head_is_off_the_clock() {
    let mut fixture = Fixture::new().await;
    let mut consenting = consenting(&fixture, fixture.draw).await;
    let (payee, proof) = (&consenting.payee, &consenting.proof);
    payee.receive_payment(None, proof).await.unwrap();
    let policy = payee.policy().clone();
    fixture.profile.freshness = Some(Freshness::DEFAULT);
    let reader = fixture.node.reader(fixture.profile).await;
    consenting.payee = Payee::new(reader, policy, fixture.store.clone()).unwrap();
    // An hour ahead of the own clock.
    fixture.go_to(fixture.draw + 12);
    match consenting.sign().await {
        Err(RedeemError::Bank(BankError::Head(HeadCheckError::Ahead { .. }))) => {}
        other => panic!("{other:?}"),
    }
    fixture.publish(fixture.draw);
    consenting.sign().await.unwrap();
}
