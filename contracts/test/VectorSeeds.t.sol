// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {Beacon} from "./utils/Beacon.sol";
import {VectorFiles} from "./utils/VectorFiles.sol";

/// @notice Banks of quicknet and of a beacon with a published key, against the rounds and the wrong proofs of the vectors.
contract VectorSeedsTest is VectorFiles {
    IChequeBank[] internal banks;
    BeaconVector[] internal beacons;

    function setUp() public {
        BeaconVector[] memory list = _beacons();
        for (uint256 i = 0; i < list.length; i++) {
            beacons.push(list[i]);
            banks.push(_placeBank(makeAddr(list[i].name), 2400, list[i]));
        }
    }

    function test_RoundsGiveTheSeedsOfTheVectors() public {
        RoundVector[] memory vectors = abi.decode(_list("seeds", ".rounds", ROUND), (RoundVector[]));
        uint256[2] memory signs;
        for (uint256 i = 0; i < vectors.length; i++) {
            RoundVector memory v = vectors[i];
            assertEq(banks[v.beacon].recordSeed(v.drawTime, v.proof), v.seed);
            assertEq(banks[v.beacon].seed(v.drawTime), v.seed);
            assertEq(sha256(v.signature), v.seed);
            signs[uint8(v.signature[0]) >> 5 & 1]++;
        }
        assertGt(signs[0], 0, "no y of the smaller sign");
        assertGt(signs[1], 0, "no y of the larger sign");
    }

    /// The precompiles sign, too.
    function test_KeyAndSignaturesFollowFromTheSecret() public view {
        RoundVector[] memory vectors = abi.decode(_list("seeds", ".rounds", ROUND), (RoundVector[]));
        uint256 signed = 0;
        for (uint256 i = 0; i < vectors.length; i++) {
            uint256 secret = beacons[vectors[i].beacon].secret;
            if (secret == 0) continue; // nobody has that of quicknet
            assertEq(Beacon.publicKey(secret), beacons[vectors[i].beacon].publicKey);
            assertEq(Beacon.sign(secret, vectors[i].round), vectors[i].proof);
            signed++;
        }
        assertGt(signed, 5);
    }

    function test_TimesWithoutARoundAreRefused() public {
        ScheduleVector[] memory vectors = abi.decode(_list("seeds", ".schedule", SCHEDULE), (ScheduleVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            ScheduleVector memory v = vectors[i];
            if (_same(v.refusal, "before_genesis")) {
                uint64 genesis = beacons[v.beacon].genesis;
                vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawBeforeGenesis.selector, v.drawTime, genesis));
            } else if (_same(v.refusal, "off_schedule")) {
                vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawOffSchedule.selector, v.drawTime));
            } else {
                assertEq(v.refusal, "");
                // There is a round, and only its proof is missing.
                vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, v.drawTime));
            }
            banks[v.beacon].recordSeed(v.drawTime, "");
        }
    }

    function test_RefusesEveryWrongProof() public {
        RefusedProof[] memory vectors = abi.decode(_list("seeds", ".refusedProofs", REFUSED_PROOF), (RefusedProof[]));
        assertGt(vectors.length, 40);
        for (uint256 i = 0; i < vectors.length; i++) {
            RefusedProof memory v = vectors[i];
            vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, v.drawTime));
            // A point that the precompile refuses burns the gas of the call.
            banks[v.beacon].recordSeed{gas: 1_000_000}(v.drawTime, v.proof);
            assertEq(banks[v.beacon].seed(v.drawTime), 0, v.name);
        }
    }
}
