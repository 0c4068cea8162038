// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Bls} from "../../src/libraries/Bls.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @notice A beacon with a secret key of its own, so that tests have the round of any time.
library Beacon {
    uint256 internal constant SECRET = uint256(keccak256("beacon"));

    /// @dev The generator of G2 in the encoding of EIP-2537.
    bytes private constant G2 =
        hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb80000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be";

    function publicKey(uint256 secret) internal view returns (bytes memory) {
        return _times(address(0x0e), G2, secret);
    }

    /// @notice The proof of a round: its signature, uncompressed.
    function sign(uint256 secret, uint64 round) internal view returns (bytes memory) {
        return _times(address(0x0c), _hash(sha256(abi.encodePacked(round))), secret);
    }

    /// @notice The seed that a valid proof shows: SHA-256 of x with the sign of y.
    function seed(bytes memory proof) internal pure returns (bytes32) {
        bytes memory x = LibBytes.slice(proof, 0, 48);
        bytes memory half =
            hex"0d0088f51cbff34d258dd3db21a5d66bb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555";
        x[0] |= LibBytes.cmp(LibBytes.slice(proof, 48, 96), half) > 0 ? bytes1(0xa0) : bytes1(0x80);
        return sha256(x);
    }

    function _hash(bytes32 message) private view returns (bytes memory) {
        (bool hashed, uint256[4] memory words) = Bls.hashToG1(message);
        require(hashed, "no EIP-2537");
        return abi.encodePacked(words);
    }

    /// @dev Multiplies a point by the precompile of its group; gives the coordinates without the zeros before each.
    function _times(address precompile, bytes memory point, uint256 scalar)
        private
        view
        returns (bytes memory product)
    {
        (bool done, bytes memory padded) = precompile.staticcall(bytes.concat(point, bytes32(scalar)));
        require(done && padded.length == point.length, "no EIP-2537");
        for (uint256 i = 0; i < padded.length; i += 64) {
            product = bytes.concat(product, LibBytes.slice(padded, i + 16, i + 64));
        }
    }
}
