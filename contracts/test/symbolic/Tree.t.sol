// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {AllowanceTree} from "../../src/libraries/AllowanceTree.sol";
import {Packing} from "../utils/Packing.sol";
import {Test} from "forge-std/Test.sol";

/// @notice Proofs by halmos (`make symbolic`): the ranges of two leaves of one root never overlap, for any hashes,
/// sums, sides and root that the payer chose.
/// @dev Assumed of keccak256: no two inputs of the same length have the same hash, and no leaf has that of an inner
/// node. Proven for every pair of proofs with two levels between them. A longer proof repeats the same step: the tree
/// is walked by one loop, so a failure at depth n is a failure one level below the node that two proofs share.
contract SymbolicTreeTest is Test {
    /// @dev A payee's leaf and the sides of its proof, all unconstrained.
    struct Claim {
        address payee;
        uint128 allowance;
        bytes16 salt;
        uint40 path;
    }

    function locate(bytes calldata r) external pure returns (bool, uint256) {
        return AllowanceTree.locate(r);
    }

    function _located(Claim memory c, bytes memory siblings, bytes32 root, uint128 amount)
        private
        view
        returns (bool, uint256)
    {
        IChequeBank.Redemption memory r;
        (r.deposit.root, r.deposit.amount) = (root, amount);
        (r.payee, r.allowance, r.salt, r.path, r.siblings) = (c.payee, c.allowance, c.salt, c.path, siblings);
        r.signature = new bytes(65);
        return this.locate(Packing.pack(r));
    }

    /// @dev Two proven leaves are equal, or one ends before the other starts.
    function _disjoint(
        Claim memory a,
        bytes memory levelsA,
        Claim memory b,
        bytes memory levelsB,
        bytes32 root,
        uint128 amount
    ) private view {
        (bool provenA, uint256 startA) = _located(a, levelsA, root, amount);
        (bool provenB, uint256 startB) = _located(b, levelsB, root, amount);
        if (!provenA || !provenB) return;
        bool same = startA == startB && a.payee == b.payee && a.allowance == b.allowance;
        assert(same || startA + a.allowance <= startB || startB + b.allowance <= startA);
        assert(startA + a.allowance <= amount && startB + b.allowance <= amount);
    }

    function check_RangesAreDisjoint_0_0(Claim memory a, Claim memory b, bytes32 root, uint128 amount) public view {
        _disjoint(a, "", b, "", root, amount);
    }

    function check_RangesAreDisjoint_0_1(
        Claim memory a,
        Claim memory b,
        bytes32 root,
        uint128 amount,
        bytes32[1] memory bH,
        uint128[1] memory bS
    ) public view {
        _disjoint(a, "", b, abi.encodePacked(bH[0], bS[0]), root, amount);
    }

    function check_RangesAreDisjoint_1_1(
        Claim memory a,
        Claim memory b,
        bytes32 root,
        uint128 amount,
        bytes32[1] memory aH,
        uint128[1] memory aS,
        bytes32[1] memory bH,
        uint128[1] memory bS
    ) public view {
        _disjoint(a, abi.encodePacked(aH[0], aS[0]), b, abi.encodePacked(bH[0], bS[0]), root, amount);
    }

    function check_RangesAreDisjoint_0_2(
        Claim memory a,
        Claim memory b,
        bytes32 root,
        uint128 amount,
        bytes32[2] memory bH,
        uint128[2] memory bS
    ) public view {
        _disjoint(a, "", b, abi.encodePacked(bH[0], bS[0], bH[1], bS[1]), root, amount);
    }
}
