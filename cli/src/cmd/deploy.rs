//! `cheque deploy`: a bank of one's own.

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
    opts::{ChainOpts, SendOpts},
    output::{Output, fields},
    send::Done,
    show,
};

/// Deploy a bank, the contract that holds everybody's money
///
/// Its address follows from the code and the settings and is the same on every chain. If it is there already, nothing is
/// sent. A bank has no owner, cannot be paused and cannot be changed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deploy --dry-run                          where it would be, and what it costs
  cheque deploy --rpc-url https://... --account alice
  cheque deploy --min-lead 20                      a bank of other settings, at another address")]
pub(crate) struct DeployArgs {
    /// Least number of blocks between opening a deposit and its draw [default: the chain's: 128, local 4]
    #[arg(long, value_name = "BLOCKS")]
    min_lead: Option<u64>,

    /// Where draws take their randomness from [default: the chain's]
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
    /// The block's hash, which whoever builds the block can choose: for chains without RANDAO only
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
        let there = provider.get_code_at(bank).await.map_err(NodeError::from)?;
        let done = if there.is_empty() {
            let wallet = EthereumWallet::from(self.send.wallet.unlock()?);
            let sender = Wallet::new(provider.clone(), wallet, profile.chain_id);
            if self.send.dry_run {
                ensure!(
                    !lacks_randomness(&provider, source).await?,
                    "this development node has only its first block, which has no randomness: without --dry-run another \
                     one is mined first"
                );
            } else {
                mine_randomness(&provider, source).await?;
            }
            let call = deployment(&provider, min_lead, source).await?;
            self.send
                .send(&sender, &call, "deploy the bank", out)
                .await?
        } else {
            out.progress("this bank is deployed already: nothing was sent");
            Done::Nothing
        };
        if !matches!(done, Done::Dry(_)) {
            check(provider, bank).await?;
        }
        let seeds = match source {
            SeedSource::BlockHash => "blockhash",
            _ => "prevrandao",
        };
        let json = json!({
            "bank": bank,
            "chain": profile.chain_id,
            "min_lead": min_lead,
            "seed_source": seeds,
            "transaction": done.json(),
        });
        out.result(&json, || {
            let mut lines = vec![
                ("bank", bank.to_string()),
                ("chain", show::chain(profile.chain_id)),
                ("min lead", format!("{min_lead} blocks")),
                ("seed source", seeds.to_owned()),
            ];
            lines.extend(done.fields());
            fields(&lines)
        })
    }
}

/// The transaction that deploys a bank through the deterministic deployer, tried before. The deployer swallows the
/// reason where the constructor refuses, so that is tried alone, too.
pub(crate) async fn deployment(
    provider: &DynProvider,
    min_lead: u64,
    source: SeedSource,
) -> Result<Call> {
    let deployer = provider.get_code_at(CREATE2_DEPLOYER).await;
    ensure!(
        !deployer.map_err(NodeError::from)?.is_empty(),
        "this chain lacks the deterministic deployer at {CREATE2_DEPLOYER}: see \
         https://github.com/Arachnid/deterministic-deployment-proxy for how to put it there"
    );
    let mut creation = TransactionRequest::default();
    creation.set_deploy_code(creation_code(min_lead, source));
    let refused = provider.call(creation).await.map_err(NodeError::from);
    refused.wrap_err("the bank cannot be deployed")?;
    Ok(Call {
        to: CREATE2_DEPLOYER,
        input: create2_input(min_lead, source),
        value: U256::ZERO,
    })
}

/// Whether what was deployed answers as a bank.
async fn check(provider: DynProvider, bank: Address) -> Result<()> {
    Reader::open(provider, bank)
        .await
        .map(drop)
        .wrap_err("the deployment went through, but there is no bank")
}

/// A development node that was just started has only its first block, which has no randomness.
async fn lacks_randomness(provider: &DynProvider, source: SeedSource) -> Result<bool> {
    let head = provider.get_block_number().await;
    let fresh = head.map_err(NodeError::from)? == 0;
    let chain = provider.get_chain_id().await.map_err(NodeError::from)?;
    Ok(fresh && source == SeedSource::PrevRandao && chain == LOCAL_CHAIN)
}

/// Gives such a node another block.
pub(crate) async fn mine_randomness(provider: &DynProvider, source: SeedSource) -> Result<()> {
    if lacks_randomness(provider, source).await? {
        let mined = provider
            .raw_request::<_, Value>("evm_mine".into(), ())
            .await;
        mined.map_err(NodeError::from).wrap_err(
            "the node's first block has no randomness, and it does not mine another one",
        )?;
    }
    Ok(())
}
