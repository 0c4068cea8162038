//! Which chain, which node, which bank.

use alloy::primitives::Address;
use cheque::{ChainProfile, PROFILES};
use clap::Args;

use crate::allowances::parse_address;

/// Where a verb that talks to a node works.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Chain")]
pub(crate) struct ChainOpts {
    /// URL of the node: http, https, ws or wss; or of several, with commas or one by one: one answers until it fails
    #[arg(
        long,
        short = 'r',
        value_name = "URL",
        env = "ETH_RPC_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8545",
        value_delimiter = ','
    )]
    pub(crate) rpc_url: Vec<String>,

    #[command(flatten)]
    pub(crate) place: OfflineChainOpts,
}

/// Which chain and bank, for verbs that work without a node, too.
#[derive(Args, Clone, Debug)]
pub(crate) struct OfflineChainOpts {
    /// Name or number of the chain; the node must follow it [default: the node's]
    #[arg(long, value_name = "CHAIN", env = "CHAIN", hide_env_values = true, value_parser = parse_chain, help_heading = "Chain")]
    pub(crate) chain: Option<&'static ChainProfile>,

    /// Address of the bank, the ChequeBank contract [default: the project's deployment on the chain]
    #[arg(long, value_name = "ADDRESS", env = "CHEQUE_BANK", hide_env_values = true, value_parser = parse_address, help_heading = "Chain")]
    pub(crate) bank: Option<Address>,
}

/// A chain by its number or its name; only those with a profile.
fn parse_chain(text: &str) -> Result<&'static ChainProfile, String> {
    if let Ok(id) = text.parse() {
        return ChainProfile::of(id).map_err(|error| format!("{error}; {}", supported()));
    }
    let mut profiles = PROFILES.iter();
    profiles
        .find(|profile| profile.name == text)
        .ok_or_else(|| format!("no supported chain has this name; {}", supported()))
}

/// The supported chains in one line.
pub(crate) fn supported() -> String {
    let names = PROFILES
        .iter()
        .map(|profile| format!("{} ({})", profile.name, profile.chain_id));
    format!("supported are {}", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_named_by_number_or_name_and_others_refused_with_the_reason() {
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
