// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ChequeBank} from "../../src/ChequeBank.sol";
import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";

/// @notice A bank that opens a deposit under an id of the caller's choice, since no terms are known that hash to an id
/// below 2^128. Tests load it by name: a file that imports it is compiled like the bank, which takes minutes.
contract UnluckyBank is ChequeBank(1, IChequeBank.SeedSource.BlockHash) {
    function openUnder(Deposit calldata deposit, bytes32 id) external payable {
        _open(deposit, id, _key(deposit.payer, deposit.token, deposit.lane), 0, msg.value);
    }
}
