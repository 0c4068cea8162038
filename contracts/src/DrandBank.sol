// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ChequeBank} from "./ChequeBank.sol";
import {BankStorage} from "./base/BankStorage.sol";
import {IDrandBank} from "./interfaces/IDrandBank.sol";
import {Bls} from "./libraries/Bls.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @title DrandBank
/// @notice A cheque bank whose seeds come from a drand beacon of the scheme bls-unchained-g1-rfc9380, such as quicknet.
/// A round of the beacon is a threshold signature over the number of the round, made at the second of the round.
/// @dev The proof of a seed is the signature, uncompressed: x then y, 48 bytes each. The seed is the SHA-256 of the
/// compressed signature, which drand publishes as `randomness`.
/// @dev The message has exactly one valid signature. So the seed of a time is a constant that nobody can choose, and
/// the key's holders alone can know it early: see KNOWN LIMITS in `ChequeBank`.
contract DrandBank is ChequeBank, IDrandBank {
    using LibBytes for bytes;

    /// @dev Two coordinates, and four.
    uint256 private constant PROOF_BYTES = 96;
    uint256 private constant KEY_BYTES = 192;

    /// @inheritdoc IDrandBank
    // forge-lint: disable-next-line(screaming-snake-case-immutable)
    uint64 public immutable genesis;
    /// @inheritdoc IDrandBank
    // forge-lint: disable-next-line(screaming-snake-case-immutable)
    uint64 public immutable period;
    uint256 private immutable KEY_X0_HIGH;
    uint256 private immutable KEY_X0_LOW;
    uint256 private immutable KEY_X1_HIGH;
    uint256 private immutable KEY_X1_LOW;
    uint256 private immutable KEY_Y0_HIGH;
    uint256 private immutable KEY_Y0_LOW;
    uint256 private immutable KEY_Y1_HIGH;
    uint256 private immutable KEY_Y1_LOW;

    /// @dev Proves that the chain has the precompiles that the draw needs, but not that the pairing checks the subgroup: see
    /// CHAIN REQUIREMENTS in `ChequeBank`. On a chain that verifies nothing a bank would lock no money up,
    /// but pay no payee.
    constructor(uint64 lead, bytes memory key, uint64 firstTime, uint64 interval) BankStorage(lead) {
        require(firstTime > 0 && interval > 0, InvalidSchedule(firstTime, interval));
        require(key.length == KEY_BYTES, InvalidPublicKey());
        (genesis, period) = (firstTime, interval);

        // slither-disable-next-line unused-return only whether the precompiles answer
        (bool hashed,) = Bls.hashToG1(0);
        require(hashed, NoPrecompiles());
        uint256[24] memory pairs;
        (pairs[16], pairs[17], pairs[18], pairs[19]) = Bls.pad(key.load(0), key.load(32), key.load(64));
        (pairs[20], pairs[21], pairs[22], pairs[23]) = Bls.pad(key.load(96), key.load(128), key.load(160));
        (KEY_X0_HIGH, KEY_X0_LOW, KEY_X1_HIGH, KEY_X1_LOW) = (pairs[16], pairs[17], pairs[18], pairs[19]);
        (KEY_Y0_HIGH, KEY_Y0_LOW, KEY_Y1_HIGH, KEY_Y1_LOW) = (pairs[20], pairs[21], pairs[22], pairs[23]);
        require(Bls.isPublicKey(pairs), InvalidPublicKey());
    }

    /// @inheritdoc IDrandBank
    function publicKey() external view returns (bytes memory) {
        return bytes.concat(
            // forge-lint: disable-next-line(unsafe-typecast) 16 bytes
            abi.encodePacked(uint128(KEY_X0_HIGH), KEY_X0_LOW, uint128(KEY_X1_HIGH), KEY_X1_LOW),
            // forge-lint: disable-next-line(unsafe-typecast) 16 bytes
            abi.encodePacked(uint128(KEY_Y0_HIGH), KEY_Y0_LOW, uint128(KEY_Y1_HIGH), KEY_Y1_LOW)
        );
    }

    /// @inheritdoc ChequeBank
    function _requireOnSchedule(uint64 drawTime) internal view override {
        require(drawTime >= genesis, DrawBeforeGenesis(drawTime, genesis));
        // Unchecked: saves a second comparison. The line above compares, and the period is not zero.
        unchecked {
            require((drawTime - genesis) % period == 0, DrawOffSchedule(drawTime));
        }
    }

    /// @inheritdoc ChequeBank
    function _shownSeed(uint64 drawTime, bytes calldata proof) internal view override returns (bytes32) {
        if (proof.length != PROOF_BYTES) return 0;

        (bytes32 a, bytes32 b, bytes32 c) = (proof.loadCalldata(0), proof.loadCalldata(32), proof.loadCalldata(64));
        uint256[24] memory pairs;
        (pairs[0], pairs[1], pairs[2], pairs[3]) = Bls.pad(a, b, c);
        (pairs[16], pairs[17], pairs[18], pairs[19]) = (KEY_X0_HIGH, KEY_X0_LOW, KEY_X1_HIGH, KEY_X1_LOW);
        (pairs[20], pairs[21], pairs[22], pairs[23]) = (KEY_Y0_HIGH, KEY_Y0_LOW, KEY_Y1_HIGH, KEY_Y1_LOW);
        if (!Bls.verifies(pairs, _message(drawTime))) return 0;
        return Bls.hashOfCompressed(a, b, c);
    }

    /// @dev The message that the beacon signs at a time on schedule: SHA-256 of the number of the round. The first round is 1.
    function _message(uint64 drawTime) private view returns (bytes32) {
        // Unchecked: a time on schedule is not before genesis. As genesis is more than zero, the sum is below 2^64.
        unchecked {
            uint64 round = (drawTime - genesis) / period + 1;
            return Bls.sha(bytes32(bytes8(round)), 0, 8);
        }
    }
}
