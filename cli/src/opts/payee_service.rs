//! A payee that runs as a service: store, chain, wallet, policy and the times at which wins are redeemed.

use std::{sync::Arc, time::Duration};

use alloy::signers::local::PrivateKeySigner;
use cheque::{
    payee::{PayeeService, PayeeSettings},
    store::Store,
};
use clap::Args;
use eyre::{Result, WrapErr, ensure};

use super::{
    beacon::BeaconOpts,
    chain::ChainOpts,
    payee::{PayeeOpts, PolicyOpts},
    send::{FeeOpts, wallet_on},
    store::{CreateOpts, OpenStore, StoreOpts},
    time::parse_duration,
    wallet::WalletOpts,
};
use crate::output::Output;

/// All that a payee's service needs. Without a wallet, it receives payments and redeems nothing.
#[derive(Args, Debug)]
pub(crate) struct PayeeServiceOpts {
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
    pub(crate) policy: PolicyOpts,

    #[command(flatten)]
    redeeming: RedeemOpts,

    #[command(flatten)]
    fees: FeeOpts,
}

/// A payee's service, and its store.
pub(crate) struct OpenedPayee {
    pub(crate) service: PayeeService,
    pub(crate) store: Arc<dyn Store>,
    /// True if other processes can use the store at the same time.
    pub(crate) is_shared: bool,
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

impl PayeeServiceOpts {
    /// Opens the payee, with the wallet's key if one is named, and reads its records.
    pub(crate) async fn open(&self, out: &Output) -> Result<OpenedPayee> {
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
        let OpenStore {
            store,
            place,
            is_shared,
            ..
        } = self.create.open_for_service(&self.store).await?;
        let mut payee = self
            .policy
            .payee(address, reader, Arc::clone(&store), &self.relays)
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
        Ok(OpenedPayee {
            service,
            store,
            is_shared,
        })
    }
}
