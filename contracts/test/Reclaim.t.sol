// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";

contract ReclaimTest is BaseTest {
    function testFuzz_AnyoneReclaimsForThePurse(address caller, uint128 amount) public {
        vm.assume(caller != address(0));
        amount = uint128(bound(amount, 1, type(uint128).max));
        Round memory r = _certainRound(address(token), amount);
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        vm.expectEmit(address(bank));
        emit IChequeBank.Reclaimed(r.id, amount);
        vm.prank(caller);
        bank.reclaim(r.deposit);

        (uint256 idle, bytes32 id) = bank.purse(payer.addr, address(token), 1);
        assertEq(idle, amount);
        assertEq(id, 0);
        assertEq(_idle(payer.addr, address(token), 0), 0);
        _assertConserved(address(token));
    }

    function test_ReclaimsOnlyAfterRedeemUntil() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        bytes memory still = abi.encodeWithSelector(IChequeBank.StillRedeemable.selector, r.deposit.redeemUntil);
        uint64[4] memory early = [uint64(START_TIME), r.deposit.drawTime, r.deposit.drawTime + 1, r.deposit.redeemUntil];
        for (uint256 i = 0; i < early.length; i++) {
            vm.warp(early[i]);
            vm.prank(payer.addr);
            vm.expectRevert(still);
            bank.reclaim(r.deposit);
        }
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        _assertConserved(NATIVE);
    }

    function test_RejectsDepositThatIsNotOpen() public {
        Round memory r = _smallRound(NATIVE, 0);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.DepositNotOpen.selector, r.id));
        bank.reclaim(r.deposit);
    }

    function test_ReclaimsOnce() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.DepositNotOpen.selector, r.id));
        bank.reclaim(r.deposit);
        assertEq(_idle(payer.addr, NATIVE, 1), 100);
    }

    /// Attack: reclaim a deposit that was won already.
    function test_RejectsReclaimAfterRedeem() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        bank.redeem(_pack(_redemption(r, ann.addr, 100)), "");
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.DepositNotOpen.selector, r.id));
        bank.reclaim(r.deposit);
        assertEq(_idle(payer.addr, NATIVE, 1), 0);
        _assertConserved(NATIVE);
    }

    /// Attack: reclaim with other terms, an earlier end or a bigger amount, for the purse of an open deposit.
    function test_RejectsOtherTermsThanTheOpenOnes() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        Round memory other = _smallRound(NATIVE, 0);
        other.deposit.redeemUntil = other.deposit.drawTime + 1;
        _seal(other);
        vm.warp(uint256(r.deposit.drawTime) + 2);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.DepositNotOpen.selector, other.id));
        bank.reclaim(other.deposit);

        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        other = _smallRound(NATIVE, 0);
        other.deposit = r.deposit;
        other.deposit.amount = 1000;
        vm.expectRevert();
        bank.reclaim(other.deposit);
    }

    function test_MoneyOfAReclaimedDepositCanBeWithdrawn() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        vm.prank(payer.addr);
        bank.withdraw(NATIVE, 1, 100, cyd.addr);
        assertEq(cyd.addr.balance, 100);
        _assertConserved(NATIVE);
    }

    function test_ReclaimsAfterAChainSplit() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        vm.chainId(4242);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        assertEq(_idle(payer.addr, NATIVE, 1), 100);
    }
}
