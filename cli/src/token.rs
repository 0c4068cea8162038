//! Decimals and symbol of a token, from its contract.

use std::collections::{BTreeMap, btree_map::Entry};

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
    ensure!(
        has_contract(address, reader).await?,
        "there is no token contract at {address}; check --token and the chain"
    );
    known_or_units(address, reader).await
}

async fn has_contract(address: Address, reader: &Reader) -> Result<bool> {
    let code = reader.provider().get_code_at(address).await;
    Ok(!code.map_err(NodeError::from)?.is_empty())
}

/// A token of which nothing is known.
fn units_of(address: Address) -> Token {
    Token {
        address,
        decimals: 0,
        symbol: format!("units of {address}"),
    }
}

/// Reads decimals and symbol, if the contract tells them.
async fn known_or_units(address: Address, reader: &Reader) -> Result<Token> {
    if address.is_zero() {
        return Ok(Token::coin());
    }
    let contract = reader.token(address);
    let decimals = match contract.decimals().await {
        Ok(decimals) => decimals,
        Err(_) if has_contract(address, reader).await.is_ok() => return Ok(units_of(address)),
        Err(error) => return Err(error.into()),
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

/// The tokens of a list, each read once.
#[derive(Debug, Default)]
pub(crate) struct Tokens(BTreeMap<Address, Token>);

impl Tokens {
    /// Reads the tokens at the addresses. Amounts of an address without a contract are shown in units.
    ///
    /// # Errors
    /// Fails if the node does not answer.
    pub(crate) async fn read(
        reader: &Reader,
        addresses: impl IntoIterator<Item = Address>,
    ) -> Result<Self> {
        let mut tokens = Self::default();
        for address in addresses {
            if let Entry::Vacant(unknown) = tokens.0.entry(address) {
                unknown.insert(known_or_units(address, reader).await?);
            }
        }
        Ok(tokens)
    }

    /// The token at an address.
    pub(crate) fn get(&self, address: Address) -> Token {
        let token = self.0.get(&address).cloned();
        token.unwrap_or_else(|| units_of(address))
    }
}
