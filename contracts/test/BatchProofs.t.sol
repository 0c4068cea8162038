// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Beacon} from "./utils/Beacon.sol";

/// @notice The list of draw times and proofs of a batch.
contract BatchProofsTest is BaseTest {
    uint64 private first;

    bytes[] private items;
    uint64[] private times;
    bytes[] private proofs;

    /// @dev Three deposits of 100 units that Ann wins by any seed, in lanes 1 to 3, drawn at three times.
    function setUp() public override {
        super.setUp();
        first = uint64(START_TIME) + MIN_LEAD;
        for (uint64 i = 0; i < 3; i++) {
            Round memory r = _certainRound(NATIVE, 100);
            (r.deposit.lane, r.deposit.drawTime) = (i + 1, first + i);
            _seal(r);
            _open(r);
            items.push(_pack(_redemption(r, ann.addr, 100)));
        }
        vm.warp(first + 3);
    }

    function _add(uint64 time, bytes memory proof) private {
        times.push(time);
        proofs.push(proof);
    }

    function _send() private returns (uint128[] memory) {
        vm.prank(relayer);
        return bank.redeemBatch(items, times, proofs);
    }

    function _expectPaid(uint128 a, uint128 b, uint128 c) private {
        uint128[] memory payouts = _send();
        assertEq(payouts.length, 3);
        assertEq(payouts[0], a);
        assertEq(payouts[1], b);
        assertEq(payouts[2], c);
        assertEq(_idle(ann.addr, NATIVE, 0), uint256(a) + b + c);
        _assertConserved(NATIVE);
    }

    function _expectInvalid(uint64 time) private {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, time));
        vm.prank(relayer);
        bank.redeemBatch{gas: 2_000_000}(items, times, proofs);
        assertEq(_idle(ann.addr, NATIVE, 0), 0);
    }

    /* GOOD LISTS */

    function test_SeveralTimesHaveAProofEach() public {
        for (uint64 i = 0; i < 3; i++) {
            _add(first + i, _proof(first + i));
        }
        _expectPaid(100, 100, 100);
    }

    function test_TimesComeInAnyOrder() public {
        _add(first + 2, _proof(first + 2));
        _add(first, _proof(first));
        _add(first + 1, _proof(first + 1));
        _expectPaid(100, 100, 100);
    }

    function test_ProofsAreUsedAndNotRecorded() public {
        _add(first, _proof(first));
        vm.recordLogs();
        _expectPaid(100, 0, 0);
        assertEq(vm.getRecordedLogs().length, 3, "Redeemed and two Skipped");
        assertEq(bank.seed(first), 0);
    }

    function test_OneProofServesManyItems() public {
        vm.warp(START_TIME);
        delete items;
        for (uint64 i = 0; i < 3; i++) {
            Round memory r = _certainRound(address(token), 100);
            r.deposit.lane = i + 1;
            _seal(r);
            _open(r);
            items.push(_pack(_redemption(r, ann.addr, 100)));
        }
        vm.warp(first + 1);
        _add(first, _proof(first));
        assertEq(_send()[2], 100);
        assertEq(_idle(ann.addr, address(token), 0), 300);
    }

    function test_RecordedSeedsNeedNoEntry() public {
        bank.recordSeed(first, _proof(first));
        bank.recordSeed(first + 2, _proof(first + 2));
        _add(first + 1, _proof(first + 1));
        _expectPaid(100, 100, 100);
    }

    /// Somebody may record the seed while the batch waits.
    function test_ProofBesideARecordedSeedIsIgnored() public {
        for (uint64 i = 0; i < 3; i++) {
            bank.recordSeed(first + i, _proof(first + i));
        }
        _add(first, "");
        _add(first + 1, "no proof");
        _add(first + 2, _proof(first));
        _expectPaid(100, 100, 100);
    }

    function test_ATimeTwiceChangesNothing() public {
        _add(first, _proof(first));
        _add(first + 1, _proof(first + 1));
        _add(first, _proof(first));
        _expectPaid(100, 100, 0);
    }

    function test_ProofOfATimeWithoutItemsIsVerifiedAndUnused() public {
        _add(first + 77, _proof(first + 77));
        _expectPaid(0, 0, 0);
        times[0] = first + 78;
        _expectInvalid(first + 78);
    }

    function test_ProofsWithoutItemsPayNothing() public {
        delete items;
        _add(first, _proof(first));
        assertEq(_send().length, 0);
    }

    function test_SkipsItemsOfUnknownSeeds() public {
        vm.expectEmit(true, true, true, true, address(bank));
        emit IChequeBank.Skipped(_idOf(0), ann.addr, IChequeBank.Outcome.SeedUnknown);
        _send();
        _add(first + 1, _proof(first + 1));
        _expectPaid(0, 100, 0);
    }

    function _idOf(uint64 i) private view returns (bytes32 id) {
        (, id) = bank.purse(payer.addr, NATIVE, i + 1);
    }

    /// The seed of another time does not decide: with Ann's first seed Ben would win.
    function test_EachItemIsDrawnByItsOwnTime() public {
        delete items;
        vm.warp(START_TIME);
        uint64[2] memory draws = [first + 100, first + 101];
        Round memory r = _smallRound(address(token), 0);
        for (uint64 i = 0; i < 2; i++) {
            (r.deposit.lane, r.deposit.drawTime) = (i + 1, draws[i]);
            _seal(r);
            _open(r);
            uint256 roll = _rollOf(r.id, 100, Beacon.seed(_proof(draws[i])));
            uint256 winner = 0;
            while (winner < 2 && r.tree.proofs[winner + 1].start <= roll) winner++;
            items.push(_pack(_redemption(r, r.tree.leaves[winner].payee, r.tree.leaves[winner].allowance)));
            _add(draws[1 - i], _proof(draws[1 - i]));
        }
        vm.warp(first + 200);
        uint128[] memory payouts = _send();
        assertEq(payouts[0], 100);
        assertEq(payouts[1], 100);
        _assertConserved(address(token));
    }

    /* BAD LISTS */

    function test_RejectsListsOfDifferentLengths() public {
        _add(first, _proof(first));
        times.push(first + 1);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.LengthMismatch.selector, 2, 1));
        _sendPlain();
        proofs = new bytes[](3);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.LengthMismatch.selector, 2, 3));
        _sendPlain();
        delete times;
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.LengthMismatch.selector, 0, 3));
        _sendPlain();
        // Even if all seeds are recorded.
        bank.recordSeed(first, _proof(first));
        delete proofs;
        times.push(first);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.LengthMismatch.selector, 1, 0));
        _sendPlain();
    }

    function _sendPlain() private {
        bank.redeemBatch(items, times, proofs);
    }

    function test_RejectsAnEmptyProof() public {
        _add(first, "");
        _expectInvalid(first);
        _add(first, _proof(first));
        _expectInvalid(first);
    }

    /// One bad proof stops the batch, whatever its place and whether an item needs it.
    function test_RejectsOneBadProofAmongGoodOnes() public {
        for (uint64 bad = 0; bad < 3; bad++) {
            delete times;
            delete proofs;
            for (uint64 i = 0; i < 3; i++) {
                _add(first + i, i == bad ? _proof(first + i + 1) : _proof(first + i));
            }
            _expectInvalid(first + bad);
        }
        _add(first + 50, new bytes(96));
        (proofs[0], proofs[1], proofs[2]) = (_proof(first), _proof(first + 1), _proof(first + 2));
        _expectInvalid(first + 50);
    }

    /// A second entry of a time is verified like the first.
    function test_RejectsABadSecondProofOfATime() public {
        _add(first, _proof(first));
        _add(first, _proof(first + 1));
        _expectInvalid(first);
    }

    function test_RejectsTimesWithoutARound() public {
        _add(GENESIS - 1, "");
        vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawBeforeGenesis.selector, GENESIS - 1, GENESIS));
        _sendPlain();
        bank = _deploy(MIN_LEAD, Beacon.publicKey(Beacon.SECRET), GENESIS, 7);
        times[0] = GENESIS + 8;
        vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawOffSchedule.selector, GENESIS + 8));
        _sendPlain();
    }

    function test_RejectsNativeCoin() public {
        vm.deal(address(this), 1);
        (bool done,) = address(bank).call{value: 1}(abi.encodeCall(IChequeBank.redeemBatch, (items, times, proofs)));
        assertFalse(done);
    }

    /// A bad point burns the gas of the call, which still reverts for this reason.
    function test_BadProofBurnsTheGasOfTheCall() public {
        bytes memory point = _proof(first);
        point[95] ^= 0x01;
        _add(first, point);
        uint256 before = gasleft();
        _expectInvalid(first);
        assertGt(before - gasleft(), 1_900_000);
    }
}
