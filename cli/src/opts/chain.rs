//! Node, chain and bank.

use std::time::Duration;

use alloy::{
    primitives::{Address, address},
    providers::{DynProvider, Provider},
};
use cheque::{
    ChainProfile, FeeModel, PROFILES,
    bank::{BankError, Reader},
    node::{NodeError, connect_all},
};
use cheque_bindings::{PINNED_BANK, default_deployment, verified_deployment};
use clap::Args;
use eyre::{Result, WrapErr, ensure, eyre};

use super::time::parse_duration;
use crate::allowances::parse_address;

/// The contract by which a chain of the OP stack is known: its `GasPriceOracle`.
const OP_STACK_ORACLE: Address = address!("420000000000000000000000000000000000000F");

/// The contract by which an Arbitrum chain is known: its `ArbSys`.
const ARB_SYS: Address = address!("0000000000000000000000000000000000000064");

/// The node of a verb.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Chain")]
pub(crate) struct NodeOpts {
    /// Connect to the node at URL by http, https, ws or wss
    ///
    /// Several nodes, separated by commas or by repeating the flag, are used in turn: each until it fails.
    #[arg(
        long,
        short = 'r',
        value_name = "URL",
        env = "ETH_RPC_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8545",
        value_delimiter = ','
    )]
    rpc_url: Vec<String>,
}

/// Node, chain and bank of a verb.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Chain")]
pub(crate) struct ChainOpts {
    #[command(flatten)]
    node: NodeOpts,

    /// Require a chain of the node, by name or number [default: the node's]
    #[arg(long, value_name = "CHAIN", env = "CHAIN", hide_env_values = true, value_parser = parse_chain)]
    chain: Option<u64>,

    /// Count blocks from this age on; needed on a chain that is not listed [default: the chain's]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    confirm: Option<Duration>,

    /// Take blocks of this age as final; needed on a chain that is not listed [default: the chain's]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    finality: Option<Duration>,

    /// Use another bank than the common one, which has the same address on every chain
    #[arg(long, value_name = "ADDRESS", env = "CHEQUE_BANK", hide_env_values = true, value_parser = parse_address)]
    bank: Option<Address>,
}

impl NodeOpts {
    /// Connects to the nodes.
    pub(crate) async fn provider(&self) -> Result<DynProvider> {
        connect_all(&self.rpc_url)
            .await
            .wrap_err("cannot connect to the node; check --rpc-url")
    }
}

impl ChainOpts {
    /// Connects to the node and opens the bank: the bank of the flag, else the common one.
    pub(crate) async fn reader(&self) -> Result<Reader> {
        let provider = self.provider().await?;
        let profile = self.profile_of(&provider).await?;
        let bank = self.bank.unwrap_or_else(|| common_bank(profile.chain_id));
        let opened = Reader::open_with(provider, bank, profile).await;
        opened.map_err(|error| match error {
            BankError::NoBank { .. } if self.bank.is_none() => eyre!(
                "the common bank is not deployed at {bank} on {} ({}) yet; `cheque deploy` puts it there for everybody, or \
                 name another bank with --bank",
                profile.name,
                profile.chain_id
            ),
            error => error.into(),
        })
    }

    /// Connects to the nodes.
    pub(crate) async fn provider(&self) -> Result<DynProvider> {
        self.node.provider().await
    }

    /// Finds the profile of the node's chain, which must match `--chain`. A chain that is not listed needs its times.
    pub(crate) async fn profile_of(&self, provider: &DynProvider) -> Result<ChainProfile> {
        let id = chain_id_of(provider).await?;
        if let Some(wanted) = self.chain {
            ensure!(
                wanted == id,
                "the node follows chain {id}, not {} of --chain; name a node of that chain with --rpc-url",
                named(wanted)
            );
        }
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
        let (confirm, finality) = (seconds(self.confirm), seconds(self.finality));
        match (ChainProfile::of(id), confirm, finality) {
            (Ok(listed), confirm, finality) => Ok(ChainProfile {
                confirm: confirm.unwrap_or(listed.confirm),
                finality: finality.unwrap_or(listed.finality),
                ..*listed
            }),
            (Err(_), Some(confirm), Some(finality)) => Ok(ChainProfile {
                fees: fee_model(provider).await?,
                ..ChainProfile::unlisted(id, confirm, finality)
            }),
            (Err(_), ..) => Err(eyre!(
                "chain {id} is not listed; see what it can do with `cheque chain check`, then name its times with --confirm \
                 and --finality, or {}",
                listed()
            )),
        }
    }
}

/// Reads the number of the node's chain.
pub(crate) async fn chain_id_of(provider: &DynProvider) -> Result<u64> {
    let id = provider.get_chain_id().await;
    id.map_err(NodeError::from)
        .wrap_err("the node does not answer; check that it runs, and --rpc-url or ETH_RPC_URL")
}

/// Finds the parts of a transaction's fee on a chain that is not listed, by the contracts of the rollups' systems.
pub(crate) async fn fee_model(provider: &DynProvider) -> Result<FeeModel> {
    for (contract, model) in [
        (OP_STACK_ORACLE, FeeModel::OpStack),
        (ARB_SYS, FeeModel::Arbitrum),
    ] {
        let code = provider.get_code_at(contract).await;
        if !code.map_err(NodeError::from)?.is_empty() {
            return Ok(model);
        }
    }
    Ok(FeeModel::Plain)
}

/// The verified deployment on a chain, else the address of the pinned bank, which is the same on every chain.
pub(crate) fn common_bank(chain_id: u64) -> Address {
    let verified = verified_deployment(chain_id).copied();
    let deployment = verified.or_else(|| default_deployment(chain_id));
    deployment.map_or(PINNED_BANK, |deployment| deployment.bank)
}

/// Parses the number of a chain, or the name of a listed one.
fn parse_chain(text: &str) -> Result<u64, String> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let mut profiles = PROFILES.iter();
    profiles
        .find(|profile| profile.name == text)
        .map(|profile| profile.chain_id)
        .ok_or_else(|| format!("no chain has this name; name its number, or {}", listed()))
}

/// A chain's name, if it is listed, and number.
fn named(id: u64) -> String {
    ChainProfile::of(id).map_or_else(
        |_| id.to_string(),
        |profile| format!("{} ({id})", profile.name),
    )
}

/// Lists the listed chains.
fn listed() -> String {
    let names = PROFILES
        .iter()
        .map(|profile| format!("{} ({})", profile.name, profile.chain_id));
    format!("use one of {}", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_numbers_of_all_chains_and_names_of_listed_ones() {
        assert_eq!(parse_chain("base"), Ok(8453));
        assert_eq!(parse_chain("local"), Ok(31_337));
        assert_eq!(parse_chain("100"), Ok(100));
        let error = parse_chain("arbitrum").unwrap_err();
        assert!(error.contains("arbitrum-one (42161)"), "{error}");
    }

    #[test]
    fn has_the_same_common_bank_on_every_chain() {
        for chain in [1, 8453, 31_337, 100] {
            assert_eq!(common_bank(chain), PINNED_BANK);
        }
    }
}
