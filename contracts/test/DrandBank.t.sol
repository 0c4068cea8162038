// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Beacon} from "./utils/Beacon.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @notice Draws by real rounds of quicknet, and by those of the test beacon.
contract DrandBankTest is BaseTest {
    struct RealRound {
        bytes proof;
        uint64 round;
        bytes32 seed;
        bytes signature;
    }

    string private constant FILE = "contracts/test/vectors/quicknet.json";
    uint64 private constant QUICKNET_GENESIS = 1_692_803_367;

    IChequeBank private quicknet;
    RealRound[] private rounds;

    function setUp() public override {
        super.setUp();
        string memory file = vm.readFile(FILE);
        bytes memory key = vm.parseJsonBytes(file, ".publicKey");
        quicknet = _deploy(MIN_LEAD, key, QUICKNET_GENESIS, 3);
        bytes memory list =
            vm.parseJsonTypeArray(file, ".rounds", "RealRound(bytes proof,uint64 round,bytes32 seed,bytes signature)");
        RealRound[] memory all = abi.decode(list, (RealRound[]));
        for (uint256 i = 0; i < all.length; i++) {
            rounds.push(all[i]);
        }
    }

    function _time(uint64 round) private pure returns (uint64) {
        return QUICKNET_GENESIS + (round - 1) * 3;
    }

    function _expectRefused(IChequeBank by, uint64 drawTime, bytes memory proof) private {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, drawTime));
        // A point that the precompile refuses burns the gas of the call.
        by.recordSeed{gas: 1_000_000}(drawTime, proof);
    }

    function test_SettingsAreKept() public view {
        IDrandBank settings = IDrandBank(address(quicknet));
        assertEq(settings.publicKey(), vm.parseJsonBytes(vm.readFile(FILE), ".publicKey"));
        assertEq(settings.genesis(), QUICKNET_GENESIS);
        assertEq(settings.period(), 3);
        assertEq(quicknet.minLead(), MIN_LEAD);
    }

    function test_RealRoundsGiveTheirPublishedRandomness() public {
        for (uint256 i = 0; i < rounds.length; i++) {
            RealRound memory r = rounds[i];
            vm.expectEmit(address(quicknet));
            emit IChequeBank.SeedRecorded(_time(r.round), r.seed);
            assertEq(quicknet.recordSeed(_time(r.round), r.proof), r.seed);
            assertEq(quicknet.seed(_time(r.round)), r.seed);
            assertEq(sha256(r.signature), r.seed);
        }
    }

    function test_SeedHasTheSignOfY() public {
        uint256 larger = 0;
        for (uint64 round = 1; round <= 12; round++) {
            bytes memory proof = Beacon.sign(Beacon.SECRET, round);
            bytes32 seed = Beacon.seed(proof);
            assertEq(bank.recordSeed(GENESIS + (round - 1) * PERIOD, proof), seed);
            proof[0] |= 0xa0;
            if (sha256(LibBytes.slice(proof, 0, 48)) == seed) larger++;
        }
        assertGt(larger, 0);
        assertLt(larger, 12);
    }

    function test_ProofsOfOtherLengthsAreRefused() public {
        uint64 time = _time(rounds[0].round);
        _expectRefused(quicknet, time, "");
        _expectRefused(quicknet, time, rounds[0].signature);
        _expectRefused(quicknet, time, LibBytes.slice(rounds[0].proof, 0, 95));
        _expectRefused(quicknet, time, bytes.concat(rounds[0].proof, hex"00"));
    }

    function test_IdentityIsNoSignature() public {
        _expectRefused(quicknet, _time(rounds[0].round), new bytes(96));
    }

    function test_RejectsBadSettings() public {
        bytes memory key = vm.parseJsonBytes(vm.readFile(FILE), ".publicKey");
        _expectNoBank(0, key, 1, 1, abi.encodeWithSelector(IChequeBank.LeadOutOfRange.selector, 0, 30 days));
        _expectNoBank(
            30 days + 1, key, 1, 1, abi.encodeWithSelector(IChequeBank.LeadOutOfRange.selector, 30 days + 1, 30 days)
        );
        _expectNoBank(1, key, 0, 3, abi.encodeWithSelector(IDrandBank.InvalidSchedule.selector, 0, 3));
        _expectNoBank(1, key, 3, 0, abi.encodeWithSelector(IDrandBank.InvalidSchedule.selector, 3, 0));
        bytes memory badKey = abi.encodeWithSelector(IDrandBank.InvalidPublicKey.selector);
        _expectNoBank(1, "", 1, 1, badKey);
        _expectNoBank(1, bytes.concat(key, hex"00"), 1, 1, badKey);
        _expectNoBank(1, new bytes(192), 1, 1, badKey); // the identity
        key[191] ^= 0x01;
        _expectNoBank(1, key, 1, 1, badKey); // off the curve
    }

    /// On the curve, so that only the pairing's check of the subgroup refuses the point.
    function test_RejectsAKeyOutsideTheSubgroup() public {
        // x = 2, and y a square root of x^3 + 4 (1 + i).
        bytes[4] memory coordinates = [
            bytes.concat(new bytes(47), hex"02"),
            new bytes(48),
            hex"18c6b864ae17dc9da64203ffefb966306425a7bc6aeb7c75247438372716284a4173830420cd476ba1a365b95bfcec38",
            hex"172e93db764a8400a7d5071b6b6f5de0da2f0f4a063119abca014006b7c40a2cfe291a1924e65db0d6d0fcfbf3bf3d5c"
        ];
        (bytes memory key, bytes memory padded) = ("", "");
        for (uint256 i = 0; i < 4; i++) {
            key = bytes.concat(key, coordinates[i]);
            padded = bytes.concat(padded, new bytes(16), coordinates[i]);
        }
        // G2ADD checks the curve alone.
        (bool isOnCurve, bytes memory sum) = address(0x0d).staticcall(bytes.concat(padded, new bytes(256)));
        assertTrue(isOnCurve);
        assertEq(sum, padded);
        bytes memory badKey = abi.encodeWithSelector(IDrandBank.InvalidPublicKey.selector);
        _expectNoBank(1, key, 1, 1, badKey);
    }

    function _expectNoBank(uint64 lead, bytes memory key, uint64 genesis, uint64 period, bytes memory why) private {
        bytes memory code = bytes.concat(vm.getCode("DrandBank.sol:DrandBank"), abi.encode(lead, key, genesis, period));
        address made;
        bytes memory answer;
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
            answer := mload(0x40)
            mstore(0x40, add(answer, add(returndatasize(), 32)))
            mstore(answer, returndatasize())
            returndatacopy(add(answer, 32), 0, returndatasize())
        }
        assertEq(made, address(0));
        assertEq(answer, why);
    }

    /// The bytes behind a short item name the bank as `to`. Read, they would make InvalidRecipient of Malformed.
    function test_ShortRedemptionReadsNothingBehindItsEnd() public {
        bytes memory head = new bytes(220);
        head[219] = 0x20; // a `to` follows
        for (uint256 length = 0; length <= 239; length += 1) {
            bytes memory whole = bytes.concat(head, abi.encodePacked(address(bank)));
            bytes memory sent = abi.encodeCall(bank.outcomeOf, (whole, ""));
            // Shortens the redemption, and leaves all of its bytes in the call.
            assembly ("memory-safe") {
                mstore(add(sent, 100), length)
            }
            (bool done, bytes memory answer) = address(bank).call(sent);
            assertTrue(done);
            assertTrue(abi.decode(answer, (IChequeBank.Outcome)) == IChequeBank.Outcome.Malformed);
        }
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(bank)));
        bank.outcomeOf(bytes.concat(head, abi.encodePacked(address(bank))), "");
    }

    function test_RoundOfAnotherTimeIsRefused() public {
        _expectRefused(quicknet, _time(rounds[0].round), rounds[1].proof);
        _expectRefused(quicknet, _time(rounds[0].round), Beacon.sign(Beacon.SECRET, rounds[0].round));
    }

    function test_TimesOffScheduleAreRefused() public {
        uint64 time = _time(1000);
        for (uint64 off = 1; off < 3; off++) {
            vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawOffSchedule.selector, time + off));
            quicknet.recordSeed(time + off, rounds[0].proof);
        }
        vm.expectRevert(
            abi.encodeWithSelector(IDrandBank.DrawBeforeGenesis.selector, QUICKNET_GENESIS - 3, QUICKNET_GENESIS)
        );
        quicknet.recordSeed(QUICKNET_GENESIS - 3, rounds[0].proof);
    }

    /// A deposit drawn by a real round, from opening to payout, with the proof in the call.
    function test_RealRoundDrawsADeposit() public {
        RealRound memory real = rounds[0];
        bank = quicknet;
        vm.warp(_time(real.round) - MIN_LEAD);
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        vm.warp(_time(real.round) + 1);

        uint256 roll = _rollOf(r.id, 100, real.seed);
        for (uint256 i = 0; i < 3; i++) {
            address payee = r.tree.leaves[i].payee;
            uint256 start = r.tree.proofs[i].start;
            bytes memory packed = _pack(_redemption(r, payee, r.tree.leaves[i].allowance));
            bool wins = start <= roll && roll < start + r.tree.leaves[i].allowance;
            vm.startPrank(payee);
            (IChequeBank.Outcome outcome,) = bank.outcomeOf(packed, "");
            assertTrue(outcome == IChequeBank.Outcome.SeedUnknown);
            (outcome,) = bank.outcomeOf(packed, real.proof);
            assertTrue(outcome == (wins ? IChequeBank.Outcome.Payable : IChequeBank.Outcome.Loses));
            vm.stopPrank();
        }
        uint256 winner = roll < r.tree.proofs[1].start ? 0 : roll < r.tree.proofs[2].start ? 1 : 2;
        bytes memory won = _pack(_redemption(r, r.tree.leaves[winner].payee, r.tree.leaves[winner].allowance));
        assertEq(bank.redeem(won, real.proof), 100);
        assertEq(bank.seed(r.deposit.drawTime), 0, "used, not recorded");
        _assertConserved(NATIVE);
    }

    function test_BatchTakesProofsOfItsTimes() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        bytes[] memory items = new bytes[](1);
        items[0] = _pack(_redemption(r, ann.addr, 100));
        uint64[] memory times = new uint64[](1);
        times[0] = r.deposit.drawTime;
        bytes[] memory proofs = new bytes[](1);
        proofs[0] = _draw(r);

        assertEq(bank.redeemBatch(items, times, proofs)[0], 100);
        proofs[0] = "";
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, times[0]));
        bank.redeemBatch(items, times, proofs);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.LengthMismatch.selector, 1, 0));
        bank.redeemBatch(items, times, new bytes[](0));
    }
}
