//! Draws while the beacon has stopped.

use super::*;
use crate::{
    bank::{
        fake_bank::FakeBank,
        stopped_relay::{PERIOD, StoppedBeacon},
    },
    payer::allowance_list::AllowanceList,
    protocol::{
        allowance::{MasterSalt, tree::AllowanceTree},
        chain_profile::ChainProfile,
    },
    store::{Memory, Store, Swap, Table, keys::deposit_key},
    sys::unix_now,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The number of deposits whose draw has no round.
const LATE: u64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_ends_soon_while_the_beacon_is_stopped() {
    let beacon = StoppedBeacon::start().await;
    let node = FakeBank::new(beacon.local.beacon().parameters(), 400, unix_now());
    node.set_finalized(Some(399));
    let profile = ChainProfile {
        freshness: None,
        ..*ChainProfile::of(1).unwrap()
    };
    let reader = node.reader(profile).await;
    let list = AllowanceList {
        master: MasterSalt::from_bytes([9; 32]),
        allowances: vec![(Address::repeat_byte(0x11), Amount::new(1_000))],
        names: Default::default(),
    };
    let tree = AllowanceTree::build(list.allowances.clone(), &list.master).unwrap();
    let (bank, store) = (*reader.bank(), Arc::new(Memory::new()));
    let mut ids = Vec::new();
    for number in 0..=LATE {
        let draw = beacon.stopped_at + number * PERIOD;
        let deposit = Deposit {
            payer: Address::repeat_byte(0xaa),
            signer: Address::repeat_byte(0xaa),
            token: Address::ZERO,
            lane: number + 1,
            amount: 1_000,
            minPayout: 0,
            drawTime: draw,
            redeemUntil: draw + 86_400,
            root: tree.root(),
        };
        let id = bank.deposit_id(&deposit);
        node.open((deposit.payer, deposit.token, deposit.lane), id, 10);
        let record = DepositRecord {
            deposit,
            since: 9,
            created: draw - 3_600,
            open_at: None,
            draw: None,
            state: DepositState::PastCutoff,
            settled: false,
        };
        let key = deposit_key(&bank, id);
        for (table, bytes) in [
            (Table::Deposits, record.to_bytes()),
            (Table::Trees, list.to_bytes()),
        ] {
            let set = store.compare_and_set(table, &key, None, &bytes);
            assert_eq!(set.unwrap(), Swap::Done);
        }
        ids.push(id);
    }
    let payer = Payer::new(reader, store);
    let payer = payer.with_beacon(beacon.client()).unwrap();
    let begun = Instant::now();
    let report = payer.poll().await.unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    for (number, id) in ids.into_iter().enumerate() {
        let expected = match number {
            0 => DepositState::Drawn { winner: None },
            _ => DepositState::PastCutoff,
        };
        assert_eq!(payer.deposit(id).await.unwrap().state, expected, "{number}");
    }
}
