//! Wrong clocks and impossible views: a payment is rejected or accepted, and always has the same value.

use super::*;
use crate::protocol::now::ClockError;

const DAY: u64 = 86_400;

fn at(now: Now) -> Result<Received, Rejection> {
    let mut fixture = fixture();
    fixture.view.now = now;
    fixture.view.final_time = None;
    fixture.receive(&fixture.opening(300_000), None)
}

fn code(now: Now) -> &'static str {
    at(now).map_or_else(|rejection| rejection.code(), |_| "accepted")
}

#[test]
fn takes_payments_by_a_clock_five_seconds_off() {
    for now in [
        clocks(NOW - 5, NOW, NOW),
        clocks(NOW + 5, NOW, NOW),
        clocks(NOW, NOW - 5, NOW),
        clocks(NOW, NOW, NOW - 5),
    ] {
        assert_eq!(code(now), "accepted", "{now:?}");
    }
}

#[test]
fn refuses_payments_by_a_clock_slow_by_more_than_ten_seconds() {
    for slow in [20, 50] {
        for now in [
            clocks(NOW - slow, NOW, NOW),
            // Either of head and round shows that the clock is slow.
            clocks(NOW - slow, NOW - slow, NOW),
            clocks(NOW - slow, NOW, NOW - slow),
        ] {
            let behind = ClockError::ClockBehind {
                seen: NOW,
                clock: NOW - slow,
                limit: 10,
            };
            assert_eq!(at(now), Err(Rejection::Clock(behind)));
            assert_eq!(code(now), "stale_view");
        }
    }
}

#[test]
fn takes_payments_by_a_clock_fast_by_up_to_sixty_seconds() {
    for fast in [20, 50, 60] {
        assert_eq!(code(clocks(NOW + fast, NOW, NOW)), "accepted");
        // The fast clock decides: it closes the sale early.
        let early = DRAW - 30 - fast;
        assert_eq!(code(clocks(early + fast, early, early)), "past_cutoff");
        let before = early - 1;
        assert_eq!(code(clocks(before + fast, before, before)), "accepted");
    }
    assert_eq!(code(clocks(NOW + 61, NOW, NOW)), "stale_view");
}

#[test]
fn takes_payments_by_a_head_or_round_fifty_seconds_behind() {
    assert_eq!(code(clocks(NOW, NOW - 50, NOW)), "accepted");
    assert_eq!(code(clocks(NOW, NOW, NOW - 50)), "accepted");
    // The other two clocks decide: the old head does not prolong the sale.
    let edge = DRAW - 30;
    assert_eq!(code(clocks(edge, edge - 50, edge)), "past_cutoff");
    assert_eq!(code(clocks(edge, edge, edge - 50)), "past_cutoff");
}

#[test]
fn refuses_payments_without_a_verified_round() {
    let without = Now {
        round_time: None,
        ..clocks(NOW, NOW, NOW)
    };
    assert_eq!(code(without), "beacon_stale");
    let mut fixture = fixture();
    fixture.view.now = without;
    fixture.policy.freshness = None;
    assert!(fixture.receive(&fixture.opening(300_000), None).is_ok());
}

#[test]
fn checks_neither_clocks_nor_finality_without_freshness() {
    let mut fixture = fixture();
    fixture.policy.freshness = None;
    fixture.view.now = clocks(0, NOW, DAY);
    fixture.view.final_time = Some(0);
    assert!(fixture.receive(&fixture.opening(300_000), None).is_ok());
    // The latest clock still decides.
    fixture.view.now = clocks(0, NOW, DRAW - 30);
    assert_eq!(
        fixture.rejects(&fixture.opening(300_000), None).code(),
        "past_cutoff"
    );
}

/// True time runs through the draw. The node is honest and up to an hour behind, the newest round was asked for at most
/// ten seconds ago, and the clock is wrong by anything up to a minute.
#[test]
fn sells_nothing_after_the_draw_by_any_wrong_clock() {
    let mut fixture = fixture();
    fixture.view.final_time = None;
    let opening = fixture.opening(300_000);
    let mut sold = 0;
    for since in [-91, -90, -61, -31, -30, -29, -18, -1, 0, 1, 20, 50, 60] {
        let now = DRAW.saturating_add_signed(since);
        for off in [-60, -50, -20, -11, -10, -5, -1, 0, 5, 20, 60] {
            for head_age in [0, 1, 13, 50, 60, 61, 3_600] {
                for round_age in [0, 3, 13] {
                    let clock = now.saturating_add_signed(off);
                    let view = clocks(clock, now - head_age, now - round_age);
                    fixture.view.now = view;
                    if let Ok(received) = fixture.receive(&opening, None) {
                        assert!(now < DRAW, "{since} s after the draw: {view:?}");
                        assert_eq!(received.value().get(), worth(300_000));
                        sold += 1;
                    }
                }
            }
        }
    }
    assert!(sold > 100, "{sold} payments");
}

#[test]
fn refuses_during_a_clock_jump_and_accepts_afterwards() {
    let mut fixture = fixture();
    let jumps = [
        NOW - 11,
        NOW + 61,
        NOW - 4 * DAY,
        NOW + 5 * DAY,
        0,
        u64::MAX,
    ];
    let (mut position, mut values) = (None, 0);
    for spent in [300_000, 300_001, 700_000, 1_000_000] {
        let proof = match &position {
            None => fixture.opening(spent),
            Some(_) => fixture.later(spent),
        };
        for clock in jumps {
            fixture.view.now = clocks(clock, NOW, NOW);
            let refused = fixture.rejects(&proof, position.as_ref());
            assert_eq!(refused.code(), "stale_view");
        }
        fixture.view.now = clocks(NOW, NOW, NOW);
        let received = fixture.receive(&proof, position.as_ref()).unwrap();
        values += received.value().get();
        position = Some(received.position().clone());
    }
    assert_eq!(
        values,
        worth(1_000_000),
        "the values of all payments, each counted once"
    );
}

#[test]
fn values_payments_alike_at_any_three_clocks() {
    let ends = [0, 1, NOW, NOW + 5 * DAY, u64::MAX - 1, u64::MAX];
    let (mut accepted, mut refused) = (0, 0);
    for draw_time in [1, DRAW, u64::MAX - 1] {
        let mut fixture = fixture_with(|deposit| {
            deposit.drawTime = draw_time;
            deposit.redeemUntil = draw_time.saturating_add(DAY);
        });
        fixture.policy.min_window = 1;
        fixture.view.final_time = None;
        let (opening, later) = (fixture.opening(300_000), fixture.later(700_000));
        for freshness in [fixture.policy.freshness, None] {
            fixture.policy.freshness = freshness;
            for (clock, head, round) in ends
                .iter()
                .flat_map(|clock| ends.map(|head| (*clock, head)))
                .flat_map(|(clock, head)| ends.map(|round| (clock, head, round)))
            {
                fixture.view.now = clocks(clock, head, round);
                match fixture.receive(&opening, None) {
                    Ok(received) => {
                        assert_eq!(received.value().get(), worth(300_000));
                        accepted += 1;
                        // The next payment is accepted at the same clocks.
                        let position = received.position();
                        let next = fixture.receive(&later, Some(position)).unwrap();
                        assert!(next.value() > Amount::ZERO);
                    }
                    Err(
                        Rejection::Clock(_)
                        | Rejection::PastCutoff { .. }
                        | Rejection::HorizonTooLong { .. },
                    ) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
    assert!(
        accepted >= 20 && refused > 1_000,
        "{accepted} accepted, {refused} refused"
    );
}
