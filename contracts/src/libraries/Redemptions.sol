// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {LibBytes} from "solady/utils/LibBytes.sol";

/// @notice A redemption on its way through the checks: the parts that have no constant offset, and the findings.
/// @dev Parsed: token and to (zero where absent), and the offset of what follows: the stream, if there is one, and the
/// consent.
/// @dev Found: the deposit's id and amount, the total that the payee was paid, and the start of
/// the payee's range.
struct Claim {
    address token;
    address to;
    uint256 tail;
    bytes32 id;
    uint128 amount;
    uint128 total;
    uint256 start;
}

/// @title Redemptions
/// @notice Reads the fields of a packed redemption, whose layout stands in `IChequeBank`.
/// @dev Packing takes half of the bytes of an ABI encoding, whose other half is zeros.
/// @dev `parse` takes any bytes. The other functions need a well-formed redemption: then all of its fields come from its
/// own bytes. None of these functions reverts.
library Redemptions {
    using LibBytes for bytes;
    using Redemptions for bytes;

    /* OFFSETS of the fields that every redemption has */

    uint256 internal constant PAYER = 0;
    uint256 internal constant SIGNER = 20;
    uint256 internal constant LANE = 40;
    uint256 internal constant MIN_PAYOUT = 48;
    uint256 internal constant DRAW_TIME = 64;
    uint256 internal constant REDEEM_UNTIL = 72;
    uint256 internal constant PAYEE = 80;
    uint256 internal constant ALLOWANCE = 100;
    /// @dev After the allowance comes the leaf's salt (16).
    uint256 internal constant PATH = 132;
    uint256 internal constant SPENT = 137;
    uint256 internal constant SIGNATURE = 153;
    uint256 internal constant DEPTH = 218;
    uint256 internal constant FORM = 219;
    /// @dev Siblings begin here: the least length of a redemption.
    uint256 internal constant SIBLINGS = 220;

    /* THE BYTE `form` */

    /// @dev The bits that hold the bytes of a sibling's sum, less one.
    uint256 internal constant SUM_BYTES = 0x0f;
    /// @dev The bits that say which parts are there.
    uint256 internal constant TOKEN_BIT = 4;
    uint256 internal constant TO_BIT = 5;
    uint256 internal constant STREAM_BIT = 6;
    /// @dev Bit 7 is zero.
    uint256 internal constant LARGEST_FORM = 0x7f;

    /* LENGTHS */

    uint256 internal constant ADDRESS = 20;
    /// @dev anchor (32), step (16), k (2), x (32)
    uint256 internal constant STREAM = 82;

    /// @notice Finds the parts of a redemption for a new claim. Returns true if the bytes are long enough for the parts
    /// that they announce; if not, reads nothing behind their end and leaves the claim zero.
    /// @dev Unchecked, here and below: the number of levels is one byte, so all parts before the consent end before byte
    /// 220 + 255 * 48 + 2 * 20 + 82.
    function parse(bytes calldata r, Claim memory c) internal pure returns (bool wellFormed) {
        if (r.length < SIBLINGS || r.form() > LARGEST_FORM) return false;
        unchecked {
            uint256 bits = r.form();
            uint256 tokenStart = r.siblingsEnd();
            uint256 toStart = tokenStart + ADDRESS * (bits >> TOKEN_BIT & 1);
            uint256 tail = toStart + ADDRESS * (bits >> TO_BIT & 1);
            if (r.length < tail + STREAM * (bits >> STREAM_BIT & 1)) return false;

            if (toStart != tokenStart) c.token = address(bytes20(r.loadCalldata(tokenStart)));
            if (tail != toStart) c.to = address(bytes20(r.loadCalldata(toStart)));
            c.tail = tail;
        }
        return true;
    }

    /* TERMS OF THE DEPOSIT */

    function payer(bytes calldata r) internal pure returns (address) {
        return address(bytes20(r.loadCalldata(PAYER)));
    }

    function signer(bytes calldata r) internal pure returns (address) {
        return address(bytes20(r.loadCalldata(SIGNER)));
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

    /// @notice The bytes of the payee's leaf: payee, allowance and salt, which are adjacent.
    function leaf(bytes calldata r) internal pure returns (bytes calldata) {
        return _slice(r, PAYEE, PATH);
    }

    function path(bytes calldata r) internal pure returns (uint40) {
        return uint40(bytes5(r.loadCalldata(PATH)));
    }

    function spent(bytes calldata r) internal pure returns (uint128) {
        return uint128(bytes16(r.loadCalldata(SPENT)));
    }

    function signature(bytes calldata r) internal pure returns (bytes calldata) {
        return _slice(r, SIGNATURE, DEPTH);
    }

    /// @notice The number of levels of the proof.
    function depth(bytes calldata r) internal pure returns (uint256) {
        return uint8(bytes1(r.loadCalldata(DEPTH)));
    }

    /// @notice The byte that says which parts follow.
    function form(bytes calldata r) internal pure returns (uint256) {
        return uint8(bytes1(r.loadCalldata(FORM)));
    }

    /* PARTS OF ANY LENGTH */

    /// @notice The bytes of each sibling's sum.
    function sumBytes(bytes calldata r) internal pure returns (uint256) {
        unchecked {
            return (r.form() & SUM_BYTES) + 1;
        }
    }

    /// @notice The offset after the siblings, each a hash (32 bytes) and a sum (`sumBytes`).
    function siblingsEnd(bytes calldata r) internal pure returns (uint256) {
        unchecked {
            return SIBLINGS + r.depth() * (32 + r.sumBytes());
        }
    }

    /// @notice The siblings of the proof.
    function siblings(bytes calldata r) internal pure returns (bytes calldata) {
        return _slice(r, SIBLINGS, r.siblingsEnd());
    }

    function hasStream(bytes calldata r) internal pure returns (bool) {
        return r.form() >> STREAM_BIT & 1 == 1;
    }

    /// @notice The stream that the cheque opens and the steps shown of the stream. Only for a redemption that has one.
    function stream(bytes calldata r, Claim memory c)
        internal
        pure
        returns (bytes32 anchor, uint128 step, uint256 k, bytes32 x)
    {
        uint256 start = c.tail;
        unchecked {
            anchor = r.loadCalldata(start);
            step = uint128(bytes16(r.loadCalldata(start + 32)));
            k = uint16(bytes2(r.loadCalldata(start + 48)));
            x = r.loadCalldata(start + 50);
        }
    }

    function consent(bytes calldata r, Claim memory c) internal pure returns (bytes calldata) {
        unchecked {
            return _slice(r, c.tail + STREAM * (r.form() >> STREAM_BIT & 1), r.length);
        }
    }

    /// @dev The bytes from `start` to `end` of a redemption that is long enough.
    // slither-disable-next-line write-after-write the offset and the length of one slice
    function _slice(bytes calldata r, uint256 start, uint256 end) private pure returns (bytes calldata part) {
        assembly ("memory-safe") {
            part.offset := add(r.offset, start)
            part.length := sub(end, start)
        }
    }
}
