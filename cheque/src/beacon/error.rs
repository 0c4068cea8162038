//! Errors of the beacon client.

use crate::protocol::beacon::{InvalidRound, ScheduleError};
use std::time::Duration;

/// The reason why the beacon's client has no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeaconError {
    /// The list of relays is empty.
    #[error("no relay of the beacon was named; give the URL of at least one")]
    NoRelay,
    /// A URL cannot be used.
    #[error(
        "relay {relay} ({url:?}) has no http or https URL; give one such as https://api.drand.sh"
    )]
    Url {
        /// The relay, counted from 1.
        relay: usize,
        /// The URL up to its host, since URLs may contain keys. Empty without a host.
        url: String,
    },
    /// The HTTP client could not be made.
    #[error("cannot make an HTTP client: {0}; check the certificates of the system")]
    Http(String),
    /// The runtime ended before the request did.
    #[error("the request to the beacon ended with its runtime; ask again")]
    Ended,
    /// There is no such round or time.
    #[error("{0}")]
    Schedule(#[from] ScheduleError),
    /// The relays are alive, and do not have the round yet.
    #[error("round {round} of the beacon is due at time {time} and no relay has it; wait for it")]
    NotYet {
        /// The round.
        round: u64,
        /// Its time, in seconds since 1970.
        time: u64,
    },
    /// No relay has given the answer.
    #[error("no relay of the beacon has {}: {}; check the network, or name other relays", named(.round), listed(.failures))]
    NoAnswer {
        /// The round asked for; `None` for the newest.
        round: Option<u64>,
        /// Host and failure of each relay.
        failures: Vec<(String, RelayError)>,
    },
    /// The round did not come in time.
    #[error(
        "round {round} of the beacon has not come within {} s{}; the beacon may have stopped, so try again later",
        .waited.as_secs(),
        .last.as_ref().map(|last| format!(" ({last})")).unwrap_or_default()
    )]
    TimedOut {
        /// The round.
        round: u64,
        /// The time waited.
        waited: Duration,
        /// The last reason.
        last: Option<Box<BeaconError>>,
    },
}

/// The reason why a relay has not given a round. No text of a relay is part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The relay cannot be reached, or the connection broke.
    #[error("it cannot be reached ({0})")]
    Unreachable(String),
    /// The relay does not answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The relay does not have the round yet.
    #[error("it does not have the round yet")]
    NotYet,
    /// The relay limits the rate of requests.
    #[error("it limits the rate of requests")]
    RateLimited {
        /// The pause that the relay asks for.
        retry_after: Option<Duration>,
    },
    /// The relay was not asked, because it asked for a pause.
    #[error("it asked for a pause, {} s of which are left", .0.as_secs())]
    Paused(Duration),
    /// The relay answers with another status than success.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The body is longer than any round.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The body is not the JSON of a round.
    #[error("the answer is not the JSON of a round")]
    Unreadable,
    /// The relay answers with another round than asked for.
    #[error("it was asked for round {asked} and gave {found}")]
    WrongRound {
        /// The round asked for.
        asked: u64,
        /// The round of the answer.
        found: u64,
    },
    /// The signature is wrong.
    #[error("{0}")]
    Invalid(InvalidRound),
    /// Another relay has a much newer round.
    #[error("its newest round is {found} and another relay has {newest}")]
    Behind {
        /// The newest round of this relay.
        found: u64,
        /// The newest round of all.
        newest: u64,
    },
}

fn named(round: &Option<u64>) -> String {
    round.map_or_else(
        || "the newest round".to_owned(),
        |round| format!("round {round}"),
    )
}

fn listed(failures: &[(String, RelayError)]) -> String {
    let texts = failures
        .iter()
        .map(|(host, error)| format!("{host}: {error}"));
    texts.collect::<Vec<_>>().join("; ")
}
