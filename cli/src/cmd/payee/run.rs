//! `cheque payee run`: receives payments and redeems wins, unattended.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use clap::Args;
use eyre::Result;

use super::api;
use crate::{
    opts::payee_service::PayeeServiceOpts,
    output::Output,
    service::{ListenOpts, ServiceOpts},
};

/// The default address.
const LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9552));

/// Receive payments over HTTP, follow every draw, and redeem wins
///
/// POST /payments takes {"proof": TEXT, "from": ADDRESS}, where the optional `from` is the authenticated sender.
/// Answers: 200 with the payment's value once it is on disk; 402 if the payment has no value now; 409 if it or a newer
/// one counted before, with what was credited then; 422 if it is invalid; 503 if the check failed. GET /terms tells what the payee
/// accepts, GET /deposits lists its holdings, GET /events streams their changes. SIGTERM ends the service in order. Without a
/// wallet, the service receives payments and redeems nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque payee run --account shop
  cheque payee run --account shop --batch-size 1          redeem every win at once
  curl --json '{\"proof\":\"AflBgA...\"}' http://127.0.0.1:9552/payments")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    payee: PayeeServiceOpts,

    #[command(flatten)]
    listen: ListenOpts,

    #[command(flatten)]
    service: ServiceOpts,
}

impl RunArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let server = self
            .service
            .start(self.listen.address(LISTEN), self.listen.limits());
        let server = server.await?;
        let service = server.prepare(self.payee.open(out)).await?.service;
        let stop = server.stop();
        let router = api::router(service.clone(), server.streams());
        let worker = service.clone();
        let work = worker.run(stop.cancelled_owned());
        server
            .serve(out, router, move || service.health(), work)
            .await
    }
}
