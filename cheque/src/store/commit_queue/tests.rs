use super::*;
use std::{
    sync::{Barrier, mpsc},
    task::{Wake, Waker},
};

fn change(key: &[u8]) -> Change<'_> {
    Change {
        table: Table::Received,
        key,
        old: None,
        new: Some(b"new"),
    }
}

fn done(group: &Group<'_>) -> Results {
    group.iter().map(|_| Ok(Swap::Done)).collect()
}

fn groups(commit: impl Fn(&Group<'_>) -> Results + Send + Sync + 'static) -> Groups {
    Groups::new(Path::new("store"), 1, commit).unwrap()
}

/// What becomes of one swap that is committed as `first` says, and of others that queue meanwhile, as `later` says.
fn queue_behind(
    others: usize,
    first: impl Fn(&Group<'_>) -> Results + Send + Sync + 'static,
    later: impl Fn(&Group<'_>) -> Results + Send + Sync + 'static,
) -> (Result<Swap, StoreError>, Results) {
    let begun = Arc::new(Barrier::new(2));
    let (all_are_queued, wait) = mpsc::channel();
    let (wait, lane) = (Mutex::new(wait), begun.clone());
    let groups = groups(move |group| {
        if group[0][0].key != b"first" {
            return later(group);
        }
        lane.wait();
        wait.lock().unwrap().recv().unwrap();
        first(group)
    });
    let one = groups.begin(&[change(b"first")]);
    begun.wait();
    let keys = (0..others).map(usize::to_be_bytes);
    let others: Vec<_> = keys.map(|key| groups.begin(&[change(&key)])).collect();
    all_are_queued.send(()).unwrap();
    let one = pollster::block_on(one);
    let others = others.into_iter().map(pollster::block_on);
    (one, others.collect())
}

#[test]
fn all_who_queued_during_a_commit_share_the_next_one() {
    let (commits, count) = mpsc::channel();
    let (first, others) = queue_behind(20, done, move |group| {
        commits.send(group.len()).unwrap();
        done(group)
    });
    for result in others.into_iter().chain([first]) {
        assert_eq!(result.unwrap(), Swap::Done);
    }
    assert_eq!(count.iter().collect::<Vec<_>>(), [20]);
}

#[test]
fn everybody_gets_its_own_result() {
    let own = |group: &Group<'_>| {
        let own = |swap: &&[Change<'_>]| {
            let found = Some(swap[0].key.to_vec());
            Ok(Swap::Conflict { index: 0, found })
        };
        group.iter().map(own).collect()
    };
    let (_, others) = queue_behind(9, done, own);
    for (number, result) in others.into_iter().enumerate() {
        let found = Some(number.to_be_bytes().to_vec());
        assert_eq!(result.unwrap(), Swap::Conflict { index: 0, found });
    }
}

#[test]
fn a_panic_in_a_commit_is_an_unknown_result_and_the_next_commit_goes_on() {
    let (first, others) = queue_behind(5, |_| panic!("on purpose"), done);
    assert!(
        matches!(first, Err(StoreError::Unknown { .. })),
        "{first:?}"
    );
    for result in others {
        assert_eq!(result.unwrap(), Swap::Done);
    }
}

#[test]
fn whoever_is_left_without_a_result_gets_an_error() {
    let (_, others) = queue_behind(5, done, |group| {
        let all = done(group);
        all.into_iter().take(2).collect()
    });
    let failed = others.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 3);
}

#[test]
fn what_has_begun_is_done_though_nobody_waits_and_before_the_store_is_gone() {
    let (commits, keys) = mpsc::channel();
    let groups = groups(move |group| {
        for swap in group {
            commits.send(swap[0].key.to_vec()).unwrap();
        }
        done(group)
    });
    for key in [b"one", b"two"] {
        drop(groups.begin(&[change(key)]));
    }
    drop(groups);
    assert_eq!(keys.try_iter().collect::<Vec<_>>(), [b"one", b"two"]);
}

#[test]
fn a_task_whose_wake_panics_does_not_stop_those_after_it() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let (begun, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (begins, goes_on) = (begun.clone(), go_on.clone());
    let groups = groups(move |group| {
        if group[0][0].key == b"panics" {
            begins.wait();
            goes_on.wait();
        }
        done(group)
    });
    let mut one = groups.begin(&[change(b"panics")]);
    begun.wait();
    let waker = Waker::from(Arc::new(Panics));
    let poll = Pin::new(&mut one).poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    go_on.wait();
    let next = groups.begin(&[change(b"next")]);
    assert_eq!(pollster::block_on(next).unwrap(), Swap::Done);
}

#[test]
fn a_lane_naps_for_some_only_and_after_a_nap_in_vain_not_for_a_while() {
    let gathered = |queued: usize, awake| {
        let shared = Shared::new(Path::new("store"));
        for _ in 0..queued {
            let _ = shared.queue(&[change(b"")]);
        }
        shared.gather(awake)
    };
    assert_eq!(gathered(FEW, 0), AWAKE);
    assert_eq!(gathered(COMPANY - 1, 0), AWAKE);
    for no_nap in [1, FEW - 1, COMPANY] {
        assert_eq!(gathered(no_nap, 0), 0);
    }
    assert_eq!(gathered(FEW, AWAKE), AWAKE - 1);
    assert_eq!(gathered(FEW, 1), 0);
}

#[test]
fn groups_have_bounds() {
    let zeros = vec![0; 2 * GROUP_BYTES];
    let first_of = |sizes: &[usize]| {
        let shared = Shared::new(Path::new("store"));
        for size in sizes {
            let new = Some(&zeros[..*size]);
            let _ = shared.queue(&[Change { new, ..change(b"") }]);
        }
        shared.take().len()
    };
    let half = GROUP_BYTES / 2;
    assert_eq!(first_of(&[1, half, half, half]), 2);
    assert_eq!(first_of(&[half, half, 1]), 2);
    assert_eq!(first_of(&[1; GROUP_SWAPS + 1]), GROUP_SWAPS);
    // However big, the first one goes.
    assert_eq!(first_of(&[2 * GROUP_BYTES, 1]), 1);
}
