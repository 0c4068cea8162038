//! Calls and events of an ERC-20 token.

use alloy_sol_types::sol;

sol! {
    /// Part of ERC-20 for transfers.
    #[derive(Debug)]
    interface Erc20 {
        event Transfer(address indexed from, address indexed to, uint256 value);
        function transfer(address to, uint256 value) external returns (bool);
    }
}
