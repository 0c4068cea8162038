// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Bls} from "../src/libraries/Bls.sol";
import {Curve} from "./utils/Curve.sol";
import {Test} from "forge-std/Test.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @notice The compressed form of a signature, at the edges that no real signature reaches.
contract BlsTest is Test {
    bytes32 private constant X = bytes32(uint256(0x1234) << 240);

    /// @dev (p - 1) / 2
    bytes private half =
        hex"0d0088f51cbff34d258dd3db21a5d66bb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555";

    function _expectSign(bytes memory x, bytes memory y, bool isLarger) private view {
        bytes memory point = bytes.concat(x, y);
        bytes32 hash = Bls.hashOfCompressed(LibBytes.load(point, 0), LibBytes.load(point, 32), LibBytes.load(point, 64));
        bytes memory compressed = bytes.concat(x);
        compressed[0] |= isLarger ? bytes1(0xa0) : bytes1(0x80);
        assertEq(hash, sha256(compressed));
    }

    /// 0 < y < p, and exactly one of y and p - y is larger than (p - 1) / 2.
    function test_SignTellsTheLargerY() public view {
        assertEq(Curve.plus(Curve.plus(half, half), Curve.number(1)), Curve.P);
        bytes memory x = abi.encodePacked(X, bytes16(uint128(77)));
        bytes memory one = Curve.number(1);
        bytes memory word = bytes.concat(new bytes(15), hex"01", new bytes(32)); // 2^256
        _expectSign(x, half, false);
        _expectSign(x, Curve.plus(half, one), true);
        _expectSign(x, Curve.minus(half, one), false);
        _expectSign(x, Curve.plus(half, word), true);
        _expectSign(x, Curve.minus(half, word), false);
        _expectSign(x, one, false);
        _expectSign(x, Curve.minus(Curve.P, one), true);
        // The lower part alone decides nothing.
        _expectSign(x, bytes.concat(new bytes(16), bytes32(type(uint256).max)), false);
        _expectSign(x, bytes.concat(bytes16(LibBytes.load(Curve.P, 0)), bytes32(0)), true);
    }

    function testFuzz_NegativeHasTheOtherSign(bytes32 a, bytes32 b) public view {
        bytes memory y = abi.encodePacked(bytes16(a) >> 4, b);
        vm.assume(uint128(bytes16(a) >> 4) <= 0x0d0088f51cbff34d258dd3db21a5d66a);
        bytes memory x = abi.encodePacked(bytes16(b) >> 3, a);
        _expectSign(x, y, false);
        _expectSign(x, Curve.minus(Curve.P, y), true);
    }
}
