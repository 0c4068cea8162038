//! The one place where the Solidity interfaces become Rust.
//!
//! The attributes of `sol!` cannot depend on a feature, hence two invocations for each; an interface itself exists once.
// The interface's NatSpec becomes documentation; the items that the macro adds have none.
#![allow(missing_docs)]
// The macro turns every Solidity parameter into one of a Rust function.
#![allow(clippy::too_many_arguments)]

use alloy_sol_types::sol;

#[cfg(not(feature = "rpc"))]
sol! {
    #![sol(all_derives)]
    "../contracts/src/interfaces/IChequeBank.sol"
}

#[cfg(feature = "rpc")]
sol! {
    #![sol(all_derives, rpc)]
    "../contracts/src/interfaces/IChequeBank.sol"
}

#[cfg(not(feature = "rpc"))]
sol! {
    #![sol(all_derives)]
    "../contracts/src/interfaces/IDrandBank.sol"
}

#[cfg(feature = "rpc")]
sol! {
    #![sol(all_derives, rpc)]
    "../contracts/src/interfaces/IDrandBank.sol"
}
