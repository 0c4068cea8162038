// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {Claim, Redemptions} from "../src/libraries/Redemptions.sol";
import {BaseTest} from "./BaseTest.sol";
import {Packing} from "./utils/Packing.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @notice Unpacks redemptions with the bank's library.
contract Reader {
    using Redemptions for bytes;

    /// @dev All but the deposit's amount and root, which are not packed.
    function unpack(bytes calldata r) external pure returns (IChequeBank.Redemption memory x) {
        Claim memory c;
        require(r.parse(c), "malformed");
        (x.deposit.payer, x.deposit.signer, x.deposit.token) = (r.payer(), r.signer(), c.token);
        (x.deposit.lane, x.deposit.minPayout) = (r.lane(), r.minPayout());
        (x.deposit.drawTime, x.deposit.redeemUntil) = (r.drawTime(), r.redeemUntil());
        (x.payee, x.allowance, x.path, x.spent) = (r.payee(), r.allowance(), r.path(), r.spent());
        x.salt = bytes16(bytes(r.leaf())[36:52]);
        (x.signature, x.to) = (r.signature(), c.to);
        uint256 k;
        if (r.hasStream()) (x.anchor, x.step, k, x.x) = r.stream(c);
        (x.k, x.consent, x.siblings) = (uint16(k), r.consent(c), _widened(r));
    }

    /// @dev The siblings with sums of 16 bytes.
    function _widened(bytes calldata r) private pure returns (bytes memory all) {
        uint256 level = 32 + r.sumBytes();
        bytes calldata siblings = r.siblings();
        for (uint256 i = 0; i < siblings.length; i += level) {
            bytes calldata sum = siblings[i + 32:i + level];
            all = bytes.concat(all, siblings[i:i + 32], new bytes(16 - sum.length), sum);
        }
    }

    function wellFormed(bytes calldata r) external pure returns (bool found, Claim memory c) {
        found = r.parse(c);
    }
}

/// @notice The packed form of a redemption, byte by byte.
contract PackedTest is BaseTest {
    uint256 private constant LEAST = 220;
    uint256 private constant FORM = 219;

    /// @dev Ann won half of a deposit and signed a consent, so anybody may redeem.
    function _consented() private returns (Round memory r, IChequeBank.Redemption memory x) {
        r = _smallRound(address(token), 0);
        _open(r);
        x = _redemption(r, ann.addr, 10);
        _stream(x, r.id, 2, 12, 10);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        x.to = cyd.addr;
        x.consent = _consent(r, ann, 30, cyd.addr);
    }

    /// @dev A deposit that Ann has won, with the redemption that anybody may send.
    function _won() private returns (Round memory r, IChequeBank.Redemption memory x) {
        r = _smallRound(NATIVE, 100);
        _open(r);
        x = _redemption(r, ann.addr, 60);
        _drawAndRecord(r, _seedOf(r, ann.addr));
    }

    function _cut(bytes memory packed, uint256 length) private pure returns (bytes memory) {
        return LibBytes.slice(packed, 0, length);
    }

    function _outcome(bytes memory packed) private view returns (IChequeBank.Outcome outcome) {
        (outcome,) = bank.outcomeOf(packed, "");
    }

    function _expectMalformed(bytes memory packed) private {
        (IChequeBank.Outcome outcome, uint128 payout) = bank.outcomeOf(packed, "");
        assertEq(uint8(outcome), uint8(IChequeBank.Outcome.Malformed));
        assertEq(payout, 0);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.Malformed));
        bank.redeem(packed, "");
    }

    /* FIELDS */

    function testFuzz_EveryFieldIsReadFromItsPlace(IChequeBank.Redemption memory x, uint8 levels, uint8 width) public {
        x.signature = abi.encodePacked(keccak256(x.signature), keccak256(x.consent), levels);
        width = 1 + width % 16;
        x.siblings = "";
        for (uint256 i = 0; i < levels; i++) {
            bytes memory sum = LibBytes.slice(abi.encodePacked(keccak256(abi.encode(x.anchor, i))), 0, width);
            x.siblings = bytes.concat(x.siblings, keccak256(abi.encode(x.x, i)), new bytes(16 - width), sum);
        }
        (x.deposit.amount, x.deposit.root) = (0, 0);
        assertEq(abi.encode(new Reader().unpack(Packing.pack(x, width))), abi.encode(x));
        assertEq(abi.encode(new Reader().unpack(Packing.pack(x, 16))), abi.encode(x));
    }

    /// Every byte is signed, proven or agreed to, so each changed bit makes the redemption unpayable.
    function test_EveryBitCounts() public {
        (, IChequeBank.Redemption memory x) = _consented();
        bytes memory packed = _pack(x);
        assertTrue(_outcome(packed) == IChequeBank.Outcome.Payable);
        for (uint256 i = 0; i < packed.length * 8; i++) {
            packed[i / 8] ^= bytes1(uint8(1 << (i % 8)));
            assertTrue(_outcome(packed) != IChequeBank.Outcome.Payable, vm.toString(i));
            packed[i / 8] ^= bytes1(uint8(1 << (i % 8)));
        }
    }

    /* FORMS */

    function test_HighestBitOfTheFormIsZero() public {
        (, IChequeBank.Redemption memory x) = _won();
        bytes memory packed = _pack(x);
        packed[FORM] |= 0x80;
        _expectMalformed(packed);
        packed[FORM] ^= 0x80;
        assertEq(bank.redeem(packed, ""), 100);
    }

    /// A sum may take more bytes than it needs, and a part may be there and zero.
    function test_LongerFormsMeanTheSame() public {
        (, IChequeBank.Redemption memory x) = _won();
        for (uint256 width = 1; width <= 16; width++) {
            assertTrue(_outcome(Packing.pack(x, width)) == IChequeBank.Outcome.Payable);
        }
        bytes memory packed = _pack(x);
        uint256[8] memory zeros = [uint256(0), 20, 20, 40, 82, 102, 102, 122];
        for (uint256 parts = 0; parts < 8; parts++) {
            bytes memory longer = bytes.concat(packed, new bytes(zeros[parts]));
            // forge-lint: disable-next-line(unsafe-typecast) below 128
            longer[FORM] = bytes1(uint8(packed[FORM]) + uint8(parts << 4));
            assertTrue(_outcome(longer) == IChequeBank.Outcome.Payable, vm.toString(parts));
            _expectMalformed(_cut(longer, packed.length + zeros[parts] - 1));
        }
    }

    /// A token or recipient that is there counts, of whatever value.
    function test_PartsThatAreThereCount() public {
        (, IChequeBank.Redemption memory x) = _won();
        x.deposit.token = address(token);
        assertTrue(_outcome(_pack(x)) == IChequeBank.Outcome.NotOpen);
        (x.deposit.token, x.to) = (NATIVE, cyd.addr);
        assertTrue(_outcome(_pack(x)) == IChequeBank.Outcome.ConsentMissing);
        (x.to, x.k) = (address(0), 1);
        assertTrue(_outcome(_pack(x)) == IChequeBank.Outcome.BadStream);
    }

    /* LENGTH */

    function test_BytesCutBeforeTheConsentAreMalformed() public {
        (, IChequeBank.Redemption memory x) = _consented();
        x.consent = "";
        bytes memory packed = _pack(x);
        for (uint256 length = 0; length < packed.length; length++) {
            assertTrue(_outcome(_cut(packed, length)) == IChequeBank.Outcome.Malformed);
        }
        _expectMalformed("");
        _expectMalformed(_cut(packed, LEAST - 1));
        _expectMalformed(_cut(packed, packed.length - 1));
    }

    /// At the least length there are no siblings: Ann owns the whole deposit.
    function test_LeastLengthIs220() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        bytes memory packed = _pack(_redemption(r, ann.addr, 100));
        assertEq(packed.length, LEAST);
        _expectMalformed(_cut(packed, LEAST - 1));
        assertEq(bank.redeem(packed, ""), 100);
    }

    function test_RestIsConsentOfAnyLength() public {
        (, IChequeBank.Redemption memory x) = _consented();
        bytes memory packed = _pack(x);
        assertTrue(_outcome(packed) == IChequeBank.Outcome.Payable);
        assertTrue(_outcome(_cut(packed, packed.length - 1)) == IChequeBank.Outcome.ConsentMissing);
        assertTrue(_outcome(bytes.concat(packed, hex"00")) == IChequeBank.Outcome.ConsentMissing);
    }

    /* BEHIND THE END */

    function testFuzz_ReadsAnyBytesWithoutReverting(bytes memory packed) public view {
        (IChequeBank.Outcome outcome, uint128 payout) = bank.outcomeOf(packed, "");
        _assertNothingFound(packed.length, outcome);
        assertEq(payout, 0);
    }

    /// The same with lengths, levels and forms that real redemptions have.
    function testFuzz_ReadsLikelyBytesWithoutReverting(bytes32 random, uint16 length, uint8 levels, uint8 form)
        public
        view
    {
        bytes memory packed = new bytes(length % 3000);
        for (uint256 i = 0; i < packed.length; i++) {
            packed[i] = random[i % 32];
        }
        if (packed.length >= LEAST) (packed[FORM - 1], packed[FORM]) = (bytes1(levels), bytes1(form));
        _assertNothingFound(packed.length, _outcome(packed));
    }

    function _assertNothingFound(uint256 length, IChequeBank.Outcome outcome) private pure {
        bool malformed = outcome == IChequeBank.Outcome.Malformed;
        bool judged = outcome == IChequeBank.Outcome.BadProof || outcome == IChequeBank.Outcome.NotOpen;
        assertTrue(malformed || (length >= LEAST && judged));
    }

    function test_MalformedBytesLeaveTheClaimZero() public {
        (, IChequeBank.Redemption memory x) = _consented();
        x.consent = "";
        bytes memory packed = _pack(x);
        Reader reader = new Reader();
        Claim memory nothing;
        for (uint256 length = 0; length < packed.length; length++) {
            (bool found, Claim memory c) = reader.wellFormed(_cut(packed, length));
            assertFalse(found);
            assertEq(abi.encode(c), abi.encode(nothing));
        }
    }

    /// @dev The call with a redemption whose length is given as `length`, and with all of its bytes there.
    function _shortened(bytes memory packed, uint256 length) private pure returns (bytes memory data) {
        data = abi.encodeCall(IChequeBank.redeem, (packed, ""));
        assembly ("memory-safe") {
            mstore(add(data, 100), length) // after the data's length, the selector and two offsets
        }
    }

    /// Attack: announce fewer bytes than follow in the call.
    function test_RedemptionEndsWhereItsLengthSays() public {
        (, IChequeBank.Redemption memory x) = _consented();
        bytes memory packed = _pack(x);
        for (uint256 length = 0; length < packed.length; length++) {
            IChequeBank.Outcome expected = length < packed.length - x.consent.length
                ? IChequeBank.Outcome.Malformed
                : IChequeBank.Outcome.ConsentMissing;
            (bool done, bytes memory answer) = address(bank).call(_shortened(packed, length));
            assertFalse(done);
            assertEq(answer, abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, expected));
        }
        (bool paid,) = address(bank).call(_shortened(packed, packed.length));
        assertTrue(paid);
    }

    /// Items of a batch are adjacent in calldata. The bank must not complete a short item from the next, nor report
    /// an account that it read there.
    function test_ShortBatchItemIsNotCompletedByTheNext() public {
        (Round memory r, IChequeBank.Redemption memory x) = _won();
        bytes memory good = _pack(x);
        bytes[] memory items = new bytes[](5);
        items[0] = "";
        items[1] = _cut(good, LEAST - 1);
        items[2] = _cut(good, good.length - 1);
        items[3] = bytes.concat(good, ""); // announces a stream, which is missing
        items[3][FORM] |= 0x40;
        items[4] = good;
        for (uint256 i = 0; i < 4; i++) {
            vm.expectEmit(address(bank));
            emit IChequeBank.Skipped(0, address(0), IChequeBank.Outcome.Malformed);
        }
        uint128[] memory payouts = bank.redeemBatch(items, new uint64[](0), new bytes[](0));
        assertEq(payouts.length, 5);
        for (uint256 i = 0; i < 5; i++) {
            assertEq(payouts[i], i < 4 ? 0 : 100);
        }
        assertEq(_openId(r), 0);
        _assertConserved(NATIVE);
    }
}
