//! Clock jumps and impossible views: a payment is rejected or accepted, and always has the same value.

use super::*;

const HOUR: u64 = 3_600;

#[test]
fn refuses_during_a_clock_jump_and_accepts_afterwards() {
    let mut fixture = fixture();
    let payments = [300_000, 300_001, 700_000, 1_000_000];
    let clocks = [
        NOW - 61,
        NOW + 61,
        NOW - 5 * HOUR,
        NOW + 5 * HOUR,
        0,
        u64::MAX,
    ];
    let (mut position, mut values) = (None, 0);
    for spent in payments {
        let proof = match &position {
            None => fixture.opening(spent),
            Some(_) => fixture.later(spent),
        };
        for now in clocks {
            fixture.view.now = now;
            let refused = fixture.rejects(&proof, position.as_ref());
            let stale = Rejection::StaleView {
                head_time: NOW,
                now,
                limit: 60,
            };
            assert_eq!(refused, stale);
        }
        fixture.view.now = NOW;
        let received = fixture.receive(&proof, position.as_ref()).unwrap();
        values += received.value().get();
        position = Some(received.position().clone());
    }
    assert_eq!(
        values,
        fixture.worth(1_000_000),
        "the values of all payments, each counted once"
    );
}

#[test]
fn values_payments_alike_at_any_head_and_clock() {
    let times = [0, 1, NOW, NOW + 5 * HOUR, u64::MAX - 1, u64::MAX];
    let blocks = [0, 1, HEAD, HEAD + 999, HEAD + 1_000, u64::MAX - 1, u64::MAX];
    let (mut accepted, mut refused) = (0, 0);
    for draw_block in [1, HEAD + 1_000, u64::MAX - 1] {
        let mut fixture = fixture_with(|deposit| {
            deposit.drawBlock = draw_block;
            deposit.lastRedeemBlock = draw_block.saturating_add(HISTORY_WINDOW);
        });
        let (opening, later) = (fixture.opening(300_000), fixture.later(700_000));
        let worth = Amount::new(fixture.worth(300_000));
        let mut views = Vec::new();
        for head in blocks {
            for head_time in times {
                views.extend(times.map(|now| (head, head_time, now)));
            }
        }
        for (stale_after, early_seed, block_time) in [
            (Some(60), 0, 12),
            (Some(u64::MAX), 3_336, 2),
            (None, 0, u64::MAX),
            (None, u64::MAX, 0),
            (None, 3_336, u64::MAX),
        ] {
            fixture.policy.stale_after = stale_after;
            fixture.policy.early_seed = early_seed;
            fixture.policy.block_time = block_time;
            for (head, head_time, now) in &views {
                (fixture.view.head, fixture.view.head_time) = (*head, *head_time);
                fixture.view.now = *now;
                match fixture.receive(&opening, None) {
                    Ok(received) => {
                        assert_eq!(received.value(), worth);
                        accepted += 1;
                        // The next payment is accepted at the same head and clock.
                        let position = received.position();
                        let next = fixture.receive(&later, Some(position)).unwrap();
                        assert!(next.value() > Amount::ZERO);
                    }
                    Err(
                        Rejection::StaleView { .. }
                        | Rejection::PastCutoff { .. }
                        | Rejection::SeedMayBePublic { .. }
                        | Rejection::HorizonTooLong { .. }
                        | Rejection::WindowTooShort { .. },
                    ) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
    assert!(
        accepted > 100 && refused > 1_000,
        "{accepted} accepted, {refused} refused"
    );
}
