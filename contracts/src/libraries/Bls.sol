// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title Bls
/// @notice BLS signatures on BLS12-381 by the precompiles of EIP-2537: signatures in G1, public keys in G2.
/// @dev A point of G1 has two coordinates of 48 bytes, x and y; of G2 four, x.c0, x.c1, y.c0 and y.c1. The precompiles
/// want 16 zeros before each coordinate: 4 words for a point of G1, 8 for a point of G2. `pairs` is the input of two
/// pairings, twice a point of G1 and a point of G2.
/// @dev A call to an address without code succeeds, with an empty answer. So each call of a precompile must succeed and
/// also give an answer of exactly the right length.
/// @dev No call has a gas cap: forks change the prices. A point that a precompile refuses burns the gas of the call.
library Bls {
    uint256 private constant SHA256 = 0x02;
    uint256 private constant MODEXP = 0x05;
    uint256 private constant G1ADD = 0x0b;
    uint256 private constant PAIRING_CHECK = 0x0f;
    uint256 private constant MAP_FP_TO_G1 = 0x10;

    /// @dev The end of the input of a hash, 47 bytes: the length 128 in two bytes and a zero (later the number of the hash);
    /// the domain separation tag of drand's scheme bls-unchained-g1-rfc9380, and the tag's length.
    bytes32 private constant TAG = "\x00\x80\x00BLS_SIG_BLS12381G1_XMD:SHA-25";
    bytes32 private constant TAG_END = "6_SSWU_RO_NUL_\x2b";

    /// @dev The field's prime p and (p - 1) / 2, their upper 16 and lower 32 bytes.
    uint256 private constant PRIME_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant PRIME_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
    uint256 private constant HALF_HIGH = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_LOW = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;

    /// @dev The generator of G1, the y of its negative, and the negative of the generator of G2, in parts as above.
    uint256 private constant G1_X_HIGH = 0x17f1d3a73197d7942695638c4fa9ac0f;
    uint256 private constant G1_X_LOW = 0xc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb;
    uint256 private constant G1_Y_HIGH = 0x08b3f481e3aaa0f1a09e30ed741d8ae4;
    uint256 private constant G1_Y_LOW = 0xfcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1;
    uint256 private constant MINUS_G1_Y_HIGH = 0x114d1d6855d545a8aa7d76c8cf2e21f2;
    uint256 private constant MINUS_G1_Y_LOW = 0x67816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca;
    uint256 private constant MINUS_G2_X0_HIGH = 0x024aa2b2f08f0a91260805272dc51051;
    uint256 private constant MINUS_G2_X0_LOW = 0xc6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8;
    uint256 private constant MINUS_G2_X1_HIGH = 0x13e02b6052719f607dacd3a088274f65;
    uint256 private constant MINUS_G2_X1_LOW = 0x596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e;
    uint256 private constant MINUS_G2_Y0_HIGH = 0x0d1b3cc2c7027888be51d9ef691d77bc;
    uint256 private constant MINUS_G2_Y0_LOW = 0xb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa;
    uint256 private constant MINUS_G2_Y1_HIGH = 0x13fa4d4a0ad8b1ce186ed5061789213d;
    uint256 private constant MINUS_G2_Y1_LOW = 0x993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed;

    /* SIGNATURES */

    /// @notice True if a point of G1, in words 0 to 3, is the signature of `message` by the secret key behind a point of
    /// G2, in words 16 to 23. Fills in the other words.
    /// @dev e(signature, -G2) * e(H(message), publicKey) = 1. The precompile refuses points off the curve or outside the
    /// subgroup and coordinates of p or more. In the subgroup the equation has exactly one solution.
    function verifies(uint256[24] memory pairs, bytes32 message) internal view returns (bool) {
        (pairs[4], pairs[5]) = (MINUS_G2_X0_HIGH, MINUS_G2_X0_LOW);
        (pairs[6], pairs[7]) = (MINUS_G2_X1_HIGH, MINUS_G2_X1_LOW);
        (pairs[8], pairs[9]) = (MINUS_G2_Y0_HIGH, MINUS_G2_Y0_LOW);
        (pairs[10], pairs[11]) = (MINUS_G2_Y1_HIGH, MINUS_G2_Y1_LOW);
        uint256 point;
        assembly ("memory-safe") {
            point := add(pairs, 384) // words 12 to 15
        }
        return _hashToG1(message, point) && _pairToOne(pairs, 2);
    }

    /// @notice True if a point of G2, in words 16 to 23, is of the subgroup and not the identity, and the chain has the
    /// precompile. Fills in the other words.
    /// @dev A pairing that must hold, e(G1, key) * e(-G1, key) = 1, and one that must not, e(G1, key) = 1. Together they
    /// prove the precompile: neither an empty answer nor a constant one passes.
    function isPublicKey(uint256[24] memory pairs) internal view returns (bool) {
        (pairs[0], pairs[1], pairs[2], pairs[3]) = (G1_X_HIGH, G1_X_LOW, G1_Y_HIGH, G1_Y_LOW);
        (pairs[12], pairs[13], pairs[14], pairs[15]) = (G1_X_HIGH, G1_X_LOW, MINUS_G1_Y_HIGH, MINUS_G1_Y_LOW);
        for (uint256 i = 4; i < 12; ++i) {
            pairs[i] = pairs[i + 12];
        }
        return _pairToOne(pairs, 2) && !_pairToOne(pairs, 1);
    }

    /// @notice Hashes a message to a point of G1 in the encoding of the precompiles. `hashed` is false on a chain without
    /// them.
    function hashToG1(bytes32 message) internal view returns (bool hashed, uint256[4] memory point) {
        uint256 start;
        assembly ("memory-safe") {
            start := point
        }
        hashed = _hashToG1(message, start);
    }

    /// @notice Puts 16 zeros before each of two coordinates, given as 96 bytes.
    function pad(bytes32 a, bytes32 b, bytes32 c) internal pure returns (uint256, uint256, uint256, uint256) {
        return (uint256(a >> 128), uint256(a << 128 | b >> 128), uint128(uint256(b)), uint256(c));
    }

    /* SHA-256 */

    /// @notice SHA-256 of the compressed form of a point (a, b, c) of G1: x and, in its first bits, the sign of y. Zero on
    /// a chain without the precompile.
    /// @dev Only for points that a precompile accepted, and not for the identity.
    function hashOfCompressed(bytes32 a, bytes32 b, bytes32 c) internal view returns (bytes32 hash) {
        uint256 high = uint128(uint256(b));
        bool isLarger = high > HALF_HIGH || (high == HALF_HIGH && uint256(c) > HALF_LOW);
        return sha(a | bytes32(uint256(isLarger ? 0xa0 : 0x80) << 248), b, 48);
    }

    /// @notice SHA-256 of the first `size` of 64 bytes. Zero on a chain without the precompile.
    function sha(bytes32 a, bytes32 b, uint256 size) internal view returns (bytes32 hash) {
        assembly ("memory-safe") {
            mstore(0, a)
            mstore(32, b)
            let answered := staticcall(gas(), SHA256, 0, size, 0, 32)
            hash := mul(mload(0), and(answered, eq(returndatasize(), 32)))
        }
    }

    /* PRECOMPILES */

    /// @dev True if the product of the first `count` pairings is one. False if the precompile refuses a point, or is not
    /// there.
    function _pairToOne(uint256[24] memory pairs, uint256 count) private view returns (bool isOne) {
        assembly ("memory-safe") {
            let answered := staticcall(gas(), PAIRING_CHECK, pairs, mul(count, 384), 0, 32)
            isOne := and(answered, and(eq(returndatasize(), 32), eq(mload(0), 1)))
        }
    }

    /// @dev Hashes a message to G1 and writes the point, 128 bytes, to memory: RFC 9380, suite
    /// BLS12381G1_XMD:SHA-256_SSWU_RO_. False if a precompile does not answer as it should.
    function _hashToG1(bytes32 message, uint256 point) private view returns (bool hashed) {
        // Solidity costs 7,000 gas more, 4 % of recording a seed. Yul evaluates arguments from right to left: each call before its
        // `returndatasize`.
        assembly ("memory-safe") {
            // b_i = sha256(word, i, tag), in 77 bytes whose tag is there already
            function expand(input, word, i, answer) -> good {
                mstore(input, word)
                mstore8(add(input, 32), i)
                good := and(eq(returndatasize(), 32), staticcall(gas(), SHA256, input, 77, answer, 32))
            }
            // Maps the number in the input of MODEXP, modulo p, to the curve.
            function map(power, answer) -> good {
                good := and(eq(returndatasize(), 64), staticcall(gas(), MODEXP, power, 225, answer, 64))
                good := and(
                    good,
                    and(eq(returndatasize(), 128), staticcall(gas(), MAP_FP_TO_G1, answer, 64, answer, 128))
                )
            }

            // Free memory: the input of a hash (163 bytes), two points (256), the input of MODEXP (225) with the number
            let m := mload(0x40)
            let input := add(m, 66)
            let points := add(m, 192)
            let power := add(m, 448)
            let numeral := add(m, 544)

            // b_0 = sha256(64 zeros, message, length, zero, tag), in 143 bytes
            mstore(m, 0)
            mstore(add(m, 32), 0)
            mstore(add(m, 64), message)
            mstore(add(m, 96), TAG)
            mstore(add(m, 128), TAG_END)
            hashed := and(eq(returndatasize(), 32), staticcall(gas(), SHA256, m, 143, 0, 32))
            let b0 := mload(0)

            // number^1 mod p, by the lengths of number, exponent and modulus
            mstore(power, 64)
            mstore(add(power, 32), 1)
            mstore(add(power, 64), 64)
            mstore8(add(power, 160), 1)
            mstore(add(power, 161), PRIME_HIGH)
            mstore(add(power, 193), PRIME_LOW)

            // The numbers (b_1, b_2) and (b_3, b_4), where b_i hashes b_0 xor b_{i-1}, and b_1 just b_0
            hashed := and(hashed, expand(input, b0, 1, numeral))
            hashed := and(hashed, expand(input, xor(b0, mload(numeral)), 2, add(numeral, 32)))
            let b2 := mload(add(numeral, 32))
            hashed := and(hashed, map(power, points))
            hashed := and(hashed, expand(input, xor(b0, b2), 3, numeral))
            hashed := and(hashed, expand(input, xor(b0, mload(numeral)), 4, add(numeral, 32)))
            hashed := and(hashed, map(power, add(points, 128)))
            hashed := and(hashed, and(eq(returndatasize(), 128), staticcall(gas(), G1ADD, points, 256, point, 128)))
        }
    }
}
