// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {Packing} from "./utils/Packing.sol";
import {VectorFiles} from "./utils/VectorFiles.sol";

/// @notice Whole deposits from opening to payment, with trees, signatures and header from the vectors.
contract VectorRedemptionsTest is VectorFiles {
    string internal json;
    IChequeBank internal bank;
    DrawnDeposit[] internal deposits;
    RedemptionVector[] internal vectors;
    mapping(bytes32 name => bytes) internal headers;
    uint64 internal drawBlock;

    function setUp() public {
        json = _file("redemptions");
        DrawnDeposit[] memory drawn = abi.decode(_list("redemptions", ".deposits", DRAWN), (DrawnDeposit[]));
        RedemptionVector[] memory list =
            abi.decode(_list("redemptions", ".redemptions", REDEMPTION), (RedemptionVector[]));
        HeaderVector[] memory recorded = abi.decode(_list("seeds", ".recorded", HEADER), (HeaderVector[]));
        headers["draw"] = vm.parseJsonBytes(json, ".header");
        headers["other"] = recorded[1].header;
        headers["none"] = "";

        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        vm.prevrandao(uint256(keccak256("prevrandao")));
        bank = IChequeBank(vm.parseJsonAddress(json, ".bank"));
        uint256 minLead = vm.parseJsonUint(json, ".minLead");
        deployCodeTo("ChequeBank.sol:ChequeBank", abi.encode(minLead, IChequeBank.SeedSource.PrevRandao), address(bank));

        drawBlock = drawn[0].deposit.drawBlock;
        vm.roll(drawBlock - minLead);
        for (uint256 i = 0; i < drawn.length; i++) {
            deposits.push(drawn[i]);
            IChequeBank.Deposit memory deposit = drawn[i].deposit;
            vm.deal(deposit.payer, deposit.amount);
            vm.prank(deposit.payer);
            assertEq(bank.open{value: deposit.amount}(deposit), drawn[i].id, drawn[i].name);
        }
        for (uint256 i = 0; i < list.length; i++) {
            vectors.push(list[i]);
        }
        vm.roll(drawBlock + 1);
        vm.setBlockhash(drawBlock, vm.parseJsonBytes32(json, ".blockHash"));
    }

    function _redemption(RedemptionVector memory v) internal view returns (IChequeBank.Redemption memory r) {
        r.deposit = deposits[v.deposit].deposit;
        (r.allowance, r.salt, r.path, r.siblings) = (v.allowance, v.salt, v.path, v.siblings);
        (r.payee, r.spent, r.anchor, r.step, r.signature) = (v.payee, v.spent, v.anchor, v.step, v.signature);
        (r.k, r.x, r.to, r.consent) = (v.k, v.x, v.to, v.consent);
        r.header = headers[bytes32(bytes(v.header))];
    }

    function test_PackedBytesAreTheVectors() public view {
        for (uint256 i = 0; i < vectors.length; i++) {
            RedemptionVector memory v = vectors[i];
            bool malformed = v.outcomeCode == uint8(IChequeBank.Outcome.Malformed);
            if (!malformed) assertEq(Packing.pack(_redemption(v)), v.packed, v.name);
        }
    }

    function test_EveryOutcomeAndPayoutIsTheVectors() public {
        for (uint256 i = 0; i < vectors.length; i++) {
            RedemptionVector memory v = vectors[i];
            vm.prank(v.caller);
            (IChequeBank.Outcome outcome, uint128 payout) = bank.outcomeOf(v.packed);
            assertEq(uint8(outcome), v.outcomeCode, v.name);
            assertEq(payout, v.payout, v.name);
        }
    }

    function test_RedeemsExactlyThePayableVectors() public {
        uint256 paid = 0;
        for (uint256 i = 0; i < vectors.length; i++) {
            RedemptionVector memory v = vectors[i];
            uint256 snapshot = vm.snapshotState();
            if (v.outcomeCode == uint8(IChequeBank.Outcome.Payable)) {
                vm.prank(v.caller);
                assertEq(bank.redeem(v.packed), v.payout, v.name);
                _assertPaid(v, deposits[v.deposit].deposit);
                paid++;
            } else {
                vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, v.outcomeCode));
                vm.prank(v.caller);
                bank.redeem(v.packed);
            }
            vm.revertToState(snapshot);
        }
        assertGt(paid, 5);
    }

    function _assertPaid(RedemptionVector memory v, IChequeBank.Deposit memory deposit) internal view {
        (uint256 balance,) = bank.purse(v.payee, deposit.token, 0);
        assertEq(balance, v.to == address(0) ? v.payout : 0, v.name);
        if (v.to != address(0)) assertEq(v.to.balance, v.payout, v.name);
        (uint256 idle, bytes32 openId) = bank.purse(deposit.payer, deposit.token, deposit.lane);
        assertEq(idle, deposit.amount - v.payout, v.name);
        assertEq(openId, 0, v.name);
    }

    function test_RecordedSeedRollsAsTheVectorsSay() public {
        bank.recordSeed(drawBlock, headers["draw"]);
        assertEq(bank.seed(drawBlock), vm.parseJsonBytes32(json, ".seed"));
        for (uint256 i = 0; i < deposits.length; i++) {
            assertEq(bank.rollOf(deposits[i].deposit), deposits[i].roll, deposits[i].name);
        }
    }
}
