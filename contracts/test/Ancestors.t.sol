// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {ProofTools} from "./ProofTools.sol";
import {Leaf, Proof} from "./utils/AllowanceTrees.sol";

/// @notice Defects of an earlier design of this kind (a lottery of one deposit among a fixed list of payees, 2020),
/// each with a test that the bank does not have the defect. README.md beside this file lists all of them with their
/// tests; here are the tests that belong to no other file.
contract AncestorsTest is ProofTools {
    /// @dev Goes past the draw with this seed and asks for the outcome of the cheque.
    function _outcomeWith(Round memory r, IChequeBank.Redemption memory x, bytes32 seed)
        private
        returns (IChequeBank.Outcome)
    {
        _drawAndRecord(r, seed);
        return _outcome(x);
    }

    /// The old design shifted a node's place as uint8, and looked for leaves below depth 8 in the wrong place.
    function test_LeavesOfEveryDepthWinInTheirPlaceOnly() public {
        Leaf memory leaf = _leaf(ann.addr, 50);
        for (uint256 depth = 1; depth <= 40; depth++) {
            // Alternately right and left, right at the last level, so that the start depends on the high bits of the
            // path.
            uint40 path = uint40(0xAAAAAAAAAA >> (40 - depth)) | (uint40(1) << uint40(depth - 1));
            (bytes32 root, Proof memory proof, uint128 total) = _branch(leaf, depth, path);
            uint256 snapshot = vm.snapshotState();
            Round memory r = _openWith(root, total);
            IChequeBank.Redemption memory x = _with(r, leaf, proof);
            uint256 end = proof.start + 50;
            _expectAt(r, x, proof.start, IChequeBank.Outcome.Payable);
            _expectAt(r, x, end - 1, IChequeBank.Outcome.Payable);
            _expectAt(r, x, proof.start - 1, IChequeBank.Outcome.Loses);
            if (end < total) _expectAt(r, x, end, IChequeBank.Outcome.Loses);
            x.path = path ^ (uint40(1) << uint40(depth - 1));
            _expectAt(r, x, proof.start, IChequeBank.Outcome.NotOpen);
            vm.revertToState(snapshot);
        }
    }

    function _expectAt(Round memory r, IChequeBank.Redemption memory x, uint256 roll, IChequeBank.Outcome expected)
        private
    {
        assertEq(uint8(_outcomeWith(r, x, _seedFor(r, roll, roll + 1))), uint8(expected));
    }

    /// The old design cut a top-up to 64 bits and lost the rest of the coin.
    function test_TopUpsAbove64BitsCountInFull() public {
        uint128 amount = (3 << 64) + 5;
        Round memory r = _certainRound(NATIVE, amount);
        vm.deal(payer.addr, amount);
        vm.prank(payer.addr);
        bank.open{value: amount}(r.deposit);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);

        uint128 more = amount + (1 << 64) + 7;
        Round memory next = _certainRound(NATIVE, more);
        vm.deal(payer.addr, more - amount + 1);
        vm.prank(payer.addr);
        bank.reopen{value: more - amount + 1}(r.deposit, next.deposit);
        assertEq(_idle(payer.addr, NATIVE, 0), 1, "the surplus");
        _assertConserved(NATIVE);

        _drawAndRecord(next, keccak256("any"));
        bank.redeem(_pack(_redemption(next, ann.addr, more)), "");
        assertEq(_idle(ann.addr, NATIVE, 0), more);
    }

    /// The old design rounded chances to powers of two: 10000 to 1 became one half each.
    function test_WeightOf1In10001Wins1In10001() public {
        Round memory r = _round(NATIVE, 0, _leaves(9990, 1, 10));
        _open(r);
        Proof memory bens = r.tree.proofs[_indexOf(r, ben.addr)];
        uint256 wins = 0;
        for (uint256 i = 0; i < 300; i++) {
            bytes32 seed = keccak256(abi.encode("weights", i));
            bool drawn = _rollOf(r.id, 10_001, seed) == bens.start;
            bool won = _outcomeWith(r, _redemption(r, ben.addr, 1), seed) == IChequeBank.Outcome.Payable;
            assertEq(won, drawn);
            if (won) wins++;
        }
        assertLe(wins, 1);
        _expectAt(r, _redemption(r, ben.addr, 1), bens.start, IChequeBank.Outcome.Payable);
    }

    /// In the old design anybody could open a lottery under an id that another payer had announced, and so block the
    /// id.
    function test_RejectsOthersWhoTakeAnIdFirst() public {
        Round memory r = _smallRound(NATIVE, 0);
        _fund(NATIVE, payer.addr, 100);
        _fund(NATIVE, cyd.addr, 100);

        vm.prank(cyd.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotPayer.selector, cyd.addr, payer.addr));
        bank.open(r.deposit);

        Round memory copy = _smallRound(NATIVE, 0);
        copy.deposit.payer = cyd.addr;
        _seal(copy);
        vm.prank(cyd.addr);
        assertEq(bank.open(copy.deposit), copy.id);
        assertTrue(copy.id != r.id);

        vm.prank(payer.addr);
        assertEq(bank.open(r.deposit), r.id);
    }
}
