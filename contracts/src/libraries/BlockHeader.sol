// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {LibBytes} from "solady/utils/LibBytes.sol";

/// @title BlockHeader
/// @notice Takes the randomness out of the RLP header of a proof-of-stake block. It does not check whose header it is:
/// the caller compares its hash with what the EVM knows.
/// @dev A position of 0 means "malformed", and is handed on from field to field: no field stands at 0.
/// @dev Positions are unchecked: they are sums of a few calldata lengths and of numbers below 2^64. It saves 2,060 gas a
/// header, 3.4 % of `recordSeed`.
library BlockHeader {
    using LibBytes for bytes;

    /// @dev Chains without randomness put constants or counters where it belongs; all of them are at most this.
    uint256 internal constant NO_RANDOMNESS = 1 << 64;

    /// @dev The bytes of the fields from parentHash to difficulty.
    uint256 private constant FIXED_PART = 446;

    /// @notice The `mixHash` of a header (EIP-4399), or zero if the bytes are not exactly one canonical header, its
    /// difficulty is not zero, or its `mixHash` is no randomness. Never reverts.
    /// @dev Later forks append fields, and chains differ in the length of `extraData`: both may be anything.
    function mixHash(bytes calldata header) internal pure returns (bytes32 mix) {
        uint256 offset = _afterFixedPart(header, _fields(header));
        offset = _integer(header, offset); // number
        offset = _integer(header, offset); // gasLimit
        offset = _integer(header, offset); // gasUsed
        offset = _integer(header, offset); // timestamp
        (, offset) = _string(header, offset); // extraData
        uint256 start;
        (start, offset) = _string(header, offset); // mixHash
        unchecked {
            if (offset - start != 32) return 0;
        }
        mix = header.loadCalldata(start);

        while (offset != 0 && offset < header.length) (, offset) = _string(header, offset); // nonce, baseFeePerGas, ...
        if (offset == 0 || uint256(mix) <= NO_RANDOMNESS) return 0;
    }

    /// @dev Where the first field stands in a list that fills the header exactly. A header has more than 55 bytes.
    function _fields(bytes calldata header) private pure returns (uint256) {
        if (header.length == 0 || _byte(header, 0) < 0xf8) return 0;
        (uint256 start, uint256 end) = _long(header, 0, _byte(header, 0) - 0xf7);
        return end == header.length ? start : 0;
    }

    /// @dev The position after the fields whose lengths are known, which begin at `p`.
    function _afterFixedPart(bytes calldata header, uint256 p) private pure returns (uint256) {
        unchecked {
            if (p == 0 || header.length < p + FIXED_PART) return 0;
            bool canonical = _byte(header, p) == 0xa0 // parentHash, 32 bytes
                && _byte(header, p + 33) == 0xa0 // ommersHash
                && _byte(header, p + 66) == 0x94 // beneficiary, 20 bytes
                && _byte(header, p + 87) == 0xa0 // stateRoot
                && _byte(header, p + 120) == 0xa0 // transactionsRoot
                && _byte(header, p + 153) == 0xa0 // receiptsRoot
                && uint24(bytes3(header.loadCalldata(p + 186))) == 0xb90100 // logsBloom, 256 bytes
                && _byte(header, p + 445) == 0x80; // difficulty, the integer zero
            return canonical ? p + FIXED_PART : 0;
        }
    }

    /// @dev The position after the integer at `offset`, a string of up to 32 bytes without leading zeros.
    function _integer(bytes calldata header, uint256 offset) private pure returns (uint256) {
        (uint256 start, uint256 end) = _string(header, offset);
        unchecked {
            if (_byte(header, start) == 0 && end > start) return 0;
            return end - start > 32 ? 0 : end;
        }
    }

    /// @dev Where the content of the string at `offset` starts and ends. Strings end after their prefix, so one that
    /// begins beyond the header also ends there.
    function _string(bytes calldata header, uint256 offset) private pure returns (uint256 start, uint256 end) {
        if (offset == 0) return (0, 0);
        uint256 prefix = _byte(header, offset);
        unchecked {
            if (prefix < 0x80) {
                (start, end) = (offset, offset + 1); // the byte is its own content
            } else if (prefix < 0xb8) {
                (start, end) = (offset + 1, offset + 1 + prefix - 0x80);
                if (prefix == 0x81 && _byte(header, start) < 0x80) return (0, 0); // should be its own content
            } else if (prefix < 0xc0) {
                (start, end) = _long(header, offset, prefix - 0xb7);
            } else {
                return (0, 0); // a list
            }
        }
        if (end > header.length) return (0, 0);
    }

    /// @dev Where the content starts and ends whose length stands in the `size` bytes, 1 to 8, after the prefix at
    /// `offset`.
    function _long(bytes calldata header, uint256 offset, uint256 size)
        private
        pure
        returns (uint256 start, uint256 end)
    {
        unchecked {
            start = offset + 1 + size;
            if (start > header.length || _byte(header, offset + 1) == 0) return (0, 0);
            uint256 length = uint256(header.loadCalldata(offset + 1)) >> (256 - 8 * size);
            end = start + length;
            if (length < 56 || end > header.length) return (0, 0);
        }
    }

    /// @dev Not checked here: whether the byte is part of the header. Beyond calldata it is zero.
    function _byte(bytes calldata header, uint256 offset) private pure returns (uint256) {
        return uint256(header.loadCalldata(offset)) >> 248;
    }
}
