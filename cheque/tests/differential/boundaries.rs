//! From when until when a win can be redeemed.

use crate::{
    common::rng,
    evm::{Evm, Revert, recordSeedCall},
    judged::{held_to, judged},
    world::{self, Open, Payees},
};
use alloy_primitives::{Address, Bytes, U256};
use cheque::{Amount, HISTORY_WINDOW, Outcome, Redemption, Seed, SeedSource, roll};

/// A deposit with a redemption that wins it, `window` blocks to redeem it, and the header of the draw block where the
/// bank asks for one. The block after the draw is being built.
fn won(source: SeedSource, window: u64) -> (Evm, Open, Redemption, Bytes) {
    let rng = &mut rng(source as u64 + 20);
    let mut chain = Evm::new(source, 1);
    let payees = Payees::new(rng, 20);
    let open = world::open(&mut chain, rng, &payees, 20, window);
    chain.mine_to(open.deposit.drawBlock + 1);
    let block = world::header(rng, open.deposit.drawBlock);
    let (header, seed) = open.draw(&mut chain, &block);
    let point = roll(Seed(seed), open.id, Amount::new(open.deposit.amount));
    let winner = open.tree.payee_at(point).unwrap();
    let allowance = open.tree.allowance(winner).unwrap();
    let r = open.redemption(&chain, winner, allowance.get(), None);
    (chain, open, r, header)
}

/// Both sides say this now, and the contract does it.
fn assert_outcome(chain: &mut Evm, r: &Redemption, expected: Outcome) {
    let state = chain.state(&r.deposit, r.payee);
    let packed = world::packed(r);
    let judgement = judged(chain, &packed, &state);
    assert_eq!(judgement.0, expected, "at block {}", chain.block());
    held_to(chain, &packed, &state, judgement);
}

fn record(chain: &mut Evm, open: &Open, header: &Bytes) -> Result<(), Revert> {
    let record = recordSeedCall {
        blockNumber: U256::from(open.deposit.drawBlock),
        header: header.clone(),
    };
    chain.send(Address::ZERO, 0, &record).map(|_| ())
}

#[test]
fn a_header_proves_the_draw_for_8191_blocks_and_not_one_more() {
    for source in [SeedSource::PrevRandao, SeedSource::BlockHash] {
        let (mut chain, open, mut r, header) = won(source, 20_000);
        let draw = open.deposit.drawBlock;
        r.header = header.clone();
        for age in [1, 255, 256, 257, 300, 8_000, HISTORY_WINDOW] {
            chain.mine_to(draw + age);
            assert_outcome(&mut chain, &r, Outcome::Payable);
        }
        chain.mine_to(draw + HISTORY_WINDOW + 1);
        assert_outcome(&mut chain, &r, Outcome::SeedUnknown);
        let late = record(&mut chain, &open, &header).unwrap_err();
        assert!(matches!(late, Revert::BlockUnknown(_)));
    }
}

#[test]
fn a_recorded_seed_serves_until_the_last_block_to_redeem() {
    for source in [SeedSource::PrevRandao, SeedSource::BlockHash] {
        let (mut chain, open, r, header) = won(source, 9_000);
        chain.mine_to(open.deposit.drawBlock + HISTORY_WINDOW);
        assert!(record(&mut chain, &open, &header).is_ok());
        for block in [
            open.deposit.drawBlock + HISTORY_WINDOW + 1,
            open.deposit.lastRedeemBlock,
        ] {
            chain.mine_to(block);
            assert_outcome(&mut chain, &r, Outcome::Payable);
        }
        // Recording again changes nothing, and needs no proof any more.
        assert!(record(&mut chain, &open, &Bytes::new()).is_ok());
        chain.mine_to(open.deposit.lastRedeemBlock + 1);
        assert_outcome(&mut chain, &r, Outcome::TooLate);
    }
}

#[test]
fn a_recorded_seed_does_not_outlive_the_last_block_to_redeem() {
    let (mut chain, open, r, header) = won(SeedSource::PrevRandao, 1);
    assert!(record(&mut chain, &open, &header).is_ok());
    assert_eq!(chain.block(), open.deposit.lastRedeemBlock);
    assert_outcome(&mut chain, &r, Outcome::Payable);
    chain.mine_to(open.deposit.lastRedeemBlock + 1);
    assert_outcome(&mut chain, &r, Outcome::TooLate);
}

#[test]
fn nothing_can_be_redeemed_in_the_draw_block_or_before() {
    let rng = &mut rng(30);
    let mut chain = Evm::new(SeedSource::BlockHash, 1);
    let payees = Payees::new(rng, 3);
    let open = world::open(&mut chain, rng, &payees, 3, 10);
    let (payee, allowance) = open.tree.iter().next().unwrap();
    let r = open.redemption(&chain, payee, allowance.get(), None);
    while chain.block() <= open.deposit.drawBlock {
        assert_outcome(&mut chain, &r, Outcome::TooEarly);
        let early = record(&mut chain, &open, &Bytes::new()).unwrap_err();
        assert!(matches!(early, Revert::BlockUnknown(_)));
        chain.mine_to(chain.block() + 1);
    }
}

#[test]
fn headers_without_randomness_or_with_a_difficulty_decide_nothing() {
    let rng = &mut rng(31);
    let (mut chain, open, mut r, _) = won(SeedSource::PrevRandao, 100);
    let good = world::header(rng, open.deposit.drawBlock);
    let edge = U256::from(1) << 64;
    let mixes = [U256::ZERO, U256::from(1), edge - U256::from(1), edge];
    let mut headers: Vec<_> = mixes
        .map(|mix| alloy_consensus::Header {
            mix_hash: mix.into(),
            ..good.clone()
        })
        .into();
    headers.push(alloy_consensus::Header {
        difficulty: U256::from(1),
        ..good.clone()
    });
    for header in headers {
        (r.header, _) = open.draw(&mut chain, &header);
        assert_outcome(&mut chain, &r, Outcome::BadHeader);
        let refused = record(&mut chain, &open, &r.header).unwrap_err();
        assert!(matches!(refused, Revert::InvalidHeader(_)));
    }
    let smallest = alloy_consensus::Header {
        mix_hash: (edge + U256::from(1)).into(),
        ..good
    };
    (r.header, _) = open.draw(&mut chain, &smallest);
    assert!(record(&mut chain, &open, &r.header).is_ok());
}
