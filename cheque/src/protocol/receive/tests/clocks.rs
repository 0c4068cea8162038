//! Clocks that jump, and views that cannot be true: a payment is refused or taken, and never worth anything else.

use super::*;

const HOUR: u64 = 3_600;

#[test]
fn a_clock_that_jumps_refuses_what_it_takes_once_it_is_right_again() {
    let mut scene = scene();
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
            None => scene.opening(spent),
            Some(_) => scene.later(spent),
        };
        for now in clocks {
            scene.view.now = now;
            let refused = scene.rejects(&proof, position.as_ref());
            let stale = Rejection::StaleView {
                head_time: NOW,
                now,
                limit: 60,
            };
            assert_eq!(refused, stale);
        }
        scene.view.now = NOW;
        let received = scene.receive(&proof, position.as_ref()).unwrap();
        values += received.value().get();
        position = Some(received.position().clone());
    }
    assert_eq!(
        values,
        scene.worth(1_000_000),
        "nothing is lost, nothing counted twice"
    );
}

#[test]
fn no_head_and_no_clock_overflows_or_makes_a_payment_worth_something_else() {
    let times = [0, 1, NOW, NOW + 5 * HOUR, u64::MAX - 1, u64::MAX];
    let blocks = [0, 1, HEAD, HEAD + 999, HEAD + 1_000, u64::MAX - 1, u64::MAX];
    let (mut taken, mut refused) = (0, 0);
    for draw_block in [1, HEAD + 1_000, u64::MAX - 1] {
        let mut scene = scene_with(|deposit| {
            deposit.drawBlock = draw_block;
            deposit.lastRedeemBlock = draw_block.saturating_add(HISTORY_WINDOW);
        });
        let (opening, later) = (scene.opening(300_000), scene.later(700_000));
        let worth = Amount::new(scene.worth(300_000));
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
            scene.policy.stale_after = stale_after;
            scene.policy.early_seed = early_seed;
            scene.policy.block_time = block_time;
            for (head, head_time, now) in &views {
                (scene.view.head, scene.view.head_time) = (*head, *head_time);
                scene.view.now = *now;
                match scene.receive(&opening, None) {
                    Ok(received) => {
                        assert_eq!(received.value(), worth);
                        taken += 1;
                        // The same moment is good for the next payment, too.
                        let position = received.position();
                        let next = scene.receive(&later, Some(position)).unwrap();
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
        taken > 100 && refused > 1_000,
        "{taken} taken, {refused} refused"
    );
}
