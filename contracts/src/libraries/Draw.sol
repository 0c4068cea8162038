// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../interfaces/IChequeBank.sol";
import {BlockHeader} from "./BlockHeader.sol";
import {Redemptions} from "./Redemptions.sol";
import {BlockHashLib} from "solady/utils/BlockHashLib.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

/// @title Draw
/// @notice The seed of a block, the point of a deposit that it selects, and the payout of a cheque. All divisions round
/// down, and a product of two uint128 fits a uint256.
library Draw {
    using Redemptions for bytes;

    /// @notice Proves the seed of a block by the hash that the EVM has for it now. The outcome is `Payable` if there is
    /// a seed, else `SeedUnknown` or `BadHeader`.
    function prove(IChequeBank.SeedSource source, uint256 blockNumber, bytes calldata header)
        internal
        view
        returns (IChequeBank.Outcome, bytes32)
    {
        bytes32 blockHash = BlockHashLib.blockHash(blockNumber);
        if (blockHash == 0) return (IChequeBank.Outcome.SeedUnknown, 0);

        if (source == IChequeBank.SeedSource.BlockHash) {
            if (header.length != 0) return (IChequeBank.Outcome.BadHeader, 0);
            return (IChequeBank.Outcome.Payable, blockHash);
        }
        if (keccak256(header) != blockHash) return (IChequeBank.Outcome.BadHeader, 0);
        bytes32 mix = BlockHeader.mixHash(header);
        return (mix == 0 ? IChequeBank.Outcome.BadHeader : IChequeBank.Outcome.Payable, mix);
    }

    /// @notice The point in [0, amount) that `seed` selects in deposit `id`: each with the same chance, up to 2^-128.
    function roll(bytes32 seed, bytes32 id, uint128 amount) internal pure returns (uint128) {
        // forge-lint: disable-next-line(unsafe-typecast) less than `amount`
        return uint128(((uint256(EfficientHashLib.hash(seed, id)) >> 128) * amount) >> 128);
    }

    /// @notice Whether start <= point < start + range, and the payout, for a payee that was paid `total`.
    function result(uint128 point, uint256 start, uint128 total, bytes calldata r)
        internal
        pure
        returns (bool wins, uint128 payout)
    {
        uint256 range;
        (payout, range) = payoutAndRange(total, r.allowance(), r.amount(), r.minPayout());
        wins = start <= point && point < start + range;
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
}
