//! `cheque deploy`: the bank's contract.

use std::time::Duration;

use alloy::{
    network::{EthereumWallet, TransactionBuilder},
    primitives::{Address, U256},
    providers::{DynProvider, Provider},
    rpc::types::TransactionRequest,
};
use cheque::{
    BeaconParameters, ChainProfile, MIN_LEAD,
    bank::Reader,
    node::NodeError,
    tx::{Call, Wallet},
};
use cheque_bindings::{CREATE2_DEPLOYER, create2_address, create2_input, creation_code};
use clap::Args;
use eyre::{Result, WrapErr, ensure, eyre};
use serde_json::json;

use crate::{
    cmd::chain::verifier::check_rules,
    format,
    opts::{
        beacon::KeyOpts,
        chain::ChainOpts,
        send::SendOpts,
        time::{parse_duration, show_duration},
    },
    output::{Output, fields},
    transaction::TxReport,
};

/// Deploy a bank, the contract that holds all money
///
/// Without settings this is the common bank, which draws by quicknet and has the same address on every chain. Anybody can
/// put it there, for everybody. An existing bank is not deployed again. A bank has no owner, cannot be
/// paused and cannot be changed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deploy --dry-run                          print address and cost
  cheque deploy --rpc-url https://... --account alice
  cheque deploy --min-lead 1h                      a bank with other settings, at another address")]
pub(crate) struct DeployArgs {
    /// Require DURATION between opening and draw, at least the chain's time to finality [default: 40m]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    min_lead: Option<Duration>,

    #[command(flatten)]
    key: KeyOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

/// The settings of a bank.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BankSettings {
    /// The least time between opening and draw, in seconds.
    pub(crate) min_lead: u64,
    /// The beacon of draws.
    pub(crate) beacon: BeaconParameters,
}

impl BankSettings {
    /// The address of the bank with these settings, on every chain.
    pub(crate) fn address(&self) -> Address {
        create2_address(self.min_lead, &self.beacon)
    }
}

impl DeployArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let settings = BankSettings {
            min_lead: self.min_lead.map_or(MIN_LEAD, |lead| lead.as_secs()),
            beacon: self.key.parameters()?,
        };
        let provider = self.chain.provider().await?;
        let profile = self.chain.profile_of(&provider).await?;
        warn_of_short_lead(&settings, &profile, out);
        let bank = settings.address();
        let code = provider.get_code_at(bank).await.map_err(NodeError::from)?;
        let report = if code.is_empty() {
            let key = EthereumWallet::from(self.send.wallet.unlock()?);
            let wallet = Wallet::new(provider.clone(), key, profile.chain_id);
            let wallet = self.send.fees.set(wallet)?;
            let call = deployment(&provider, &settings).await?;
            self.send
                .send(&wallet, &call, "deploying the bank", out)
                .await?
        } else {
            out.progress("the bank is already deployed; nothing is sent");
            TxReport::NotNeeded
        };
        if !matches!(report, TxReport::DryRun(_)) {
            check(provider, bank, profile).await?;
        }
        let json = json!({
            "bank": bank,
            "chain": profile.chain_id,
            "min_lead": settings.min_lead,
            "genesis": settings.beacon.genesis,
            "period": settings.beacon.period,
            "transaction": report.json(),
        });
        out.result(&json, || {
            let seconds = |seconds| show_duration(Duration::from_secs(seconds));
            let mut lines = vec![
                ("bank", bank.to_string()),
                ("chain", format::chain(profile.chain_id)),
                ("min lead", seconds(settings.min_lead)),
                (
                    "draws",
                    format!("a round every {}", seconds(settings.beacon.period)),
                ),
            ];
            lines.extend(report.fields());
            fields(&lines)
        })
    }
}

/// Warns of a bank that payees refuse.
fn warn_of_short_lead(settings: &BankSettings, profile: &ChainProfile, out: &Output) {
    if profile.freshness.is_some() && settings.min_lead < profile.finality {
        let seconds = |seconds| show_duration(Duration::from_secs(seconds));
        out.warn(format!(
            "payees refuse this bank: it opens deposits {} before their draw, and {} takes {} to finality",
            seconds(settings.min_lead),
            profile.name,
            seconds(profile.finality)
        ));
    }
}

/// Builds the call to deploy a bank through the deterministic deployer.
///
/// # Errors
/// Fails if the chain lacks the deployer or what the bank needs, or if the constructor reverts. The constructor is simulated alone, because the
/// deployer drops the reason of a revert.
pub(crate) async fn deployment(provider: &DynProvider, settings: &BankSettings) -> Result<Call> {
    let deployer = provider.get_code_at(CREATE2_DEPLOYER).await;
    ensure!(
        !deployer.map_err(NodeError::from)?.is_empty(),
        "the deterministic deployer is missing at {CREATE2_DEPLOYER}; deploy it as \
         https://github.com/Arachnid/deterministic-deployment-proxy explains"
    );
    let mut creation = TransactionRequest::default();
    creation.set_deploy_code(creation_code(settings.min_lead, &settings.beacon));
    let simulated = provider.call(creation).await.map_err(NodeError::from);
    simulated.wrap_err(
        "the bank cannot be deployed; see what the chain lacks with `cheque chain check`",
    )?;
    // The constructor needs less than the bank's functions, which would all revert on such a chain.
    let rules = check_rules(provider).await;
    rules.map_err(|reason| {
        eyre!(
            "no bank can run on this chain: {reason}; see what it lacks with `cheque chain check`"
        )
    })?;
    Ok(Call {
        to: CREATE2_DEPLOYER,
        input: create2_input(settings.min_lead, &settings.beacon),
        value: U256::ZERO,
    })
}

/// Checks that the deployed contract answers as a bank.
async fn check(provider: DynProvider, bank: Address, profile: ChainProfile) -> Result<()> {
    Reader::open_with(provider, bank, profile)
        .await
        .map(drop)
        .wrap_err("the deployment succeeded, but the contract does not answer as a bank")
}
