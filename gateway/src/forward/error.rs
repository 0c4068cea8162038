//! Failures between the gateway and its upstream.

use std::error::Error;

type Source = Box<dyn Error + Send + Sync>;

/// The reason why the upstream's answer, or a part of it, is missing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// No connection: the upstream has seen nothing of the request.
    #[error("the upstream cannot be reached; check that it runs")]
    Unreachable(#[source] Source),
    /// The upstream ended the connection, or broke HTTP.
    #[error("the upstream broke off its answer")]
    Broken(#[source] Source),
    /// No header, or no further part of the body, within the limit. The upstream may have done the work.
    #[error("the upstream did not answer in time")]
    TimedOut,
    /// The client has not paid for the rest of a stream.
    #[error("the rest of the answer was not paid; pay by cheques over growing totals")]
    Unpaid,
    /// The request names no path.
    #[error("the request's target is not a path")]
    Target,
    /// The client ended its connection before its body was complete.
    #[error("the request's body broke off")]
    Upload(#[source] Source),
    /// The client paused for longer than the limit within its body.
    #[error("the request's body stalled")]
    UploadStalled,
    /// The client's body is longer than the limit.
    #[error("the request's body is too large")]
    UploadTooLarge,
}

impl ForwardError {
    /// True if the client's request, and not the upstream, is the cause.
    pub const fn is_of_client(&self) -> bool {
        matches!(
            self,
            Self::Target | Self::Upload(_) | Self::UploadStalled | Self::UploadTooLarge
        )
    }

    /// Finds the cause of a failed request: an error of the upload lies below those of the client library.
    pub(super) fn of_request(error: hyper_util::client::legacy::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(found) = cause {
            match found.downcast_ref::<Self>() {
                Some(Self::UploadTooLarge) => return Self::UploadTooLarge,
                Some(Self::UploadStalled) => return Self::UploadStalled,
                Some(Self::Upload(_)) => return Self::Upload(error.into()),
                _ => cause = found.source(),
            }
        }
        if error.is_connect() {
            Self::Unreachable(error.into())
        } else {
            Self::Broken(error.into())
        }
    }
}

/// The reason why no requests can be forwarded to an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// Another scheme, or no host.
    #[error(
        "the upstream {0} is no address of the form http://HOST:PORT/PATH, https://... or h2c://..."
    )]
    Address(String),
    /// A query in the address.
    #[error("the upstream {0} has a query; remove it")]
    Query(String),
    /// No certificates of the system, by which an upstream's would be checked.
    #[error("the system's certificates cannot be used")]
    Tls(#[from] rustls::Error),
}
