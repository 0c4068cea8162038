// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {TestToken} from "./mocks/TestToken.sol";
import {Packing} from "./utils/Packing.sol";
import {VectorFiles} from "./utils/VectorFiles.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Whole deposits from opening to payment, with trees, signatures and a round of quicknet from the vectors.
contract VectorRedemptionsTest is VectorFiles {
    /// @dev The code of an outcome that is an error of the call.
    uint8 internal constant REVERTED = 255;

    IChequeBank internal bank;
    DrawnDeposit[] internal deposits;
    RedemptionVector[] internal vectors;
    mapping(bytes32 name => bytes) internal proofs;
    uint64 internal drawTime;
    bytes32 internal seed;

    function setUp() public {
        string memory json = _file("redemptions");
        drawTime = uint64(vm.parseJsonUint(json, ".drawTime"));
        seed = vm.parseJsonBytes32(json, ".seed");
        proofs["draw"] = vm.parseJsonBytes(json, ".proofs.draw");
        proofs["other"] = vm.parseJsonBytes(json, ".proofs.other");
        uint64 minLead = uint64(vm.parseJsonUint(json, ".minLead"));
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        bank = _placeBank(vm.parseJsonAddress(json, ".bank"), minLead, _beacons()[0]);

        vm.warp(drawTime - minLead);
        DrawnDeposit[] memory drawn = abi.decode(_list("redemptions", ".deposits", DRAWN), (DrawnDeposit[]));
        for (uint256 i = 0; i < drawn.length; i++) {
            deposits.push(drawn[i]);
            _open(drawn[i]);
        }
        RedemptionVector[] memory list =
            abi.decode(_list("redemptions", ".redemptions", REDEMPTION), (RedemptionVector[]));
        for (uint256 i = 0; i < list.length; i++) {
            vectors.push(list[i]);
        }
    }

    function _open(DrawnDeposit memory drawn) internal {
        IChequeBank.Deposit memory d = drawn.deposit;
        if (d.token != address(0)) {
            deployCodeTo("TestToken.sol:TestToken", abi.encode(uint8(6)), d.token);
            TestToken(d.token).mint(address(this), d.amount);
            TestToken(d.token).approve(address(bank), d.amount);
            bank.fund(d.token, d.payer, d.amount);
        } else {
            vm.deal(address(this), d.amount);
            bank.fund{value: d.amount}(d.token, d.payer, d.amount);
        }
        vm.prank(d.payer);
        assertEq(bank.open(d), drawn.id, drawn.name);
    }

    function _redemption(RedemptionVector memory v) internal view returns (IChequeBank.Redemption memory r) {
        r.deposit = deposits[v.deposit].deposit;
        (r.allowance, r.salt, r.path, r.siblings) = (v.allowance, v.salt, v.path, v.siblings);
        (r.payee, r.spent, r.anchor, r.step, r.signature) = (v.payee, v.spent, v.anchor, v.step, v.signature);
        (r.k, r.x, r.to, r.consent) = (v.k, v.x, v.to, v.consent);
    }

    /// @dev Goes to the second and the caller of a vector.
    function _enter(RedemptionVector memory v) internal {
        vm.warp(v.time);
        vm.prank(v.caller);
    }

    function _proofOf(RedemptionVector memory v) internal view returns (bytes memory) {
        return proofs[bytes32(bytes(v.proof))];
    }

    /// @dev The error of a call of which the vector says that it reverts.
    function _error(RedemptionVector memory v) internal view returns (bytes memory) {
        if (_same(v.outcome, "InvalidSeedProof")) {
            return abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, drawTime);
        }
        assertEq(v.outcome, "InvalidRecipient");
        return abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(bank));
    }

    function test_PackedBytesAreTheVectors() public view {
        uint256 others = 0;
        for (uint256 i = 0; i < vectors.length; i++) {
            RedemptionVector memory v = vectors[i];
            if (v.canonical) assertEq(Packing.pack(_redemption(v)), v.packed, v.name);
            else others++;
        }
        assertLt(others, vectors.length / 2);
    }

    function test_EveryOutcomeAndPayoutIsTheVectors() public {
        uint256 seen = 0;
        for (uint256 i = 0; i < vectors.length; i++) {
            RedemptionVector memory v = vectors[i];
            _enter(v);
            if (v.outcomeCode == REVERTED) {
                vm.expectRevert(_error(v));
                bank.outcomeOf{gas: 5_000_000}(v.packed, _proofOf(v));
                continue;
            }
            (IChequeBank.Outcome outcome, uint128 payout) = bank.outcomeOf(v.packed, _proofOf(v));
            assertEq(uint8(outcome), v.outcomeCode, v.name);
            assertEq(payout, v.payout, v.name);
            seen |= 1 << v.outcomeCode;
        }
        assertEq(seen, (1 << uint8(type(IChequeBank.Outcome).max) + 1) - 1, "an outcome is missing");
    }

    function test_RedeemsExactlyThePayableVectors() public {
        uint256 paid = 0;
        for (uint256 i = 0; i < vectors.length; i++) {
            RedemptionVector memory v = vectors[i];
            uint256 snapshot = vm.snapshotState();
            _enter(v);
            if (v.outcomeCode == uint8(IChequeBank.Outcome.Payable)) {
                assertEq(bank.redeem(v.packed, _proofOf(v)), v.payout, v.name);
                _assertPaid(v, deposits[v.deposit].deposit);
                paid++;
            } else {
                bytes memory refusal = abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, v.outcomeCode);
                vm.expectRevert(v.outcomeCode == REVERTED ? _error(v) : refusal);
                bank.redeem{gas: 5_000_000}(v.packed, _proofOf(v));
            }
            vm.revertToState(snapshot);
        }
        assertGt(paid, 30);
    }

    function _assertPaid(RedemptionVector memory v, IChequeBank.Deposit memory d) internal view {
        (uint256 balance,) = bank.purse(v.payee, d.token, 0);
        assertEq(balance, v.to == address(0) ? v.payout : 0, v.name);
        if (v.to != address(0)) {
            uint256 received = d.token == address(0) ? v.to.balance : TestToken(d.token).balanceOf(v.to);
            assertEq(received, v.payout, v.name);
        }
        (uint256 idle, bytes32 openId) = bank.purse(d.payer, d.token, d.lane);
        assertEq(idle, d.amount - v.payout, v.name);
        assertEq(openId, 0, v.name);
    }

    function test_BatchPaysOrSkipsAsTheVectorsSay() public {
        for (uint256 i = 0; i < vectors.length; i++) {
            RedemptionVector memory v = vectors[i];
            uint256 snapshot = vm.snapshotState();
            bytes[] memory items = new bytes[](1);
            items[0] = v.packed;
            bytes[] memory shown = new bytes[](_same(v.proof, "none") ? 0 : 1);
            uint64[] memory times = new uint64[](shown.length);
            if (shown.length > 0) (shown[0], times[0]) = (_proofOf(v), drawTime);
            _enter(v);
            if (v.inBatchCode == REVERTED) {
                vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, drawTime));
                bank.redeemBatch{gas: 5_000_000}(items, times, shown);
            } else {
                vm.recordLogs();
                uint128 payout = bank.redeemBatch(items, times, shown)[0];
                _assertPaidOrSkipped(v, payout, vm.getRecordedLogs());
            }
            vm.revertToState(snapshot);
        }
    }

    function _assertPaidOrSkipped(RedemptionVector memory v, uint128 payout, Vm.Log[] memory logs) internal view {
        assertEq(logs.length, 1, v.name);
        if (v.inBatchCode == uint8(IChequeBank.Outcome.Payable)) {
            assertEq(payout, v.payout, v.name);
            _assertPaid(v, deposits[v.deposit].deposit);
        } else {
            assertEq(payout, 0, v.name);
            assertEq(logs[0].topics[0], IChequeBank.Skipped.selector, v.name);
            assertEq(logs[0].data, abi.encode(v.inBatchCode), v.name);
        }
    }

    /// A recorded seed needs no proof, and a proof beside it is ignored.
    function test_RecordedSeedDecidesLikeItsProof() public {
        assertEq(bank.recordSeed(drawTime, proofs["draw"]), seed);
        for (uint256 i = 0; i < deposits.length; i++) {
            assertEq(bank.rollOf(deposits[i].deposit), deposits[i].roll, deposits[i].name);
        }
        for (uint256 i = 0; i < vectors.length; i++) {
            RedemptionVector memory v = vectors[i];
            if (!_same(v.proof, "draw") || v.outcomeCode == REVERTED) continue;
            for (uint256 j = 0; j < 2; j++) {
                _enter(v);
                (IChequeBank.Outcome outcome, uint128 payout) =
                    bank.outcomeOf(v.packed, j == 0 ? bytes("") : proofs["other"]);
                assertEq(uint8(outcome), v.outcomeCode, v.name);
                assertEq(payout, v.payout, v.name);
            }
        }
    }
}
