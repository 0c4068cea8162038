//! Node, chain and bank.

use alloy::{
    primitives::Address,
    providers::{DynProvider, Provider},
};
use cheque::{
    ChainProfile, PROFILES,
    bank::{BankError, Reader},
    node::{NodeError, connect_all},
};
use cheque_bindings::{default_deployment, verified_deployment};
use clap::Args;
use eyre::{Result, WrapErr, ensure, eyre};

use crate::allowances::parse_address;

/// Node, chain and bank of a verb.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Chain")]
pub(crate) struct ChainOpts {
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

    /// Require a chain of the node, by name or number [default: the node's]
    #[arg(long, value_name = "CHAIN", env = "CHAIN", hide_env_values = true, value_parser = parse_chain)]
    chain: Option<&'static ChainProfile>,

    /// Use the ChequeBank contract at ADDRESS [default: the project's deployment on the chain]
    #[arg(long, value_name = "ADDRESS", env = "CHEQUE_BANK", hide_env_values = true, value_parser = parse_address)]
    bank: Option<Address>,
}

impl ChainOpts {
    /// Connects to the node and opens the bank: the bank of the flag, else the known bank of the chain.
    pub(crate) async fn reader(&self) -> Result<Reader> {
        let provider = self.provider().await?;
        let profile = self.profile_of(&provider).await?;
        let bank = self.bank.unwrap_or_else(|| known_bank(profile.chain_id));
        let opened = Reader::open(provider, bank).await;
        opened.map_err(|error| match error {
            BankError::NoBank { .. } if self.bank.is_none() => eyre!(
                "the bank of this release is not deployed at {bank} on {} ({}); name another with --bank, or run \
                 `cheque deploy`",
                profile.name,
                profile.chain_id
            ),
            error => error.into(),
        })
    }

    /// Connects to the nodes.
    pub(crate) async fn provider(&self) -> Result<DynProvider> {
        connect_all(&self.rpc_url)
            .await
            .wrap_err("cannot connect to the node; check --rpc-url")
    }

    /// Finds the profile of the node's chain, which must match `--chain`.
    pub(crate) async fn profile_of(&self, provider: &DynProvider) -> Result<&'static ChainProfile> {
        let id = provider.get_chain_id().await;
        let id = id.map_err(NodeError::from).wrap_err(
            "the node does not answer; check that it runs, and --rpc-url or ETH_RPC_URL",
        )?;
        if let Some(wanted) = self.chain {
            ensure!(
                wanted.chain_id == id,
                "the node follows chain {id}, not {} ({}) of --chain; name a node of that chain with --rpc-url",
                wanted.name,
                wanted.chain_id
            );
        }
        ChainProfile::of(id).map_err(|error| eyre!("{error}; {}", supported()))
    }
}

/// The verified deployment on a chain, else the address at which this release deploys its bank.
fn known_bank(chain_id: u64) -> Address {
    verified_deployment(chain_id).map_or_else(
        || default_deployment(chain_id).bank,
        |deployment| deployment.bank,
    )
}

/// Parses the number or name of a supported chain.
fn parse_chain(text: &str) -> Result<&'static ChainProfile, String> {
    if let Ok(id) = text.parse() {
        return ChainProfile::of(id).map_err(|error| format!("{error}; {}", supported()));
    }
    let mut profiles = PROFILES.iter();
    profiles
        .find(|profile| profile.name == text)
        .ok_or_else(|| format!("no chain has this name; {}", supported()))
}

/// Lists the supported chains.
fn supported() -> String {
    let names = PROFILES
        .iter()
        .map(|profile| format!("{} ({})", profile.name, profile.chain_id));
    format!("use one of {}", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_supported_chains_and_explains_others() {
        assert_eq!(parse_chain("8453").unwrap().name, "base");
        assert_eq!(parse_chain("local").unwrap().chain_id, 31_337);
        assert!(parse_chain("42161").unwrap_err().contains("randomness"));
        assert!(
            parse_chain("arbitrum")
                .unwrap_err()
                .contains("sepolia (11155111)")
        );
    }
}
