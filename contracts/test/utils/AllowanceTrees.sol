// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

struct Leaf {
    address payee;
    uint128 allowance;
    bytes16 salt;
}

struct Proof {
    uint40 path;
    bytes siblings;
    uint256 start;
}

/// @notice Leaves in the order of the tree, and the proof of each.
struct Tree {
    bytes32 root;
    uint256 total;
    Leaf[] leaves;
    Proof[] proofs;
}

/// @notice A second, slow implementation of the Merkle-sum tree: leaves ordered by leaf hash, an odd last node
/// promoted.
library AllowanceTrees {
    struct Node {
        bytes32 hash;
        uint256 sum;
        uint256 first;
        uint256 count;
    }

    function hashLeaf(Leaf memory leaf) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(leaf.payee, leaf.allowance, leaf.salt));
    }

    /// @dev Sums are cut to 16 bytes, so that tests can build the trees of a payer who lies about sums.
    function hashInner(bytes32 left, uint256 leftSum, bytes32 right, uint256 rightSum) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(left, uint128(leftSum), right, uint128(rightSum)));
    }

    function sibling(bytes32 hash, uint256 sum) internal pure returns (bytes memory) {
        return abi.encodePacked(hash, uint128(sum));
    }

    function sort(Leaf[] memory leaves) internal pure {
        for (uint256 i = 1; i < leaves.length; i++) {
            for (uint256 j = i; j > 0 && hashLeaf(leaves[j - 1]) > hashLeaf(leaves[j]); j--) {
                (leaves[j - 1], leaves[j]) = (leaves[j], leaves[j - 1]);
            }
        }
    }

    function build(Leaf[] memory leaves) internal pure returns (Tree memory tree) {
        sort(leaves);
        tree.leaves = leaves;
        tree.proofs = new Proof[](leaves.length);
        Node[] memory level = new Node[](leaves.length);
        for (uint256 i = 0; i < leaves.length; i++) {
            level[i] = Node(hashLeaf(leaves[i]), leaves[i].allowance, i, 1);
        }
        while (level.length > 1) {
            Node[] memory above = new Node[]((level.length + 1) / 2);
            for (uint256 i = 0; i < level.length; i += 2) {
                above[i / 2] = i + 1 < level.length ? _join(tree.proofs, level[i], level[i + 1]) : level[i];
            }
            level = above;
        }
        tree.root = level[0].hash;
        tree.total = level[0].sum;
    }

    function _join(Proof[] memory proofs, Node memory left, Node memory right) private pure returns (Node memory) {
        for (uint256 i = left.first; i < left.first + left.count; i++) {
            proofs[i].siblings = bytes.concat(proofs[i].siblings, sibling(right.hash, right.sum));
        }
        for (uint256 i = right.first; i < right.first + right.count; i++) {
            proofs[i].path |= uint40(1) << uint40(proofs[i].siblings.length / 48);
            proofs[i].siblings = bytes.concat(proofs[i].siblings, sibling(left.hash, left.sum));
            proofs[i].start += left.sum;
        }
        bytes32 hash = hashInner(left.hash, left.sum, right.hash, right.sum);
        return Node(hash, left.sum + right.sum, left.first, left.count + right.count);
    }
}
