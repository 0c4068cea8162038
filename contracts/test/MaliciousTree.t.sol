// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {ProofTools} from "./ProofTools.sol";
import {AllowanceTrees, Leaf, Proof} from "./utils/AllowanceTrees.sol";

/// @notice Malicious trees and the ways in which the bank refuses them.
contract MaliciousTreeTest is ProofTools {
    /// Attack: the tree promises more, or less, than the deposit holds.
    function test_RejectsTotalThatIsNotTheAmount() public {
        for (uint128 i = 0; i < 2; i++) {
            Round memory r = _smallRound(NATIVE, 0);
            r.deposit.lane = uint64(i) + 1;
            r.deposit.amount = i == 0 ? 99 : 101;
            _seal(r);
            _open(r);
            _drawAndRecord(r, keccak256("any"));
            _expectElsewhere(_redemption(r, ann.addr, 60));
            _expectElsewhere(_redemption(r, ben.addr, 30));
        }
    }

    /// Attack: two allowances that add up to 2^128 + amount, so that the total fits if cut to 128 bits.
    function test_RejectsTotalThatWraps() public {
        Leaf memory anns = _leaf(ann.addr, type(uint128).max);
        Leaf memory bens = _leaf(ben.addr, 101);
        bytes32 left = AllowanceTrees.hashLeaf(anns);
        bytes32 right = AllowanceTrees.hashLeaf(bens);
        bytes32 root = AllowanceTrees.hashInner(left, anns.allowance, right, bens.allowance);
        Round memory r = _openWith(root, 100);
        _drawAndRecord(r, keccak256("any"));
        _expectBad(_with(r, anns, _beside(0, right, bens.allowance)));
        _expectBad(_with(r, bens, _beside(1, left, anns.allowance)));
    }

    /// Attack: the sum wraps in the middle of the tree, where it is hashed with 128 bits, and fits at the root.
    function test_RejectsSumThatWrapsBelowTheRoot() public {
        Leaf memory anns = _leaf(ann.addr, type(uint128).max);
        Leaf memory bens = _leaf(ben.addr, 41);
        Leaf memory cyds = _leaf(cyd.addr, 60);
        bytes32 left = AllowanceTrees.hashLeaf(anns);
        bytes32 right = AllowanceTrees.hashLeaf(bens);
        bytes32 inner = AllowanceTrees.hashInner(left, anns.allowance, right, bens.allowance);
        Round memory r = _openWith(AllowanceTrees.hashInner(inner, 40, AllowanceTrees.hashLeaf(cyds), 60), 100);
        _drawAndRecord(r, _seedFor(r, 40, 100));

        _expectBad(_with(r, anns, _below(0, right, bens.allowance, cyds)));
        _expectBad(_with(r, bens, _below(1, left, anns.allowance, cyds)));
        // The third leaf is honest, so it can win.
        assertTrue(_outcome(_with(r, cyds, _beside(1, inner, 40))) == IChequeBank.Outcome.Payable);
    }

    /// Attack: the payer tells two payees that their range starts at zero. Only one of them has a proof.
    function test_OverlappingRangesCannotBothBeProven() public {
        Leaf memory anns = _leaf(ann.addr, 100);
        Leaf memory bens = _leaf(ben.addr, 100);
        bytes32 left = AllowanceTrees.hashLeaf(anns);
        bytes32 right = AllowanceTrees.hashLeaf(bens);
        Round memory r = _openWith(AllowanceTrees.hashInner(left, 100, right, 0), 100);
        _drawAndRecord(r, keccak256("any"));
        assertTrue(_outcome(_with(r, anns, _beside(0, right, 0))) == IChequeBank.Outcome.Payable);
        for (uint40 path = 0; path < 2; path++) {
            _expectElsewhere(_with(r, bens, _beside(path, left, 0)));
            _expectElsewhere(_with(r, bens, _beside(path, left, 100)));
        }
    }

    /// Attack: a leaf below depth 40. The leaf is never paid, and does no harm to the others.
    function test_OverDeepLeafHarmsNoOtherPayee() public {
        Leaf memory deep = _leaf(ann.addr, 10);
        (bytes32 node, Proof memory proof, uint128 sum) = _branch(deep, 40, 0);
        Leaf memory bens = _leaf(ben.addr, 1000);
        bytes32 other = AllowanceTrees.hashLeaf(bens);
        Round memory r = _openWith(AllowanceTrees.hashInner(node, sum, other, 1000), sum + 1000);
        _drawAndRecord(r, _seedFor(r, sum, sum + 1000));
        proof.siblings = bytes.concat(proof.siblings, AllowanceTrees.sibling(other, 1000));
        _expectBad(_with(r, deep, proof));
        assertTrue(_outcome(_with(r, bens, _beside(1, node, sum))) == IChequeBank.Outcome.Payable);
    }

    /// Attack: one payee has two leaves. The payee may use either, but is paid once, and never from another's range.
    function test_DuplicateLeavesPayOnceFromTheirOwnRange() public {
        Leaf[] memory leaves = _leaves(60, 30, 10);
        leaves[1] = Leaf(ann.addr, 30, "second");
        Round memory r = _round(NATIVE, 0, leaves);
        _open(r);
        bytes32 id = r.id;
        for (uint256 roll = 0; roll < 100; roll++) {
            _drawAndRecord(r, _seedFor(r, roll, roll + 1));
            uint256 winners = 0;
            for (uint256 i = 0; i < 3; i++) {
                IChequeBank.Redemption memory x = _with(r, r.tree.leaves[i], r.tree.proofs[i]);
                if (_outcome(x) == IChequeBank.Outcome.Payable) winners++;
            }
            assertEq(winners, 1);
        }
        _drawAndRecord(r, _seedOf(r, ann.addr));
        uint256 paid = 0;
        for (uint256 i = 0; i < 3; i++) {
            IChequeBank.Redemption memory x = _with(r, r.tree.leaves[i], r.tree.proofs[i]);
            if (_outcome(x) == IChequeBank.Outcome.Payable) {
                paid++;
                bank.redeem(_pack(x), "");
            }
        }
        assertEq(paid, 1);
        assertTrue(_openId(r) != id);
        _assertConserved(NATIVE);
    }

    /// @dev A tree of four leaves, with the claimed sums of its inner nodes.
    struct Told {
        Leaf[4] leaves;
        bytes32[4] hashes;
        uint128[4] sums;
        bytes32[2] inner;
        uint128[2] innerSums;
        uint128 amount;
    }

    function _cutSum(uint128 a, uint128 b) private pure returns (uint128) {
        unchecked {
            return a + b;
        }
    }

    /// @dev Bit i of `lying` is 1 if the i-th sum, the four of the leaves first, is taken from `lies`.
    function _tell(uint128[4] memory allowances, uint128[7] memory lies, uint256 lying)
        private
        view
        returns (Told memory t)
    {
        address[4] memory payees = [ann.addr, ben.addr, cyd.addr, payer.addr];
        for (uint256 i = 0; i < 4; i++) {
            t.leaves[i] = _leaf(payees[i], allowances[i]);
            t.hashes[i] = AllowanceTrees.hashLeaf(t.leaves[i]);
            t.sums[i] = (lying >> i) & 1 == 1 ? lies[i] : allowances[i];
        }
        for (uint256 i = 0; i < 2; i++) {
            uint256 j = 2 * i;
            t.inner[i] = AllowanceTrees.hashInner(t.hashes[j], t.sums[j], t.hashes[j + 1], t.sums[j + 1]);
            t.innerSums[i] = (lying >> (4 + i)) & 1 == 1 ? lies[4 + i] : _cutSum(t.sums[j], t.sums[j + 1]);
        }
        t.amount = (lying >> 6) & 1 == 1 ? lies[6] : _cutSum(t.innerSums[0], t.innerSums[1]);
    }

    function _winners(Told memory t, bytes32 seed) private returns (uint256 winners, uint256 losers) {
        if (t.amount == 0) return (0, 0);
        bytes32 root = AllowanceTrees.hashInner(t.inner[0], t.innerSums[0], t.inner[1], t.innerSums[1]);
        Round memory r = _openWith(root, t.amount);
        _drawAndRecord(r, seed);
        for (uint256 i = 0; i < 4; i++) {
            bytes memory siblings = bytes.concat(
                AllowanceTrees.sibling(t.hashes[i ^ 1], t.sums[i ^ 1]),
                AllowanceTrees.sibling(t.inner[1 - i / 2], t.innerSums[1 - i / 2])
            );
            IChequeBank.Outcome outcome = _outcome(_with(r, t.leaves[i], Proof(uint40(i), siblings, 0)));
            if (outcome == IChequeBank.Outcome.Payable) winners++;
            if (outcome == IChequeBank.Outcome.Loses) losers++;
        }
    }

    /// Any tree of four leaves that a payer can commit to, any seed. Few lies, so that some leaves stay provable.
    function testFuzz_AtMostOnePayeeOfAnyTreeWins(
        uint128[4] memory allowances,
        uint128[7] memory lies,
        uint256 lying,
        bytes32 seed
    ) public {
        vm.assume(seed != 0);
        lying &= lying >> 8;
        (uint256 winners,) = _winners(_tell(allowances, lies, lying), seed);
        assertLe(winners, 1);
    }

    /// Small numbers collide, so lies are often the sums that make two leaves provable.
    function testFuzz_AtMostOnePayeeOfASmallTreeWins(uint256 numbers, uint256 lying, bytes32 seed) public {
        vm.assume(seed != 0);
        uint128[4] memory allowances;
        uint128[7] memory lies;
        for (uint256 i = 0; i < 7; i++) {
            if (i < 4) allowances[i] = uint128((numbers >> (8 * i)) % 4);
            lies[i] = uint128((numbers >> (64 + 8 * i)) % 6);
        }
        (uint256 winners,) = _winners(_tell(allowances, lies, lying), seed);
        assertLe(winners, 1);
    }

    function testFuzz_ExactlyOnePayeeOfASpentTreeWins(uint128[4] memory allowances, bytes32 seed) public {
        vm.assume(seed != 0);
        for (uint256 i = 0; i < 4; i++) {
            // Up to a total of 2^128 - 1, the most a deposit can hold.
            allowances[i] = uint128(bound(allowances[i], 1, type(uint128).max / 4));
        }
        uint128[7] memory lies;
        (uint256 winners, uint256 losers) = _winners(_tell(allowances, lies, 0), seed);
        assertEq(winners, 1);
        assertEq(losers, 3);
    }
}
