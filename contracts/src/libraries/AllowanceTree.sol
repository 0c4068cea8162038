// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../interfaces/IChequeBank.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @title AllowanceTree
/// @notice The Merkle-sum tree that a deposit's `root` commits to. A node is a hash and a sum; every parent hashes both
/// sums of its children, so a proof fixes not only that a leaf is there but where its range starts.
/// @dev leaf  = keccak256(payee (20 bytes), allowance (16), salt (16)), sum = allowance
/// @dev inner = keccak256(left hash (32), left sum (16), right hash (32), right sum (16)), sum = left sum + right sum
/// @dev The 52 bytes of a leaf and the 96 bytes of an inner node cannot be taken for each other.
library AllowanceTree {
    using LibBytes for bytes;

    uint256 internal constant MAX_DEPTH = 40;

    /// @dev Bytes per level of a proof: the sibling's hash and sum.
    uint256 internal constant LEVEL = 48;

    /// @notice Whether a redemption's proof leads from its payee's leaf to its deposit's root and amount, and if so the
    /// sum of everything left of that leaf, where the payee's range starts.
    /// @dev A proof is a whole number of levels, at most `MAX_DEPTH`, and its path has no bit beyond them.
    function locate(IChequeBank.Redemption calldata r) internal pure returns (bool proven, uint256 start) {
        bytes calldata siblings = r.siblings;
        uint256 depth = siblings.length / LEVEL;
        if (siblings.length % LEVEL != 0 || depth > MAX_DEPTH || r.path >> depth != 0) return (false, 0);

        bytes32 root;
        uint256 total;
        (root, total, start) = _walk(_leaf(r), r.allowance, r.path, siblings);
        proven = root == r.deposit.root && total == r.deposit.amount;
    }

    /// @dev Walks a well-formed proof from a leaf up. Every sum is below 2^128 and there are few of them, so `total`, the
    /// root's sum, and `start`, the sum of everything left of the leaf, are exact.
    function _walk(bytes32 leaf, uint128 allowance, uint64 path, bytes calldata siblings)
        private
        pure
        returns (bytes32 root, uint256 total, uint256 start)
    {
        (root, total) = (leaf, allowance);
        // Unchecked: sums of at most 41 numbers below 2^128. It saves 150 gas a level.
        unchecked {
            for (uint256 offset = 0; offset < siblings.length; offset += LEVEL) {
                bytes32 sibling = siblings.loadCalldata(offset);
                uint256 siblingSum = uint256(siblings.loadCalldata(offset + 16)) & type(uint128).max;
                if (path & 1 == 0) {
                    root = _inner(root, total, sibling, siblingSum);
                } else {
                    root = _inner(sibling, siblingSum, root, total);
                    start += siblingSum;
                }
                total += siblingSum;
                path >>= 1;
            }
        }
    }

    function _leaf(IChequeBank.Redemption calldata r) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(r.payee, r.allowance, r.salt));
    }

    /// @dev keccak256(abi.encodePacked(left, uint128(leftSum), right, uint128(rightSum))), which costs 400 gas more a level.
    /// A sum of 2^128 or more makes the hash worthless, but then the total is no uint128 amount either.
    function _inner(bytes32 left, uint256 leftSum, bytes32 right, uint256 rightSum) private pure returns (bytes32) {
        uint256 r = uint256(right);
        return EfficientHashLib.hash(uint256(left), leftSum << 128 | r >> 128, r << 128 | rightSum);
    }
}
