// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {AuthorizationToken} from "./AuthorizationToken.sol";

/// @notice Makes prepared calls when called, and records the result of each.
abstract contract Reentering {
    address public target;
    bytes[] public calls;
    bytes[] public answers;
    bool[] public succeeded;
    bool private _armed;

    function arm(address target_, bytes[] memory calls_) external {
        target = target_;
        calls = calls_;
        delete answers;
        delete succeeded;
        _armed = true;
    }

    function answered() external view returns (uint256) {
        return answers.length;
    }

    function _reenter() internal {
        if (!_armed) return;
        _armed = false;
        for (uint256 i = 0; i < calls.length; i++) {
            (bool done, bytes memory answer) = target.call(calls[i]);
            succeeded.push(done);
            answers.push(answer);
        }
    }
}

/// @notice Reenters the bank from every transfer.
contract ReenteringToken is AuthorizationToken(18), Reentering {
    function _move(address from, address to, uint256 amount) internal override {
        _reenter();
        super._move(from, to, amount);
    }
}

/// @notice Reenters the bank when given the native coin.
contract ReenteringPayee is Reentering {
    receive() external payable {
        _reenter();
    }

    function run(address to, bytes calldata data) external payable returns (bytes memory) {
        (bool done, bytes memory answer) = to.call{value: msg.value}(data);
        require(done, "failed");
        return answer;
    }
}
