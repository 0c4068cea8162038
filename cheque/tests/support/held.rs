//! Requests whose answers are held back.

use tokio::sync::watch;

/// Requests whose answers are held back.
#[derive(Debug, Default)]
pub(crate) struct Held {
    waiting: watch::Sender<usize>,
    release: watch::Sender<bool>,
}

impl Held {
    /// Waits until `count` answers are held back.
    pub(crate) async fn wait_for(&self, count: usize) {
        let mut waiting = self.waiting.subscribe();
        waiting.wait_for(|now| *now >= count).await.unwrap();
    }

    /// Number of answers held back.
    pub(crate) fn count(&self) -> usize {
        *self.waiting.borrow()
    }

    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }

    pub(super) async fn wait(&self) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let mut release = self.release.subscribe();
        release.wait_for(|release| *release).await.unwrap();
    }
}
