//! The `ChequeBank` contract as Rust types.
use alloy_sol_types::sol;

sol! {
    #![sol(all_derives)]
    "../contracts/src/interfaces/IChequeBank.sol"
}
