//! The bank on its chain that a verb works with.

use alloy::primitives::Address;
use cheque::{
    ChainProfile,
    bank::{BankError, Reader},
    node::{NodeError, connect_all},
};
use cheque_bindings::{default_deployment, verified_deployment};
use eyre::{Result, WrapErr, ensure};

use crate::opts::{ChainOpts, supported};

impl ChainOpts {
    /// Connects to the node and finds the bank.
    pub(crate) async fn reader(&self) -> Result<Reader> {
        let provider = self.provider().await?;
        let profile = self.profile_of(&provider).await?;
        let bank = self.place.bank_on(profile.chain_id);
        let named = self.place.bank.is_some();
        Reader::open(provider, bank).await.map_err(|error| match error {
            BankError::NoBank { .. } if !named => eyre::eyre!(
                "there is no bank yet at {bank} on {} ({}), where this release deploys it: name another with --bank, or \
                 run `cheque deploy`",
                profile.name,
                profile.chain_id
            ),
            error => error.into(),
        })
    }

    /// Connects to the node, or to one of several.
    pub(crate) async fn provider(&self) -> Result<alloy::providers::DynProvider> {
        connect_all(&self.rpc_url)
            .await
            .wrap_err("cannot connect to the node (--rpc-url)")
    }

    /// The profile of the node's chain, which must be the one asked for.
    pub(crate) async fn profile_of(
        &self,
        provider: &alloy::providers::DynProvider,
    ) -> Result<&'static ChainProfile> {
        use alloy::providers::Provider;
        let id = provider.get_chain_id().await;
        let id = id.map_err(NodeError::from).wrap_err_with(
            || "no answer from the node: is --rpc-url (or ETH_RPC_URL) right, and does it run?",
        )?;
        if let Some(wanted) = self.place.chain {
            ensure!(
                wanted.chain_id == id,
                "the node follows chain {id}, and --chain asks for {} ({}): use the --rpc-url of a node of that chain",
                wanted.name,
                wanted.chain_id
            );
        }
        ChainProfile::of(id).wrap_err_with(supported)
    }
}

impl crate::opts::OfflineChainOpts {
    /// The bank that is named, else the known one of the chain.
    pub(crate) fn bank_on(&self, chain_id: u64) -> Address {
        let known = || {
            verified_deployment(chain_id).map_or_else(
                || default_deployment(chain_id).bank,
                |deployment| deployment.bank,
            )
        };
        self.bank.unwrap_or_else(known)
    }
}
