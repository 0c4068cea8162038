//! `cheque payer run`: opens rounds and pays, unattended.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use cheque::payer::PayerService;
use clap::Args;
use eyre::{Result, WrapErr};

use super::{api, rounds::RoundsOpts};
use crate::{
    opts::{
        beacon::BeaconOpts,
        chain::ChainOpts,
        send::{FeeOpts, wallet_on},
        store::{CreateOpts, StoreOpts, payer_on},
        time::parse_duration,
        wallet::{SignerOpts, WalletOpts, signing_key},
    },
    output::Output,
    service::{ListenOpts, ServiceOpts},
    token::token_at,
};

/// The default address.
const LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9551));

/// Pay over HTTP, open round after round, and reclaim unredeemed money
///
/// POST /cheques takes {"payee": ADDRESS, "amount": UNITS, "id": TEXT}, and "payee_cutoff": SECONDS for a payee that takes no
/// payment so close to a draw. Answers: 200 with the proofs once the payment is on disk; 409 if the current round does not
/// cover it. A repeated request with the same id, which may also be the header Idempotency-Key, gets the same proofs and pays
/// nothing; without an id it pays again. With "preview": true nothing is paid. GET
/// /payees/ADDRESS has the newest proofs. GET /deposits lists all deposits and their next steps, GET
/// /deposits/ID shows one, GET /events streams changes. SIGTERM ends the service in order.
///
/// The service follows every deposit of the store, opens stored ones, and reclaims unredeemed ones. With payees, it
/// opens a deposit every 30 minutes, or at the intervals of --draw-in and --every, and pays from the one drawn first. Use a wallet in one
/// service only. With a signer and no wallet, the service pays and follows, but opens and reclaims nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque payer run --account alice --allowances payees.csv --daily-budget 0.5ether
  cheque payer run --account cold --signer-keystore hot.json --allowances payees.csv --draw-in 1h --every 5m
  cheque payer run --account alice --max-fee-per-gas 40gwei      no rounds: pay from open deposits
  curl --json '{\"payee\":\"0xd8dA...\",\"amount\":\"20000\"}' http://127.0.0.1:9551/cheques")]
pub(super) struct RunArgs {
    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    create: CreateOpts,

    /// Keep records of a settled deposit for DURATION after its window [default: 30d, at least 1d]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    retention: Option<Duration>,

    /// Write no cheque so close to the draw [default: 45s, at least 38s with quicknet]
    ///
    /// A payee's own cutoff, 30s by default, and 15 seconds for the way to the payee. The least value follows from the bounds
    /// of the clocks and the beacon's period.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    cutoff: Option<Duration>,

    #[command(flatten)]
    rounds: RoundsOpts,

    #[command(flatten)]
    fees: FeeOpts,

    #[command(flatten)]
    signer: SignerOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    wallet: WalletOpts,

    #[command(flatten)]
    listen: ListenOpts,

    #[command(flatten)]
    service: ServiceOpts,
}

impl RunArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let server = self
            .service
            .start(self.listen.address(LISTEN), self.listen.limits());
        let server = server.await?;
        let (service, token) = server.prepare(self.payer()).await?;
        let router = api::router(service.clone(), token, server.streams());
        let worker = service.clone();
        let work = worker.run(server.stop().cancelled_owned());
        server
            .serve(out, router, move || service.health(), work)
            .await
    }

    /// Builds the service, and finds the token of its payments.
    async fn payer(&self) -> Result<(PayerService, Address)> {
        let signer = self.signer.unlock()?;
        // A signer without a wallet can pay from open deposits.
        let wallet_key = match self.wallet.is_named() || signer.is_none() {
            true => Some(self.wallet.unlock()?),
            false => None,
        };
        let wallet_address = wallet_key.as_ref().map(PrivateKeySigner::address);
        let signer_address = signer.as_ref().map(PrivateKeySigner::address);
        let signer_address = signer_address.or(wallet_address);
        let signing = signer.as_ref().or(wallet_key.as_ref()).map(signing_key);
        let reader = self.chain.reader().await?;
        let token = token_at(self.rounds.token.unwrap_or_default(), &reader).await?;
        let list = self.rounds.list(&token)?;
        let wallet = match wallet_key {
            Some(key) => Some(self.fees.set(wallet_on(key, &reader))?),
            None => None,
        };
        let opened = self.create.open_for_service(&self.store).await?;
        let place = opened.place;
        let payer = payer_on(opened.store, reader, &self.relays).await?;
        let mut payer = payer.with_rates(self.rounds.rate.rates(&token)?);
        if let Some(cutoff) = self.cutoff {
            payer = payer.with_cutoff(cutoff.as_secs()).wrap_err("--cutoff")?;
        }
        if let Some(key) = signing {
            payer = payer.with_key(key?);
        }
        if let Some(wallet) = wallet {
            payer = payer.with_wallet(wallet);
        }
        let rounds = match list {
            Some(list) => Some(self.rounds.rounds(list, &token, &payer)?),
            None => None,
        };
        let service = PayerService::new(payer, rounds);
        let service = match self.retention {
            Some(duration) => service.with_retention(duration.as_secs()),
            None => service,
        };
        service.recall().await?;
        let payer = service.payer();
        let bank = payer.reader().bank();
        tracing::info!(
            event = "payer_configured",
            store = %place,
            chain = bank.chain_id(),
            bank = %bank.address(),
            wallet = wallet_address.map(tracing::field::display),
            signer = signer_address.map(tracing::field::display),
            token = %token.address,
        );
        Ok((service, token.address))
    }
}
