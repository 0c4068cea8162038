// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Beacon} from "./utils/Beacon.sol";
import {Digests} from "./utils/Digests.sol";

/// @notice The seconds that allow each action, to both sides of every edge. Blocks do not count.
contract TimesTest is BaseTest {
    uint256 private constant WAYS = 4;

    /// @dev An opening in one of four ways, with all the money it needs.
    function _openBy(uint256 way, Round memory r) private returns (bool done, bytes memory answer) {
        address asset = r.deposit.token;
        bytes memory data;
        if (way == 0) {
            data = abi.encodeCall(IChequeBank.open, (r.deposit));
        } else if (way == 1) {
            bytes memory signature = _sign(payer, Digests.open(r.id, type(uint256).max));
            data = abi.encodeCall(IChequeBank.openFor, (r.deposit, type(uint256).max, signature));
        } else if (way == 2) {
            token.mint(payer.addr, 1);
            data = abi.encodeCall(IChequeBank.openWithAuthorization, (r.deposit, _authorize(payer, token, 1, r.id)));
        } else {
            data = abi.encodeCall(IChequeBank.reopen, (r.deposit, r.deposit));
        }
        _fund(asset, payer.addr, r.deposit.amount);
        vm.prank(payer.addr);
        return address(bank).call(data);
    }

    /// @dev Terms that begin `ahead` seconds after the earliest draw, or before it.
    function _roundAt(int64 ahead) private returns (Round memory r) {
        r = _smallRound(address(token), 0);
        r.deposit.drawTime = uint64(int64(r.deposit.drawTime) + ahead);
        r.deposit.redeemUntil = r.deposit.drawTime + 1;
        _seal(r);
    }

    /* OPENING */

    function test_EveryOpeningNeedsMinLead() public {
        for (uint256 way = 0; way < WAYS; way++) {
            for (int64 ahead = -1; ahead <= 1; ahead++) {
                uint256 snapshot = vm.snapshotState();
                Round memory r = _roundAt(ahead);
                (bool done, bytes memory answer) = _openBy(way, r);
                assertEq(done, ahead >= 0);
                assertEq(_openId(r), done ? r.id : bytes32(0));
                uint256 earliest = START_TIME + MIN_LEAD;
                if (ahead < 0) {
                    assertEq(answer, abi.encodeWithSelector(IChequeBank.DrawTooSoon.selector, earliest - 1, earliest));
                }
                vm.revertToState(snapshot);
            }
        }
    }

    function test_EveryOpeningNeedsARoundOfTheBeacon() public {
        bank = _deploy(MIN_LEAD, Beacon.publicKey(Beacon.SECRET), uint64(START_TIME) + MIN_LEAD + 3, 3);
        for (uint256 way = 0; way < WAYS; way++) {
            for (int64 ahead = 0; ahead <= 7; ahead++) {
                uint256 snapshot = vm.snapshotState();
                Round memory r = _roundAt(ahead);
                (bool done, bytes memory answer) = _openBy(way, r);
                uint64 time = r.deposit.drawTime;
                assertEq(done, ahead == 3 || ahead == 6);
                assertEq(_openId(r), done ? r.id : bytes32(0));
                if (ahead < 3) {
                    uint64 genesis = IDrandBank(address(bank)).genesis();
                    assertEq(answer, abi.encodeWithSelector(IDrandBank.DrawBeforeGenesis.selector, time, genesis));
                } else if (!done) {
                    assertEq(answer, abi.encodeWithSelector(IDrandBank.DrawOffSchedule.selector, time));
                }
                vm.revertToState(snapshot);
            }
        }
    }

    function testFuzz_OpensOnTheScheduleOnly(uint64 genesis, uint64 period, uint64 drawTime) public {
        genesis = uint64(bound(genesis, 1, type(uint64).max));
        period = uint64(bound(period, 1, 1 << (drawTime % 64)));
        // Not the bank of setUp: the dice may meet its genesis and period.
        bank = _deploy(MIN_LEAD - 1, Beacon.publicKey(Beacon.SECRET), genesis, period);
        Round memory r = _smallRound(NATIVE, 0);
        r.deposit.drawTime = uint64(bound(drawTime, START_TIME + MIN_LEAD, type(uint64).max - 1));
        r.deposit.redeemUntil = type(uint64).max;
        _seal(r);
        (bool done, bytes memory answer) = _openBy(0, r);
        if (r.deposit.drawTime < genesis) {
            assertEq(bytes4(answer), IDrandBank.DrawBeforeGenesis.selector);
        } else if ((r.deposit.drawTime - genesis) % period != 0) {
            assertEq(bytes4(answer), IDrandBank.DrawOffSchedule.selector);
        } else {
            assertTrue(done);
        }
    }

    /* REDEEMING AND RECLAIMING */

    /// @dev At one second: redeemable, reclaimable.
    function _possible(Round memory r, uint256 time) private returns (bool redeemable, bool reclaimable) {
        vm.warp(time);
        bytes[] memory items = new bytes[](1);
        items[0] = _pack(_redemption(r, ann.addr, 100));
        bytes memory proof = _proof(r.deposit.drawTime);
        (IChequeBank.Outcome outcome,) = bank.outcomeOf(items[0], proof);
        redeemable = outcome == IChequeBank.Outcome.Payable;
        if (time <= r.deposit.drawTime) assertTrue(outcome == IChequeBank.Outcome.TooEarly);
        else if (time > r.deposit.redeemUntil) assertTrue(outcome == IChequeBank.Outcome.TooLate);

        uint256 snapshot = vm.snapshotState();
        (bool done, bytes memory answer) = address(bank).call(abi.encodeCall(IChequeBank.redeem, (items[0], proof)));
        assertEq(done, redeemable);
        if (!done) assertEq(answer, abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, outcome));
        vm.revertToState(snapshot);
        uint64[] memory times = new uint64[](1);
        bytes[] memory proofs = new bytes[](1);
        (times[0], proofs[0]) = (r.deposit.drawTime, proof);
        assertEq(bank.redeemBatch(items, times, proofs)[0] == 100, redeemable);
        vm.revertToState(snapshot);
        (reclaimable, answer) = address(bank).call(abi.encodeCall(IChequeBank.reclaim, (r.deposit)));
        if (!reclaimable) {
            assertEq(
                answer, abi.encodeWithSelector(IChequeBank.StillRedeemable.selector, r.deposit.redeemUntil), "reclaim"
            );
        }
        vm.revertToState(snapshot);
    }

    function test_NoSecondAllowsRedeemingAndReclaiming() public {
        Round memory r = _certainRound(NATIVE, 100);
        uint64 drawTime = r.deposit.drawTime;
        r.deposit.redeemUntil = drawTime + 4;
        _seal(r);
        _open(r);
        for (uint256 time = drawTime - 2; time < drawTime + 8; time++) {
            (bool redeemable, bool reclaimable) = _possible(r, time);
            assertEq(redeemable, time > drawTime && time <= drawTime + 4);
            assertEq(reclaimable, time > drawTime + 4);
        }
    }

    function testFuzz_EdgesOfAnyWindow(uint64 lead, uint64 window) public {
        Round memory r = _certainRound(NATIVE, 100);
        r.deposit.drawTime += uint64(bound(lead, 0, 100 * 365 days));
        r.deposit.redeemUntil = r.deposit.drawTime + uint64(bound(window, 1, 100 * 365 days));
        _seal(r);
        _open(r);
        uint256[4] memory edges =
            [uint256(r.deposit.drawTime), r.deposit.drawTime + 1, r.deposit.redeemUntil, r.deposit.redeemUntil + 1];
        for (uint256 i = 0; i < 4; i++) {
            (bool redeemable, bool reclaimable) = _possible(r, edges[i]);
            assertEq(redeemable, i == 1 || i == 2);
            assertEq(reclaimable, i == 3);
        }
    }

    function test_FarthestWindowHasOneSecond() public {
        Round memory r = _certainRound(NATIVE, 100);
        (r.deposit.drawTime, r.deposit.redeemUntil) = (type(uint64).max - 1, type(uint64).max);
        _seal(r);
        _open(r);
        (bool redeemable, bool reclaimable) = _possible(r, type(uint64).max - 1);
        assertFalse(redeemable || reclaimable);
        (redeemable, reclaimable) = _possible(r, type(uint64).max);
        assertTrue(redeemable && !reclaimable);
    }

    /// Reopening reclaims at the same seconds as reclaim.
    function test_ReopensFromTheSecondAfterTheWindow() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        vm.warp(r.deposit.redeemUntil);
        Round memory next = _certainRound(NATIVE, 100);
        next.deposit.drawTime += 1;
        vm.startPrank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.StillRedeemable.selector, r.deposit.redeemUntil));
        bank.reopen(r.deposit, next.deposit);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reopen(r.deposit, next.deposit);
    }

    /* BLOCKS */

    /// Several blocks, and all transactions of a block, may share a second. No deposit opens in the second in which it is
    /// closed, nor later: its id is used once.
    function test_DepositIsNotOpenedTwiceWhereBlocksShareASecond() public {
        bank = _deploy(1);
        Round memory r = _certainRound(NATIVE, 100);
        (r.deposit.drawTime, r.deposit.redeemUntil) = (uint64(START_TIME) + 1, uint64(START_TIME) + 2);
        _seal(r);
        _open(r);
        bytes memory packed = _pack(_redemption(r, ann.addr, 100));
        bytes memory proof = _proof(r.deposit.drawTime);
        for (uint256 i = 0; i <= 5; i++) {
            vm.warp(START_TIME + i / 2);
            vm.roll(100 + i);
            (bool closed,) = address(bank).call(abi.encodeCall(IChequeBank.redeem, (packed, proof)));
            if (!closed) (closed,) = address(bank).call(abi.encodeCall(IChequeBank.reclaim, (r.deposit)));
            assertEq(closed, i == 4);
            if (i < 4) continue;
            (bool opened,) = _openBy(0, r);
            assertFalse(opened);
        }
        assertEq(_openId(r), 0);
    }

    function testFuzz_BlockNumbersDoNotCount(uint64 opening, uint64 drawing, uint64 closing) public {
        vm.roll(opening);
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        vm.roll(drawing);
        bank.recordSeed(r.deposit.drawTime, _proof(r.deposit.drawTime));
        vm.roll(closing);
        vm.warp(uint256(r.deposit.drawTime) + 1);
        uint256 snapshot = vm.snapshotState();
        assertEq(bank.redeem(_pack(_redemption(r, ann.addr, 100)), ""), 100);
        vm.revertToState(snapshot);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
    }
}
