// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";

contract ReopenTest is BaseTest {
    Round private expired;

    function setUp() public override {
        super.setUp();
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _keep(r);
    }

    function _keep(Round memory r) private {
        expired.deposit = r.deposit;
        expired.id = r.id;
    }

    function _expire() private {
        vm.warp(uint256(expired.deposit.redeemUntil) + 1);
    }

    function _expectRefused(IChequeBank.Deposit memory next, bytes memory why) private {
        vm.prank(payer.addr);
        vm.expectRevert(why);
        bank.reopen(expired.deposit, next);
    }

    function test_ReclaimsAndOpens() public {
        _expire();
        Round memory next = _smallRound(NATIVE, 20);
        IChequeBank.Deposit memory d = next.deposit;
        vm.expectEmit(address(bank));
        emit IChequeBank.Reclaimed(expired.id, 100);
        vm.expectEmit(address(bank));
        emit IChequeBank.Opened(next.id, d.payer, d.signer, NATIVE, 1, 100, 20, d.drawTime, d.redeemUntil, d.root);
        vm.prank(payer.addr);
        assertEq(bank.reopen(expired.deposit, d), next.id);
        assertEq(_openId(next), next.id);
        assertEq(_idle(payer.addr, NATIVE, 0), 0);
        _assertConserved(NATIVE);
    }

    function test_ReopensOnlyAfterRedeemUntil() public {
        vm.warp(expired.deposit.redeemUntil);
        Round memory next = _smallRound(NATIVE, 20);
        next.deposit.drawTime += 1;
        next.deposit.redeemUntil += 1;
        _seal(next);
        _expectRefused(
            next.deposit, abi.encodeWithSelector(IChequeBank.StillRedeemable.selector, expired.deposit.redeemUntil)
        );
        assertEq(_openId(next), expired.id);
        _expire();
        vm.prank(payer.addr);
        bank.reopen(expired.deposit, next.deposit);
        assertEq(_openId(next), next.id);
    }

    function testFuzz_PaysTheDifferenceWithValueAndBalance(uint8 allowance, uint8 value, uint8 balance) public {
        _expire();
        Round memory next = _round(NATIVE, 0, _leaves(100, 50, uint128(allowance) + 1));
        uint256 amount = 151 + uint256(allowance);
        uint256 available = 100 + uint256(value) + balance;
        if (balance > 0) _fund(NATIVE, payer.addr, balance);
        vm.deal(payer.addr, value);
        vm.prank(payer.addr);
        if (available < amount) {
            vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, available, amount));
            bank.reopen{value: value}(expired.deposit, next.deposit);
            assertEq(_openId(next), expired.id);
        } else {
            bank.reopen{value: value}(expired.deposit, next.deposit);
            assertEq(_openId(next), next.id);
            assertEq(_idle(payer.addr, NATIVE, 0), available - amount);
        }
        _assertConserved(NATIVE);
    }

    function test_SurplusGoesToTheBalance() public {
        _expire();
        Round memory next = _round(NATIVE, 0, _leaves(10, 10, 10));
        vm.prank(payer.addr);
        bank.reopen(expired.deposit, next.deposit);
        assertEq(_idle(payer.addr, NATIVE, 0), 70);
        _assertConserved(NATIVE);
    }

    function test_OpensIfThePurseIsIdleAlready() public {
        _expire();
        bank.reclaim(expired.deposit);
        Round memory next = _smallRound(NATIVE, 20);
        vm.recordLogs();
        vm.prank(payer.addr);
        bank.reopen(expired.deposit, next.deposit);
        assertEq(vm.getRecordedLogs().length, 1, "only Opened");
        assertEq(_openId(next), next.id);
        _assertConserved(NATIVE);
    }

    /// The payout is not reclaimed with the rest, even before the window ends.
    function test_OpensWithTheRestIfTheDepositWasRedeemed() public {
        Round memory won = _smallRound(NATIVE, 0);
        won.deposit.lane = 2;
        _seal(won);
        _open(won);
        _keep(won);
        _drawAndRecord(won, _seedOf(won, ann.addr));
        vm.prank(ann.addr);
        bank.redeem(_pack(_redemption(won, ann.addr, 30)), "");

        Round memory next = _round(NATIVE, 0, _leaves(20, 20, 10));
        next.deposit.lane = 2;
        _seal(next);
        vm.prank(payer.addr);
        bank.reopen(won.deposit, next.deposit);
        assertEq(_openId(next), next.id);
        assertEq(_idle(payer.addr, NATIVE, 0), 0);
        _assertConserved(NATIVE);
    }

    function testFuzz_OnlyThePayerReopens(address caller) public {
        vm.assume(caller != payer.addr);
        _expire();
        Round memory next = _smallRound(NATIVE, 20);
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotPayer.selector, caller, payer.addr));
        bank.reopen(expired.deposit, next.deposit);
    }

    /// Attack: pay for a deposit with another payer's expired deposit.
    function test_RejectsExpiredDepositOfAnotherPurse() public {
        _expire();
        bytes memory mismatch = abi.encodeWithSelector(IChequeBank.PurseMismatch.selector);

        Round memory next = _smallRound(NATIVE, 20);
        next.deposit.lane = 2;
        _expectRefused(next.deposit, mismatch);
        next = _smallRound(address(token), 20);
        _expectRefused(next.deposit, mismatch);

        next = _smallRound(NATIVE, 20);
        next.deposit.payer = relayer;
        vm.prank(relayer);
        vm.expectRevert(mismatch);
        bank.reopen(expired.deposit, next.deposit);
        assertEq(_openId(expired), expired.id);
    }

    /// Attack: name terms that expired earlier, for a purse whose deposit can still be redeemed.
    function test_RejectsOtherTermsThanTheOpenOnes() public {
        Round memory other = _smallRound(NATIVE, 0);
        other.deposit.redeemUntil = other.deposit.drawTime + 1;
        vm.warp(uint256(other.deposit.drawTime) + 2);
        Round memory next = _smallRound(NATIVE, 20);
        vm.prank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.PurseBusy.selector, expired.id));
        bank.reopen(other.deposit, next.deposit);
        assertEq(_openId(expired), expired.id);
    }

    function test_ChecksTheTermsOfTheNextDeposit() public {
        _expire();
        Round memory next = _smallRound(NATIVE, 20);
        next.deposit.drawTime -= 1;
        _expectRefused(
            next.deposit,
            abi.encodeWithSelector(IChequeBank.DrawTooSoon.selector, next.deposit.drawTime, next.deposit.drawTime + 1)
        );
        next.deposit.drawTime += 1;
        next.deposit.signer = address(0);
        _expectRefused(next.deposit, abi.encodeWithSelector(IChequeBank.ZeroSigner.selector));
        assertEq(_openId(expired), expired.id);
    }

    /// Attack: reopen a deposit with its own terms, to draw again.
    function test_RejectsTheExpiredTermsAsTheNextOnes() public {
        _expire();
        vm.prank(payer.addr);
        vm.expectRevert();
        bank.reopen(expired.deposit, expired.deposit);
    }

    function test_RejectsNativeCoinWithTokens() public {
        Round memory r = _smallRound(address(token), 0);
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        Round memory next = _smallRound(address(token), 20);
        vm.deal(payer.addr, 1);
        vm.prank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.WrongValue.selector, 1, 0));
        bank.reopen{value: 1}(r.deposit, next.deposit);
    }

    function test_ReopensTokens() public {
        Round memory r = _smallRound(address(token), 0);
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        Round memory next = _smallRound(address(token), 20);
        vm.prank(payer.addr);
        bank.reopen(r.deposit, next.deposit);
        assertEq(_openId(next), next.id);
        _assertConserved(address(token));
    }
}
