// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {AllowanceTree} from "../../src/libraries/AllowanceTree.sol";
import {Claim, Redemptions} from "../../src/libraries/Redemptions.sol";
import {Test} from "forge-std/Test.sol";

/// @notice Proofs by halmos (`make symbolic`): the ranges of two leaves of one root never overlap, for any hashes,
/// sums, sides and root that the payer chose.
/// @dev Assumed of keccak256: no two inputs of the same length have the same hash, and no leaf has that of an inner
/// node. Proven for every pair of proofs with two levels between them. A longer proof repeats the same step: the tree
/// is walked by one loop, so a failure at depth n is a failure one level below the node that two proofs share.
contract SymbolicTreeTest is Test {
    using Redemptions for bytes;

    /// @dev A payee's leaf and the sides of its proof, all unconstrained.
    struct Share {
        address payee;
        uint128 allowance;
        bytes16 salt;
        uint40 path;
    }

    /// @dev Root, amount and start that a redemption's proof yields.
    function locate(bytes calldata r) external pure returns (bytes32 root, uint128 amount, uint256 start) {
        Claim memory claim;
        require(r.parse(claim));
        root = AllowanceTree.locate(r, claim);
        (amount, start) = (claim.amount, claim.start);
    }

    /// @dev A redemption of this leaf with sums of `width` bytes. The other fields are zero.
    function _packed(Share memory c, bytes memory siblings, uint256 width) private pure returns (bytes memory) {
        bytes memory leaf = abi.encodePacked(c.payee, c.allowance, c.salt, c.path);
        uint256 levels = siblings.length / (32 + width);
        return
            bytes.concat(new bytes(80), leaf, new bytes(81), bytes1(uint8(levels)), bytes1(uint8(width - 1)), siblings);
    }

    function _located(Share memory c, bytes memory siblings, bytes32 root, uint128 amount)
        private
        view
        returns (bool, uint256)
    {
        (bytes32 found, uint128 sum, uint256 start) = this.locate(_packed(c, siblings, 16));
        return (found != 0 && found == root && sum == amount, start);
    }

    /// @dev Two proven leaves are equal, or one ends before the other starts.
    function _disjoint(
        Share memory a,
        bytes memory levelsA,
        Share memory b,
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

    /// A sum means the same in fewer bytes.
    function check_ShortSumsMeanTheSame(Share memory c, bytes32 hash, uint24 sum) public view {
        _assertSame(c, abi.encodePacked(hash, sum), 3, abi.encodePacked(hash, uint128(sum)));
        _assertSame(c, abi.encodePacked(hash, uint72(sum)), 9, abi.encodePacked(hash, uint128(sum)));
        _assertSame(c, abi.encodePacked(hash, uint120(sum)), 15, abi.encodePacked(hash, uint128(sum)));
    }

    function _assertSame(Share memory c, bytes memory short, uint256 width, bytes memory long) private view {
        (bytes32 root, uint128 amount, uint256 start) = this.locate(_packed(c, short, width));
        (bytes32 root_, uint128 amount_, uint256 start_) = this.locate(_packed(c, long, 16));
        assert(root == root_ && amount == amount_ && start == start_);
    }

    function check_RangesAreDisjoint_0_0(Share memory a, Share memory b, bytes32 root, uint128 amount) public view {
        _disjoint(a, "", b, "", root, amount);
    }

    function check_RangesAreDisjoint_0_1(
        Share memory a,
        Share memory b,
        bytes32 root,
        uint128 amount,
        bytes32[1] memory bH,
        uint128[1] memory bS
    ) public view {
        _disjoint(a, "", b, abi.encodePacked(bH[0], bS[0]), root, amount);
    }

    function check_RangesAreDisjoint_1_1(
        Share memory a,
        Share memory b,
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
        Share memory a,
        Share memory b,
        bytes32 root,
        uint128 amount,
        bytes32[2] memory bH,
        uint128[2] memory bS
    ) public view {
        _disjoint(a, "", b, abi.encodePacked(bH[0], bS[0], bH[1], bS[1]), root, amount);
    }
}
