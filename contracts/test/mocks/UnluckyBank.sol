// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ChequeBank} from "../../src/ChequeBank.sol";
import {BankStorage} from "../../src/base/BankStorage.sol";

/// @notice A bank that opens a deposit under an id of the caller's choice, since no terms are known that hash to an id
/// below 2^128. It has a seed for every time and shows none.
contract UnluckyBank is ChequeBank {
    constructor() BankStorage(1) {}

    function openUnder(Deposit calldata deposit, bytes32 id) external payable {
        _open(deposit, id, _home(deposit), 0, msg.value);
    }

    function _requireOnSchedule(uint64 drawTime) internal view override {}

    function _shownSeed(uint64, bytes calldata) internal pure override returns (bytes32) {
        return 0;
    }
}
