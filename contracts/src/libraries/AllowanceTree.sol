// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Claim, Redemptions} from "./Redemptions.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

/// @title AllowanceTree
/// @notice The Merkle-sum tree that a deposit's `root` commits to. A node is a hash and a sum. Every parent hashes both
/// sums of its children, so a proof fixes the presence of a leaf and also the start of its range.
/// @dev leaf  = keccak256(payee (20 bytes), allowance (16), salt (16)), sum = allowance
/// @dev inner = keccak256(left hash (32), left sum (16), right hash (32), right sum (16)), sum = left sum + right sum
/// @dev The 52 bytes of a leaf and the 96 bytes of an inner node cannot be taken for each other.
library AllowanceTree {
    using Redemptions for bytes;

    uint256 internal constant MAX_DEPTH = 40;

    /// @notice Walks a redemption's proof from its payee's leaf to the root. Sets the claim's amount, the root's sum, and
    /// start, the sum of everything left of the leaf, where the payee's range begins. The id of the deposit commits to
    /// root and amount, so a proof of another tree leads to the id of no open deposit.
    /// @dev A proof has at most `MAX_DEPTH` levels, its path has no bit beyond them, and its sum is below 2^128. The
    /// root is zero if one of these does not hold.
    function locate(bytes calldata r, Claim memory c) internal pure returns (bytes32 root) {
        (uint256 depth, uint64 path) = (r.depth(), r.path());
        if (depth > MAX_DEPTH || path >> depth != 0) return 0;

        bytes32 leaf = EfficientHashLib.hashCalldata(r.leaf());
        uint256 total;
        (root, total, c.start) = _walk(leaf, r.allowance(), path, r.siblings(), r.sumBytes());
        if (total > type(uint128).max) return 0;
        // forge-lint: disable-next-line(unsafe-typecast) checked above
        c.amount = uint128(total);
    }

    /// @dev Walks a proof of whole levels from a leaf up; a sibling's sum has `width` bytes. Gives the root, its sum
    /// `total`, and `start`, the sum of everything left of the leaf.
    /// @dev No sum overflows: the levels are counted by one byte and `width` is at most 16, so the allowance and all sums
    /// together stay below 256 * 2^128.
    /// @dev The own node and the sibling are hashed as 48 bytes each, left before right. The hash cuts a sum of 2^128
    /// or more. But `total` never falls and is not cut, so the caller finds it above the largest amount.
    function _walk(bytes32 leaf, uint256 allowance, uint64 path, bytes calldata siblings, uint256 width)
        private
        pure
        returns (bytes32 root, uint256 total, uint256 start)
    {
        // Solidity costs 110 gas a level more even unchecked: 1.3 % of a redemption with 7 levels.
        assembly ("memory-safe") {
            root := leaf
            total := allowance
            let m := mload(0x40)
            let unused := sub(256, shl(3, width)) // bits behind a sum in the word that begins with the sum
            let size := add(width, 32)
            let end := add(siblings.offset, siblings.length)
            for { let level := siblings.offset } lt(level, end) { level := add(level, size) } {
                let sum := shr(unused, calldataload(add(level, 32)))
                // A later write covers the zeros that an earlier one leaves behind its sum.
                switch and(path, 1)
                case 0 {
                    mstore(m, root)
                    mstore(add(m, 32), shl(128, total))
                    mstore(add(m, 48), calldataload(level))
                    mstore(add(m, 80), shl(128, sum))
                }
                default {
                    mstore(m, calldataload(level))
                    mstore(add(m, 32), shl(128, sum))
                    mstore(add(m, 48), root)
                    mstore(add(m, 80), shl(128, total))
                    start := add(start, sum)
                }
                root := keccak256(m, 96)
                total := add(total, sum)
                path := shr(1, path)
            }
        }
    }
}
