//! Decimals and symbol of a token, from its contract.

use alloy::{primitives::Address, providers::Provider};
use cheque::{bank::Reader, node::NodeError};
use eyre::{Result, ensure};

use crate::amount::Token;

/// The longest symbol to print. Contracts choose any text, so only short, printable ASCII is shown.
const MAX_SYMBOL: usize = 16;

/// Reads the token at `address`, zero for the native coin. Amounts of a token without `decimals` are shown in units;
/// nothing is guessed.
///
/// # Errors
/// Fails if there is no contract at the address.
pub(crate) async fn token_at(address: Address, reader: &Reader) -> Result<Token> {
    if address.is_zero() {
        return Ok(Token::coin());
    }
    let code = reader.provider().get_code_at(address).await;
    ensure!(
        !code.map_err(NodeError::from)?.is_empty(),
        "there is no token contract at {address}; check --token and the chain"
    );
    let contract = reader.token(address);
    let Ok(decimals) = contract.decimals().await else {
        return Ok(Token {
            address,
            decimals: 0,
            symbol: format!("units of {address}"),
        });
    };
    let symbol = contract.symbol().await.unwrap_or_default();
    let printable = symbol.chars().all(|c| c.is_ascii_graphic());
    let usable = printable && (1..=MAX_SYMBOL).contains(&symbol.len());
    Ok(Token {
        address,
        decimals,
        symbol: if usable {
            symbol
        } else {
            format!("tokens of {address}")
        },
    })
}
