//! `cheque payee run`: receives payments and redeems wins, unattended.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use alloy::signers::local::PrivateKeySigner;
use cheque::payee::{PayeeService, PayeeSettings};
use clap::Args;
use eyre::{Result, WrapErr, ensure};

use super::api;
use crate::{
    opts::{
        beacon::BeaconOpts,
        chain::ChainOpts,
        payee::{PayeeOpts, PolicyOpts},
        send::{FeeOpts, wallet_on},
        store::{CreateOpts, StoreOpts},
        time::parse_duration,
        wallet::WalletOpts,
    },
    output::Output,
    service::ServiceOpts,
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
    payee: PayeeOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    create: CreateOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    wallet: WalletOpts,

    #[command(flatten)]
    policy: PolicyOpts,

    #[command(flatten)]
    redeeming: RedeemOpts,

    #[command(flatten)]
    fees: FeeOpts,

    #[command(flatten)]
    service: ServiceOpts,
}

/// The times at which wins are redeemed.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Redeeming")]
struct RedeemOpts {
    /// Redeem at once while payout is at least this many times cost [default: --min-payout-per-cost]
    ///
    /// Other wins wait for a better gas price until --deadline-margin.
    #[arg(long, value_name = "TIMES")]
    redeem_payout_per_cost: Option<u32>,

    /// Redeem regardless of gas price DURATION before the window closes [default: 2h]
    ///
    /// The service warns then. A redemption estimated at its payout or more is not sent.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    deadline_margin: Option<Duration>,

    /// Send a batch at once when this many wins are ready [default: 10]
    #[arg(long, value_name = "WINS")]
    batch_size: Option<usize>,

    /// Wait at most DURATION after a draw for more wins [default: 10m, two steps of the grid of draws]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    batch_wait: Option<Duration>,

    /// Keep records of a deposit for DURATION after its window [default: 30d]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    retention: Option<Duration>,
}

impl RedeemOpts {
    fn settings(&self, mut settings: PayeeSettings) -> PayeeSettings {
        settings.min_payout_per_cost = self
            .redeem_payout_per_cost
            .unwrap_or(settings.min_payout_per_cost);
        settings.batch_size = self.batch_size.unwrap_or(settings.batch_size);
        let set = |to: &mut u64, value: Option<Duration>| {
            *to = value.map_or(*to, |value| value.as_secs());
        };
        set(&mut settings.deadline_margin, self.deadline_margin);
        set(&mut settings.batch_wait, self.batch_wait);
        set(&mut settings.retention, self.retention);
        settings
    }
}

impl RunArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let server = self.service.start(LISTEN).await?;
        let service = server.prepare(self.payee(out)).await?;
        let stop = server.stop();
        let router = api::router(service.clone(), server.streams());
        let worker = service.clone();
        let work = worker.run(stop.cancelled_owned());
        server
            .serve(out, router, move || service.health(), work)
            .await
    }

    async fn payee(&self, out: &Output) -> Result<PayeeService> {
        let named = self.payee.named()?;
        // The key is unlocked once, because the user may have to enter a password.
        let key = match self.wallet.is_named() || named.is_none() {
            true => {
                let key = self.wallet.unlock();
                Some(key.wrap_err("the payee is not named; name --payee ADDRESS or a wallet")?)
            }
            false => None,
        };
        let own = key.as_ref().map(PrivateKeySigner::address);
        let address = named.or(own).unwrap_or_default();
        if let Some(own) = own {
            ensure!(
                own == address,
                "the payee is {address} and the wallet is {own}; redeem with the payee's own wallet"
            );
        } else {
            out.warn("there is no wallet; wins are followed but not redeemed");
        }
        let reader = self.chain.reader().await?;
        let opened = self.create.open_for_service(&self.store).await?;
        let place = opened.place;
        let mut payee = self
            .policy
            .payee(address, reader, opened.store, &self.relays)
            .await?;
        if let Some(key) = key {
            let wallet = wallet_on(key, payee.reader());
            payee = payee.with_wallet(self.fees.set(wallet)?);
        }
        let settings = PayeeSettings::new(payee.policy(), payee.reader().profile());
        let service = PayeeService::new(payee, self.redeeming.settings(settings));
        service.recall().await?;
        let bank = service.payee().reader().bank();
        tracing::info!(
            event = "payee_configured",
            store = %place,
            chain = bank.chain_id(),
            bank = %bank.address(),
            payee = %address,
            wallet = own.map(tracing::field::display),
        );
        Ok(service)
    }
}
