use super::*;
use crate::store::table::Table;
use std::{
    pin::Pin,
    sync::{Barrier, mpsc},
    task::{Context, Wake, Waker},
};

fn change(key: &[u8]) -> Change<'_> {
    Change {
        table: Table::Positions,
        key,
        old: None,
        new: Some(b"new"),
    }
}

fn done(batch: &Batch<'_>) -> Results {
    batch.iter().map(|_| Ok(Swap::Done)).collect()
}

fn queue(commit: impl Fn(&Batch<'_>) -> Results + Send + Sync + 'static) -> CommitQueue {
    CommitQueue::new(Path::new("store"), 1, commit).unwrap()
}

/// What becomes of one swap that is committed as `first` says, and of others that queue meanwhile, as `later` says.
fn queue_behind(
    others: usize,
    first: impl Fn(&Batch<'_>) -> Results + Send + Sync + 'static,
    later: impl Fn(&Batch<'_>) -> Results + Send + Sync + 'static,
) -> (Result<Swap, StoreError>, Results) {
    let begun = Arc::new(Barrier::new(2));
    let (all_are_queued, wait) = mpsc::channel();
    let (wait, committer) = (Mutex::new(wait), begun.clone());
    let queue = queue(move |batch| {
        if batch[0][0].key != b"first" {
            return later(batch);
        }
        committer.wait();
        wait.lock().unwrap().recv().unwrap();
        first(batch)
    });
    let one = queue.begin(&[change(b"first")]);
    begun.wait();
    let keys = (0..others).map(usize::to_be_bytes);
    let others: Vec<_> = keys.map(|key| queue.begin(&[change(&key)])).collect();
    all_are_queued.send(()).unwrap();
    let one = pollster::block_on(one);
    let others = others.into_iter().map(pollster::block_on);
    (one, others.collect())
}

#[test]
fn commits_all_swaps_queued_during_a_commit_together() {
    let (commits, count) = mpsc::channel();
    let (first, others) = queue_behind(20, done, move |batch| {
        commits.send(batch.len()).unwrap();
        done(batch)
    });
    for result in others.into_iter().chain([first]) {
        assert_eq!(result.unwrap(), Swap::Done);
    }
    assert_eq!(count.iter().collect::<Vec<_>>(), [20]);
}

#[test]
fn returns_to_each_caller_its_own_result() {
    let own = |batch: &Batch<'_>| {
        let own = |swap: &&[Change<'_>]| {
            let found = Some(swap[0].key.to_vec());
            Ok(Swap::Conflict { index: 0, found })
        };
        batch.iter().map(own).collect()
    };
    let (_, others) = queue_behind(9, done, own);
    for (number, result) in others.into_iter().enumerate() {
        let found = Some(number.to_be_bytes().to_vec());
        assert_eq!(result.unwrap(), Swap::Conflict { index: 0, found });
    }
}

#[test]
fn reports_a_panic_as_unknown_and_continues() {
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
fn reports_a_missing_result_as_an_error() {
    let (_, others) = queue_behind(5, done, |batch| {
        let all = done(batch);
        all.into_iter().take(2).collect()
    });
    let failed = others.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 3);
}

#[test]
fn commits_begun_swaps_without_waiters_before_drop() {
    let (commits, keys) = mpsc::channel();
    let queue = queue(move |batch| {
        for swap in batch {
            commits.send(swap[0].key.to_vec()).unwrap();
        }
        done(batch)
    });
    for key in [b"one", b"two"] {
        drop(queue.begin(&[change(key)]));
    }
    drop(queue);
    assert_eq!(keys.try_iter().collect::<Vec<_>>(), [b"one", b"two"]);
}

#[test]
fn continues_after_a_waker_that_panics() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let (begun, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (begins, goes_on) = (begun.clone(), go_on.clone());
    let queue = queue(move |batch| {
        if batch[0][0].key == b"panics" {
            begins.wait();
            goes_on.wait();
        }
        done(batch)
    });
    let mut one = queue.begin(&[change(b"panics")]);
    begun.wait();
    let waker = Waker::from(Arc::new(Panics));
    let poll = Pin::new(&mut one).poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    go_on.wait();
    let next = queue.begin(&[change(b"next")]);
    assert_eq!(pollster::block_on(next).unwrap(), Swap::Done);
}

#[test]
fn naps_by_queue_length_and_not_soon_after_a_vain_nap() {
    let gathered = |queued: usize, skip_sleeps| {
        let shared = Shared::new(Path::new("store"));
        for _ in 0..queued {
            let _ = shared.enqueue(&[change(b"")]);
        }
        shared.gather(skip_sleeps)
    };
    assert_eq!(gathered(MIN_SWAPS_TO_SLEEP, 0), COMMITS_WITHOUT_SLEEP);
    assert_eq!(gathered(FULL_SHARE_SWAPS - 1, 0), COMMITS_WITHOUT_SLEEP);
    for no_sleep in [1, MIN_SWAPS_TO_SLEEP - 1, FULL_SHARE_SWAPS] {
        assert_eq!(gathered(no_sleep, 0), 0);
    }
    assert_eq!(
        gathered(MIN_SWAPS_TO_SLEEP, COMMITS_WITHOUT_SLEEP),
        COMMITS_WITHOUT_SLEEP - 1
    );
    assert_eq!(gathered(MIN_SWAPS_TO_SLEEP, 1), 0);
}

#[test]
fn limits_the_swaps_and_bytes_of_a_batch() {
    let zeros = vec![0; 2 * MAX_BATCH_BYTES];
    let first_of = |sizes: &[usize]| {
        let shared = Shared::new(Path::new("store"));
        for size in sizes {
            let new = Some(&zeros[..*size]);
            let _ = shared.enqueue(&[Change { new, ..change(b"") }]);
        }
        shared.take_batch().len()
    };
    let half = MAX_BATCH_BYTES / 2;
    assert_eq!(first_of(&[1, half, half, half]), 2);
    assert_eq!(first_of(&[half, half, 1]), 2);
    assert_eq!(first_of(&[1; MAX_BATCH_SWAPS + 1]), MAX_BATCH_SWAPS);
    // However big, the first one goes.
    assert_eq!(first_of(&[2 * MAX_BATCH_BYTES, 1]), 1);
}
