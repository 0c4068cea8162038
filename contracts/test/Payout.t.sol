// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Leaf} from "./utils/AllowanceTrees.sol";

/// @notice The payout of a win and the winning rolls, by SPEC.md, section 8:
///
///   full = spent * amount / allowance
///   full >= minPayout:  payout = full,       range = allowance
///   else:               payout = minPayout,  range = spent * amount / minPayout
///   a cheque wins  <=>  start <= roll < start + range
contract PayoutTest is BaseTest {
    /// @dev The payee's result now; `payout` is that of a win even if the cheque loses.
    function _ask(IChequeBank.Redemption memory x) private returns (bool wins, uint128 payout) {
        IChequeBank.Outcome outcome;
        vm.prank(x.payee);
        (outcome, payout) = bank.outcomeOf(_pack(x), "");
        wins = outcome == IChequeBank.Outcome.Payable;
        assertTrue(wins || outcome == IChequeBank.Outcome.Loses, "outcome is neither Payable nor Loses");
    }

    /// @dev Makes `roll` the roll of a round.
    function _rollTo(Round memory r, uint256 roll) private {
        _drawAndRecord(r, _seedFor(r, roll, roll + 1));
    }

    /* END POINTS */

    function _expectEnds(Round memory r, address payee, uint128 spent, uint256 range) private {
        IChequeBank.Redemption memory x = _redemption(r, payee, spent);
        uint256 start = r.tree.proofs[_indexOf(r, payee)].start;
        bool wins;
        _rollTo(r, start);
        (wins,) = _ask(x);
        assertTrue(wins, "at the start");
        _rollTo(r, start + range - 1);
        (wins,) = _ask(x);
        assertTrue(wins, "at the last point");
        if (start > 0) {
            _rollTo(r, start - 1);
            (wins,) = _ask(x);
            assertFalse(wins, "before the start");
        }
        if (start + range < r.deposit.amount) {
            _rollTo(r, start + range);
            (wins,) = _ask(x);
            assertFalse(wins, "after the end");
        }
    }

    function test_RangeIsTheAllowanceAboveMinPayout() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _expectEnds(r, ann.addr, 1, 60);
        _expectEnds(r, ben.addr, 1, 30);
        _expectEnds(r, cyd.addr, 10, 10);
    }

    function test_RangeGrowsWithTheTotalAtMinPayout() public {
        Round memory r = _smallRound(NATIVE, 100);
        _open(r);
        _expectEnds(r, ann.addr, 1, 1);
        _expectEnds(r, ann.addr, 59, 59);
        _expectEnds(r, ben.addr, 17, 17);
        _expectEnds(r, cyd.addr, 10, 10);
    }

    function test_RangeIsRoundedDownInBetween() public {
        Round memory r = _smallRound(NATIVE, 37);
        _open(r);
        _expectEnds(r, ann.addr, 10, 27);
        _expectEnds(r, ben.addr, 11, 29);
        // 12 of 30 are worth 40, more than minPayout.
        _expectEnds(r, ben.addr, 12, 30);
        _expectEnds(r, cyd.addr, 3, 8);
    }

    /// One unit is worth exactly minPayout after rounding: the range is the allowance, not amount / minPayout.
    function test_RangeIsTheAllowanceAtExactlyMinPayout() public {
        Round memory r = _round(NATIVE, 0, _leaves(35, 35, 30));
        Leaf memory first = r.tree.leaves[0];
        r.deposit.minPayout = 100 / first.allowance;
        _seal(r);
        _open(r);
        _expectEnds(r, first.payee, 1, first.allowance);
    }

    function test_PayoutGrowsFromMinPayoutOn() public {
        Round memory r = _round(NATIVE, 50, _leaves(60, 30, 10));
        _open(r);
        _rollTo(r, r.tree.proofs[_indexOf(r, ann.addr)].start);
        uint128[5] memory spent = [uint128(1), 29, 30, 31, 60];
        uint128[5] memory expected = [uint128(50), 50, 50, 51, 100];
        for (uint256 i = 0; i < spent.length; i++) {
            IChequeBank.Redemption memory x = _redemption(r, ann.addr, spent[i]);
            (bool wins, uint128 payout) = _ask(x);
            assertTrue(wins);
            assertEq(payout, expected[i]);
        }
    }

    /* EVERY ROLL */

    /// @dev Counts the winning rolls of one cheque, the bank's range. `winners` counts wins by roll.
    function _countWins(Round memory r, uint256 leaf, uint128 spent, uint256[] memory winners)
        private
        returns (uint256 counted, uint256 payout)
    {
        IChequeBank.Redemption memory x = _redemption(r, r.tree.leaves[leaf].payee, spent);
        uint256 range;
        (payout, range) = _payoutAndRange(r.deposit, x.allowance, spent);
        uint256 start = r.tree.proofs[leaf].start;
        for (uint256 roll = 0; roll < winners.length; roll++) {
            _rollTo(r, roll);
            (bool wins, uint128 pays) = _ask(x);
            assertEq(pays, payout, "payout");
            assertEq(wins, start <= roll && roll < start + range, "wins");
            if (!wins) continue;
            counted++;
            if (spent == x.allowance) winners[roll]++;
        }
    }

    /// Every cheque of a deposit of 20 units at every roll. More spent is never worth less, and with everything spent
    /// exactly one payee wins at each roll.
    function _everyRoll(uint128 minPayout) private {
        Round memory r = _round(NATIVE, minPayout, _leaves(9, 7, 4));
        _open(r);
        uint256[] memory winners = new uint256[](20);
        for (uint256 i = 0; i < 3; i++) {
            uint256 rangeBefore = 0;
            uint256 payoutBefore = 0;
            uint128 allowance = r.tree.leaves[i].allowance;
            for (uint128 spent = 1; spent <= allowance; spent++) {
                (uint256 range, uint256 payout) = _countWins(r, i, spent, winners);
                _expectFair(20, spent, payout, range, allowance > minPayout ? allowance : minPayout);
                assertGe(range, rangeBefore, "more spent, smaller range");
                assertGe(payout, payoutBefore, "more spent, smaller payout");
                (rangeBefore, payoutBefore) = (range, payout);
            }
        }
        for (uint256 roll = 0; roll < 20; roll++) {
            assertEq(winners[roll], 1, "winners");
        }
    }

    /// @dev range / amount * payout = spent, up to rounding in the payer's favour: the two sides, multiplied by
    /// amount, differ by less than the divisor.
    function _expectFair(uint256 amount, uint256 spent, uint256 payout, uint256 range, uint256 divisor) private pure {
        assertLe(range * payout, spent * amount, "chance times payout above the total");
        assertLt(spent * amount - range * payout, divisor, "chance times payout below the total");
        assertLe(payout, amount, "payout above the amount");
        assertGt(range, 0, "empty range");
    }

    function test_EveryRollWithAGrowingPayout() public {
        _everyRoll(0);
    }

    function test_EveryRollWithAFixedPayout() public {
        _everyRoll(20);
    }

    function test_EveryRollInBetween() public {
        _everyRoll(7);
    }

    /* ANY SIZE */

    /// @dev Fuzzed terms of any size; the test predicts the payout without the bank.
    function testFuzz_PaysThePredictedPayout(
        uint128[3] memory allowances,
        uint128 minPayout,
        uint128 spent,
        bytes32 seed
    ) public {
        vm.assume(seed != 0);
        for (uint256 i = 0; i < 3; i++) {
            allowances[i] = uint128(bound(allowances[i], 1, type(uint128).max / 3));
        }
        Round memory r = _round(NATIVE, 0, _leaves(allowances[0], allowances[1], allowances[2]));
        r.deposit.minPayout = uint128(bound(minPayout, 0, r.deposit.amount));
        _seal(r);
        spent = uint128(bound(spent, 1, allowances[0]));
        _open(r);
        _drawAndRecord(r, seed);

        uint256 roll = _rollOf(r.id, r.deposit.amount, seed);
        assertEq(bank.rollOf(r.deposit), roll, "rollOf");
        (uint256 payout, uint256 range) = _payoutAndRange(r.deposit, allowances[0], spent);
        uint256 divisor = allowances[0] > r.deposit.minPayout ? allowances[0] : r.deposit.minPayout;
        _expectFair(r.deposit.amount, spent, payout, range, divisor);
        uint256 start = r.tree.proofs[_indexOf(r, ann.addr)].start;
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, spent);
        (bool wins, uint128 pays) = _ask(x);
        assertEq(pays, payout, "payout");
        assertEq(wins, start <= roll && roll < start + range, "wins");
        if (!wins) return;
        vm.prank(ann.addr);
        assertEq(bank.redeem(_pack(x), ""), payout);
        assertEq(_idle(ann.addr, NATIVE, 0), payout);
        assertEq(_idle(payer.addr, NATIVE, 1), r.deposit.amount - payout);
        _assertConserved(NATIVE);
    }

    /// More spent never pays less, and never loses a roll that less would have won.
    function testFuzz_MoreSpentIsNeverWorthLess(
        uint128 allowance,
        uint128 minPayout,
        uint128[2] memory spent,
        bytes32 seed
    ) public {
        vm.assume(seed != 0);
        allowance = uint128(bound(allowance, 2, type(uint128).max / 3));
        Round memory r = _round(NATIVE, 0, _leaves(allowance, allowance / 2, allowance - 1));
        r.deposit.minPayout = uint128(bound(minPayout, 0, r.deposit.amount));
        _seal(r);
        _open(r);
        _drawAndRecord(r, seed);
        spent[1] = uint128(bound(spent[1], 2, allowance));
        spent[0] = uint128(bound(spent[0], 1, spent[1] - 1));
        (bool lessWins, uint128 lessPays) = _ask(_redemption(r, ann.addr, spent[0]));
        (bool moreWins, uint128 morePays) = _ask(_redemption(r, ann.addr, spent[1]));
        assertLe(lessPays, morePays, "more spent, smaller payout");
        assertTrue(moreWins || !lessWins, "more spent, smaller range");
    }

    /// A tree of any size, odd levels included: every leaf has a proof, and exactly one wins.
    function testFuzz_OnePayeeOfATreeOfAnySizeWins(uint8 size, bytes32 seed) public {
        vm.assume(seed != 0);
        Leaf[] memory leaves = new Leaf[](1 + size % 33);
        for (uint256 i = 0; i < leaves.length; i++) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            leaves[i] = _leaf(address(uint160(random)), uint128(1 + (random >> 160) % 1000));
        }
        Round memory r = _round(NATIVE, 0, leaves);
        _open(r);
        _drawAndRecord(r, seed);
        uint256 winners = 0;
        for (uint256 i = 0; i < leaves.length; i++) {
            (bool wins,) = _ask(_redemption(r, r.tree.leaves[i].payee, r.tree.leaves[i].allowance));
            if (wins) winners++;
        }
        assertEq(winners, 1);
    }

    /// Only the winner of a fuzzed deposit is paid.
    function testFuzz_TheWinnerIsPaid(uint96[3] memory allowances, uint128 minPayout, bytes32 seed) public {
        vm.assume(seed != 0);
        Round memory r = _round(
            NATIVE, 0, _leaves(uint128(allowances[0]) + 1, uint128(allowances[1]) + 1, uint128(allowances[2]) + 1)
        );
        r.deposit.minPayout = uint128(bound(minPayout, 0, r.deposit.amount));
        _seal(r);
        _open(r);
        _drawAndRecord(r, seed);
        uint256 roll = _rollOf(r.id, r.deposit.amount, seed);
        for (uint256 i = 0; i < 3; i++) {
            Leaf memory leaf = r.tree.leaves[i];
            uint256 start = r.tree.proofs[i].start;
            IChequeBank.Redemption memory x = _redemption(r, leaf.payee, leaf.allowance);
            if (start <= roll && roll < start + leaf.allowance) {
                assertEq(bank.redeem(_pack(x), ""), r.deposit.amount);
                assertEq(_idle(leaf.payee, NATIVE, 0), r.deposit.amount);
            } else {
                vm.expectRevert();
                bank.redeem(_pack(x), "");
                assertEq(_idle(leaf.payee, NATIVE, 0), 0);
            }
        }
        _assertConserved(NATIVE);
    }

    function test_LargestDepositIsDrawnAndPaid() public {
        Round memory r = _certainRound(address(token), type(uint128).max);
        r.deposit.minPayout = type(uint128).max;
        _seal(r);
        _open(r);
        _drawAndRecord(r, bytes32(type(uint256).max));
        assertEq(bank.redeem(_pack(_redemption(r, ann.addr, type(uint128).max)), ""), type(uint128).max);
        _assertConserved(address(token));
    }

    function test_SmallestDepositIsDrawnAndPaid() public {
        Round memory r = _certainRound(NATIVE, 1);
        _open(r);
        _drawAndRecord(r, bytes32(type(uint256).max));
        assertEq(bank.redeem(_pack(_redemption(r, ann.addr, 1)), ""), 1);
        _assertConserved(NATIVE);
    }
}
