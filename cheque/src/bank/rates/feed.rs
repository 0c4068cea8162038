//! A feed on the chain, with the interface of Chainlink's `AggregatorV3Interface`.

use crate::bank::{
    cost::NativeRate,
    rates::{
        reading::{RateFault, Reading},
        source::COIN,
    },
};
use alloy::{
    eips::BlockId,
    providers::{DynProvider, Provider},
    rpc::types::{TransactionInput, TransactionRequest},
};
use alloy_primitives::{Address, I256};
use alloy_sol_types::{SolCall, sol};

sol! {
    /// The part of a feed that is read.
    interface PriceFeed {
        function decimals() external view returns (uint8);
        function latestRoundData() external view returns (
            uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound
        );
    }
}

/// Reads the feed's newest answer: whole tokens for a whole coin.
pub(super) async fn read(
    provider: &DynProvider,
    feed: Address,
    token_decimals: u8,
) -> Result<Reading, RateFault> {
    let (decimals, round) = tokio::try_join!(
        call(provider, feed, PriceFeed::decimalsCall {}),
        call(provider, feed, PriceFeed::latestRoundDataCall {}),
    )?;
    let useless = |what: &str| RateFault::Unread(format!("feed {feed} {what}"));
    let rate = rate_of(round.answer, decimals, token_decimals)
        .ok_or_else(|| useless("tells no price above zero and in range"))?;
    let at = u64::try_from(round.updatedAt).ok().filter(|at| *at > 0);
    Ok(Reading {
        rate,
        at: Some(at.ok_or_else(|| useless("has no answer yet"))?),
    })
}

async fn call<C: SolCall>(
    provider: &DynProvider,
    feed: Address,
    call: C,
) -> Result<C::Return, RateFault> {
    let request = TransactionRequest {
        to: Some(feed.into()),
        input: TransactionInput::new(call.abi_encode().into()),
        ..TransactionRequest::default()
    };
    let answer = provider.call(request).block(BlockId::latest()).await;
    let answer = answer.map_err(|error| {
        // The node's error names its URL, which may have a key.
        let reason = error.as_error_resp().map(|error| error.message.to_string());
        let reason = reason.unwrap_or_else(|| "the node does not answer".to_owned());
        RateFault::Unread(format!("feed {feed}: {reason}"))
    })?;
    C::abi_decode_returns(&answer)
        .map_err(|_| RateFault::Unread(format!("contract {feed} is no feed of prices")))
}

/// The rate of `answer` tokens per coin with `feed` decimals, for a token with `token` decimals. Exact: nothing is rounded.
/// `None` if it is not positive or out of range.
pub(super) fn rate_of(answer: I256, feed: u8, token: u8) -> Option<NativeRate> {
    let answer = u128::try_from(answer).ok()?;
    let power = |exponent: u8| 10_u128.checked_pow(u32::from(exponent));
    match token.checked_sub(feed) {
        Some(more) => NativeRate::new(COIN, answer.checked_mul(power(more)?)?),
        None => NativeRate::new(COIN.checked_mul(power(feed.checked_sub(token)?)?)?, answer),
    }
}
