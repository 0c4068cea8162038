//! ERC-20 tokens.

use crate::{
    bank::error::BankError, bank::reader::Reader, protocol::terms::Bank, tx::wallet::Call,
};
use alloy::{
    eips::BlockId,
    providers::{DynProvider, Provider},
    rpc::types::{TransactionInput, TransactionRequest},
};
use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, sol};

sol! {
    /// The part of ERC-20 that a payer needs.
    #[derive(Debug)]
    interface Erc20 {
        function approve(address spender, uint256 value) external returns (bool);
        function allowance(address owner, address spender) external view returns (uint256);
        function balanceOf(address owner) external view returns (uint256);
        function decimals() external view returns (uint8);
        function symbol() external view returns (string);
    }
}

/// Reads one ERC-20 token.
#[derive(Clone, Debug)]
pub struct Token {
    provider: DynProvider,
    address: Address,
}

impl Token {
    /// Creates a reader of the token at `address`. Does not check that the contract is a token.
    pub const fn new(provider: DynProvider, address: Address) -> Self {
        Self { provider, address }
    }

    /// Reads the number of decimals of a whole token.
    ///
    /// # Errors
    ///
    /// [`BankError::NotAToken`] if the contract is not an ERC-20 token, [`BankError::Node`] if the node fails.
    pub async fn decimals(&self) -> Result<u8, BankError> {
        self.call(&Erc20::decimalsCall {}).await
    }

    /// Reads the token's symbol. Warning: anybody can give a token any symbol.
    ///
    /// # Errors
    ///
    /// As for [`Token::decimals`].
    pub async fn symbol(&self) -> Result<String, BankError> {
        self.call(&Erc20::symbolCall {}).await
    }

    /// Reads an account's balance, in token units.
    ///
    /// # Errors
    ///
    /// As for [`Token::decimals`].
    pub async fn balance(&self, owner: Address) -> Result<U256, BankError> {
        self.call(&Erc20::balanceOfCall { owner }).await
    }

    /// Reads the approval of `owner` for `spender`, in token units.
    ///
    /// # Errors
    ///
    /// As for [`Token::decimals`].
    pub async fn approved(&self, owner: Address, spender: Address) -> Result<U256, BankError> {
        self.call(&Erc20::allowanceCall { owner, spender }).await
    }

    async fn call<C: SolCall>(&self, call: &C) -> Result<C::Return, BankError> {
        let request = TransactionRequest {
            to: Some(self.address.into()),
            input: TransactionInput::new(call.abi_encode().into()),
            ..TransactionRequest::default()
        };
        let answer = self.provider.call(request).block(BlockId::latest()).await?;
        C::abi_decode_returns(&answer).map_err(|_| BankError::NotAToken(self.address))
    }
}

impl Reader {
    /// Returns a reader of the token at `address`, through the same provider.
    pub fn token(&self, address: Address) -> Token {
        Token::new(self.provider().clone(), address)
    }
}

impl Call {
    /// Approves the bank for `amount` units of the sender's tokens.
    pub fn approve(bank: &Bank, token: Address, amount: U256) -> Self {
        let call = Erc20::approveCall {
            spender: bank.address(),
            value: amount,
        };
        Self::new(token, &call)
    }
}
