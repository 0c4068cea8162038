// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {TestToken} from "./TestToken.sol";

/// @notice Like WETH9: no ERC-3009, and a fallback that treats any call as a deposit of the coin sent along.
contract WrappedCoin is TestToken(18) {
    fallback() external payable {
        balanceOf[msg.sender] += msg.value;
    }

    receive() external payable {
        balanceOf[msg.sender] += msg.value;
    }
}

/// @notice No ERC-3009, and a fallback that accepts any call.
contract SwallowingToken is TestToken(18) {
    fallback() external {}
}

/// @notice No ERC-3009, a fallback that gives the caller a unit, and answers false to every view.
contract GenerousToken is TestToken(18) {
    fallback(bytes calldata) external returns (bytes memory) {
        if (_canWrite()) balanceOf[msg.sender] += 1;
        return abi.encode(false);
    }

    function _canWrite() private returns (bool) {
        try this.probe() {
            return true;
        } catch {
            return false;
        }
    }

    /// @dev Fails in a static call.
    function probe() external {
        totalSupply += 1;
    }
}
