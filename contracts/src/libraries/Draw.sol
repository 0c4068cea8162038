// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

/// @title Draw
/// @notice Which point of a deposit a seed selects, and what a cheque wins with which range. All divisions round down,
/// and no product of two uint128 leaves a uint256.
library Draw {
    /// @notice The point in [0, amount) that `seed` selects in deposit `id`: each with the same chance, up to 2^-128.
    function roll(bytes32 seed, bytes32 id, uint128 amount) internal pure returns (uint128) {
        return uint128(((uint256(EfficientHashLib.hash(seed, id)) >> 128) * amount) >> 128);
    }

    /// @notice The payout of a cheque, and the width of the range that wins it: payout * range is at most spent * amount,
    /// and less by rounding only, in the payer's favour.
    /// @dev Needs 0 < spent <= allowance <= amount and minPayout <= amount. Then 0 < payout <= amount and
    /// 0 < range <= allowance.
    function prize(uint128 spent, uint128 allowance, uint128 amount, uint128 minPayout)
        internal
        pure
        returns (uint128 payout, uint128 range)
    {
        uint256 product = uint256(spent) * amount;
        uint256 full = product / allowance;
        return full >= minPayout ? (uint128(full), allowance) : (minPayout, uint128(product / minPayout));
    }
}
