// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {AllowanceTrees, Leaf, Proof, Tree} from "../utils/AllowanceTrees.sol";

/// @notice Trees of dishonest payers, with the proofs for their payees.
library PlantedTrees {
    /// @return planted the tree
    /// @return amount of the deposit that commits to the tree
    function plant(uint256 kind, Tree memory honest, uint128 small) internal pure returns (Tree memory, uint128) {
        uint128 total = uint128(honest.total);
        if (kind == 0) return (honest, total - 1 > 0 ? total - 1 : 2);
        if (kind == 1) return (honest, total + 1);
        if (kind == 2) return (_wrapping(honest.leaves[0], small), small);
        if (kind == 3) return (_overlapping(honest.leaves[0], small), small);
        if (kind == 4) return _tooDeep(honest.leaves[0], small);
        return _twice(honest.leaves[0], small);
    }

    /// @dev Two allowances that add up to 2^128 + amount.
    function _wrapping(Leaf memory leaf, uint128 amount) private pure returns (Tree memory) {
        Leaf memory other = Leaf(address(0xE), amount + 1, leaf.salt);
        leaf.allowance = type(uint128).max;
        return _pair(leaf, leaf.allowance, other, other.allowance);
    }

    /// @dev Two leaves over the whole amount, of which the root counts one.
    function _overlapping(Leaf memory leaf, uint128 amount) private pure returns (Tree memory) {
        leaf.allowance = amount;
        return _pair(leaf, amount, Leaf(address(0xE), amount, leaf.salt), 0);
    }

    /// @dev One payee with two leaves.
    function _twice(Leaf memory leaf, uint128 amount) private pure returns (Tree memory, uint128) {
        leaf.allowance = amount;
        Leaf memory other = Leaf(leaf.payee, amount, ~leaf.salt);
        return (_pair(leaf, amount, other, amount), 2 * amount);
    }

    /// @dev A leaf below 41 levels of siblings with a unit each.
    function _tooDeep(Leaf memory leaf, uint128 amount) private pure returns (Tree memory tree, uint128 total) {
        leaf.allowance = amount;
        tree.leaves = new Leaf[](1);
        tree.leaves[0] = leaf;
        tree.proofs = new Proof[](1);
        tree.root = AllowanceTrees.hashLeaf(leaf);
        total = amount;
        for (uint256 i = 0; i < 41; i++) {
            tree.proofs[0].siblings = bytes.concat(tree.proofs[0].siblings, AllowanceTrees.sibling(bytes32(i), 1));
            tree.root = AllowanceTrees.hashInner(tree.root, total, bytes32(i), 1);
            total += 1;
        }
        tree.total = total;
    }

    /// @dev A tree of two leaves, with the sums that the root hashes.
    function _pair(Leaf memory left, uint128 leftSum, Leaf memory right, uint128 rightSum)
        private
        pure
        returns (Tree memory tree)
    {
        tree.leaves = new Leaf[](2);
        (tree.leaves[0], tree.leaves[1]) = (left, right);
        (bytes32 l, bytes32 r) = (AllowanceTrees.hashLeaf(left), AllowanceTrees.hashLeaf(right));
        tree.proofs = new Proof[](2);
        tree.proofs[0] = Proof(0, AllowanceTrees.sibling(r, rightSum), 0);
        tree.proofs[1] = Proof(1, AllowanceTrees.sibling(l, leftSum), leftSum);
        tree.root = AllowanceTrees.hashInner(l, leftSum, r, rightSum);
        tree.total = uint256(leftSum) + rightSum;
    }
}
