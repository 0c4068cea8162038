// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";

/// @notice Packs redemptions in the layout of `IChequeBank.Redemption`. Written from the interface, independent of the
/// contract's code.
library Packing {
    uint256 internal constant LEVEL = 48;

    error CannotBePacked(string what);

    function pack(IChequeBank.Redemption memory r) internal pure returns (bytes memory) {
        uint256 levels = r.siblings.length / LEVEL;
        require(r.siblings.length % LEVEL == 0 && levels <= type(uint8).max, CannotBePacked("siblings"));
        require(r.signature.length == 65, CannotBePacked("signature"));
        require(r.header.length <= type(uint16).max, CannotBePacked("header"));
        bytes memory stream = _stream(r);
        // forge-lint: disable-next-line(unsafe-typecast) checked above
        bytes memory lengths = abi.encodePacked(uint8(levels), stream.length > 0, uint16(r.header.length));
        bytes memory claim = abi.encodePacked(r.payee, r.allowance, r.salt, r.path, r.spent, r.signature, r.to);
        return bytes.concat(bytes.concat(_terms(r.deposit), claim, lengths), r.siblings, stream, r.header, r.consent);
    }

    function pack(IChequeBank.Redemption[] memory rs) internal pure returns (bytes[] memory packed) {
        packed = new bytes[](rs.length);
        for (uint256 i = 0; i < rs.length; i++) {
            packed[i] = pack(rs[i]);
        }
    }

    function _terms(IChequeBank.Deposit memory d) private pure returns (bytes memory) {
        bytes memory accounts = abi.encodePacked(d.payer, d.signer, d.token, d.lane);
        return abi.encodePacked(accounts, d.amount, d.minPayout, d.drawBlock, d.lastRedeemBlock, d.root);
    }

    function _stream(IChequeBank.Redemption memory r) private pure returns (bytes memory) {
        if (r.anchor == 0 && r.step == 0 && r.k == 0 && r.x == 0) return "";
        return abi.encodePacked(r.anchor, r.step, r.k, r.x);
    }
}
