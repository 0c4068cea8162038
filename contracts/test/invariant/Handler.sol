// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {FundHandler} from "./FundHandler.sol";
import {RedeemHandler} from "./RedeemHandler.sol";

/// @notice All calls and attacks on one bank.
contract Handler is FundHandler, RedeemHandler {
    /// @notice The selectors of a run's calls.
    function calls() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](25);
        selectors[0] = this.fund.selector;
        selectors[1] = this.fundWithAuthorization.selector;
        selectors[2] = this.fundBadly.selector;
        selectors[3] = this.force.selector;
        selectors[4] = this.withdraw.selector;
        selectors[5] = this.withdrawFor.selector;
        selectors[6] = this.replayWithdrawal.selector;
        selectors[7] = this.waitForADraw.selector;
        selectors[8] = this.waitForAnEnd.selector;
        selectors[9] = this.open.selector;
        selectors[10] = this.openPlanted.selector;
        selectors[11] = this.reopen.selector;
        selectors[12] = this.reclaim.selector;
        selectors[13] = this.holdBack.selector;
        selectors[14] = this.submitHeldBack.selector;
        selectors[15] = this.recordSeed.selector;
        selectors[16] = this.recordSeedBadly.selector;
        selectors[17] = this.redeem.selector;
        selectors[18] = this.raceWithAStaleCheque.selector;
        selectors[19] = this.redeemBatch.selector;
        selectors[20] = this.replay.selector;
        selectors[21] = this.openWithoutAuthorization.selector;
        selectors[22] = this.redeemByThePayee.selector;
        selectors[23] = this.redeemByARelayer.selector;
        selectors[24] = this.redeemToARefusingRecipient.selector;
    }
}
