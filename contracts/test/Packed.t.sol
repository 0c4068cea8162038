// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {Redemptions} from "../src/libraries/Redemptions.sol";
import {BaseTest} from "./BaseTest.sol";
import {Packing} from "./utils/Packing.sol";

/// @notice Unpacks redemptions with the bank's library.
contract Reader {
    using Redemptions for bytes;

    function unpack(bytes calldata r) external pure returns (IChequeBank.Redemption memory x) {
        x.deposit = IChequeBank.Deposit(
            r.payer(),
            r.signer(),
            r.token(),
            r.lane(),
            r.amount(),
            r.minPayout(),
            r.drawBlock(),
            r.lastRedeemBlock(),
            r.root()
        );
        (x.payee, x.allowance, x.salt, x.path) = (r.payee(), r.allowance(), r.salt(), r.path());
        (x.spent, x.signature, x.to, x.siblings) = (r.spent(), r.signature(), r.to(), r.siblings());
        uint256 k;
        (x.anchor, x.step, k, x.x) = r.stream();
        (x.k, x.header, x.consent) = (uint16(k), r.header(), r.consent());
    }

    function wellFormed(bytes calldata r) external pure returns (bool) {
        return r.wellFormed();
    }
}

/// @notice The packed form of a redemption, byte by byte.
contract PackedTest is BaseTest {
    uint256 private constant FIXED = 310;

    /// @dev Ann won half of a deposit and signed a consent, so anybody may redeem.
    function _consented() private returns (Round memory r, IChequeBank.Redemption memory x) {
        r = _smallRound(NATIVE, 0);
        _open(r);
        x = _redemption(r, ann.addr, 10);
        _stream(x, r.id, 2, 12, 10);
        x.header = _draw(r, _seedOf(r, ann.addr));
        x.consent = _consent(r, ann, 30, address(0));
    }

    function _cut(bytes memory packed, uint256 length) private pure returns (bytes memory cut) {
        cut = new bytes(length);
        for (uint256 i = 0; i < length; i++) {
            cut[i] = packed[i];
        }
    }

    function _expectMalformed(bytes memory packed) private {
        (IChequeBank.Outcome outcome, uint128 payout) = bank.outcomeOf(packed);
        assertEq(uint8(outcome), uint8(IChequeBank.Outcome.Malformed));
        assertEq(payout, 0);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.Malformed));
        bank.redeem(packed);
    }

    function testFuzz_EveryFieldIsReadFromItsPlace(IChequeBank.Redemption memory x, uint8 levels) public {
        x.signature = abi.encodePacked(keccak256(x.signature), keccak256(x.consent), levels);
        x.siblings = new bytes(uint256(levels) * 48);
        for (uint256 i = 0; i < x.siblings.length; i++) {
            // forge-lint: disable-next-line(unsafe-typecast) any byte
            x.siblings[i] = bytes1(uint8(i * 7 + 1));
        }
        bytes memory packed = Packing.pack(x);
        Reader reader = new Reader();
        assertTrue(reader.wellFormed(packed));
        assertEq(abi.encode(reader.unpack(packed)), abi.encode(x));
    }

    function test_BytesCutBeforeTheConsentAreMalformed() public {
        (, IChequeBank.Redemption memory x) = _consented();
        x.consent = "";
        bytes memory packed = _pack(x);
        for (uint256 length = 0; length < packed.length; length++) {
            bytes memory cut = _cut(packed, length);
            (IChequeBank.Outcome outcome,) = bank.outcomeOf(cut);
            assertEq(uint8(outcome), uint8(IChequeBank.Outcome.Malformed));
        }
        _expectMalformed(_cut(packed, 0));
        _expectMalformed(_cut(packed, FIXED - 1));
        _expectMalformed(_cut(packed, packed.length - 1));
    }

    function test_MoreThanOneStreamIsMalformed() public {
        (, IChequeBank.Redemption memory x) = _consented();
        bytes memory packed = bytes.concat(_pack(x), new bytes(255 * 82));
        for (uint256 streams = 2; streams < 256; streams++) {
            // forge-lint: disable-next-line(unsafe-typecast) below 256
            packed[307] = bytes1(uint8(streams));
            _expectMalformed(packed);
        }
    }

    /// A stream part of zeros means the same as no stream part.
    function test_StreamOfZerosIsNoStream() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        bytes memory packed = bytes.concat(_pack(_redemption(r, ann.addr, 100)), new bytes(82));
        packed[307] = 0x01;
        assertEq(bank.redeem(packed), 100);
    }

    function test_RestIsConsentOfAnyLength() public {
        (, IChequeBank.Redemption memory x) = _consented();
        bytes memory packed = _pack(x);
        (IChequeBank.Outcome outcome,) = bank.outcomeOf(packed);
        assertTrue(outcome == IChequeBank.Outcome.Payable);
        (outcome,) = bank.outcomeOf(_cut(packed, packed.length - 1));
        assertTrue(outcome == IChequeBank.Outcome.ConsentMissing);
        (outcome,) = bank.outcomeOf(bytes.concat(packed, hex"00"));
        assertTrue(outcome == IChequeBank.Outcome.ConsentMissing);
    }

    /// Every byte is signed, proven or agreed to, so each changed bit makes the redemption unpayable.
    function test_EveryByteCounts() public {
        (, IChequeBank.Redemption memory x) = _consented();
        bytes memory packed = _pack(x);
        for (uint256 i = 0; i < packed.length; i++) {
            bytes1 kept = packed[i];
            packed[i] = kept ^ 0x01;
            (IChequeBank.Outcome outcome,) = bank.outcomeOf(packed);
            assertTrue(outcome != IChequeBank.Outcome.Payable, vm.toString(i));
            packed[i] = kept;
        }
    }

    function testFuzz_ReadsAnyBytesWithoutReverting(bytes memory packed) public view {
        (IChequeBank.Outcome outcome, uint128 payout) = bank.outcomeOf(packed);
        bool malformed = outcome == IChequeBank.Outcome.Malformed;
        assertTrue(malformed || (packed.length >= FIXED && outcome == IChequeBank.Outcome.NotOpen));
        assertEq(payout, 0);
    }

    /// Items of a batch are adjacent in calldata. The bank must not complete a short item from the next.
    function test_ShortBatchItemIsNotCompletedByTheNext() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        bytes memory good = _pack(_redemption(r, ann.addr, 100));
        bytes[] memory items = new bytes[](4);
        items[0] = "";
        items[1] = _cut(good, FIXED - 1);
        items[2] = bytes.concat(good, hex"");
        items[2][309] = 0x01; // announces one byte of header, which is missing
        items[3] = good;
        uint128[] memory payouts = bank.redeemBatch(items);
        assertEq(payouts[0], 0);
        assertEq(payouts[1], 0);
        assertEq(payouts[2], 0);
        assertEq(payouts[3], 100);
        _assertConserved(NATIVE);
    }
}
