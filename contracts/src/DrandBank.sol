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
    bytes32 private immutable KEY_0;
    bytes32 private immutable KEY_1;
    bytes32 private immutable KEY_2;
    bytes32 private immutable KEY_3;
    bytes32 private immutable KEY_4;
    bytes32 private immutable KEY_5;

    /// @dev Proves that the chain has what the draw needs. On a chain that verifies nothing a bank would lock no money up,
    /// but pay no payee.
    constructor(uint64 lead, bytes memory key, uint64 firstTime, uint64 interval) BankStorage(lead) {
        require(firstTime > 0 && interval > 0, InvalidSchedule(firstTime, interval));
        require(key.length == KEY_BYTES, InvalidPublicKey());
        bytes32[6] memory words = abi.decode(key, (bytes32[6]));
        (genesis, period) = (firstTime, interval);
        (KEY_0, KEY_1, KEY_2) = (words[0], words[1], words[2]);
        (KEY_3, KEY_4, KEY_5) = (words[3], words[4], words[5]);

        // slither-disable-next-line unused-return only whether the precompiles answer
        (bool hashed,) = Bls.hashToG1(0);
        require(hashed, NoPrecompiles());
        require(Bls.isPublicKey(words), InvalidPublicKey());
    }

    /// @inheritdoc IDrandBank
    function publicKey() external view returns (bytes memory) {
        return abi.encodePacked(_key());
    }

    /// @inheritdoc ChequeBank
    function _requireOnSchedule(uint64 drawTime) internal view override {
        require(drawTime >= genesis, DrawBeforeGenesis(drawTime, genesis));
        unchecked {
            require((drawTime - genesis) % period == 0, DrawOffSchedule(drawTime));
        }
    }

    /// @inheritdoc ChequeBank
    function _shownSeed(uint64 drawTime, bytes calldata proof) internal view override returns (bytes32) {
        if (proof.length != PROOF_BYTES) return 0;

        (bytes32 a, bytes32 b, bytes32 c) = (proof.loadCalldata(0), proof.loadCalldata(32), proof.loadCalldata(64));
        uint64 round = (drawTime - genesis) / period + 1;
        bytes32 message = Bls.sha(bytes32(bytes8(round)), 0, 8);
        return Bls.verifies(a, b, c, message, _key()) ? Bls.hashOfCompressed(a, b, c) : bytes32(0);
    }

    function _key() private view returns (bytes32[6] memory) {
        return [KEY_0, KEY_1, KEY_2, KEY_3, KEY_4, KEY_5];
    }
}
