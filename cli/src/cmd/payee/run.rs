//! `cheque payee run`: takes payments and cashes wins, for months.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use alloy::signers::local::PrivateKeySigner;
use cheque::payee::{PayeeService, PayeeSettings};
use clap::Args;
use eyre::{Result, WrapErr, ensure};

use super::api;
use crate::{
    opts::{ChainOpts, PayeeOpts, PolicyOpts, StoreOpts, WalletOpts},
    output::Output,
    send::sender_of,
    service::ServiceOpts,
};

/// Where a payee answers if nothing else is said.
const LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9552));

/// Take payments over HTTP, follow every draw, and redeem what is won
///
/// POST /payments takes {"proof": TEXT, "from": ADDRESS} (from: the signer you have authenticated, if any) and answers 200
/// with what the payment adds once it is on disk; 402 if it does not pay now, 409 if it or a newer one was counted, 422 if
/// it never will, 503 if it could not be judged. GET /deposits shows what `ledger` shows. SIGTERM ends it in order. Without
/// a wallet it takes payments and redeems nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque payee run --account shop
  cheque payee run --account shop --redeem-batch 1        redeem every win at once
  curl -d \"{\\\"proof\\\":\\\"$PROOF\\\"}\" -H 'Content-Type: application/json' http://127.0.0.1:9552/payments")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    payee: PayeeOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    wallet: WalletOpts,

    #[command(flatten)]
    policy: PolicyOpts,

    #[command(flatten)]
    cash: CashOpts,

    #[command(flatten)]
    service: ServiceOpts,
}

/// When wins are redeemed.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Redeeming")]
struct CashOpts {
    /// Redeem at once while a win pays at least so many times what redeeming costs; else wait for a better gas price
    /// [default: --min-payout-per-cost]
    #[arg(long, value_name = "TIMES")]
    redeem_above: Option<u32>,

    /// So long before its window closes, redeem a win at any price below what it pays, and warn [default: 2 hours, at most
    /// 4095 blocks]
    #[arg(long, value_name = "BLOCKS")]
    redeem_margin: Option<u64>,

    /// Wait for no more wins to share a transaction with once there are so many [default: 10]
    #[arg(long, value_name = "WINS")]
    redeem_batch: Option<usize>,

    /// Wait for more wins up to so long after a draw [default: one step of the chain's grid, and twice its
    /// confirmations]
    #[arg(long, value_name = "BLOCKS")]
    redeem_wait: Option<u64>,

    /// Keep a deposit in the ledger so long after its window [default: 30 days]
    #[arg(long, value_name = "BLOCKS")]
    keep: Option<u64>,
}

impl CashOpts {
    fn settings(&self, mut settings: PayeeSettings) -> PayeeSettings {
        settings.min_payout_per_cost = self.redeem_above.unwrap_or(settings.min_payout_per_cost);
        settings.margin = self.redeem_margin.unwrap_or(settings.margin);
        settings.batch = self.redeem_batch.unwrap_or(settings.batch);
        settings.company = self.redeem_wait.unwrap_or(settings.company);
        settings.keep = self.keep.unwrap_or(settings.keep);
        settings
    }
}

impl RunArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let server = self.service.start(LISTEN).await?;
        let service = server.prepare(self.payee(out)).await?;
        let router = api::router(service.clone());
        let stop = server.stop();
        let worker = service.clone();
        let work = worker.run(stop.cancelled_owned());
        server
            .serve(out, router, move || service.health(), work)
            .await
    }

    async fn payee(&self, out: &Output) -> Result<PayeeService> {
        let named = self.payee.named()?;
        // Unlocked once, for it may ask for a password.
        let wallet = match self.wallet.is_named() || named.is_none() {
            true => Some(self.wallet.unlock().wrap_err("whose payments?")?),
            false => None,
        };
        let own = wallet.as_ref().map(PrivateKeySigner::address);
        let address = named.or(own).unwrap_or_default();
        if let Some(own) = own {
            ensure!(
                own == address,
                "the payee is {address} and the wallet is {own}'s: redeeming takes the payee's own"
            );
        } else {
            out.warn("there is no wallet, so wins are followed and not redeemed");
        }
        let reader = self.chain.reader().await?;
        let mut payee = self.policy.payee(address, reader, &self.store).await?;
        if let Some(wallet) = wallet {
            let sender = sender_of(wallet, payee.reader());
            payee = payee.with_wallet(sender);
        }
        let settings = PayeeSettings::new(payee.policy(), payee.reader().profile());
        let service = PayeeService::new(payee, self.cash.settings(settings));
        service.recall().await?;
        Ok(service)
    }
}
