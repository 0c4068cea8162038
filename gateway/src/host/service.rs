//! The proxy as the service of an HTTP server.

use crate::{
    forward::Origin,
    host::origin::origin,
    proxy::{Proxy, ProxyBody},
};
use bytes::Bytes;
use cheque::service::http::{Caller, Networks};
use http::{Request, Response};
use http_body::Body;
use std::{
    convert::Infallible,
    error::Error,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    task::{Context, Poll},
};
use tower::Service;

/// A proxy as a service, for [`HttpServer`](cheque::service::http::HttpServer) or another server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProxyService {
    proxy: Proxy,
    proxies: Networks,
}

impl ProxyService {
    /// Serves `proxy`. The reverse proxies in `proxies` tell the addresses of their clients.
    pub const fn new(proxy: Proxy, proxies: Networks) -> Self {
        Self { proxy, proxies }
    }

    /// Returns the proxy, to [drain](Proxy::drain) and to wait until its sales are [settled](Proxy::settled).
    pub const fn proxy(&self) -> &Proxy {
        &self.proxy
    }
}

impl<B> Service<Request<B>> for ProxyService
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<ProxyBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ProxyBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let caller = request.extensions().get::<Caller>();
        let origin = match caller {
            Some(caller) => origin(caller, request.headers(), &self.proxies),
            // Another server than ours, which tells nothing.
            None => Origin {
                address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                is_secure: false,
                is_proxy: false,
            },
        };
        let proxy = self.proxy.clone();
        Box::pin(async move { Ok(proxy.answer(request, origin).await) })
    }
}
