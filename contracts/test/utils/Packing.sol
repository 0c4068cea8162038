// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @notice Packs redemptions in the layout of `IChequeBank.Redemption`. Written from the interface, independent of the
/// contract's code.
library Packing {
    uint256 internal constant LEVEL = 48;

    error CannotBePacked(string what);

    /// @notice Packs in the shortest form: sums as short as the largest of them, and no part of zeros.
    function pack(IChequeBank.Redemption memory r) internal pure returns (bytes memory) {
        return pack(r, width(r.siblings));
    }

    /// @notice Packs with sums of `w` bytes.
    function pack(IChequeBank.Redemption memory r, uint256 w) internal pure returns (bytes memory) {
        uint256 levels = r.siblings.length / LEVEL;
        require(r.siblings.length % LEVEL == 0 && levels <= type(uint8).max, CannotBePacked("siblings"));
        require(width(r.siblings) <= w && w <= 16, CannotBePacked("sums"));
        require(r.signature.length == 65, CannotBePacked("signature"));
        bytes memory claim = abi.encodePacked(r.payee, r.allowance, r.salt, r.path, r.spent, r.signature);
        bytes memory stream = _stream(r);
        uint256 form = w - 1;
        if (r.deposit.token != address(0)) form += 16;
        if (r.to != address(0)) form += 32;
        if (stream.length > 0) form += 64;
        // forge-lint: disable-next-line(unsafe-typecast) checked above
        bytes memory head = abi.encodePacked(_terms(r.deposit), claim, uint8(levels), uint8(form));
        bytes memory accounts = bytes.concat(_address(r.deposit.token), _address(r.to));
        return bytes.concat(head, _siblings(r.siblings, w), accounts, stream, r.consent);
    }

    function pack(IChequeBank.Redemption[] memory rs) internal pure returns (bytes[] memory packed) {
        packed = new bytes[](rs.length);
        for (uint256 i = 0; i < rs.length; i++) {
            packed[i] = pack(rs[i]);
        }
    }

    /// @notice The bytes of the largest sum of these siblings, offset least 1.
    function width(bytes memory siblings) internal pure returns (uint256 w) {
        w = 1;
        for (uint256 offset = 0; offset < siblings.length; offset += LEVEL) {
            while (w < 16 && _sum(siblings, offset) >> (8 * w) != 0) w++;
        }
    }

    function _sum(bytes memory siblings, uint256 offset) private pure returns (uint256) {
        return uint128(bytes16(LibBytes.load(siblings, offset + 32)));
    }

    function _terms(IChequeBank.Deposit memory d) private pure returns (bytes memory) {
        return abi.encodePacked(d.payer, d.signer, d.lane, d.minPayout, d.drawTime, d.redeemUntil);
    }

    function _siblings(bytes memory siblings, uint256 w) private pure returns (bytes memory packed) {
        for (uint256 offset = 0; offset < siblings.length; offset += LEVEL) {
            bytes memory hash = LibBytes.slice(siblings, offset, offset + 32);
            packed = bytes.concat(packed, hash, LibBytes.slice(siblings, offset + LEVEL - w, offset + LEVEL));
        }
    }

    function _address(address account) private pure returns (bytes memory) {
        return account == address(0) ? bytes("") : abi.encodePacked(account);
    }

    function _stream(IChequeBank.Redemption memory r) private pure returns (bytes memory) {
        if (r.anchor == 0 && r.step == 0 && r.k == 0 && r.x == 0) return "";
        return abi.encodePacked(r.anchor, r.step, r.k, r.x);
    }
}
