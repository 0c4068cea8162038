//! The market's fees: the base fee, the tips of the last blocks, and the tip that the node suggests.

use crate::{
    node::error::NodeError,
    tx::fees::{BASE_FEES, Fees, MAX_TIP},
};
use alloy::{
    providers::{DynProvider, Provider},
    transports::{RpcError, TransportResult},
};
use alloy_primitives::U128;
use serde::Deserialize;

/// The number of past blocks whose tips count, and the percentile of a block's tips: those of alloy and MetaMask.
const BLOCKS: U128 = U128::from_limbs([10, 0]);
const PERCENTILE: u32 = 20;

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
pub(super) async fn market_fees(
    provider: &DynProvider,
    tip: Option<u128>,
) -> Result<Fees, NodeError> {
    let history = provider
        .raw_request::<_, History>("eth_feeHistory".into(), (BLOCKS, "latest", [PERCENTILE]));
    let suggestion = async {
        match tip {
            Some(_) => Ok(None),
            None => unless_refused(
                provider
                    .raw_request::<_, U128>("eth_maxPriorityFeePerGas".into(), ())
                    .await,
            ),
        }
    };
    let history = async { unless_refused(history.await) };
    let (history, suggested) = tokio::try_join!(history, suggestion)?;
    let history = history.unwrap_or_default();
    let base_fee = match latest_base_fee(&history) {
        Some(base_fee) => base_fee,
        None => base_fee_of_block(provider).await?,
    };
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

async fn base_fee_of_block(provider: &DynProvider) -> Result<u128, NodeError> {
    let block = provider
        .raw_request::<_, Option<PricedBlock>>("eth_getBlockByNumber".into(), ("latest", false))
        .await?;
    let base_fee = block.ok_or(RpcError::NullResp)?.base_fee_per_gas;
    let unknown = RpcError::UnsupportedFeature("fees of EIP-1559");
    Ok(base_fee.ok_or(unknown)?.to())
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
        answers.push_failure(ErrorPayload::method_not_found());
        answers.push_success(&json!({ "baseFeePerGas": "0x64", "uncles": null }));
        let offered = market_fees(&node(&answers), None).await.unwrap();
        assert_eq!(offered, Fees { max: 201, tip: 1 });
        answers.push_success(&json!({ "baseFeePerGas": ["0x5", "0x64", "0x7"], "reward": null }));
        let offered = market_fees(&node(&answers), Some(9)).await.unwrap();
        assert_eq!(offered, Fees { max: 209, tip: 9 });
        assert!(answers.read_q().is_empty());
    }

    #[tokio::test]
    async fn invents_no_price_for_a_node_that_fails() {
        let answers = Asserter::new();
        answers.push_failure(ErrorPayload::method_not_found());
        answers.push_success(&"0x1");
        answers.push_success(&json!({ "baseFeePerGas": null }));
        market_fees(&node(&answers), None).await.unwrap_err();
        answers.push_failure(ErrorPayload {
            code: 429,
            message: "slow down".into(),
            data: None,
        });
        market_fees(&node(&answers), Some(1)).await.unwrap_err();
    }
}
