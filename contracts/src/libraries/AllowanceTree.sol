// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../interfaces/IChequeBank.sol";

/// @title AllowanceTree
/// @notice The Merkle-sum tree that a deposit's `root` commits to. A node is a hash and a sum; every parent hashes both
/// sums of its children, so a proof fixes not only that a leaf is there but where its range starts.
/// @dev leaf  = keccak256(payee (20 bytes), allowance (16), salt (16)), sum = allowance
/// @dev inner = keccak256(left hash (32), left sum (16), right hash (32), right sum (16)), sum = left sum + right sum
/// @dev The 52 bytes of a leaf and the 96 bytes of an inner node cannot be taken for each other.
library AllowanceTree {
    uint256 internal constant MAX_DEPTH = 40;

    /// @dev Bytes per level of a proof: the sibling's hash and sum.
    uint256 internal constant LEVEL = 48;

    /// @notice Whether a redemption's proof leads from its payee's leaf to its deposit's root and amount, and if so the
    /// sum of everything left of that leaf, where the payee's range starts.
    /// @dev A proof is a whole number of levels, at most `MAX_DEPTH`, and its path has no bit beyond them.
    function locate(IChequeBank.Redemption calldata r) internal pure returns (bool proven, uint256 start) {
        uint256 depth = r.siblings.length / LEVEL;
        if (r.siblings.length != depth * LEVEL || depth > MAX_DEPTH || r.path >> depth != 0) return (false, 0);

        bytes32 leaf = keccak256(abi.encodePacked(r.payee, r.allowance, r.salt));
        bytes32 root;
        uint256 total;
        (root, total, start) = _walk(leaf, r.allowance, r.path, r.siblings);
        proven = root == r.deposit.root && total == r.deposit.amount;
    }

    /// @dev Walks a well-formed proof from a leaf up: the root's hash and sum, and the sum of everything left of
    /// the leaf.
    /// @dev Every sum is below 2^128 and there are few of them, so `total` and `start` are exact.
    function _walk(bytes32 node, uint128 allowance, uint64 path, bytes calldata siblings)
        private
        pure
        returns (bytes32 root, uint256 total, uint256 start)
    {
        (root, total) = (node, allowance);
        for (uint256 offset = 0; offset < siblings.length; offset += LEVEL) {
            bytes32 sibling = bytes32(siblings[offset:]);
            uint128 siblingSum = uint128(bytes16(siblings[offset + 32:]));
            // A sum of 2^128 or more is cut in the hash, not in `total`, which then is no uint128 amount any more.
            // forge-lint: disable-next-line(unsafe-typecast)
            uint128 sum = uint128(total);
            if (path & 1 == 0) {
                root = keccak256(abi.encodePacked(root, sum, sibling, siblingSum));
            } else {
                root = keccak256(abi.encodePacked(sibling, siblingSum, root, sum));
                start += siblingSum;
            }
            total += siblingSum;
            path >>= 1;
        }
    }
}
