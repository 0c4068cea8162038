// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title Bls
/// @notice BLS signatures on BLS12-381 by the precompiles of EIP-2537: signatures in G1, public keys in G2.
/// @dev Points are in the encoding of EIP-2537, each coordinate (48 bytes) after 16 zeros: 128 bytes in G1, 256 in G2.
/// @dev A call to an address without code succeeds, with an empty answer. So each call of a precompile must succeed and
/// also give an answer of exactly the right length.
/// @dev No call has a gas cap: forks change the prices. A point that a precompile refuses burns the gas of the call.
library Bls {
    uint256 internal constant SHA256 = 0x02;
    uint256 internal constant MODEXP = 0x05;
    uint256 internal constant G1ADD = 0x0b;
    uint256 internal constant PAIRING_CHECK = 0x0f;
    uint256 internal constant MAP_FP_TO_G1 = 0x10;

    /// @dev The domain separation tag of drand's scheme bls-unchained-g1-rfc9380, then its length.
    bytes private constant TAG = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_\x2b";

    /// @dev The field's prime p, in 64 bytes.
    bytes private constant PRIME =
        hex"000000000000000000000000000000001a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";

    /// @dev (p - 1) / 2, its upper 16 and lower 32 bytes.
    uint256 private constant HALF_HIGH = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_LOW = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;

    /// @dev The generator of G1 and its negative.
    bytes private constant G1 =
        hex"0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1";
    bytes private constant MINUS_G1 =
        hex"0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb00000000000000000000000000000000114d1d6855d545a8aa7d76c8cf2e21f267816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca";

    /// @dev The negative of the generator of G2.
    bytes private constant MINUS_G2 =
        hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb80000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e000000000000000000000000000000000d1b3cc2c7027888be51d9ef691d77bcb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa0000000000000000000000000000000013fa4d4a0ad8b1ce186ed5061789213d993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed";

    /// @notice A precompile does not answer as EIP-198, EIP-2537 or FIPS 180-4 says: this chain lacks the precompile.
    error PrecompileFailed(uint256 precompile);

    /* SIGNATURES */

    /// @notice True if `signature` is the signature of `message` by the secret key behind `publicKey`.
    /// @dev e(signature, -G2) * e(H(message), publicKey) = 1. The precompile refuses points off the curve or outside the
    /// subgroup and coordinates of p or more. In the subgroup the equation has exactly one solution.
    function verifies(bytes memory signature, bytes memory message, bytes memory publicKey)
        internal
        view
        returns (bool)
    {
        return pairsToOne(bytes.concat(signature, MINUS_G2, hashToG1(message), publicKey));
    }

    /// @notice True if `publicKey` is a point of G2's subgroup and not the identity.
    /// @dev A pairing that must hold, e(G1, key) * e(-G1, key) = 1, and one that must not, e(G1, key) = 1. Together they
    /// prove the precompile too: neither an empty answer nor a constant one passes.
    function isPublicKey(bytes memory publicKey) internal view returns (bool) {
        return pairsToOne(bytes.concat(G1, publicKey, MINUS_G1, publicKey))
            && !pairsToOne(bytes.concat(G1, publicKey));
    }

    /// @notice True if the product of the pairings is one. False if the precompile refuses a point.
    function pairsToOne(bytes memory pairs) internal view returns (bool) {
        (bool answered, bytes memory answer) = _call(PAIRING_CHECK, pairs, 32);
        return answered && bytes32(answer) == bytes32(uint256(1));
    }

    /// @notice Hashes a message to G1: RFC 9380, suite BLS12381G1_XMD:SHA-256_SSWU_RO_.
    function hashToG1(bytes memory message) internal view returns (bytes memory) {
        // expand_message_xmd to 128 bytes: 64 zeros, the message, the length, a zero, the tag
        bytes32 b0 = sha(abi.encodePacked(bytes32(0), bytes32(0), message, hex"008000", TAG));
        bytes32 b1 = sha(abi.encodePacked(b0, hex"01", TAG));
        bytes32 b2 = sha(abi.encodePacked(b0 ^ b1, hex"02", TAG));
        bytes32 b3 = sha(abi.encodePacked(b0 ^ b2, hex"03", TAG));
        bytes32 b4 = sha(abi.encodePacked(b0 ^ b3, hex"04", TAG));
        return _ask(G1ADD, bytes.concat(_mapToG1(b1, b2), _mapToG1(b3, b4)), 128);
    }

    /// @notice SHA-256.
    function sha(bytes memory data) internal view returns (bytes32) {
        return bytes32(_ask(SHA256, data, 32));
    }

    /* ENCODINGS */

    /// @notice Two coordinates of 48 bytes, given as 96 bytes, in the encoding of EIP-2537.
    function pad(bytes32 a, bytes32 b, bytes32 c) internal pure returns (bytes memory) {
        return abi.encodePacked(bytes16(0), a, bytes16(b), bytes16(0), bytes16(b << 128), c);
    }

    /// @notice Compresses a point (x, y) of G1, given as 96 bytes, to 48 bytes: x and, in its first bits, the sign of y.
    /// @dev Only for points that a precompile accepted, and not for the identity.
    function compress(bytes32 a, bytes32 b, bytes32 c) internal pure returns (bytes memory) {
        uint256 high = uint128(uint256(b));
        bool isLarger = high > HALF_HIGH || (high == HALF_HIGH && uint256(c) > HALF_LOW);
        bytes32 flags = bytes32(isLarger ? bytes1(0xa0) : bytes1(0x80));
        return abi.encodePacked(a | flags, bytes16(b));
    }

    /* PRECOMPILES */

    /// @dev Maps a number of 64 bytes to G1, after reducing it modulo p.
    function _mapToG1(bytes32 high, bytes32 low) private view returns (bytes memory) {
        // number^1 mod p, by the lengths of number, exponent and modulus
        bytes memory input = abi.encodePacked(uint256(64), uint256(1), uint256(64), high, low, hex"01", PRIME);
        return _ask(MAP_FP_TO_G1, _ask(MODEXP, input, 64), 128);
    }

    /// @dev The answer of a precompile, which no input of this library makes fail.
    function _ask(uint256 precompile, bytes memory input, uint256 size) private view returns (bytes memory answer) {
        bool answered;
        (answered, answer) = _call(precompile, input, size);
        require(answered, PrecompileFailed(precompile));
    }

    /// @dev Calls a precompile. `answered` is true if the call succeeds with an answer of exactly `size` bytes.
    function _call(uint256 precompile, bytes memory input, uint256 size)
        private
        view
        returns (bool answered, bytes memory answer)
    {
        answer = new bytes(size);
        // A call in Solidity copies an answer of any length into memory.
        assembly ("memory-safe") {
            answered := staticcall(gas(), precompile, add(input, 32), mload(input), add(answer, 32), size)
            answered := and(answered, eq(returndatasize(), size))
        }
    }
}
