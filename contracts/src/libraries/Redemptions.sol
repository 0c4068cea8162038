// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {LibBytes} from "solady/utils/LibBytes.sol";

/// @title Redemptions
/// @notice Reads the fields of a packed redemption, whose layout stands in `IChequeBank`.
/// @dev Packing takes half of the bytes of an ABI encoding, whose other half is zeros.
/// @dev Only `wellFormed` may be asked about any bytes. The other functions need a well-formed redemption, whose fields
/// all come from its own bytes. None of these functions reverts.
library Redemptions {
    using LibBytes for bytes;

    /* OFFSETS of the fields that every redemption has */

    uint256 internal constant PAYER = 0;
    uint256 internal constant SIGNER = 20;
    uint256 internal constant LANE = 40;
    uint256 internal constant MIN_PAYOUT = 48;
    uint256 internal constant DRAW_TIME = 64;
    uint256 internal constant REDEEM_UNTIL = 72;
    uint256 internal constant PAYEE = 80;
    uint256 internal constant ALLOWANCE = 100;
    uint256 internal constant SALT = 116;
    uint256 internal constant PATH = 132;
    uint256 internal constant SPENT = 137;
    uint256 internal constant SIGNATURE = 153;
    uint256 internal constant DEPTH = 218;
    uint256 internal constant FORM = 219;
    /// @dev Siblings begin here: the least length of a redemption.
    uint256 internal constant SIBLINGS = 220;

    /* THE BYTE `form` */

    /// @dev The bytes of a sibling's sum, less one.
    uint256 internal constant SUM_BYTES = 0x0f;
    uint256 internal constant HAS_TOKEN = 0x10;
    uint256 internal constant HAS_TO = 0x20;
    uint256 internal constant HAS_STREAM = 0x40;
    uint256 internal constant RESERVED = 0x80;

    /* LENGTHS */

    uint256 internal constant ADDRESS = 20;
    uint256 internal constant SIGNATURE_BYTES = 65;
    /// @dev anchor (32), step (16), k (2), x (32)
    uint256 internal constant STREAM = 82;

    /// @notice True if the bytes are long enough for the parts that they announce.
    function wellFormed(bytes calldata r) internal pure returns (bool) {
        return r.length >= SIBLINGS && _form(r) & RESERVED == 0 && r.length >= _consentStart(r);
    }

    /* TERMS OF THE DEPOSIT */

    function payer(bytes calldata r) internal pure returns (address) {
        return address(bytes20(r.loadCalldata(PAYER)));
    }

    function signer(bytes calldata r) internal pure returns (address) {
        return address(bytes20(r.loadCalldata(SIGNER)));
    }

    /// @notice The token of the deposit; zero for the native coin.
    function token(bytes calldata r) internal pure returns (address) {
        if (_form(r) & HAS_TOKEN == 0) return address(0);
        return address(bytes20(r.loadCalldata(_siblingsEnd(r))));
    }

    function lane(bytes calldata r) internal pure returns (uint64) {
        return uint64(bytes8(r.loadCalldata(LANE)));
    }

    function minPayout(bytes calldata r) internal pure returns (uint128) {
        return uint128(bytes16(r.loadCalldata(MIN_PAYOUT)));
    }

    function drawTime(bytes calldata r) internal pure returns (uint64) {
        return uint64(bytes8(r.loadCalldata(DRAW_TIME)));
    }

    function redeemUntil(bytes calldata r) internal pure returns (uint64) {
        return uint64(bytes8(r.loadCalldata(REDEEM_UNTIL)));
    }

    /* LEAF AND CHEQUE */

    function payee(bytes calldata r) internal pure returns (address) {
        return address(bytes20(r.loadCalldata(PAYEE)));
    }

    function allowance(bytes calldata r) internal pure returns (uint128) {
        return uint128(bytes16(r.loadCalldata(ALLOWANCE)));
    }

    function salt(bytes calldata r) internal pure returns (bytes16) {
        return bytes16(r.loadCalldata(SALT));
    }

    function path(bytes calldata r) internal pure returns (uint40) {
        return uint40(bytes5(r.loadCalldata(PATH)));
    }

    function spent(bytes calldata r) internal pure returns (uint128) {
        return uint128(bytes16(r.loadCalldata(SPENT)));
    }

    function signature(bytes calldata r) internal pure returns (bytes calldata) {
        return r.sliceCalldata(SIGNATURE, SIGNATURE + SIGNATURE_BYTES);
    }

    /// @notice The number of levels of the proof.
    function depth(bytes calldata r) internal pure returns (uint256) {
        return uint8(bytes1(r.loadCalldata(DEPTH)));
    }

    /* PARTS OF ANY LENGTH */

    /// @notice The siblings of the proof, each a hash (32 bytes) and a sum (`width` bytes).
    function siblings(bytes calldata r) internal pure returns (bytes calldata nodes, uint256 width) {
        return (r.sliceCalldata(SIBLINGS, _siblingsEnd(r)), _sumBytes(r));
    }

    /// @notice The recipient of the payout; zero for the payee's balance.
    function to(bytes calldata r) internal pure returns (address) {
        if (_form(r) & HAS_TO == 0) return address(0);
        return address(bytes20(r.loadCalldata(_tokenEnd(r))));
    }

    /// @notice The stream that the cheque opens and the steps shown of the stream; all zero without a stream.
    function stream(bytes calldata r) internal pure returns (bytes32 anchor, uint128 step, uint256 k, bytes32 x) {
        if (_form(r) & HAS_STREAM == 0) return (0, 0, 0, 0);
        uint256 start = _toEnd(r);
        anchor = r.loadCalldata(start);
        step = uint128(bytes16(r.loadCalldata(start + 32)));
        k = uint16(bytes2(r.loadCalldata(start + 48)));
        x = r.loadCalldata(start + 50);
    }

    function consent(bytes calldata r) internal pure returns (bytes calldata) {
        return r.sliceCalldata(_consentStart(r));
    }

    function _form(bytes calldata r) private pure returns (uint256) {
        return uint8(bytes1(r.loadCalldata(FORM)));
    }

    function _sumBytes(bytes calldata r) private pure returns (uint256) {
        return (_form(r) & SUM_BYTES) + 1;
    }

    function _siblingsEnd(bytes calldata r) private pure returns (uint256) {
        return SIBLINGS + depth(r) * (32 + _sumBytes(r));
    }

    function _tokenEnd(bytes calldata r) private pure returns (uint256) {
        return _siblingsEnd(r) + (_form(r) & HAS_TOKEN == 0 ? 0 : ADDRESS);
    }

    function _toEnd(bytes calldata r) private pure returns (uint256) {
        return _tokenEnd(r) + (_form(r) & HAS_TO == 0 ? 0 : ADDRESS);
    }

    function _consentStart(bytes calldata r) private pure returns (uint256) {
        return _toEnd(r) + (_form(r) & HAS_STREAM == 0 ? 0 : STREAM);
    }
}
