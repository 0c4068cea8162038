//! The gateway's listener for customers.

use std::{net::SocketAddr, path::PathBuf};

use cheque::service::http::{HttpLimits, HttpServer, Networks, Refusals, Tls};
use cheque_gateway::{host::ProxyService, proxy::Proxy};
use clap::Args;
use eyre::{Result, WrapErr, bail, eyre};
use http::Uri;
use tokio::net::TcpListener;

use crate::service::{ListenOpts, within_descriptors};

/// The connections of customers, unless a flag says otherwise.
const CONNECTIONS: usize = 5_120;

/// How customers reach the gateway.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Customers")]
pub(super) struct PublicOpts {
    /// Speak TLS with the certificate chain in FILE, in PEM; SIGHUP reads it again
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The key of --tls-cert, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Believe what the reverse proxies in NETWORK say about their clients, such as 10.0.0.0/8
    ///
    /// A proxy has TLS and names the client in X-Forwarded-For. Without this flag or --tls-cert the gateway listens on this
    /// machine only.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    trusted_proxy: Vec<String>,

    /// The URL by which customers reach the gateway, such as https://api.example.com
    ///
    /// Offers name it, so that clients can pay ahead of a request.
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    public_url: Option<Uri>,
}

/// The listener for customers, before its first answer.
pub(super) struct Public {
    listener: TcpListener,
    server: HttpServer,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Tls>,
    proxies: Networks,
}

impl PublicOpts {
    /// Listens. Requests wait until [`Public::serve`].
    pub(super) async fn listen(
        &self,
        listen: &ListenOpts,
        default: SocketAddr,
        refusals: Refusals,
    ) -> Result<Public> {
        let wanted = listen.address(default);
        let mut proxies = Networks::default();
        for network in &self.trusted_proxy {
            proxies.add(network).wrap_err("--trusted-proxy")?;
        }
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls::read(certificate, key)?),
            _ => None,
        };
        let is_local = wanted.ip().to_canonical().is_loopback();
        if !is_local && tls.is_none() && self.trusted_proxy.is_empty() {
            bail!(
                "{wanted} is reachable from other machines, and payments in plain text can be stolen; name a certificate with \
                 --tls-cert and --tls-key, or the proxy that has TLS with --trusted-proxy"
            );
        }
        let cannot = || format!("cannot listen on {wanted}; name another address with --listen");
        let listener = TcpListener::bind(wanted).await.wrap_err_with(cannot)?;
        let address = listener.local_addr().wrap_err_with(cannot)?;
        let limits = listen.limits_of(HttpLimits {
            max_connections: CONNECTIONS,
            ..HttpLimits::default()
        });
        let limits = within_descriptors(limits).facing(address);
        let mut server = HttpServer::new(limits, refusals).behind(proxies.clone());
        if let Some(tls) = &tls {
            server = server.with_tls(tls.clone());
        }
        Ok(Public {
            listener,
            server,
            address,
            tls,
            proxies,
        })
    }

    /// The URL of the flag, without a slash at its end.
    pub(super) fn url(&self) -> Option<String> {
        let url = self.public_url.as_ref()?.to_string();
        Some(url.trim_end_matches('/').to_owned())
    }

    /// The server's name in challenges: the public host, else the listener's address.
    pub(super) fn realm(&self, address: SocketAddr) -> String {
        let host = self.public_url.as_ref().and_then(Uri::host);
        host.map_or_else(|| address.to_string(), str::to_owned)
    }
}

impl Public {
    /// The URL of the listener.
    pub(super) fn url(&self) -> String {
        let scheme = match self.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}", self.address)
    }

    /// Sells by `proxy` until `stop`, then finishes open requests.
    pub(super) async fn serve(self, proxy: Proxy, stop: impl Future<Output = ()>) {
        let service = ProxyService::new(proxy, self.proxies);
        self.server.serve(self.listener, service, stop).await;
    }
}

fn parse_url(text: &str) -> Result<Uri> {
    let url: Uri = text.parse()?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    match is_http && url.query().is_none() {
        true => Ok(url),
        false => Err(eyre!("it is no URL of HTTP; write https://HOST")),
    }
}
