//! The times of rounds, at both edges.

use super::*;
use crate::protocol::beacon::local::LocalBeacon;
use proptest::prelude::*;

#[test]
fn counts_rounds_from_one_at_genesis() {
    let quicknet = Beacon::quicknet();
    assert_eq!(quicknet.round_at(1_692_806_364), Ok(1000));
    assert_eq!(quicknet.time_of(1000), Ok(1_692_806_364));
    assert_eq!(quicknet.round_at(1_692_803_367), Ok(1));
    assert_eq!(
        quicknet.round_at(1_692_803_366),
        Err(ScheduleError::BeforeGenesis {
            time: 1_692_803_366,
            genesis: 1_692_803_367
        })
    );
    assert_eq!(
        quicknet.round_at(1_692_806_366),
        Err(ScheduleError::OffSchedule {
            time: 1_692_806_366,
            before: 1_692_806_364,
            after: 1_692_806_367
        })
    );
    assert_eq!(quicknet.time_of(0), Err(ScheduleError::RoundZero));
    assert_eq!(quicknet.newest_at(1_692_803_366), None);
    assert_eq!(quicknet.newest_at(1_692_803_367), Some(1));
    assert_eq!(quicknet.newest_at(1_692_806_366), Some(1000));
    assert_eq!(quicknet.newest_at(1_692_806_367), Some(1001));
    let zero = quicknet.verify(0, &[0; G1]);
    assert_eq!(zero, Err(InvalidRound::Schedule(ScheduleError::RoundZero)));
}

#[test]
fn refuses_rounds_beyond_64_bits() {
    let quicknet = Beacon::quicknet();
    let last = (u64::MAX - QUICKNET_GENESIS) / 3 + 1;
    assert!(quicknet.time_of(last).is_ok());
    for round in [last + 1, u64::MAX] {
        assert_eq!(quicknet.time_of(round), Err(ScheduleError::TooFar(round)));
    }
    let dense = LocalBeacon::new(&[7; 32], 0, 1).unwrap();
    let too_far = Err(ScheduleError::TooFar(u64::MAX));
    assert_eq!(dense.beacon().round_at(u64::MAX), too_far);
    assert_eq!(dense.beacon().newest_at(u64::MAX), None);
    assert_eq!(dense.beacon().time_of(u64::MAX), Ok(u64::MAX - 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn finds_the_round_of_its_own_time(
        round in 1_u64..=u64::MAX / 2, period in 1_u64..1_000, genesis: u32
    ) {
        let mut beacon = Beacon::quicknet();
        (beacon.genesis, beacon.period) = (genesis.into(), period);
        match beacon.time_of(round) {
            Ok(time) => {
                prop_assert_eq!(beacon.round_at(time), Ok(round));
                prop_assert_eq!(beacon.newest_at(time), Some(round));
                prop_assert_eq!(beacon.round_at(time.saturating_add(1)).is_ok(), period == 1);
            }
            Err(error) => prop_assert_eq!(error, ScheduleError::TooFar(round)),
        }
    }
}
