// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Headers} from "./utils/Headers.sol";

/// @notice Which bytes count as a header. In every test the block's hash is the hash of the bytes shown, so that only
/// their form can be wrong; that a chain has such a block at all is what no attacker can bring about.
contract HeaderTest is BaseTest {
    bytes32 private constant MIX = keccak256("mix");
    uint256 private constant BLOCK = START_BLOCK - 10;

    function _good() private pure returns (bytes[] memory) {
        return Headers.fields(BLOCK, MIX, "an honest builder");
    }

    function _expectGood(bytes memory header) private {
        uint256 snapshot = vm.snapshotState();
        _setHash(BLOCK, keccak256(header));
        assertEq(bank.recordSeed(BLOCK, header), MIX);
        vm.revertToState(snapshot);
    }

    function _expectBad(bytes memory header) private {
        _setHash(BLOCK, keccak256(header));
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidHeader.selector, BLOCK));
        bank.recordSeed(BLOCK, header);
    }

    /// @dev The good header with one field replaced by these bytes.
    function _with(uint256 field, bytes memory rlp) private pure returns (bytes memory) {
        bytes[] memory f = _good();
        f[field] = rlp;
        return Headers.list(f);
    }

    /// @dev The bytes of the good header's list, without its prefix of three bytes.
    function _payload() private pure returns (bytes memory payload) {
        bytes[] memory f = _good();
        for (uint256 i = 0; i < f.length; i++) {
            payload = bytes.concat(payload, f[i]);
        }
    }

    /* GOOD */

    function test_AcceptsAnyLengthOfExtraData() public {
        for (uint256 length = 0; length <= 200; length++) {
            _expectGood(Headers.list(Headers.fields(BLOCK, MIX, new bytes(length))));
        }
    }

    function testFuzz_AcceptsAnyExtraData(bytes memory extraData) public {
        _expectGood(Headers.list(Headers.fields(BLOCK, MIX, extraData)));
    }

    function test_AcceptsASingleByteOfExtraData() public {
        _expectGood(_with(Headers.EXTRA_DATA, hex"00"));
        _expectGood(_with(Headers.EXTRA_DATA, hex"7f"));
        _expectGood(_with(Headers.EXTRA_DATA, hex"8180"));
        _expectGood(_with(Headers.EXTRA_DATA, hex"80"));
    }

    /// Paris, Shanghai, Cancun, Prague.
    function test_AcceptsTheHeadersOfEveryForkSinceTheMerge() public {
        uint256[4] memory counts = [uint256(16), 17, 20, 21];
        for (uint256 i = 0; i < counts.length; i++) {
            _expectGood(Headers.list(Headers.resized(_good(), counts[i], "")));
        }
    }

    function testFuzz_AcceptsFieldsOfLaterForks(uint8 count, bytes memory content) public {
        _expectGood(Headers.list(Headers.resized(_good(), bound(count, 22, 40), Headers.str(content))));
    }

    function testFuzz_AcceptsAnyOrdinaryFields(uint64 gasLimit, uint64 gasUsed, uint256 baseFee, address builder)
        public
    {
        bytes[] memory f = _good();
        f[2] = Headers.str(abi.encodePacked(builder));
        f[9] = Headers.num(gasLimit);
        f[10] = Headers.num(gasUsed);
        f[15] = Headers.num(baseFee);
        _expectGood(Headers.list(f));
    }

    /* THE WHOLE */

    function testFuzz_RejectsTrailingBytes(uint8 length) public {
        bytes memory header = Headers.list(_good());
        _expectBad(bytes.concat(header, new bytes(uint256(length) + 1)));
        _expectBad(bytes.concat(header, header));
    }

    function testFuzz_RejectsTruncatedHeaders(uint256 length) public {
        bytes memory header = Headers.list(_good());
        bytes memory cut = new bytes(length % header.length);
        for (uint256 i = 0; i < cut.length; i++) {
            cut[i] = header[i];
        }
        _expectBad(cut);
    }

    function test_RejectsListLengthOffByOne() public {
        bytes memory payload = _payload();
        _expectGood(bytes.concat(hex"f9", bytes2(uint16(payload.length)), payload));
        _expectBad(bytes.concat(hex"f9", bytes2(uint16(payload.length + 1)), payload));
        _expectBad(bytes.concat(hex"f9", bytes2(uint16(payload.length - 1)), payload));
    }

    /// A length with a leading zero, in more bytes than it needs.
    function test_RejectsListPrefixThatIsNotTheShortest() public {
        bytes memory payload = _payload();
        _expectBad(bytes.concat(hex"fa", bytes3(uint24(payload.length)), payload));
        _expectBad(bytes.concat(hex"fb", bytes4(uint32(payload.length)), payload));
        _expectBad(bytes.concat(hex"ff", bytes8(uint64(payload.length)), payload));
    }

    function test_RejectsStringInsteadOfList() public {
        bytes memory payload = _payload();
        _expectBad(bytes.concat(hex"b9", bytes2(uint16(payload.length)), payload));
        _expectBad(payload);
        bytes[] memory wrapped = new bytes[](1);
        wrapped[0] = Headers.list(_good());
        _expectBad(Headers.list(wrapped));
    }

    function test_RejectsHugeLengths() public {
        _expectBad(hex"ffffffffffffffffff");
        _expectBad(bytes.concat(hex"ffffffffffffffffff", _payload()));
        _expectBad(_with(0, hex"bfffffffffffffffff"));
        _expectBad(_with(Headers.EXTRA_DATA, hex"bfffffffffffffffff"));
        _expectBad(_with(Headers.EXTRA_DATA, hex"bfffffffffffffff00"));
    }

    function testFuzz_RejectsNoise(bytes memory noise) public {
        _expectBad(noise);
        _expectBad(bytes.concat(hex"f90200", noise));
    }

    /// A transaction, an account or a short list is no header.
    function test_RejectsListsWithFewerFields() public {
        for (uint256 count = 0; count < 14; count++) {
            _expectBad(Headers.list(Headers.resized(_good(), count, "")));
        }
    }

    function testFuzz_RejectsEveryChangedByteForTheKnownHash(uint256 position, uint8 flip) public {
        vm.assume(flip != 0);
        bytes memory header = Headers.list(_good());
        _setHash(BLOCK, keccak256(header));
        position = position % header.length;
        header[position] ^= bytes1(flip);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidHeader.selector, BLOCK));
        bank.recordSeed(BLOCK, header);
    }

    /* DIFFICULTY */

    function testFuzz_RejectsAnyDifficulty(uint256 difficulty) public {
        _expectBad(_with(Headers.DIFFICULTY, Headers.num(difficulty == 0 ? 1 : difficulty)));
    }

    function test_RejectsZeroDifficultyInOtherForms() public {
        _expectBad(_with(Headers.DIFFICULTY, hex"00"));
        _expectBad(_with(Headers.DIFFICULTY, hex"8100"));
        _expectBad(_with(Headers.DIFFICULTY, hex"b800"));
        _expectBad(_with(Headers.DIFFICULTY, hex"c0"));
        _expectBad(_with(Headers.DIFFICULTY, ""));
    }

    /* MIX HASH */

    function test_RejectsMixHashOfAnotherLength() public {
        _expectBad(_with(Headers.MIX_HASH, hex"80"));
        _expectBad(_with(Headers.MIX_HASH, Headers.str(abi.encodePacked(bytes31(MIX)))));
        _expectBad(_with(Headers.MIX_HASH, Headers.str(bytes.concat(MIX, hex"00"))));
        _expectBad(_with(Headers.MIX_HASH, bytes.concat(hex"b820", MIX)));
        _expectBad(_with(Headers.MIX_HASH, bytes.concat(hex"e0", MIX)));
        _expectBad(_with(Headers.MIX_HASH, ""));
    }

    function test_RejectsMixHashWithoutRandomness() public {
        _expectBad(_with(Headers.MIX_HASH, Headers.word(bytes32(uint256(1 << 64)))));
        _expectBad(_with(Headers.MIX_HASH, Headers.word(0)));
        // Like Polygon and Arbitrum: constants and counters.
        _expectBad(_with(Headers.MIX_HASH, Headers.word(bytes32(uint256(1)))));
    }

    /// The extra data of a builder may look like a mixHash, and like a nonce behind it. Its place counts.
    function testFuzz_ExtraDataCannotPoseAsTheMixHash(bytes32 wanted, uint8 before) public {
        bytes memory extra = bytes.concat(new bytes(before), hex"a0", wanted, hex"880000000000000000");
        _expectGood(Headers.list(Headers.fields(BLOCK, MIX, extra)));
    }

    /* OTHER FIELDS */

    /// Extra data with a length prefix longer than needed: no client writes such a header.
    function test_RejectsStringPrefixThatIsNotTheShortest() public {
        _expectBad(_with(Headers.EXTRA_DATA, hex"8100"));
        _expectBad(_with(Headers.EXTRA_DATA, hex"817f"));
        _expectBad(_with(Headers.EXTRA_DATA, bytes.concat(hex"b837", new bytes(55))));
        _expectBad(_with(Headers.EXTRA_DATA, bytes.concat(hex"b90038", new bytes(56))));
        _expectBad(_with(Headers.EXTRA_DATA, bytes.concat(hex"b800")));
        _expectGood(_with(Headers.EXTRA_DATA, bytes.concat(hex"b838", new bytes(56))));
        _expectGood(_with(Headers.EXTRA_DATA, bytes.concat(hex"b7", new bytes(55))));
    }

    /// Hashes, the beneficiary and the bloom have one length only: the bytes that tell it are fixed.
    function test_RejectsEveryOtherPrefixOfAFieldOfFixedLength() public {
        uint256[9] memory positions = [uint256(0), 33, 66, 87, 120, 153, 186, 187, 188];
        for (uint256 i = 0; i < positions.length; i++) {
            for (uint256 bit = 0; bit < 8; bit++) {
                bytes memory header = Headers.list(_good());
                header[3 + positions[i]] ^= bytes1(uint8(1 << bit));
                _expectBad(header);
            }
        }
    }

    /// Number, gas limit, gas used and time are integers of at most 32 bytes, without leading zeros.
    function test_RejectsIntegersThatAreNotCanonical() public {
        for (uint256 field = Headers.NUMBER; field < Headers.EXTRA_DATA; field++) {
            _expectBad(_with(field, hex"00"));
            _expectBad(_with(field, hex"8200ff"));
            _expectBad(_with(field, Headers.word(bytes32(uint256(1)))));
            _expectBad(_with(field, Headers.str(bytes.concat(hex"01", bytes32(0)))));
            _expectGood(_with(field, Headers.num(0)));
            _expectGood(_with(field, Headers.num(type(uint256).max)));
        }
    }

    /// A list where a string should be would shift all fields behind it.
    function test_RejectsListAmongTheFieldsBeforeTheMixHash() public {
        for (uint256 field = 0; field < Headers.MIX_HASH; field++) {
            _expectBad(_with(field, hex"c0"));
            _expectBad(_with(field, hex"c3010203"));
        }
    }

    /// A field that claims to reach beyond the list.
    function test_RejectsFieldThatOverrunsTheList() public {
        bytes[] memory f = _good();
        f[20] = bytes.concat(hex"a1", keccak256("requests"));
        _expectBad(Headers.list(f));
        f = Headers.resized(_good(), 14, "");
        f[13] = bytes.concat(hex"a0", bytes31(MIX));
        _expectBad(Headers.list(f));
    }
}
