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

    /// @dev Bytes of a proof, and of half a public key: two coordinates.
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

    /// @dev Proves that the chain has what the draw needs: a draw that no chain can verify would lock no money up, but
    /// would pay nobody.
    constructor(uint64 lead, bytes memory key, uint64 firstTime, uint64 seconds_) BankStorage(lead) {
        require(firstTime > 0 && seconds_ > 0, InvalidSchedule(firstTime, seconds_));
        require(key.length == KEY_BYTES, InvalidPublicKey());
        (genesis, period) = (firstTime, seconds_);
        (KEY_0, KEY_1, KEY_2) = (key.load(0), key.load(32), key.load(64));
        (KEY_3, KEY_4, KEY_5) = (key.load(96), key.load(128), key.load(160));

        // slither-disable-next-line unused-return only whether the precompiles answer
        Bls.hashToG1("");
        bool isKey = Bls.isPublicKey(
            bytes.concat(
                Bls.pad(key.load(0), key.load(32), key.load(64)), Bls.pad(key.load(96), key.load(128), key.load(160))
            )
        );
        require(isKey, InvalidPublicKey());
    }

    /// @inheritdoc IDrandBank
    function publicKey() external view returns (bytes memory) {
        return abi.encodePacked(KEY_0, KEY_1, KEY_2, KEY_3, KEY_4, KEY_5);
    }

    /// @inheritdoc ChequeBank
    function _requireOnSchedule(uint64 drawTime) internal view override {
        require(drawTime >= genesis, DrawBeforeGenesis(drawTime, genesis));
        require((drawTime - genesis) % period == 0, DrawOffSchedule(drawTime));
    }

    /// @inheritdoc ChequeBank
    function _shownSeed(uint64 drawTime, bytes calldata proof) internal view override returns (bytes32) {
        if (proof.length != PROOF_BYTES) return 0;

        uint64 round = (drawTime - genesis) / period + 1;
        bytes memory message = abi.encodePacked(Bls.sha(abi.encodePacked(round)));
        (bytes32 a, bytes32 b, bytes32 c) = (proof.loadCalldata(0), proof.loadCalldata(32), proof.loadCalldata(64));
        bytes memory key = bytes.concat(Bls.pad(KEY_0, KEY_1, KEY_2), Bls.pad(KEY_3, KEY_4, KEY_5));
        if (!Bls.verifies(Bls.pad(a, b, c), message, key)) return 0;

        return Bls.sha(Bls.compress(a, b, c));
    }
}
