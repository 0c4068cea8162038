// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {BonusToken, FalseToken, FeeToken, LyingToken, SilentToken} from "./mocks/OddTokens.sol";
import {TestToken} from "./mocks/TestToken.sol";

/// @notice Tokens with unusual behaviour.
contract TokensTest is BaseTest {
    /// @dev Mints, approves and funds; expects a revert with this reason, or with any if empty.
    function _expectRefused(address asset, bytes memory why) private {
        TestToken(asset).mint(address(this), 1000);
        TestToken(asset).approve(address(bank), 1000);
        if (why.length > 0) vm.expectRevert(why);
        else vm.expectRevert();
        bank.fund(asset, ann.addr, 1000);
        assertEq(_idle(ann.addr, asset, 0), 0);
        assertEq(TestToken(asset).balanceOf(address(this)), 1000);
    }

    /// @dev Funds, opens, pays a win straight out, and withdraws the rest.
    function _roundTrip(address asset, uint128 amount) private {
        Round memory r = _round(asset, 0, _leaves(amount / 2, amount / 4, amount / 4));
        _open(r);
        _assertConserved(asset);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, amount / 4);
        x.to = cyd.addr;
        vm.prank(ann.addr);
        assertEq(bank.redeem(_pack(x), ""), amount / 2);
        _assertConserved(asset);
        assertEq(TestToken(asset).balanceOf(cyd.addr), amount / 2);
        vm.prank(payer.addr);
        bank.withdraw(asset, 1, amount / 2, payer.addr);
        assertEq(TestToken(asset).balanceOf(payer.addr), amount / 2);
        assertEq(_holdings(asset), 0);
    }

    function test_TokensOfAnyDecimals() public {
        _roundTrip(address(new TestToken(0)), 8);
        _roundTrip(address(new TestToken(6)), 1_000_000e6);
        _roundTrip(address(new TestToken(18)), 1_000_000e18);
        _roundTrip(address(new TestToken(24)), 1_000_000e24);
    }

    function test_TokensThatReturnNothing() public {
        _roundTrip(address(new SilentToken()), 1_000_000e6);
    }

    function test_RejectsTokensThatTakeAFee() public {
        _expectRefused(
            address(new FeeToken()), abi.encodeWithSelector(IChequeBank.WrongAmountReceived.selector, 990, 1000)
        );
    }

    function test_RejectsTokensThatGiveMore() public {
        _expectRefused(
            address(new BonusToken()), abi.encodeWithSelector(IChequeBank.WrongAmountReceived.selector, 1001, 1000)
        );
    }

    function test_RejectsTokensThatMoveNothing() public {
        _expectRefused(
            address(new LyingToken()), abi.encodeWithSelector(IChequeBank.WrongAmountReceived.selector, 0, 1000)
        );
    }

    function test_RejectsTokensThatReturnFalse() public {
        FalseToken no = new FalseToken();
        no.refuse(true);
        _expectRefused(address(no), "");
    }

    function test_RejectsMissingApprovalOrMoney() public {
        vm.expectRevert();
        bank.fund(address(token), ann.addr, 1000);
        token.mint(address(this), 1000);
        vm.expectRevert();
        bank.fund(address(token), ann.addr, 1000);
        token.approve(address(bank), 999);
        vm.expectRevert();
        bank.fund(address(token), ann.addr, 1000);
        assertEq(_holdings(address(token)), 0);
    }

    /// Contracts that are no tokens: the bank itself, and a contract that answers nothing.
    function test_RejectsContractsThatAreNoTokens() public {
        vm.expectRevert();
        bank.fund(address(bank), ann.addr, 1000);
        vm.expectRevert();
        bank.fund(DEPLOYER, ann.addr, 1000);
        assertEq(_idle(ann.addr, address(bank), 0), 0);
    }

    /// If the token refuses the transfer, the balance stays.
    function test_RefusedWithdrawalChangesNothing() public {
        FalseToken no = new FalseToken();
        _fund(address(no), ann.addr, 1000);
        no.refuse(true);
        vm.startPrank(ann.addr);
        vm.expectRevert();
        bank.withdraw(address(no), 0, 1000, ann.addr);
        assertEq(_idle(ann.addr, address(no), 0), 1000);
        no.refuse(false);
        bank.withdraw(address(no), 0, 1000, ann.addr);
        assertEq(no.balanceOf(ann.addr), 1000);
    }

    function test_RefusedStraightPayoutLeavesTheDepositOpen() public {
        FalseToken no = new FalseToken();
        Round memory r = _certainRound(address(no), 1000);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 1000);
        x.to = ann.addr;
        no.refuse(true);
        vm.startPrank(ann.addr);
        vm.expectRevert();
        bank.redeem(_pack(x), "");
        assertEq(_openId(r), r.id);
        // A credit does not call the token.
        x.to = address(0);
        assertEq(bank.redeem(_pack(x), ""), 1000);
        _assertConserved(address(no));
    }

    /// Balances of different tokens are separate.
    function test_TokensAreKeptApart() public {
        TestToken other = new TestToken(18);
        _fund(address(token), ann.addr, 100);
        _fund(address(other), ben.addr, 100);
        vm.startPrank(ann.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 0, 1));
        bank.withdraw(address(other), 0, 1, ann.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 0, 1));
        bank.withdraw(NATIVE, 0, 1, ann.addr);
    }
}
