//! Requests in flight, shared by all tasks that want the same round.

use crate::beacon::{error::BeaconError, relay::Wanted};
use crate::protocol::beacon::round::BeaconRound;
use std::collections::HashMap;
use tokio::sync::watch;

pub(super) type Fetched = Result<BeaconRound, BeaconError>;

/// The end of a request, awaited by any number of tasks.
pub(super) type Landing = watch::Receiver<Option<Fetched>>;

/// The requests in flight. At most one for each round.
#[derive(Debug, Default)]
pub(super) struct Flights(HashMap<Wanted, Landing>);

impl Flights {
    /// Returns the request in flight, or a new one with the sender of its result.
    pub(super) fn join(
        &mut self,
        wanted: Wanted,
    ) -> (Landing, Option<watch::Sender<Option<Fetched>>>) {
        if let Some(landing) = self.0.get(&wanted)
            && landing.has_changed().is_ok()
        {
            return (landing.clone(), None);
        }
        // None yet, or one whose task has died.
        let (sender, landing) = watch::channel(None);
        self.0.insert(wanted, landing.clone());
        (landing, Some(sender))
    }

    pub(super) fn land(&mut self, wanted: Wanted) {
        self.0.remove(&wanted);
    }
}

/// Awaits the end of a request. `None` if its task has died.
pub(super) async fn landed(mut landing: Landing) -> Option<Fetched> {
    let result = landing.wait_for(Option::is_some).await.ok()?;
    result.clone()
}
