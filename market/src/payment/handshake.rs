//! Agreeing on a module before the first payment.

use alloy_primitives::Address;

/// What one end of a payment module works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The module: a name and version that both ends know.
    pub identity: String,
    /// The chain.
    pub chain_id: u64,
    /// The contract that holds the money, if the module uses one.
    pub bank: Option<Address>,
    /// The token (zero: the native coin).
    pub token: Address,
}

/// Why two ends cannot pay each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// They are ends of different modules, or this one is not registered.
    #[error("they pay by {theirs:?}, and here are {ours:?}: agree on one module")]
    Module {
        /// Known here.
        ours: Vec<String>,
        /// What the other end offers.
        theirs: String,
    },
    /// They are on different chains.
    #[error("their payments are on chain {theirs}, ours on {ours}: use one chain")]
    Chain {
        /// Here.
        ours: u64,
        /// There.
        theirs: u64,
    },
    /// They use different banks.
    #[error("their bank is {theirs:?}, ours {ours:?}: use one bank")]
    Bank {
        /// Here.
        ours: Option<Address>,
        /// There.
        theirs: Option<Address>,
    },
    /// They use different tokens.
    #[error("their token is {theirs}, ours {ours}: use one token")]
    Token {
        /// Here.
        ours: Address,
        /// There.
        theirs: Address,
    },
}

/// Whether two ends can pay each other.
///
/// # Errors
///
/// [`HandshakeError`], which names both sides.
pub fn handshake(ours: &Offer, theirs: &Offer) -> Result<(), HandshakeError> {
    if ours.identity != theirs.identity {
        return Err(HandshakeError::Module {
            ours: vec![ours.identity.clone()],
            theirs: theirs.identity.clone(),
        });
    }
    if ours.chain_id != theirs.chain_id {
        let (ours, theirs) = (ours.chain_id, theirs.chain_id);
        return Err(HandshakeError::Chain { ours, theirs });
    }
    if ours.bank != theirs.bank {
        let (ours, theirs) = (ours.bank, theirs.bank);
        return Err(HandshakeError::Bank { ours, theirs });
    }
    if ours.token != theirs.token {
        let (ours, theirs) = (ours.token, theirs.token);
        return Err(HandshakeError::Token { ours, theirs });
    }
    Ok(())
}
