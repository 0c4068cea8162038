// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {LibBytes} from "solady/utils/LibBytes.sol";

/// @notice Points of the curve of G1, y^2 = x^3 + 4 over the field of p elements, as 96 bytes: those that are no
/// signatures, for tests.
library Curve {
    bytes internal constant P =
        hex"1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";
    /// @dev (p + 1) / 4, the exponent of square roots, as p mod 4 = 3.
    bytes private constant ROOT =
        hex"0680447a8e5ff9a692c6e9ed90d2eb35d91dd2e13ce144afd9cc34a83dac3d8907aaffffac54ffffee7fbfffffffeaab";

    function x(bytes memory point) internal pure returns (bytes memory) {
        return LibBytes.slice(point, 0, 48);
    }

    function y(bytes memory point) internal pure returns (bytes memory) {
        return LibBytes.slice(point, 48, 96);
    }

    /* NUMBERS of 48 bytes */

    function plus(bytes memory a, bytes memory b) internal pure returns (bytes memory) {
        unchecked {
            uint256 low = _low(a) + _low(b);
            return _number(_high(a) + _high(b) + (low < _low(a) ? 1 : 0), low);
        }
    }

    function minus(bytes memory a, bytes memory b) internal pure returns (bytes memory) {
        unchecked {
            return _number(_high(a) - _high(b) - (_low(a) < _low(b) ? 1 : 0), _low(a) - _low(b));
        }
    }

    function number(uint256 value) internal pure returns (bytes memory) {
        return _number(0, value);
    }

    function _number(uint256 high, uint256 low) private pure returns (bytes memory) {
        // forge-lint: disable-next-line(unsafe-typecast) sums of two numbers below 2^383
        return abi.encodePacked(uint128(high), low);
    }

    function _high(bytes memory a) private pure returns (uint256) {
        return uint128(bytes16(LibBytes.load(a, 0)));
    }

    function _low(bytes memory a) private pure returns (uint256) {
        return uint256(LibBytes.load(a, 16));
    }

    /* POINTS */

    /// @notice The sum of two points, by the precompile: it checks that both lie on the curve, and no subgroup.
    function add(bytes memory a, bytes memory b) internal view returns (bytes memory) {
        bytes memory input = bytes.concat(_padded(a), _padded(b));
        return _answer(address(0x0b), input);
    }

    /// @notice A point of the subgroup, the same for the same number.
    function inSubgroup(uint256 seed) internal view returns (bytes memory) {
        return _answer(address(0x10), bytes.concat(new bytes(32), bytes32(seed)));
    }

    /// @notice A point of the curve, which is not in the subgroup but for a chance of 2^-125: with the least x from
    /// `from` on. `from` is below 2^80.
    function onCurve(uint256 from) internal view returns (bytes memory) {
        for (uint256 i = from;; i++) {
            bytes memory square = number(i ** 3 + 4);
            bytes memory root = _power(square, ROOT);
            if (keccak256(_power(root, hex"02")) == keccak256(square)) return bytes.concat(number(i), root);
        }
        revert("no point");
    }

    function _power(bytes memory base, bytes memory exponent) private view returns (bytes memory result) {
        bool done;
        (done, result) =
            address(5).staticcall(abi.encodePacked(base.length, exponent.length, P.length, base, exponent, P));
        require(done && result.length == 48, "MODEXP");
    }

    function _padded(bytes memory point) private pure returns (bytes memory) {
        return bytes.concat(new bytes(16), x(point), new bytes(16), y(point));
    }

    function _answer(address precompile, bytes memory input) private view returns (bytes memory) {
        (bool done, bytes memory padded) = precompile.staticcall(input);
        require(done && padded.length == 128, "no EIP-2537");
        return bytes.concat(LibBytes.slice(padded, 16, 64), LibBytes.slice(padded, 80, 128));
    }
}
