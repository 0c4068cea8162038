//! Logs of every event.

use std::collections::BTreeSet;

use ::ethers::contract::{EthEvent, EthLogDecode};
use ::ethers::core::abi::RawLog;
use alloy_sol_types::SolEvent;
use cheque_bindings::IChequeBank::{self as alloy, IChequeBankEvents};
use cheque_bindings::Outcome;
use cheque_bindings_ethers::{self as ethers, ChequeBankEvents};

use crate::values::{account, eth_address, eth_number, number, word};

/// The events whose logs were compared.
#[derive(Default)]
struct Compared(BTreeSet<[u8; 32]>);

impl Compared {
    fn same<A, E>(&mut self, alloy: A, ethers: E)
    where
        A: SolEvent,
        E: EthEvent + Into<ChequeBankEvents>,
    {
        assert_eq!(E::abi_signature(), A::SIGNATURE);
        assert_eq!(E::signature().0, A::SIGNATURE_HASH.0, "{}", A::SIGNATURE);

        let log = alloy.encode_log_data();
        let topics = log.topics().iter().map(|topic| topic.0.into()).collect();
        let log = RawLog {
            topics,
            data: log.data.to_vec(),
        };
        let decoded = ChequeBankEvents::decode_log(&log).expect("ethers reads alloy's log");
        assert_eq!(decoded, ethers.into(), "{}", A::SIGNATURE);

        assert!(
            self.0.insert(A::SIGNATURE_HASH.0),
            "{} is compared twice",
            A::SIGNATURE
        );
    }
}

#[test]
fn every_event_has_the_same_logs() {
    let mut logs = Compared::default();
    let (id, payer, signer, token, payee, to) = (
        word(1),
        account(2),
        account(3),
        account(4),
        account(5),
        account(6),
    );
    let (lane, amount, payout, spent) = (u64::MAX, u128::MAX, 1 << 100, 77);

    logs.same(
        alloy::Funded {
            from: payer,
            token,
            account: payee,
            amount: number(7),
        },
        ethers::FundedFilter {
            from: eth_address(payer),
            token: eth_address(token),
            account: eth_address(payee),
            amount: eth_number(number(7)),
        },
    );
    logs.same(
        alloy::Opened {
            depositId: id,
            payer,
            signer,
            token,
            lane,
            amount,
            minPayout: payout,
            drawTime: 1_800_000_000,
            redeemUntil: u64::MAX,
            root: word(8),
        },
        ethers::OpenedFilter {
            deposit_id: id.0,
            payer: eth_address(payer),
            signer: eth_address(signer),
            token: eth_address(token),
            lane,
            amount,
            min_payout: payout,
            draw_time: 1_800_000_000,
            redeem_until: u64::MAX,
            root: word(8).0,
        },
    );
    logs.same(
        alloy::SeedRecorded {
            drawTime: u64::MAX - 1,
            seed: word(10),
        },
        ethers::SeedRecordedFilter {
            draw_time: u64::MAX - 1,
            seed: word(10).0,
        },
    );
    logs.same(
        alloy::Redeemed {
            depositId: id,
            payee,
            to,
            spent,
            payout,
        },
        ethers::RedeemedFilter {
            deposit_id: id.0,
            payee: eth_address(payee),
            to: eth_address(to),
            spent,
            payout,
        },
    );
    logs.same(
        alloy::Skipped {
            depositId: id,
            payee,
            outcome: Outcome::ConsentMissing,
        },
        ethers::SkippedFilter {
            deposit_id: id.0,
            payee: eth_address(payee),
            outcome: Outcome::ConsentMissing as u8,
        },
    );
    logs.same(
        alloy::Reclaimed {
            depositId: id,
            amount,
        },
        ethers::ReclaimedFilter {
            deposit_id: id.0,
            amount,
        },
    );
    logs.same(
        alloy::Withdrawn {
            account: payer,
            token,
            lane,
            amount: number(11),
            to,
        },
        ethers::WithdrawnFilter {
            account: eth_address(payer),
            token: eth_address(token),
            lane,
            amount: eth_number(number(11)),
            to: eth_address(to),
        },
    );

    logs.same(
        alloy::NonceConsumed {
            account: payer,
            nonce: number(12),
        },
        ethers::NonceConsumedFilter {
            account: eth_address(payer),
            nonce: eth_number(number(12)),
        },
    );

    let all: BTreeSet<_> = IChequeBankEvents::SELECTORS.iter().copied().collect();
    assert_eq!(logs.0, all);
}
