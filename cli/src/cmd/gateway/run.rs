//! `cheque gateway run`: reverse proxy, ledger and payee in one process.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use cheque::{
    payee::Payee,
    service::http::{HttpLimits, Refusals},
};
use cheque_gateway::{
    Seller,
    capacity::Capacity,
    exact::Facilitator,
    forward::{ForwardLimits, Upstream},
    host::{Identity, Keeper, new_worker},
    ledger::{Ledger, LiveJudge, Settings},
    proxy::{PAY_PATH, Proxy, ProxyLimits, ProxySettings},
    wire::{TokenTerms, Wire},
};
use clap::Args;
use eyre::{OptionExt, Result, WrapErr, ensure};
use http::Uri;
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    api,
    offers::OffersOpts,
    public::{Public, PublicOpts},
};
use crate::{
    clock::unix_now,
    cmd::payee::holdings_router,
    opts::{
        payee_service::{OpenedPayee, PayeeServiceOpts},
        time::parse_duration,
    },
    output::Output,
    service::{DRAIN, ListenOpts, ServiceOpts, on_hangup},
};

/// The default address for customers.
const LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8402));

/// The default address for the operator.
const OPERATOR: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9553));

/// The time within [`DRAIN`] for settling what was delivered of answers that do not end.
const CUT: Duration = Duration::from_secs(3);

/// The operator's connections.
const OPERATOR_CONNECTIONS: usize = 64;

/// The largest answer that is kept for a client that lost it, in bytes.
const MAX_STORED: usize = 64 << 10;

/// Sell an upstream's answers for cheques, follow every draw, and redeem wins
///
/// A reverse proxy for customers, who pay by x402, by MPP, or by the short header `Cheque`; a request without a payment gets 402
/// with the offers. No request is forwarded before its payment is durable. The upstream's failures cost nothing, and the same
/// payment is valid again. The upstream reads who paid in X-Payer, X-Payment-Id and X-Charged.
///
/// The operator's address has the paths of `payee run`, GET /offers, GET /health and GET /metrics. SIGHUP reads offers and
/// certificate again. SIGTERM ends the service in order. Without a wallet, the service sells and redeems nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque gateway run --upstream http://127.0.0.1:8545 --price 20gwei --account shop
  cheque gateway run --upstream http://127.0.0.1:3000 --offers offers.toml --account shop \\
    --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem --public-url https://api.example.com
  curl -i http://127.0.0.1:8402/                          402 with the offers")]
pub(super) struct RunArgs {
    /// Sell the service at URL: http://, https://, or h2c:// for HTTP/2 without TLS
    #[arg(long, value_name = "URL")]
    upstream: Uri,

    /// Wait so long for the first byte of an answer; its payment is valid again then
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    upstream_timeout: Duration,

    /// Refuse requests with a larger body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    max_body: usize,

    /// Let pages of this origin open WebSockets, such as https://app.example.com; repeatable
    #[arg(long, value_name = "ORIGIN")]
    websocket_origin: Vec<String>,

    #[command(flatten)]
    offers: OffersOpts,

    #[command(flatten)]
    public: PublicOpts,

    #[command(flatten)]
    listen: ListenOpts,

    /// Serve the operator at this address; port 0 picks a free port [default: 127.0.0.1:9553]
    #[arg(
        long,
        value_name = "ADDRESS",
        help_heading = "Service",
        env = "CHEQUE_OPERATOR_LISTEN",
        hide_env_values = true
    )]
    operator_listen: Option<SocketAddr>,

    #[command(flatten)]
    service: ServiceOpts,

    #[command(flatten)]
    payee: PayeeServiceOpts,
}

/// A gateway before its first request.
struct Gateway {
    seller: Seller,
    proxy: Proxy,
    keeper: Keeper,
    opened: OpenedPayee,
}

impl RunArgs {
    pub(super) async fn run(mut self, out: &Output) -> Result<()> {
        let operator = self.operator_listen.unwrap_or(OPERATOR);
        let limits = HttpLimits {
            max_connections: OPERATOR_CONNECTIONS,
            ..HttpLimits::default()
        };
        let server = self.service.start(operator, limits).await?;
        let refusals = Refusals::default();
        let public = self.public.listen(&self.listen, LISTEN, refusals);
        let public = public.await?;
        self.payee.policy.for_gateway();
        let gateway = server.prepare(self.gateway(&public, out)).await?;
        let stop = server.stop();

        let url = public.url();
        out.event(&json!({ "selling": url }), || format!("selling:   {url}"))?;
        tracing::info!(event = "gateway_started", %url, upstream = %self.upstream);
        let payee = gateway.opened.service.clone();
        let router = holdings_router(payee.clone(), server.streams());
        let router = router.merge(api::router(gateway.seller.clone(), unix_now));
        let health = payee.clone();
        let work = self.work(gateway, public, stop);
        server
            .serve(out, router, move || health.health(), work)
            .await
    }

    async fn gateway(&self, public: &Public, out: &Output) -> Result<Gateway> {
        let opened = self.payee.open(out).await?;
        let payee = opened.service.payee().clone();
        let offers = self.offers.read(&payee, &self.payee.policy).await?;
        let address = payee.policy().payee;
        let identity = Identity::find_or_make(&opened.store, address).await?;
        let judge = LiveJudge::new(vec![payee]).ok_or_eyre("a gateway has one payee")?;
        let mut settings = Settings::new(new_worker()?);
        settings.max_answer = MAX_STORED;
        let ledger = Ledger::new(
            Arc::clone(&opened.store),
            Arc::new(judge),
            offers.currencies().clone(),
            settings,
        );
        // Nobody else has the file open, so the workers of its reservations have stopped.
        if !opened.is_shared {
            let released = ledger.release_abandoned().await?;
            tracing::info!(event = "sales_released", released);
        }
        let wire = Wire {
            payee: address,
            realm: self.public.realm(public.address),
            key: identity.challenge_key,
            credential_header: None,
            terms: TokenTerms::default(),
        };
        let rated = opened.service.payee();
        offers.follow_rates(rated.reader().bank(), rated.rates())?;
        let capacity = Capacity::new(&offers)?;
        let seller = Seller::new(offers, ledger, wire)?;
        let pay_url = self.public.url().map(|url| format!("{url}{PAY_PATH}"));
        let services = vec![opened.service.clone()];
        let keeper = Keeper::new(seller.clone(), services, pay_url, unix_now);
        keeper.refresh_terms().await;
        let limits = ForwardLimits {
            first_byte: self.upstream_timeout,
            max_upload: u64::try_from(self.max_body).unwrap_or(u64::MAX),
            ..ForwardLimits::default()
        };
        let upstream = Upstream::new(&self.upstream, limits).wrap_err("--upstream")?;
        let settings = ProxySettings {
            max_body: self.max_body,
            max_stored: MAX_STORED,
            capacity,
            now: unix_now,
            limits: ProxyLimits::default(),
            origins: self.websocket_origin.clone(),
        };
        let mut proxy = Proxy::new(seller.clone(), upstream, settings);
        if let Some(url) = seller.offers().facilitator() {
            let facilitator = Facilitator::new(url).wrap_err("[exact] facilitator")?;
            proxy = proxy.with_facilitator(facilitator);
        }
        Ok(Gateway {
            seller,
            proxy,
            keeper,
            opened,
        })
    }

    /// Sells, follows draws and keeps the ledger until `stop`.
    async fn work(self, gateway: Gateway, public: Public, stop: CancellationToken) -> Result<()> {
        let Gateway {
            seller,
            proxy,
            keeper,
            opened,
        } = gateway;
        let tls = public.tls.clone();
        let payee = opened.service.payee().clone();
        let stopped = || stop.clone().cancelled_owned();
        let reloading = on_hangup(stopped(), async || {
            if let Some(tls) = &tls
                && let Err(error) = tls.reload()
            {
                tracing::error!(event = "certificate_not_reloaded", reason = %error);
            }
            match self.reload(&seller, &payee, proxy.capacity()).await {
                Ok(()) => {
                    keeper.refresh_terms().await;
                    tracing::info!(event = "offers_reloaded");
                }
                Err(error) => tracing::error!(
                    event = "offers_not_reloaded",
                    reason = format!("{error:#}"),
                    "the old offers stay"
                ),
            }
        });
        let running = async {
            let ended = opened.service.run(stopped()).await;
            stop.cancel();
            ended
        };
        let selling = async {
            let sold = sell(public, proxy.clone(), &stop).await;
            stop.cancel();
            sold
        };
        let keeping = keeper.run(stopped());
        let (ended, sold, (), reloaded) = tokio::join!(running, selling, keeping, reloading);
        ended?;
        sold?;
        reloaded
    }

    async fn reload(&self, seller: &Seller, payee: &Payee, capacity: &Capacity) -> Result<()> {
        let offers = self.offers.read(payee, &self.payee.policy).await?;
        ensure!(
            offers.currencies() == seller.ledger().currencies(),
            "the tokens that count as equal have changed; restart the gateway to change them"
        );
        // Each of these fails without a change, and the last two cannot fail after the first.
        capacity.reload(&offers)?;
        offers.follow_rates(payee.reader().bank(), payee.rates())?;
        Ok(seller.reload(offers)?)
    }
}

/// Sells until `stop`. Then finishes open requests and sales, for [`DRAIN`] at most.
async fn sell(public: Public, proxy: Proxy, stop: &CancellationToken) -> Result<()> {
    let served = public.serve(proxy.clone(), stop.clone().cancelled_owned());
    let mut server = tokio::spawn(served);
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        served = &mut server => {
            served.wrap_err("the server for customers failed")?;
            ensure!(stop.is_cancelled(), "the server for customers has ended; start the gateway again");
        }
    }
    proxy.drain();
    let drained = async {
        let served = match server.is_finished() {
            true => Ok(()),
            false => server.await,
        };
        proxy.settled().await;
        served
    };
    let mut drained = std::pin::pin!(drained);
    let ended = match timeout(DRAIN - CUT, &mut drained).await {
        Err(_) => {
            proxy.cut();
            timeout(CUT, drained).await
        }
        ended => ended,
    };
    match ended {
        Ok(served) => served.wrap_err("the server for customers failed"),
        Err(_) => {
            tracing::warn!(
                event = "sales_dropped",
                "sales in progress are released at the end of their leases"
            );
            Ok(())
        }
    }
}
