// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";

contract StreamTest is BaseTest {
    uint128 private constant ALLOWANCE = 1_000_000;

    /// @dev Ann has the whole allowance, so she wins at any total.
    function _won() private returns (Round memory r) {
        r = _certainRound(NATIVE, ALLOWANCE);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
    }

    function _streamed(Round memory r, uint128 spent, uint128 step, uint256 n, uint16 k)
        private
        view
        returns (IChequeBank.Redemption memory x)
    {
        x = _redemption(r, ann.addr, spent);
        _stream(x, r.id, step, n, k);
    }

    function _redeem(IChequeBank.Redemption memory x) private returns (uint128 payout) {
        vm.prank(ann.addr);
        return bank.redeem(_pack(x), "");
    }

    function _expectBad(IChequeBank.Redemption memory x) private {
        _expectNotRedeemable(x, IChequeBank.Outcome.BadStream);
    }

    function testFuzz_PaysTheChequeAndTheStepsShown(uint8 n, uint8 k, uint16 spent, uint8 step) public {
        vm.assume(step > 0 && n > 0);
        k = uint8(bound(k, 1, n));
        Round memory r = _won();
        IChequeBank.Redemption memory x = _streamed(r, spent, step, n, k);
        uint128 total = spent + uint128(k) * step;
        vm.expectEmit(address(bank));
        emit IChequeBank.Redeemed(r.id, ann.addr, address(0), total, total);
        assertEq(_redeem(x), total);
        assertEq(_idle(payer.addr, NATIVE, 1), ALLOWANCE - total);
        _assertConserved(NATIVE);
    }

    function test_PaysTheChequeAloneIfNoStepIsShown() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _streamed(r, 1000, 5, 10, 1);
        (x.k, x.x) = (0, 0);
        assertEq(_redeem(x), 1000);
    }

    function test_ChequeOverNothingIsWorthItsSteps() public {
        Round memory r = _won();
        assertEq(_redeem(_streamed(r, 0, 5, 10, 3)), 15);
    }

    function test_RejectsChequeOverNothingWithoutSteps() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _streamed(r, 0, 5, 10, 1);
        (x.k, x.x) = (0, 0);
        _expectNotRedeemable(x, IChequeBank.Outcome.NothingSpent);
    }

    function test_Pays4096StepsAndNotOneMore() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _streamed(r, 7, 3, 5000, 4097);
        _expectBad(x);
        x = _streamed(r, 7, 3, 5000, 4096);
        assertEq(_redeem(x), 7 + 3 * 4096);
    }

    function test_RejectsAnyLargerNumberOfSteps() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _streamed(r, 7, 3, 10, 1);
        uint16[4] memory many = [4098, 1 << 13, (1 << 15) + 1, type(uint16).max];
        for (uint256 i = 0; i < many.length; i++) {
            x.k = many[i];
            _expectBad(x);
        }
    }

    function test_RejectsXThatDoesNotLeadToTheAnchor() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _streamed(r, 7, 3, 10, 4);
        bytes32 good = x.x;
        x.k = 3;
        _expectBad(x);
        x.k = 5;
        _expectBad(x);
        x.k = 4;
        x.x = 0;
        _expectBad(x);
        x.x = keccak256(abi.encode(good));
        _expectBad(x);
        x.x = x.anchor;
        _expectBad(x);
        x.x = good;
        assertEq(_redeem(x), 19);
    }

    /// The anchor itself shows no step; without steps x is zero.
    function test_RejectsXWithoutSteps() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _streamed(r, 7, 3, 10, 4);
        x.k = 0;
        _expectBad(x);
        x.x = x.anchor;
        _expectBad(x);
        x = _redemption(r, ann.addr, 7);
        x.x = "x";
        _expectBad(x);
    }

    function test_RejectsStepsOfAPlainCheque() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 7);
        x.k = 1;
        _expectBad(x);
        x.x = "x";
        _expectBad(x);
    }

    function test_RejectsAnchorWithoutStepAndStepWithoutAnchor() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 7);
        x.anchor = "anchor";
        _resign(x, r.id, signer);
        _expectBad(x);
        (x.anchor, x.step) = (0, 3);
        _resign(x, r.id, signer);
        _expectBad(x);
        _stream(x, r.id, 0, 10, 2);
        _expectBad(x);
    }

    function test_StepsMayFillTheAllowanceButNotExceedIt() public {
        Round memory r = _won();
        _expectNotRedeemable(_streamed(r, ALLOWANCE - 29, 3, 20, 10), IChequeBank.Outcome.OverAllowance);
        assertEq(_redeem(_streamed(r, ALLOWANCE - 30, 3, 20, 10)), ALLOWANCE);
    }

    /// Attack: a step so big that the total would wrap.
    function testFuzz_HugeStepsAreOverTheAllowance(uint128 spent, uint128 step, uint16 k) public {
        k = uint16(bound(k, 1, 4096));
        step = uint128(bound(step, ALLOWANCE + 1, type(uint128).max));
        Round memory r = _won();
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, spent);
        (x.anchor, x.step, x.k, x.x) = ("anchor", step, k, "x");
        _resign(x, r.id, signer);
        _expectNotRedeemable(x, IChequeBank.Outcome.OverAllowance);
        x.step = type(uint128).max;
        x.k = 4096;
        _expectNotRedeemable(x, IChequeBank.Outcome.OverAllowance);
    }

    /// The steps are worth 2^128, so the total would be 2 if cut to 128 bits.
    function test_TotalIsNotCutTo128Bits() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 2);
        _stream(x, r.id, 1 << 127, 10, 2);
        _expectNotRedeemable(x, IChequeBank.Outcome.OverAllowance);
    }

    function test_RejectsAnotherAnchorOrStepThanSigned() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _streamed(r, 7, 3, 10, 4);
        x.step = 4;
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
        x.step = 3;
        x.anchor = keccak256(abi.encode(x.anchor));
        x.k = 5;
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
        // Steps of a stream on a plain cheque.
        IChequeBank.Redemption memory plain = _redemption(r, ann.addr, 7);
        x = _streamed(r, 7, 3, 10, 4);
        x.signature = plain.signature;
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
    }

    /// The consent covers the total, the cheque and its steps.
    function test_ConsentIsForTheTotal() public {
        Round memory r = _won();
        IChequeBank.Redemption memory x = _streamed(r, 7, 3, 10, 4);
        x.consent = _consent(r, ann, 7, address(0));
        _expectNotRedeemable(x, IChequeBank.Outcome.ConsentMissing);
        x.consent = _consent(r, ann, 19, address(0));
        vm.prank(relayer);
        assertEq(bank.redeem(_pack(x), ""), 19);
    }
}
