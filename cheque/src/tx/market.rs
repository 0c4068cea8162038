//! The market's fees: the base fee, the tips of the last blocks, and the tip that the node suggests.

use crate::{
    node::error::NodeError,
    tx::{
        error::{ImplausibleFee, TxError},
        fees::{BASE_FEES, Fees, MAX_TIP},
    },
};
use alloy::{
    providers::{DynProvider, Provider},
    rpc::client::BatchRequest,
    transports::{RpcError, TransportError, TransportResult},
};
use alloy_primitives::U128;
use serde::Deserialize;

/// The number of past blocks whose tips count, and the percentile of a block's tips: those of alloy and MetaMask.
const BLOCKS: U128 = U128::from_limbs([10, 0]);
const PERCENTILE: u32 = 20;

/// The largest factor between the base fee of the history and that of the newest block. Blocks that are made between the two
/// answers change it by an eighth each at most.
const MAX_FACTOR: u128 = 4;

/// The reason why the market's fees are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MarketError {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    ImplausibleFee(#[from] ImplausibleFee),
}

impl From<TransportError> for MarketError {
    fn from(error: TransportError) -> Self {
        Self::Node(error.into())
    }
}

impl From<MarketError> for TxError {
    fn from(error: MarketError) -> Self {
        match error {
            MarketError::Node(error) => error.into(),
            MarketError::ImplausibleFee(error) => error.into(),
        }
    }
}

/// The fields of the fee history that count here. Nodes leave out or null others.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct History {
    base_fee_per_gas: Vec<U128>,
    reward: Option<Vec<Vec<U128>>>,
}

/// The field of a block that counts here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PricedBlock {
    base_fee_per_gas: Option<U128>,
}

/// Asks the node for the fees of a transaction that is to be mined soon. The tip is `tip`; else the higher one of what the
/// last blocks took and what the node suggests.
///
/// Blocks without transactions have no tips, and a few blocks with a single one tell little: the node knows what block
/// producers demand at least.
///
/// The base fee of the history is that of the newest block, more or less: a node whose history is wrong must not cost a
/// multiple.
pub(crate) async fn market_fees(
    provider: &DynProvider,
    tip: Option<u128>,
) -> Result<Fees, MarketError> {
    // One request, since services ask at every head.
    let mut batch = BatchRequest::new(provider.client());
    let range = (BLOCKS, "latest", [PERCENTILE]);
    let history = batch.add_call::<_, History>("eth_feeHistory", &range)?;
    let newest = ("latest", false);
    let newest = batch.add_call::<_, Option<PricedBlock>>("eth_getBlockByNumber", &newest)?;
    let suggestion = match tip {
        Some(_) => None,
        None => Some(batch.add_call::<_, U128>("eth_maxPriorityFeePerGas", &())?),
    };
    batch.send().await?;
    let history = unless_refused(history.await)?.unwrap_or_default();
    let base_fee = newest.await?.ok_or(RpcError::NullResp)?.base_fee_per_gas;
    let unknown = RpcError::UnsupportedFeature("fees of EIP-1559");
    let base_fee = base_fee.ok_or(unknown)?.to();
    let suggested = match suggestion {
        Some(suggestion) => unless_refused(suggestion.await)?,
        None => None,
    };
    let base_fee = plausible(latest_base_fee(&history), base_fee)?;
    Ok(fees(base_fee, &history, suggested.map(|tip| tip.to()), tip))
}

/// Computes the fees of a transaction from what the node knows.
fn fees(base_fee: u128, history: &History, suggested: Option<u128>, tip: Option<u128>) -> Fees {
    let tip = tip.unwrap_or_else(|| {
        let wanted = suggested.unwrap_or_default().max(median_tip(history));
        wanted.clamp(1, MAX_TIP)
    });
    Fees {
        max: base_fee.saturating_mul(BASE_FEES).saturating_add(tip),
        tip,
    }
}

/// Returns the base fee to go by: that of the history, if it fits the newest block.
fn plausible(told: Option<u128>, newest: u128) -> Result<u128, ImplausibleFee> {
    let Some(told) = told else {
        return Ok(newest);
    };
    let (lower, higher) = (told.min(newest), told.max(newest));
    if higher > lower.saturating_mul(MAX_FACTOR) {
        return Err(ImplausibleFee { told, newest });
    }
    Ok(told)
}

/// Returns `None` for a method or a range of blocks that no node offers.
fn unless_refused<T>(answer: TransportResult<T>) -> Result<Option<T>, NodeError> {
    match answer.map_err(NodeError::from) {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_refusal() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the base fee of the newest block. The last figure is that of the block after it.
fn latest_base_fee(history: &History) -> Option<u128> {
    let latest = history.base_fee_per_gas.iter().rev().nth(1)?;
    (!latest.is_zero()).then(|| latest.to())
}

/// Returns the median of the blocks' tips, rounded down. Zero if no block has any.
fn median_tip(history: &History) -> u128 {
    let blocks = history.reward.as_deref().unwrap_or_default();
    let tips = blocks.iter().filter_map(|tips| tips.first());
    let mut tips: Vec<u128> = tips.map(|tip| tip.to()).filter(|tip| *tip > 0).collect();
    tips.sort_unstable();
    let (upper, lower) = (tips.len() / 2, tips.len().saturating_sub(1) / 2);
    match (tips.get(lower), tips.get(upper)) {
        (Some(lower), Some(upper)) => lower.midpoint(*upper),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::{
        providers::RootProvider,
        rpc::{client::RpcClient, json_rpc::ErrorPayload},
        transports::mock::Asserter,
    };
    use serde_json::json;

    const GWEI: u128 = 1_000_000_000;

    fn history(tips: &[u128]) -> History {
        let reward = tips.iter().map(|tip| vec![U128::from(*tip)]).collect();
        History {
            base_fee_per_gas: vec![U128::from(7), U128::from(GWEI), U128::from(9)],
            reward: Some(reward),
        }
    }

    #[test]
    fn offers_the_higher_tip_of_blocks_and_node() {
        for (tips, suggested, tip) in [
            (&[][..], None, 1),
            (&[0, 0], Some(0), 1),
            // A quiet chain.
            (&[0, 0], Some(15_000_000), 15_000_000),
            (&[1], Some(15_000_000), 15_000_000),
            (&[3, 0, 9], Some(1), 6),
            (&[3, 4, 9], None, 4),
            // A suggestion that no chain needs.
            (&[3], Some(u128::MAX), 100 * GWEI),
            (&[u128::MAX], Some(1), 100 * GWEI),
        ] {
            let offered = fees(GWEI, &history(tips), suggested, None);
            assert_eq!(
                offered,
                Fees {
                    max: 2 * GWEI + tip,
                    tip
                },
                "{tips:?}"
            );
        }
        let costly = fees(50 * GWEI, &history(&[]), Some(u128::MAX), None);
        assert_eq!(costly.tip, 100 * GWEI);
    }

    #[test]
    fn offers_the_tip_that_the_caller_names() {
        let offered = fees(GWEI, &history(&[5 * GWEI]), Some(GWEI), Some(3));
        assert_eq!(
            offered,
            Fees {
                max: 2 * GWEI + 3,
                tip: 3
            }
        );
    }

    fn node(answers: &Asserter) -> DynProvider {
        RootProvider::new(RpcClient::mocked(answers.clone())).erased()
    }

    #[tokio::test]
    async fn prices_by_the_newest_block_without_a_fee_history() {
        let answers = Asserter::new();
        answers.push_failure(ErrorPayload::method_not_found());
        answers.push_success(&json!({ "baseFeePerGas": "0x64", "uncles": null }));
        answers.push_failure(ErrorPayload::method_not_found());
        let offered = market_fees(&node(&answers), None).await.unwrap();
        assert_eq!(offered, Fees { max: 201, tip: 1 });
        answers.push_success(&json!({ "baseFeePerGas": ["0x5", "0x64", "0x7"], "reward": null }));
        answers.push_success(&json!({ "baseFeePerGas": "0x5f" }));
        let offered = market_fees(&node(&answers), Some(9)).await.unwrap();
        assert_eq!(offered, Fees { max: 209, tip: 9 });
        assert!(answers.read_q().is_empty());
    }

    #[tokio::test]
    async fn invents_no_price_for_a_node_that_fails() {
        let answers = Asserter::new();
        answers.push_failure(ErrorPayload::method_not_found());
        answers.push_success(&json!({ "baseFeePerGas": null }));
        answers.push_success(&"0x1");
        market_fees(&node(&answers), None).await.unwrap_err();
        answers.push_failure(ErrorPayload {
            code: 429,
            message: "slow down".into(),
            data: None,
        });
        answers.push_success(&json!({ "baseFeePerGas": "0x64" }));
        market_fees(&node(&answers), Some(1)).await.unwrap_err();
    }

    #[tokio::test]
    async fn refuses_a_history_far_from_the_newest_block() {
        for (told, newest, is_plausible) in [
            (100, 100, true),
            (400, 100, true),
            (401, 100, false),
            (100, 400, true),
            (100, 401, false),
            (u128::MAX, 100, false),
            (1, 0, false),
        ] {
            let answers = Asserter::new();
            let history = [U128::ZERO, U128::from(told), U128::ZERO];
            answers.push_success(&json!({ "baseFeePerGas": history }));
            answers.push_success(&json!({ "baseFeePerGas": U128::from(newest) }));
            let offered = market_fees(&node(&answers), Some(7)).await;
            match offered {
                Ok(offered) => assert_eq!(offered.at_present(), (told * 2) / 2 + 7),
                Err(MarketError::ImplausibleFee(error)) => {
                    assert_eq!(error, ImplausibleFee { told, newest });
                    assert!(!is_plausible, "{told} {newest}");
                    continue;
                }
                Err(error) => panic!("{error}"),
            }
            assert!(is_plausible, "{told} {newest}");
        }
    }
}
