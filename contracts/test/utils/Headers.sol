// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @notice Writes RLP headers, good and bad. A header is a list of fields in RLP.
library Headers {
    uint256 internal constant DIFFICULTY = 7;
    uint256 internal constant NUMBER = 8;
    uint256 internal constant EXTRA_DATA = 12;
    uint256 internal constant MIX_HASH = 13;
    uint256 internal constant NONCE = 14;

    function str(bytes memory data) internal pure returns (bytes memory) {
        if (data.length == 1 && uint8(data[0]) < 0x80) return data;
        return bytes.concat(_prefix(0x80, data.length), data);
    }

    function num(uint256 value) internal pure returns (bytes memory) {
        return str(_minimal(value));
    }

    function word(bytes32 value) internal pure returns (bytes memory) {
        return bytes.concat(hex"a0", value);
    }

    function list(bytes[] memory items) internal pure returns (bytes memory) {
        bytes memory payload;
        for (uint256 i = 0; i < items.length; i++) {
            payload = bytes.concat(payload, items[i]);
        }
        return bytes.concat(_prefix(0xc0, payload.length), payload);
    }

    /// @notice The 21 fields of a Prague header, from the parent's hash to the hash of the requests.
    function fields(uint256 number, bytes32 mixHash, bytes memory extraData) internal pure returns (bytes[] memory f) {
        f = new bytes[](21);
        f[0] = word(keccak256(abi.encode("parent", number)));
        f[1] = word(0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347);
        f[2] = str(abi.encodePacked(address(0xFEE)));
        f[3] = word(keccak256("state"));
        f[4] = word(keccak256("transactions"));
        f[5] = word(keccak256("receipts"));
        f[6] = str(new bytes(256));
        f[DIFFICULTY] = num(0);
        f[NUMBER] = num(number);
        f[9] = num(36_000_000);
        f[10] = num(17_123_456);
        f[11] = num(1_740_000_000 + number % 1e9 * 12);
        f[EXTRA_DATA] = str(extraData);
        f[MIX_HASH] = word(mixHash);
        f[NONCE] = str(new bytes(8));
        f[15] = num(7);
        f[16] = word(keccak256("withdrawals"));
        f[17] = num(131_072);
        f[18] = num(0);
        f[19] = word(keccak256("beacon"));
        f[20] = word(keccak256("requests"));
    }

    function header(uint256 number, bytes32 mixHash) internal pure returns (bytes memory) {
        return list(fields(number, mixHash, "an honest builder"));
    }

    /// @notice The first `count` of the fields, padded with `filler` if there are fewer.
    function resized(bytes[] memory f, uint256 count, bytes memory filler) internal pure returns (bytes[] memory g) {
        g = new bytes[](count);
        for (uint256 i = 0; i < count; i++) {
            g[i] = i < f.length ? f[i] : filler;
        }
    }

    function _prefix(uint8 base, uint256 length) private pure returns (bytes memory) {
        if (length < 56) return abi.encodePacked(uint8(base + length));
        bytes memory size = _minimal(length);
        return abi.encodePacked(uint8(base + 55 + size.length), size);
    }

    /// @dev Big-endian without leading zeros; nothing for zero.
    function _minimal(uint256 value) private pure returns (bytes memory out) {
        uint256 size = 0;
        for (uint256 v = value; v > 0; v >>= 8) {
            size++;
        }
        out = new bytes(size);
        for (uint256 i = size; i > 0; i--) {
            out[i - 1] = bytes1(uint8(value));
            value >>= 8;
        }
    }
}
