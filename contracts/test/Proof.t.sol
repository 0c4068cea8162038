// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {ProofTools} from "./ProofTools.sol";
import {AllowanceTrees, Leaf, Proof} from "./utils/AllowanceTrees.sol";

/// @notice Valid and invalid proofs of a leaf.
contract ProofTest is ProofTools {
    /// @dev A proof with as many levels as its path has bits leads elsewhere. Any other proof is refused.
    function _expectRefused(IChequeBank.Redemption memory x) private {
        if (x.path >> (x.siblings.length / 48) != 0) _expectBad(x);
        else _expectElsewhere(x);
    }

    function testFuzz_AcceptsProofsUpToDepth40(uint8 depth, uint40 path) public {
        depth = depth % 41;
        path = uint40(path & ((uint256(1) << depth) - 1));
        Leaf memory leaf = _leaf(ann.addr, 1e18);
        (bytes32 root, Proof memory proof, uint128 total) = _branch(leaf, depth, path);
        Round memory r = _openWith(root, total);
        _drawAndRecord(r, _seedFor(r, proof.start, proof.start + leaf.allowance));
        assertTrue(_outcome(_with(r, leaf, proof)) == IChequeBank.Outcome.Payable);
    }

    function test_AcceptsDepth40AndRejectsDepth41() public {
        Leaf memory leaf = _leaf(ann.addr, 1e18);
        (bytes32 root, Proof memory proof, uint128 total) = _branch(leaf, 40, (1 << 40) - 1);
        Round memory r = _openWith(root, total);
        _drawAndRecord(r, _seedFor(r, 40, total));
        assertTrue(_outcome(_with(r, leaf, proof)) == IChequeBank.Outcome.Payable);

        (root, proof, total) = _branch(leaf, 41, 0);
        r.deposit.lane = 2;
        r.deposit.root = root;
        r.deposit.amount = total;
        r.deposit.drawTime = uint64(vm.getBlockTimestamp()) + MIN_LEAD;
        r.deposit.redeemUntil = r.deposit.drawTime + WINDOW;
        _seal(r);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        _expectBad(_with(r, leaf, proof));
    }

    function test_RejectsPathBitsBeyondTheProof() public {
        Leaf memory leaf = _leaf(ann.addr, 1e18);
        uint256[4] memory depths = [uint256(0), 1, 7, 40];
        for (uint256 i = 0; i < depths.length; i++) {
            uint256 snapshot = vm.snapshotState();
            (bytes32 root, Proof memory proof, uint128 total) = _branch(leaf, depths[i], 0);
            Round memory r = _openWith(root, total);
            _drawAndRecord(r, _seedFor(r, 0, leaf.allowance));
            IChequeBank.Redemption memory x = _with(r, leaf, proof);
            assertTrue(_outcome(x) == IChequeBank.Outcome.Payable);
            for (uint256 bit = depths[i]; bit < 40; bit++) {
                x.path = uint40(1) << uint40(bit);
                _expectBad(x);
            }
            vm.revertToState(snapshot);
        }
    }

    function test_RejectsALevelMoreOrLess() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 1);
        bytes memory siblings = x.siblings;
        x.siblings = bytes.concat(siblings, new bytes(48));
        _expectRefused(x);
        x.siblings = new bytes(48);
        _expectRefused(x);
        x.siblings = "";
        _expectRefused(x);
    }

    /// Every byte of a proof counts.
    function testFuzz_RejectsEveryChangedByteOfAProof(uint256 position, uint8 flip) public {
        vm.assume(flip != 0);
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 1);
        assertTrue(_outcome(x) == IChequeBank.Outcome.Payable);
        position = position % x.siblings.length;
        x.siblings[position] ^= bytes1(flip);
        _expectElsewhere(x);
    }

    function testFuzz_RejectsEveryOtherPath(uint40 path) public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ben.addr));
        IChequeBank.Redemption memory x = _redemption(r, ben.addr, 30);
        vm.assume(path != x.path);
        x.path = path;
        _expectRefused(x);
        x.path = path % 4 == r.tree.proofs[_indexOf(r, ben.addr)].path ? 3 - path % 4 : path % 4;
        _expectRefused(x);
    }

    function test_RejectsAnotherLeaf() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 30);
        x.salt = ~x.salt;
        _expectElsewhere(x);
        x = _redemption(r, ann.addr, 30);
        x.allowance = 59;
        _expectElsewhere(x);
        x.allowance = 61;
        _expectElsewhere(x);
        x.allowance = type(uint128).max;
        _expectBad(x);
        x = _redemption(r, ann.addr, 30);
        x.payee = relayer;
        _resign(x, r.id, signer);
        _expectElsewhere(x);
    }
}
