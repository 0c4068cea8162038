// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title BlockHeader
/// @notice Takes the randomness out of the RLP header of a proof-of-stake block. It does not check whose header it is:
/// the caller compares its hash with what the EVM knows.
/// @dev A position of 0 means "malformed", and is handed on from field to field: no field stands at 0.
library BlockHeader {
    /// @dev Chains without randomness put constants or counters where it belongs; all of them are at most this.
    uint256 internal constant NO_RANDOMNESS = 1 << 64;

    /// @notice The `mixHash` of a header (EIP-4399), or zero if the bytes are not exactly one canonical header, its
    /// difficulty is not zero, or its `mixHash` is no randomness. Never reverts.
    /// @dev Later forks append fields, and chains differ in the length of `extraData`: both may be anything.
    function mixHash(bytes calldata header) internal pure returns (bytes32 mix) {
        uint256 offset = _fields(header);
        offset = _fixed(header, offset, 32); // parentHash
        offset = _fixed(header, offset, 32); // ommersHash
        offset = _fixed(header, offset, 20); // beneficiary
        offset = _fixed(header, offset, 32); // stateRoot
        offset = _fixed(header, offset, 32); // transactionsRoot
        offset = _fixed(header, offset, 32); // receiptsRoot
        offset = _fixed(header, offset, 256); // logsBloom
        offset = _fixed(header, offset, 0); // difficulty: the integer zero is the empty string
        offset = _integer(header, offset); // number
        offset = _integer(header, offset); // gasLimit
        offset = _integer(header, offset); // gasUsed
        offset = _integer(header, offset); // timestamp
        (, offset) = _string(header, offset); // extraData
        offset = _fixed(header, offset, 32); // mixHash
        if (offset == 0) return 0;
        mix = bytes32(header[offset - 32:]);

        while (offset != 0 && offset < header.length) (, offset) = _string(header, offset); // nonce, baseFeePerGas, ...
        if (offset == 0 || uint256(mix) <= NO_RANDOMNESS) return 0;
    }

    /// @dev Where the first field stands in a list that fills the header exactly. A header has more than 55 bytes.
    function _fields(bytes calldata header) private pure returns (uint256) {
        if (header.length == 0 || uint8(header[0]) < 0xf8) return 0;
        (uint256 start, uint256 end) = _long(header, 0, uint8(header[0]) - 0xf7);
        return end == header.length ? start : 0;
    }

    /// @dev The position after the string of exactly `length` bytes at `offset`.
    function _fixed(bytes calldata header, uint256 offset, uint256 length) private pure returns (uint256) {
        (uint256 start, uint256 end) = _string(header, offset);
        return end - start == length ? end : 0;
    }

    /// @dev The position after the integer at `offset`, a string of up to 32 bytes without leading zeros.
    function _integer(bytes calldata header, uint256 offset) private pure returns (uint256) {
        (uint256 start, uint256 end) = _string(header, offset);
        if (end - start > 32 || (end > start && header[start] == 0)) return 0;
        return end;
    }

    /// @dev Where the content of the string at `offset` starts and ends.
    function _string(bytes calldata header, uint256 offset) private pure returns (uint256 start, uint256 end) {
        if (offset == 0 || offset >= header.length) return (0, 0);
        uint256 prefix = uint8(header[offset]);
        if (prefix < 0x80) return (offset, offset + 1); // the byte is its own content
        if (prefix >= 0xc0) return (0, 0); // a list
        if (prefix >= 0xb8) return _long(header, offset, prefix - 0xb7);

        (start, end) = (offset + 1, offset + 1 + prefix - 0x80);
        if (end > header.length) return (0, 0);
        if (prefix == 0x81 && uint8(header[start]) < 0x80) return (0, 0); // should be its own content
    }

    /// @dev Where the content starts and ends whose length stands in the `size` bytes after the prefix at `offset`.
    function _long(bytes calldata header, uint256 offset, uint256 size)
        private
        pure
        returns (uint256 start, uint256 end)
    {
        start = offset + 1 + size;
        if (start > header.length || header[offset + 1] == 0) return (0, 0);
        uint256 length = uint256(bytes32(header[offset + 1:start])) >> (256 - 8 * size);
        if (length < 56 || length > header.length - start) return (0, 0);
        end = start + length;
    }
}
