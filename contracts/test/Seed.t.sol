// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Beacon} from "./utils/Beacon.sol";

/// @notice Seeds of the test beacon: recorded, or shown with a redemption. Forgery.t.sol has wrong proofs.
contract SeedTest is BaseTest {
    uint64 private constant TIME = uint64(START_TIME) - 10;

    function _expectInvalid(uint64 drawTime, bytes memory proof) private {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, drawTime));
        bank.recordSeed{gas: 1_000_000}(drawTime, proof);
    }

    /* RECORDING */

    function testFuzz_AnyoneRecordsTheSeedOfATime(address caller, uint32 age) public {
        uint64 time = GENESIS + age;
        bytes memory proof = _proof(time);
        bytes32 seed = Beacon.seed(proof);
        assertEq(bank.seed(time), 0);
        vm.expectEmit(address(bank));
        emit IChequeBank.SeedRecorded(time, seed);
        vm.prank(caller);
        assertEq(bank.recordSeed(time, proof), seed);
        assertEq(bank.seed(time), seed);
        assertEq(bank.seed(time - 1), 0);
        assertEq(bank.seed(time + 1), 0);
    }

    function test_RepeatingChangesNothing() public {
        bytes memory proof = _proof(TIME);
        bytes32 seed = bank.recordSeed(TIME, proof);
        vm.recordLogs();
        vm.record();
        assertEq(bank.recordSeed(TIME, proof), seed);
        // The bank ignores the proof now.
        assertEq(bank.recordSeed(TIME, _proof(TIME + 1)), seed);
        assertEq(bank.recordSeed(TIME, ""), seed);
        vm.warp(START_TIME + 3650 days);
        assertEq(bank.recordSeed(TIME, "no proof"), seed);
        (, bytes32[] memory writes) = vm.accesses(address(bank));
        assertEq(writes.length, 0);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    /// A valid proof shows that its time has come, so the bank compares no clock.
    function test_ChainsClockIsNotCompared() public {
        vm.warp(1);
        bytes32 seed = bank.recordSeed(TIME, _proof(TIME));
        assertEq(bank.seed(TIME), seed);
        vm.warp(type(uint64).max);
        bank.recordSeed(TIME + 1, _proof(TIME + 1));
    }

    function test_FirstRoundAndLastTimeHaveSeeds() public {
        bank.recordSeed(GENESIS, _proof(GENESIS));
        assertEq(bank.seed(GENESIS), Beacon.seed(Beacon.sign(Beacon.SECRET, 1)));
        bank.recordSeed(type(uint64).max, _proof(type(uint64).max));
    }

    /// Banks share no storage.
    function test_EachBankKeepsItsOwnSeeds() public {
        bank.recordSeed(TIME, _proof(TIME));
        bank = _deploy(MIN_LEAD + 1);
        assertEq(bank.seed(TIME), 0);
    }

    /* SCHEDULE */

    function _threeSeconds() private returns (IDrandBank) {
        bank = _deploy(MIN_LEAD, Beacon.publicKey(Beacon.SECRET), GENESIS, 3);
        return IDrandBank(address(bank));
    }

    function testFuzz_RoundsComeAtTheirTimesOnly(uint32 round) public {
        IDrandBank settings = _threeSeconds();
        round = uint32(bound(round, 1, type(uint32).max));
        uint64 time = settings.genesis() + (uint64(round) - 1) * settings.period();
        bytes memory proof = Beacon.sign(Beacon.SECRET, round);
        for (uint64 off = 1; off < 3; off++) {
            vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawOffSchedule.selector, time + off));
            bank.recordSeed(time + off, proof);
        }
        _expectInvalid(time + 3, proof);
        assertEq(bank.recordSeed(time, proof), Beacon.seed(proof));
    }

    function testFuzz_NoSeedBeforeGenesis(uint64 time) public {
        time = uint64(bound(time, 0, GENESIS - 1));
        bytes memory before = abi.encodeWithSelector(IDrandBank.DrawBeforeGenesis.selector, time, GENESIS);
        bytes memory first = _proof(GENESIS);
        vm.expectRevert(before);
        bank.recordSeed(time, first);
        vm.expectRevert(before);
        bank.recordSeed(time, "");
    }

    /// A seed that is recorded needs no schedule, and no proof.
    function test_OffScheduleIsToldBeforeAnInvalidProof() public {
        _threeSeconds();
        vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawOffSchedule.selector, GENESIS + 1));
        bank.recordSeed(GENESIS + 1, "");
        vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawOffSchedule.selector, type(uint64).max));
        bank.recordSeed(type(uint64).max, "");
        _expectInvalid(GENESIS, "");
    }

    /* WITH A REDEMPTION */

    /// @dev An open deposit that Ann wins by any seed.
    function _certain() private returns (Round memory r, bytes memory packed) {
        r = _certainRound(NATIVE, 100);
        _open(r);
        packed = _pack(_redemption(r, ann.addr, 100));
    }

    function test_ProofInTheCallIsUsedAndNotRecorded() public {
        (Round memory r, bytes memory packed) = _certain();
        bytes memory proof = _draw(r);
        vm.recordLogs();
        vm.prank(relayer);
        assertEq(bank.redeem(packed, proof), 100);
        assertEq(bank.seed(r.deposit.drawTime), 0);
        assertEq(vm.getRecordedLogs().length, 1, "only Redeemed");
        _assertConserved(NATIVE);
    }

    function test_SeedOfTheProofDecides() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        bytes memory proof = _draw(r);
        uint256 roll = _rollOf(r.id, 100, Beacon.seed(proof));
        for (uint256 i = 0; i < 3; i++) {
            address payee = r.tree.leaves[i].payee;
            uint256 start = r.tree.proofs[i].start;
            bool wins = start <= roll && roll < start + r.tree.leaves[i].allowance;
            bytes memory packed = _pack(_redemption(r, payee, r.tree.leaves[i].allowance));
            (IChequeBank.Outcome inCall,) = bank.outcomeOf(packed, proof);
            assertTrue(inCall == (wins ? IChequeBank.Outcome.Payable : IChequeBank.Outcome.Loses));
        }
        bank.recordSeed(r.deposit.drawTime, proof);
        assertEq(bank.rollOf(r.deposit), roll);
    }

    function test_NoProofIsAnUnknownSeed() public {
        (Round memory r, bytes memory packed) = _certain();
        bytes memory proof = _draw(r);
        _expectNotRedeemable(_redemption(r, ann.addr, 100), IChequeBank.Outcome.SeedUnknown);
        assertEq(bank.redeem(packed, proof), 100);
    }

    function test_ProofOfAnotherTimeReverts() public {
        (Round memory r, bytes memory packed) = _certain();
        _draw(r);
        bytes memory invalid = abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, r.deposit.drawTime);
        bytes[3] memory proofs = [_proof(r.deposit.drawTime - 1), _proof(r.deposit.drawTime + 1), bytes("no proof")];
        for (uint256 i = 0; i < proofs.length; i++) {
            vm.expectRevert(invalid);
            bank.redeem{gas: 1_000_000}(packed, proofs[i]);
            vm.expectRevert(invalid);
            bank.outcomeOf{gas: 1_000_000}(packed, proofs[i]);
        }
        assertEq(_openId(r), r.id);
    }

    /// Another account may record the seed while a redemption with a proof is pending.
    function test_ProofBesideARecordedSeedIsIgnored() public {
        (Round memory r, bytes memory packed) = _certain();
        bank.recordSeed(r.deposit.drawTime, _draw(r));
        (IChequeBank.Outcome outcome,) = bank.outcomeOf(packed, "no proof");
        assertTrue(outcome == IChequeBank.Outcome.Payable);
        assertEq(bank.redeem(packed, _proof(r.deposit.drawTime + 1)), 100);
    }

    /// A redemption that fails for another reason says so: the proof is looked at last.
    function test_ProofIsNotLookedAtBeforeTheOtherChecks() public {
        (Round memory r,) = _certain();
        _draw(r);
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 100);
        x.signature = new bytes(65);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.BadSignature));
        bank.redeem(_pack(x), "no proof");
        vm.warp(r.deposit.drawTime);
        (IChequeBank.Outcome outcome,) = bank.outcomeOf(_pack(_redemption(r, ann.addr, 100)), "no proof");
        assertTrue(outcome == IChequeBank.Outcome.TooEarly);
    }

    /// A proof expires never, and the recorded seed neither.
    function test_ProofWorksUntilTheLastSecond() public {
        Round memory r = _certainRound(NATIVE, 100);
        r.deposit.redeemUntil = r.deposit.drawTime + 3650 days;
        _seal(r);
        _open(r);
        bytes memory proof = _draw(r);
        vm.warp(r.deposit.redeemUntil);
        uint256 snapshot = vm.snapshotState();
        assertEq(bank.redeem(_pack(_redemption(r, ann.addr, 100)), proof), 100);
        vm.revertToState(snapshot);
        bank.recordSeed(r.deposit.drawTime, proof);
        assertEq(bank.redeem(_pack(_redemption(r, ann.addr, 100)), ""), 100);
    }
}
