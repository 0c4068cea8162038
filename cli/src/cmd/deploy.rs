//! `cheque deploy`: the bank's contract.

use alloy::{
    network::{EthereumWallet, TransactionBuilder},
    primitives::{Address, U256},
    providers::{DynProvider, Provider},
    rpc::types::TransactionRequest,
};
use cheque::{
    SeedSource,
    bank::Reader,
    node::NodeError,
    tx::{Call, Wallet},
};
use cheque_bindings::{
    CREATE2_DEPLOYER, LOCAL_CHAIN, create2_address, create2_input, creation_code,
};
use clap::{Args, ValueEnum};
use eyre::{Result, WrapErr, ensure};
use serde_json::{Value, json};

use crate::{
    format,
    opts::{chain::ChainOpts, send::SendOpts},
    output::{Output, fields},
    transaction::TxReport,
};

/// Deploy a bank, the contract that holds all money
///
/// Its address depends on code and settings alone, and is the same on every chain. An existing bank is not deployed
/// again. A bank has no owner, cannot be paused and cannot be changed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deploy --dry-run                          print address and cost
  cheque deploy --rpc-url https://... --account alice
  cheque deploy --min-lead 20                      a bank with other settings, at another address")]
pub(crate) struct DeployArgs {
    /// Require a distance between opening and draw [default: 128, local 4]
    #[arg(long, value_name = "BLOCKS")]
    min_lead: Option<u64>,

    /// Take the randomness of draws from here [default: the chain's]
    #[arg(long, value_enum)]
    seed_source: Option<Source>,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

/// The bank's seed source.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Source {
    /// The block's RANDAO mix (EIP-4399)
    Prevrandao,
    /// The block's hash, which the block's builder can choose: only for chains without RANDAO
    Blockhash,
}

impl From<Source> for SeedSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Prevrandao => Self::PrevRandao,
            Source::Blockhash => Self::BlockHash,
        }
    }
}

impl DeployArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let provider = self.chain.provider().await?;
        let profile = self.chain.profile_of(&provider).await?;
        let min_lead = self.min_lead.unwrap_or(profile.min_lead);
        let source = self
            .seed_source
            .map_or(profile.seed_source, SeedSource::from);
        let bank = create2_address(min_lead, source);
        let code = provider.get_code_at(bank).await.map_err(NodeError::from)?;
        let report = if code.is_empty() {
            let key = EthereumWallet::from(self.send.wallet.unlock()?);
            let wallet = Wallet::new(provider.clone(), key, profile.chain_id);
            if self.send.dry_run {
                ensure!(
                    !lacks_randomness(&provider, source).await?,
                    "the development node has only its first block, which has no randomness; mine a block, or run without \
                     --dry-run"
                );
            } else {
                mine_randomness(&provider, source).await?;
            }
            let call = deployment(&provider, min_lead, source).await?;
            self.send
                .send(&wallet, &call, "deploying the bank", out)
                .await?
        } else {
            out.progress("the bank is already deployed; nothing is sent");
            TxReport::NotNeeded
        };
        if !matches!(report, TxReport::DryRun(_)) {
            check(provider, bank).await?;
        }
        let source = match source {
            SeedSource::BlockHash => "blockhash",
            _ => "prevrandao",
        };
        let json = json!({
            "bank": bank,
            "chain": profile.chain_id,
            "min_lead": min_lead,
            "seed_source": source,
            "transaction": report.json(),
        });
        out.result(&json, || {
            let mut lines = vec![
                ("bank", bank.to_string()),
                ("chain", format::chain(profile.chain_id)),
                ("min lead", format!("{min_lead} blocks")),
                ("seed source", source.to_owned()),
            ];
            lines.extend(report.fields());
            fields(&lines)
        })
    }
}

/// Builds the call to deploy a bank through the deterministic deployer.
///
/// # Errors
/// Fails if the chain lacks the deployer or the constructor reverts. The constructor is simulated alone, because the
/// deployer drops the reason of a revert.
pub(crate) async fn deployment(
    provider: &DynProvider,
    min_lead: u64,
    source: SeedSource,
) -> Result<Call> {
    let deployer = provider.get_code_at(CREATE2_DEPLOYER).await;
    ensure!(
        !deployer.map_err(NodeError::from)?.is_empty(),
        "the deterministic deployer is missing at {CREATE2_DEPLOYER}; deploy it as \
         https://github.com/Arachnid/deterministic-deployment-proxy explains"
    );
    let mut creation = TransactionRequest::default();
    creation.set_deploy_code(creation_code(min_lead, source));
    let simulated = provider.call(creation).await.map_err(NodeError::from);
    simulated.wrap_err("the bank cannot be deployed")?;
    Ok(Call {
        to: CREATE2_DEPLOYER,
        input: create2_input(min_lead, source),
        value: U256::ZERO,
    })
}

/// Checks that the deployed contract answers as a bank.
async fn check(provider: DynProvider, bank: Address) -> Result<()> {
    Reader::open(provider, bank)
        .await
        .map(drop)
        .wrap_err("the deployment succeeded, but the contract does not answer as a bank")
}

/// True for a new development node: its only block, the first, has no randomness.
async fn lacks_randomness(provider: &DynProvider, source: SeedSource) -> Result<bool> {
    let head = provider.get_block_number().await;
    let is_new = head.map_err(NodeError::from)? == 0;
    let chain = provider.get_chain_id().await.map_err(NodeError::from)?;
    Ok(is_new && source == SeedSource::PrevRandao && chain == LOCAL_CHAIN)
}

/// Mines a block on a new development node.
pub(crate) async fn mine_randomness(provider: &DynProvider, source: SeedSource) -> Result<()> {
    if lacks_randomness(provider, source).await? {
        let mined = provider
            .raw_request::<_, Value>("evm_mine".into(), ())
            .await;
        mined.map_err(NodeError::from).wrap_err(
            "the node's first block has no randomness, and the node does not mine on request; mine a block",
        )?;
    }
    Ok(())
}
