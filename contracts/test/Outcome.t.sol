// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";

/// @notice The answers of outcomeOf, and the order of the checks.
contract OutcomeTest is BaseTest {
    /// Starts with every part wrong and corrects one part at a time.
    function test_OutcomesFollowTheOrderOfTheChecks() public {
        Round memory r = _round(NATIVE, 0, _leaves(6000, 3000, 1000));
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 0);
        bytes memory siblings = x.siblings;
        (x.k, x.to, x.siblings) = (1, address(bank), new bytes(41 * 48));
        bytes memory packed = _pack(x);
        packed[219] |= 0x80;
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.Malformed));
        bank.redeem(packed, "");
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(bank)));
        bank.redeem(_pack(x), "");
        x.to = address(0);
        _expectNotRedeemable(x, IChequeBank.Outcome.BadProof);
        x.siblings = siblings;
        _expectNotRedeemable(x, IChequeBank.Outcome.NotOpen);
        _open(r);
        _expectNotRedeemable(x, IChequeBank.Outcome.TooEarly);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        _expectNotRedeemable(x, IChequeBank.Outcome.TooLate);
        vm.warp(uint256(r.deposit.drawTime) + 1);
        _expectNotRedeemable(x, IChequeBank.Outcome.BadStream);
        (x.k, x.anchor, x.step) = (0, "anchor", 4000);
        _expectNotRedeemable(x, IChequeBank.Outcome.NothingSpent);
        (x.k, x.x) = (2, "no preimage");
        _expectNotRedeemable(x, IChequeBank.Outcome.OverAllowance);
        x.step = 3000;
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
        _resign(x, r.id, signer);
        _expectNotRedeemable(x, IChequeBank.Outcome.BadStream);
        _stream(x, r.id, 3000, 5, 1);
        _expectNotRedeemable(x, IChequeBank.Outcome.SeedUnknown);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, r.deposit.drawTime));
        bank.redeem(_pack(x), "no proof");
        _drawAndRecord(r, _seedOf(r, ben.addr));
        _expectNotRedeemable(x, IChequeBank.Outcome.Loses);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        _expectNotRedeemable(x, IChequeBank.Outcome.ConsentMissing);
        vm.prank(ann.addr);
        assertEq(bank.redeem(_pack(x), ""), 5000);
    }

    function test_OutcomeHasThePayoutFromTheDrawOn() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 30);
        _draw(r);
        (IChequeBank.Outcome outcome, uint128 payout) = bank.outcomeOf(_pack(x), "");
        assertTrue(outcome == IChequeBank.Outcome.SeedUnknown && payout == 0);
        _drawAndRecord(r, _seedOf(r, ben.addr));
        (outcome, payout) = bank.outcomeOf(_pack(x), "");
        assertTrue(outcome == IChequeBank.Outcome.Loses && payout == 50);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        (outcome, payout) = bank.outcomeOf(_pack(x), "");
        assertTrue(outcome == IChequeBank.Outcome.ConsentMissing && payout == 50);
        vm.prank(ann.addr);
        (outcome, payout) = bank.outcomeOf(_pack(x), "");
        assertTrue(outcome == IChequeBank.Outcome.Payable && payout == 50);
    }

    function test_OutcomeChangesNothing() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 100);
        bytes memory proof = _draw(r);
        vm.record();
        (IChequeBank.Outcome outcome, uint128 payout) = bank.outcomeOf(_pack(x), proof);
        (, bytes32[] memory writes) = vm.accesses(address(bank));
        assertEq(writes.length, 0);
        assertTrue(outcome == IChequeBank.Outcome.Payable);
        assertEq(payout, 100);
    }
}
