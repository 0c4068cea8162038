// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

/// @title Draw
/// @notice The point of a deposit that a seed selects, and the payout of a cheque. All divisions round down, and a
/// product of two uint128 fits a uint256.
library Draw {
    /// @notice The point in [0, amount) that `seed` selects in deposit `id`: each with the same chance, up to 2^-128.
    function roll(bytes32 seed, bytes32 id, uint128 amount) internal pure returns (uint128) {
        // forge-lint: disable-next-line(unsafe-typecast) less than `amount`
        return uint128(((uint256(EfficientHashLib.hash(seed, id)) >> 128) * amount) >> 128);
    }

    /// @notice The payout of a payee that was paid `total`, and the number of points of the deposit that win.
    /// @dev Needs 0 < total <= allowance <= amount and minPayout <= amount. Then 0 < payout <= amount, range <=
    /// allowance, and payout * range <= total * amount: equal but for rounding in the payer's favour.
    function payoutAndRange(uint128 total, uint128 allowance, uint128 amount, uint128 minPayout)
        internal
        pure
        returns (uint128 payout, uint256 range)
    {
        uint256 product = uint256(total) * amount;
        range = allowance;
        // forge-lint: disable-next-line(unsafe-typecast) at most `amount`
        payout = uint128(product / range);
        if (payout < minPayout) {
            payout = minPayout;
            range = product / minPayout;
        }
    }

    /// @notice True if start <= point < start + range.
    function isIn(uint128 point, uint256 start, uint256 range) internal pure returns (bool) {
        return point >= start && point - start < range;
    }
}
