//! The way to the upstream: connections to an address, or a service of the same process.

use super::error::ForwardError;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use std::error::Error;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

/// What went wrong, in the words of the upstream's side.
pub(super) type Source = Box<dyn Error + Send + Sync>;

/// The body of a request on its way to the upstream.
pub type UpstreamBody = UnsyncBoxBody<Bytes, ForwardError>;

/// The body of an answer as the upstream gives it.
pub(super) type Given = UnsyncBoxBody<Bytes, Source>;

pub(super) type HttpClient = Client<HttpsConnector<HttpConnector>, UpstreamBody>;

#[derive(Clone, Debug)]
pub(super) enum Link {
    Address {
        client: Box<HttpClient>,
        /// The client for WebSockets, which are of HTTP/1.1.
        sockets: Box<HttpClient>,
    },
    Service(BoxCloneSyncService<Request<UpstreamBody>, Response<Given>, Source>),
}

impl Link {
    pub(super) fn of_service<S, B>(service: S) -> Self
    where
        S: Service<Request<UpstreamBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<Source>,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Source>,
    {
        let given =
            |answer: Response<B>| answer.map(|body| body.map_err(Into::into).boxed_unsync());
        let service = service.map_response(given).map_err(Into::into);
        Self::Service(BoxCloneSyncService::new(service))
    }

    pub(super) async fn request(
        &self,
        request: Request<UpstreamBody>,
    ) -> Result<Response<Given>, ForwardError> {
        match self {
            Self::Address { client, .. } => {
                let answer = client.request(request).await;
                answer.map(given).map_err(ForwardError::of_request)
            }
            Self::Service(service) => {
                let answer = service.clone().oneshot(request).await;
                answer.map_err(ForwardError::Broken)
            }
        }
    }

    /// Asks for a WebSocket. A service of the same process is asked like for anything else.
    pub(super) async fn socket(
        &self,
        request: Request<UpstreamBody>,
    ) -> Result<Response<Given>, ForwardError> {
        match self {
            Self::Address { sockets, .. } => {
                let answer = sockets.request(request).await;
                answer.map(given).map_err(ForwardError::of_request)
            }
            Self::Service(_) => self.request(request).await,
        }
    }
}

fn given(answer: Response<Incoming>) -> Response<Given> {
    answer.map(|body| body.map_err(Into::into).boxed_unsync())
}
