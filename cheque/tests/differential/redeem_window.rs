//! Compares core and contract at the bounds of the redemption window.

use crate::{
    evm::{Evm, Revert, recordSeedCall},
    random::rng,
    support::comparison::{assert_redeem_matches, judge_both},
    support::generate::{self, OpenDeposit, Payees},
};
use alloy_primitives::{Address, Bytes, U256};
use cheque::{Amount, HISTORY_WINDOW, Outcome, Redemption, Seed, SeedSource, roll};

/// Opens a deposit with a window of `window` blocks, and returns a winning redemption and the header of the draw block
/// (empty for `BlockHash`). The current block is the block after the draw.
fn winning_deposit(source: SeedSource, window: u64) -> (Evm, OpenDeposit, Redemption, Bytes) {
    let rng = &mut rng(source as u64 + 20);
    let mut chain = Evm::new(source, 1);
    let payees = Payees::new(rng, 20);
    let open = generate::open(&mut chain, rng, &payees, 20, window);
    chain.mine_to(open.deposit.drawBlock + 1);
    let block = generate::header(rng, open.deposit.drawBlock);
    let (header, seed) = open.draw(&mut chain, &block);
    let point = roll(Seed(seed), open.id, Amount::new(open.deposit.amount));
    let winner = open.tree.payee_at(point).unwrap();
    let allowance = open.tree.allowance(winner).unwrap();
    let r = open.redemption(&chain, winner, allowance.get(), None);
    (chain, open, r, header)
}

/// Asserts the outcome by core and contract, and that the contract acts on it.
fn assert_outcome(chain: &mut Evm, r: &Redemption, expected: Outcome) {
    let state = chain.state(&r.deposit, r.payee);
    let packed = generate::packed(r);
    let judgement = judge_both(chain, &packed, &state);
    assert_eq!(judgement.0, expected, "at block {}", chain.block());
    assert_redeem_matches(chain, &packed, &state, judgement);
}

fn record_seed(chain: &mut Evm, open: &OpenDeposit, header: &Bytes) -> Result<(), Revert> {
    let record = recordSeedCall {
        blockNumber: U256::from(open.deposit.drawBlock),
        header: header.clone(),
    };
    chain.send(Address::ZERO, 0, &record).map(|_| ())
}

#[test]
fn accepts_header_for_exactly_8191_blocks() {
    for source in [SeedSource::PrevRandao, SeedSource::BlockHash] {
        let (mut chain, open, mut r, header) = winning_deposit(source, 20_000);
        let draw = open.deposit.drawBlock;
        r.header = header.clone();
        for age in [1, 255, 256, 257, 300, 8_000, HISTORY_WINDOW] {
            chain.mine_to(draw + age);
            assert_outcome(&mut chain, &r, Outcome::Payable);
        }
        chain.mine_to(draw + HISTORY_WINDOW + 1);
        assert_outcome(&mut chain, &r, Outcome::SeedUnknown);
        let late = record_seed(&mut chain, &open, &header).unwrap_err();
        assert!(matches!(late, Revert::BlockUnknown(_)));
    }
}

#[test]
fn accepts_recorded_seed_until_last_redeem_block() {
    for source in [SeedSource::PrevRandao, SeedSource::BlockHash] {
        let (mut chain, open, r, header) = winning_deposit(source, 9_000);
        chain.mine_to(open.deposit.drawBlock + HISTORY_WINDOW);
        assert!(record_seed(&mut chain, &open, &header).is_ok());
        for block in [
            open.deposit.drawBlock + HISTORY_WINDOW + 1,
            open.deposit.lastRedeemBlock,
        ] {
            chain.mine_to(block);
            assert_outcome(&mut chain, &r, Outcome::Payable);
        }
        // Recording again changes nothing and needs no proof.
        assert!(record_seed(&mut chain, &open, &Bytes::new()).is_ok());
        chain.mine_to(open.deposit.lastRedeemBlock + 1);
        assert_outcome(&mut chain, &r, Outcome::TooLate);
    }
}

#[test]
fn refuses_recorded_seed_after_last_redeem_block() {
    let (mut chain, open, r, header) = winning_deposit(SeedSource::PrevRandao, 1);
    assert!(record_seed(&mut chain, &open, &header).is_ok());
    assert_eq!(chain.block(), open.deposit.lastRedeemBlock);
    assert_outcome(&mut chain, &r, Outcome::Payable);
    chain.mine_to(open.deposit.lastRedeemBlock + 1);
    assert_outcome(&mut chain, &r, Outcome::TooLate);
}

#[test]
fn redeems_nothing_up_to_the_draw_block() {
    let rng = &mut rng(30);
    let mut chain = Evm::new(SeedSource::BlockHash, 1);
    let payees = Payees::new(rng, 3);
    let open = generate::open(&mut chain, rng, &payees, 3, 10);
    let (payee, allowance) = open.tree.iter().next().unwrap();
    let r = open.redemption(&chain, payee, allowance.get(), None);
    while chain.block() <= open.deposit.drawBlock {
        assert_outcome(&mut chain, &r, Outcome::TooEarly);
        let early = record_seed(&mut chain, &open, &Bytes::new()).unwrap_err();
        assert!(matches!(early, Revert::BlockUnknown(_)));
        chain.mine_to(chain.block() + 1);
    }
}

#[test]
fn refuses_headers_without_randomness_or_with_difficulty() {
    let rng = &mut rng(31);
    let (mut chain, open, mut r, _) = winning_deposit(SeedSource::PrevRandao, 100);
    let good = generate::header(rng, open.deposit.drawBlock);
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
        let refused = record_seed(&mut chain, &open, &r.header).unwrap_err();
        assert!(matches!(refused, Revert::InvalidHeader(_)));
    }
    let smallest = alloy_consensus::Header {
        mix_hash: (edge + U256::from(1)).into(),
        ..good
    };
    (r.header, _) = open.draw(&mut chain, &smallest);
    assert!(record_seed(&mut chain, &open, &r.header).is_ok());
}
