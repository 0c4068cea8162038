// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {Draw} from "../../src/libraries/Draw.sol";
import {Packing} from "../utils/Packing.sol";
import {Test} from "forge-std/Test.sol";

/// @notice Proofs by halmos (`make symbolic`) of the arithmetic of a draw.
/// @dev Products and quotients of free numbers are hard for solvers, so these proofs are for numbers below `LIMIT`, and
/// not for all of 128 bits. Every case below it is covered; Payout.t.sol fuzzes all 128 bits.
contract SymbolicDrawTest is Test {
    uint128 private constant LIMIT = 1 << 4;

    struct Terms {
        uint128 amount;
        uint128 minPayout;
        uint128 allowance;
        uint256 start;
        uint128 point;
    }

    function result(uint128 point, uint256 start, uint128 total, bytes calldata r)
        external
        pure
        returns (bool, uint128)
    {
        return Draw.result(point, start, total, r);
    }

    /// @dev What `Draw.result` may rely on: AllowanceTree and the checks of `open` and of the total see to it.
    function _assumeGood(Terms memory t, uint128 total) private pure {
        vm.assume(t.amount < LIMIT && t.minPayout <= t.amount);
        vm.assume(0 < total && total <= t.allowance && t.start < LIMIT && t.start + t.allowance <= t.amount);
        vm.assume(t.point < t.amount);
    }

    function _result(Terms memory t, uint128 total) private view returns (bool, uint128) {
        IChequeBank.Redemption memory r;
        r.signature = new bytes(65);
        (r.deposit.amount, r.deposit.minPayout, r.allowance) = (t.amount, t.minPayout, t.allowance);
        return this.result(t.point, t.start, total, Packing.pack(r));
    }

    function check_PayoutIsAtMostTheAmount(Terms memory t, uint128 total) public view {
        _assumeGood(t, total);
        (, uint128 payout) = _result(t, total);
        assert(0 < payout && payout <= t.amount && payout >= t.minPayout);
    }

    function check_RangeIsAtMostTheAllowance(Terms memory t, uint128 total) public view {
        _assumeGood(t, total);
        (bool wins,) = _result(t, total);
        if (wins) assert(t.start <= t.point && t.point < t.start + t.allowance);
    }

    function check_MoreSpentIsNeverLess(Terms memory t, uint128 less, uint128 more) public view {
        _assumeGood(t, less);
        _assumeGood(t, more);
        vm.assume(t.amount < 1 << 3 && less <= more);
        (bool winsWithLess, uint128 lesser) = _result(t, less);
        (bool winsWithMore, uint128 greater) = _result(t, more);
        assert(lesser <= greater);
        assert(!winsWithLess || winsWithMore);
    }

    /// @custom:halmos --loop 16
    /// @dev For every hash of seed and id, with amounts from the smallest to the largest.
    function check_RollIsBelowTheAmount(bytes32 seed, bytes32 id) public pure {
        uint128[9] memory amounts = [uint128(1), 2, 3, 10, 255, 1e6, 1e18 + 1, 1 << 127, type(uint128).max];
        for (uint256 i = 0; i < amounts.length; i++) {
            assert(Draw.roll(seed, id, amounts[i]) < amounts[i]);
        }
    }
}
