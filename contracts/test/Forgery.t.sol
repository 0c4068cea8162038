// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Beacon} from "./utils/Beacon.sol";
import {Curve} from "./utils/Curve.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @notice More than 10,000 wrong proofs of real rounds. The bank must refuse each by its own error, with little gas.
contract ForgeryTest is BaseTest {
    struct KnownRound {
        bytes proof;
        uint64 round;
        bytes32 seed;
        bytes signature;
    }

    uint64 private constant QUICKNET_GENESIS = 1_692_803_367;
    /// @dev Enough to verify a proof. A point that the precompile refuses burns nearly all of it.
    uint256 private constant GAS = 250_000;

    KnownRound[] private rounds;
    uint256 private refused;

    function setUp() public override {
        super.setUp();
        string memory file = vm.readFile("contracts/test/vectors/quicknet.json");
        bank = _deploy(MIN_LEAD, vm.parseJsonBytes(file, ".publicKey"), QUICKNET_GENESIS, 3);
        bytes memory list =
            vm.parseJsonTypeArray(file, ".rounds", "KnownRound(bytes proof,uint64 round,bytes32 seed,bytes signature)");
        KnownRound[] memory all = abi.decode(list, (KnownRound[]));
        for (uint256 i = 0; i < all.length; i++) {
            rounds.push(all[i]);
        }
    }

    function _time(KnownRound memory r) private pure returns (uint64) {
        return QUICKNET_GENESIS + (r.round - 1) * 3;
    }

    function _expectRefused(KnownRound memory r, bytes memory proof) private {
        (bool done, bytes memory answer) =
            address(bank).call{gas: GAS}(abi.encodeCall(IChequeBank.recordSeed, (_time(r), proof)));
        assertFalse(done, "a wrong proof was accepted");
        assertEq(answer, abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, _time(r)));
        refused++;
    }

    /// @dev Every test ends with this: the proofs were wrong, not the gas too little.
    function _expectAccepted(KnownRound memory r) private {
        assertEq(bank.recordSeed{gas: GAS}(_time(r), r.proof), r.seed);
    }

    /* BITS */

    function _flip(KnownRound memory r) private {
        for (uint256 bit = 0; bit < 768; bit++) {
            bytes memory proof = bytes.concat(r.proof);
            proof[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            _expectRefused(r, proof);
        }
        _expectAccepted(r);
    }

    function test_EveryFlippedBitOfKnownRoundsIsRefused() public {
        for (uint256 i = 0; i < rounds.length; i++) {
            _flip(rounds[i]);
        }
        assertGe(refused, 4608);
    }

    /// Any bytes of the right length: nearly none are on the curve.
    function test_RandomBytesAreRefused() public {
        for (uint256 i = 0; i < 1000; i++) {
            bytes32 a = keccak256(abi.encode("forged", i));
            bytes memory proof = abi.encodePacked(a, keccak256(abi.encode(a)), keccak256(abi.encode(a, a)));
            // Mostly coordinates below p, as others are refused for their size.
            if (i % 4 != 0) (proof[0], proof[48]) = (proof[0] & 0x0f, proof[48] & 0x0f);
            _expectRefused(rounds[i % rounds.length], proof);
        }
        assertEq(refused, 1000);
    }

    function test_OtherLengthsAreRefused() public {
        bytes memory longer = bytes.concat(rounds[0].proof, rounds[0].proof, rounds[0].proof);
        for (uint256 length = 0; length <= longer.length; length++) {
            if (length != 96) _expectRefused(rounds[0], LibBytes.slice(longer, 0, length));
        }
        _expectRefused(rounds[0], rounds[0].signature);
        _expectRefused(rounds[0], bytes.concat(hex"00", LibBytes.slice(rounds[0].proof, 0, 95)));
        _expectRefused(rounds[0], bytes.concat(LibBytes.slice(rounds[0].proof, 1, 96), hex"00"));
        // In the encoding of the precompiles.
        bytes memory padded =
            bytes.concat(new bytes(16), Curve.x(rounds[0].proof), new bytes(16), Curve.y(rounds[0].proof));
        _expectRefused(rounds[0], padded);
        _expectAccepted(rounds[0]);
    }

    /* NUMBERS */

    /// -S, the other point with this x: its compressed form would give another seed.
    function test_NegativeOfTheSignatureIsRefused() public {
        for (uint256 i = 0; i < rounds.length; i++) {
            bytes memory y = Curve.minus(Curve.P, Curve.y(rounds[i].proof));
            _expectRefused(rounds[i], bytes.concat(Curve.x(rounds[i].proof), y));
            _expectAccepted(rounds[i]);
        }
    }

    /// The same coordinates modulo p: x + 9 p is the largest that fits.
    function test_CoordinatesOfPOrMoreAreRefused() public {
        for (uint256 i = 0; i < rounds.length; i++) {
            (bytes memory x, bytes memory y) = (Curve.x(rounds[i].proof), Curve.y(rounds[i].proof));
            (bytes memory larger, bytes memory higher) = (x, y);
            for (uint256 multiple = 1; multiple < 9; multiple++) {
                (larger, higher) = (Curve.plus(larger, Curve.P), Curve.plus(higher, Curve.P));
                _expectRefused(rounds[i], bytes.concat(larger, y));
                _expectRefused(rounds[i], bytes.concat(x, higher));
                _expectRefused(rounds[i], bytes.concat(larger, higher));
            }
            _expectRefused(rounds[i], bytes.concat(y, x));
            _expectRefused(rounds[i], bytes.concat(Curve.P, y));
            _expectRefused(rounds[i], bytes.concat(x, Curve.P));
            _expectAccepted(rounds[i]);
        }
    }

    function test_IdentityIsRefusedInEveryForm() public {
        for (uint256 i = 0; i < rounds.length; i++) {
            _expectRefused(rounds[i], new bytes(96));
            _expectRefused(rounds[i], bytes.concat(Curve.P, Curve.P));
            _expectRefused(rounds[i], bytes.concat(Curve.number(0), Curve.number(1)));
            for (uint256 flags = 0x20; flags < 0x100; flags += 0x20) {
                bytes memory flagged = new bytes(96);
                flagged[0] = bytes1(uint8(flags));
                _expectRefused(rounds[i], flagged);
            }
            _expectAccepted(rounds[i]);
        }
    }

    /* POINTS */

    function test_OtherPointsOfTheSubgroupAreRefused() public {
        for (uint256 i = 0; i < 3000; i++) {
            _expectRefused(rounds[i % rounds.length], Curve.inSubgroup(uint256(keccak256(abi.encode(i)))));
        }
        assertEq(refused, 3000);
    }

    function test_PointsOutsideTheSubgroupAreRefused() public {
        for (uint256 i = 0; i < 1500; i++) {
            bytes memory point = Curve.onCurve(uint256(keccak256(abi.encode(i))) >> 176);
            // On the curve: the precompile adds it.
            Curve.add(point, point);
            _expectRefused(rounds[i % rounds.length], point);
        }
        assertEq(refused, 1500);
    }

    /// Attack: S + T with T of order 3. Without a check of the subgroup the equation would hold for it, and give three
    /// seeds to choose from.
    function test_SignaturePlusAPointOfSmallOrderIsRefused() public {
        bytes memory t = Curve.onCurve(0);
        assertEq(t, bytes.concat(Curve.number(0), Curve.minus(Curve.P, Curve.number(2))));
        bytes memory minusT = bytes.concat(Curve.number(0), Curve.number(2));
        assertEq(Curve.add(t, t), minusT, "order 3");
        for (uint256 i = 0; i < rounds.length; i++) {
            _expectRefused(rounds[i], t);
            _expectRefused(rounds[i], minusT);
            bytes memory shifted = Curve.add(rounds[i].proof, t);
            assertEq(Curve.add(shifted, minusT), rounds[i].proof);
            _expectRefused(rounds[i], shifted);
            _expectRefused(rounds[i], Curve.add(rounds[i].proof, minusT));
            for (uint256 j = 0; j < 10; j++) {
                _expectRefused(rounds[i], Curve.add(rounds[i].proof, Curve.onCurve(1000 * j + 1)));
            }
            _expectAccepted(rounds[i]);
        }
    }

    function test_MultiplesAndSumsOfSignaturesAreRefused() public {
        for (uint256 i = 0; i < rounds.length; i++) {
            bytes memory sum = rounds[i].proof;
            for (uint256 j = 0; j < 10; j++) {
                sum = Curve.add(sum, rounds[i].proof);
                _expectRefused(rounds[i], sum);
            }
            _expectRefused(rounds[i], Curve.add(rounds[i].proof, rounds[(i + 1) % rounds.length].proof));
            _expectAccepted(rounds[i]);
        }
    }

    function test_SignaturesOfOtherRoundsAreRefused() public {
        for (uint256 i = 0; i < rounds.length; i++) {
            for (uint256 j = 0; j < rounds.length; j++) {
                if (i != j) _expectRefused(rounds[i], rounds[j].proof);
            }
        }
        for (uint256 i = 0; i < rounds.length; i++) {
            _expectAccepted(rounds[i]);
        }
    }

    function test_SignaturesOfOtherKeysAreRefused() public {
        for (uint256 i = 0; i < rounds.length; i++) {
            for (uint256 secret = 1; secret < 40; secret++) {
                _expectRefused(rounds[i], Beacon.sign(secret, rounds[i].round));
            }
            _expectAccepted(rounds[i]);
        }
    }

    /* IN A REDEMPTION */

    /// The same check guards proofs in a call.
    function test_WrongProofsRedeemNothing() public {
        vm.warp(_time(rounds[0]) - MIN_LEAD);
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        vm.warp(_time(rounds[0]) + 1);
        bytes memory packed = _pack(_redemption(r, ann.addr, 100));
        bytes[] memory items = new bytes[](1);
        uint64[] memory times = new uint64[](1);
        (items[0], times[0]) = (packed, _time(rounds[0]));
        bytes memory invalid = abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, times[0]);
        bytes[] memory wrong = new bytes[](4);
        wrong[0] = rounds[1].proof;
        wrong[1] = new bytes(96);
        wrong[2] = Curve.onCurve(7);
        wrong[3] = LibBytes.slice(rounds[0].proof, 0, 95);
        bytes[] memory proofs = new bytes[](1);
        for (uint256 i = 0; i < wrong.length; i++) {
            proofs[0] = wrong[i];
            vm.expectRevert(invalid);
            bank.redeem{gas: GAS}(packed, proofs[0]);
            vm.expectRevert(invalid);
            bank.outcomeOf{gas: GAS}(packed, proofs[0]);
            vm.expectRevert(invalid);
            bank.redeemBatch{gas: GAS}(items, times, proofs);
        }
        assertEq(_openId(r), r.id);
        assertEq(bank.redeem{gas: GAS}(packed, rounds[0].proof), 100);
    }

    /// A point that the precompile refuses burns 63/64 of the gas that is left; a wrong signature does not.
    function test_RefusedPointBurnsTheGasAndStillReverts() public {
        uint256 before = gasleft();
        _expectRefused(rounds[0], rounds[1].proof);
        assertLt(before - gasleft(), 220_000, "a wrong signature");
        before = gasleft();
        bytes memory call = abi.encodeCall(IChequeBank.recordSeed, (_time(rounds[0]), new bytes(95)));
        (bool done,) = address(bank).call{gas: 2_000_000}(call);
        assertLt(before - gasleft(), 60_000, "a wrong length");
        before = gasleft();
        bytes memory point = Curve.onCurve(7);
        before = gasleft();
        (done,) = address(bank).call{gas: 2_000_000}(abi.encodeCall(IChequeBank.recordSeed, (_time(rounds[0]), point)));
        assertFalse(done);
        assertGt(before - gasleft(), 1_900_000, "a refused point");
    }
}
