// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Draw} from "../../src/libraries/Draw.sol";
import {Test} from "forge-std/Test.sol";

/// @notice Proofs by halmos (`make symbolic`) of the arithmetic of a draw.
/// @dev Products and quotients of free numbers are hard for solvers, so these proofs are for numbers below `LIMIT`, and
/// not for all of 128 bits. tools/payout.py proves the same formulas for all numbers; Payout.t.sol fuzzes all 128 bits.
contract SymbolicDrawTest is Test {
    uint128 private constant LIMIT = 1 << 4;

    /// @dev The preconditions of `Draw.payoutAndRange`. The proof, `open` and the check of the total establish them.
    function _assumeGood(uint128 total, uint128 allowance, uint128 amount, uint128 minPayout) private pure {
        vm.assume(amount < LIMIT && minPayout <= amount);
        vm.assume(0 < total && total <= allowance && allowance <= amount);
    }

    function check_PayoutIsAtMostTheAmount(uint128 total, uint128 allowance, uint128 amount, uint128 minPayout)
        public
        pure
    {
        _assumeGood(total, allowance, amount, minPayout);
        (uint128 payout,) = Draw.payoutAndRange(total, allowance, amount, minPayout);
        assert(0 < payout && payout <= amount && payout >= minPayout);
    }

    function check_RangeIsAtMostTheAllowance(uint128 total, uint128 allowance, uint128 amount, uint128 minPayout)
        public
        pure
    {
        _assumeGood(total, allowance, amount, minPayout);
        (, uint256 range) = Draw.payoutAndRange(total, allowance, amount, minPayout);
        assert(range <= allowance);
    }

    function check_MoreSpentIsNeverLess(
        uint128 less,
        uint128 more,
        uint128 allowance,
        uint128 amount,
        uint128 minPayout
    ) public pure {
        _assumeGood(less, allowance, amount, minPayout);
        _assumeGood(more, allowance, amount, minPayout);
        vm.assume(amount < LIMIT / 2 && less <= more);
        (uint128 lesser, uint256 narrower) = Draw.payoutAndRange(less, allowance, amount, minPayout);
        (uint128 greater, uint256 wider) = Draw.payoutAndRange(more, allowance, amount, minPayout);
        assert(lesser <= greater && narrower <= wider);
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
