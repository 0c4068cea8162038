//! The gateway as a layer of tower: sells the answers of a service in the same process, such as a router of axum.

use crate::{
    forward::{ForwardLimits, Upstream, UpstreamBody},
    host::ProxyService,
    proxy::{Proxy, ProxySettings},
    seller::Seller,
};
use bytes::Bytes;
use cheque::service::http::Networks;
use http::{Request, Response};
use http_body::Body;
use std::error::Error;
use tower::{Layer, Service};

/// Sells a service's answers. Put it around the whole service, once: each use has a memory of its own. This is all that an
/// application of axum needs beside a [`Seller`]:
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use cheque::service::http::{HttpLimits, HttpServer, Refusals};
/// use cheque_gateway::{Seller, layer::SellLayer, proxy::ProxySettings};
/// use tokio::net::TcpListener;
/// use tower::Layer;
///
/// async fn serve(seller: Seller, settings: ProxySettings) -> std::io::Result<()> {
///     let router = Router::new().route("/answer", get(async || "42"));
///     let service = SellLayer::new(seller, settings).layer(router);
///     let listener = TcpListener::bind("127.0.0.1:8402").await?;
///     let server = HttpServer::new(HttpLimits::default(), Refusals::default());
///     let proxy = service.proxy().clone();
///     let stop = async move {
///         let _ = tokio::signal::ctrl_c().await;
///         proxy.drain(); // ends streams that have no end
///     };
///     let proxy = service.proxy().clone();
///     server.serve(listener, service, stop).await;
///     proxy.settled().await; // else the sales in progress are released at the end of their leases
///     Ok(())
/// }
/// ```
///
/// The service sees `X-Payer`, `X-Payment-Id` and `X-Charged`, and may say what an answer costs, as an upstream does. It opens no
/// WebSockets through the layer. [`HttpServer`](cheque::service::http::HttpServer) tells the addresses of clients; under another
/// server all free clients count as one.
#[derive(Clone, Debug)]
pub struct SellLayer {
    seller: Seller,
    settings: ProxySettings,
    limits: ForwardLimits,
    proxies: Networks,
}

impl SellLayer {
    /// Sells by `seller`.
    pub fn new(seller: Seller, settings: ProxySettings) -> Self {
        Self {
            seller,
            settings,
            limits: ForwardLimits::default(),
            proxies: Networks::default(),
        }
    }

    /// Sets the limits of the service's answers.
    #[must_use]
    pub const fn with_limits(mut self, limits: ForwardLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Believes what these reverse proxies say about their clients.
    #[must_use]
    pub fn behind(mut self, proxies: Networks) -> Self {
        self.proxies = proxies;
        self
    }
}

impl<S, B> Layer<S> for SellLayer
where
    S: Service<Request<UpstreamBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Service = ProxyService;

    fn layer(&self, service: S) -> ProxyService {
        let upstream = Upstream::of_service(service, self.limits);
        let proxy = Proxy::new(self.seller.clone(), upstream, self.settings.clone());
        ProxyService::new(proxy, self.proxies.clone())
    }
}
