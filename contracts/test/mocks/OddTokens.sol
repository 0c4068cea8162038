// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {TestToken} from "./TestToken.sol";

/// @notice Burns one percent of every transfer.
contract FeeToken is TestToken(18) {
    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        uint256 fee = amount / 100;
        balanceOf[to] -= fee;
        totalSupply -= fee;
    }
}

/// @notice Gives one unit more than the transferred amount.
contract BonusToken is TestToken(18) {
    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        balanceOf[to] += 1;
        totalSupply += 1;
    }
}

/// @notice Returns true and moves nothing.
contract LyingToken is TestToken(18) {
    function _move(address, address, uint256) internal override {}
}

/// @notice Can be switched to return false and move nothing, without reverting.
contract FalseToken is TestToken(18) {
    bool public refusing;

    function refuse(bool refusing_) external {
        refusing = refusing_;
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        if (!refusing) _move(msg.sender, to, amount);
        return !refusing;
    }

    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        if (!refusing) _move(from, to, amount);
        return !refusing;
    }
}

/// @notice Like USDT: its transfers return nothing.
contract SilentToken {
    uint8 public constant decimals = 6;
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}
