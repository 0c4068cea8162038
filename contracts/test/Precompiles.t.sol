// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Beacon} from "./utils/Beacon.sol";

/// @notice Chains whose precompiles answer otherwise than they should. Each call must succeed and answer with exactly
/// the right number of bytes.
contract PrecompilesTest is BaseTest {
    address private constant SHA256 = address(0x02);
    address private constant MODEXP = address(0x05);
    address private constant G1ADD = address(0x0b);
    address private constant PAIRING = address(0x0f);
    address private constant MAP = address(0x10);
    uint64 private constant TIME = uint64(START_TIME);

    function _expectRefused() private {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, TIME));
        bank.recordSeed{gas: 1_000_000}(TIME, new bytes(96));
    }

    function _expectAccepted() private {
        uint256 snapshot = vm.snapshotState();
        bank.recordSeed{gas: 1_000_000}(TIME, new bytes(96));
        assertTrue(bank.seed(TIME) != 0);
        vm.revertToState(snapshot);
    }

    function _zeros(uint256 length) private pure returns (bytes memory) {
        return new bytes(length);
    }

    /// With these answers the bank accepts anything, so a refusal below is due to the one answer that is changed.
    function _mockAll() private {
        vm.mockCall(PAIRING, bytes(""), abi.encode(1));
        vm.mockCall(MODEXP, bytes(""), _zeros(64));
        vm.mockCall(MAP, bytes(""), _zeros(128));
        vm.mockCall(G1ADD, bytes(""), _zeros(128));
        vm.mockCall(SHA256, bytes(""), abi.encode(keccak256("hash")));
        _expectAccepted();
    }

    function _expectLengthChecked(address precompile, bytes memory right) private {
        _mockAll();
        uint256[5] memory lengths = [uint256(0), 31, right.length - 1, right.length + 1, 2 * right.length];
        for (uint256 i = 0; i < lengths.length; i++) {
            bytes memory answer = _zeros(lengths[i]);
            for (uint256 j = 0; j < lengths[i] && j < right.length; j++) {
                answer[j] = right[j];
            }
            vm.mockCall(precompile, bytes(""), answer);
            _expectRefused();
        }
        vm.clearMockedCalls();
        _mockAll();
        vm.mockCallRevert(precompile, bytes(""), right);
        _expectRefused();
        vm.clearMockedCalls();
        _mockAll();
    }

    function test_AnswerOfThePairingIsOneWordThatIsOne() public {
        _expectLengthChecked(PAIRING, abi.encode(1));
        uint256[4] memory others = [uint256(0), 2, 1 << 255, type(uint256).max];
        for (uint256 i = 0; i < others.length; i++) {
            vm.mockCall(PAIRING, bytes(""), abi.encode(others[i]));
            _expectRefused();
        }
    }

    function test_AnswerOfMapHas128Bytes() public {
        _expectLengthChecked(MAP, _zeros(128));
    }

    function test_AnswerOfAddHas128Bytes() public {
        _expectLengthChecked(G1ADD, _zeros(128));
    }

    function test_AnswerOfModexpHas64Bytes() public {
        _expectLengthChecked(MODEXP, _zeros(64));
    }

    function test_AnswerOfSha256Has32Bytes() public {
        _expectLengthChecked(SHA256, abi.encode(keccak256("hash")));
    }

    /// The last hash makes the seed: without its answer no seed exists.
    function test_AnswerToTheCompressedSignatureHas32Bytes() public {
        bytes memory compressed = bytes.concat(hex"80", _zeros(47));
        uint256[4] memory lengths = [uint256(0), 31, 33, 64];
        for (uint256 i = 0; i < lengths.length; i++) {
            _mockAll();
            vm.mockCall(SHA256, compressed, _zeros(lengths[i]));
            _expectRefused();
            bytes memory ones = _zeros(lengths[i]);
            for (uint256 j = 0; j < ones.length; j++) {
                ones[j] = 0x01;
            }
            vm.mockCall(SHA256, compressed, ones);
            _expectRefused();
            vm.clearMockedCalls();
        }
    }

    /* DEPLOYMENT */

    function _expectNoBank(bytes4 why) private {
        bytes memory code = vm.getCode("DrandBank.sol:DrandBank");
        code = bytes.concat(code, abi.encode(uint64(7), _key, GENESIS, PERIOD));
        vm.expectRevert(why);
        this.create{gas: 10_000_000}(code);
    }

    function create(bytes calldata code) external returns (address made) {
        bytes memory init = code;
        assembly ("memory-safe") {
            made := create(0, add(init, 32), mload(init))
            if iszero(made) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    bytes private _key;

    /// The two pairings of the constructor: one must hold, the other must not.
    function test_NoBankWhereThePairingAnswersConstantly() public {
        _key = Beacon.publicKey(Beacon.SECRET);
        bytes[5] memory answers = [abi.encode(1), abi.encode(0), bytes(""), _zeros(64), abi.encode(2)];
        for (uint256 i = 0; i < answers.length; i++) {
            vm.mockCall(PAIRING, bytes(""), answers[i]);
            _expectNoBank(IDrandBank.InvalidPublicKey.selector);
        }
        vm.clearMockedCalls();
        assertTrue(address(_deploy(7)) != address(0));
    }

    function test_NoBankWithoutHashingToTheCurve() public {
        _key = Beacon.publicKey(Beacon.SECRET);
        address[4] memory needed = [SHA256, MODEXP, MAP, G1ADD];
        for (uint256 i = 0; i < needed.length; i++) {
            vm.mockCall(needed[i], bytes(""), bytes(""));
            _expectNoBank(IDrandBank.NoPrecompiles.selector);
            vm.clearMockedCalls();
        }
    }
}
