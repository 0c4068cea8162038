// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {AuthorizationFeeToken, AuthorizationToken} from "./mocks/AuthorizationToken.sol";
import {Digests} from "./utils/Digests.sol";

contract FundTest is BaseTest {
    bytes32 private constant SALT = "salt";

    function _nonce(AuthorizationToken asset, address account, uint256 amount) private view returns (bytes32) {
        return _digest(Digests.fund(IChequeBank.Fund(payer.addr, address(asset), account, amount, SALT)));
    }

    function testFuzz_CreditsTheNativeCoinToTheAccount(uint256 amount, uint64 lane) public {
        amount = bound(amount, 1, type(uint128).max);
        vm.deal(relayer, amount);
        vm.expectEmit(address(bank));
        emit IChequeBank.Funded(relayer, NATIVE, ann.addr, amount);
        vm.prank(relayer);
        bank.fund{value: amount}(NATIVE, ann.addr, amount);

        (uint256 idle, bytes32 id) = bank.purse(ann.addr, NATIVE, 0);
        assertEq(idle, amount);
        assertEq(id, 0);
        if (lane != 0) assertEq(_idle(ann.addr, NATIVE, lane), 0);
        assertEq(_idle(relayer, NATIVE, 0), 0);
        assertEq(_idle(ann.addr, address(token), 0), 0);
        assertEq(address(bank).balance, amount);
        _assertConserved(NATIVE);
    }

    function testFuzz_CreditsTokensToTheAccount(uint256 amount) public {
        amount = bound(amount, 1, type(uint128).max);
        token.mint(relayer, amount);
        vm.startPrank(relayer);
        token.approve(address(bank), amount);
        vm.expectEmit(address(bank));
        emit IChequeBank.Funded(relayer, address(token), ann.addr, amount);
        bank.fund(address(token), ann.addr, amount);
        vm.stopPrank();

        assertEq(_idle(ann.addr, address(token), 0), amount);
        assertEq(_idle(ann.addr, NATIVE, 0), 0);
        assertEq(token.balanceOf(relayer), 0);
        _assertConserved(address(token));
    }

    function test_AddsUpTwoFundings() public {
        _fund(NATIVE, ann.addr, 3);
        _fund(NATIVE, ann.addr, 4);
        _fund(address(token), ann.addr, 5);
        _fund(address(token), ann.addr, 6);
        assertEq(_idle(ann.addr, NATIVE, 0), 7);
        assertEq(_idle(ann.addr, address(token), 0), 11);
    }

    /// A balance is a plain uint256, so it may exceed the cap of one call.
    function test_BalanceMayExceedTheCapOfOneCall() public {
        uint256 most = type(uint128).max;
        _fund(address(token), ann.addr, most);
        _fund(address(token), ann.addr, most);
        (uint256 idle, bytes32 id) = bank.purse(ann.addr, address(token), 0);
        assertEq(idle, 2 * most);
        assertEq(id, 0);

        vm.prank(ann.addr);
        bank.withdraw(address(token), 0, 2 * most, ann.addr);
        assertEq(token.balanceOf(ann.addr), 2 * most);
    }

    function test_RejectsAmountAboveTheCap() public {
        uint256 most = type(uint128).max;
        token.mint(relayer, most + 1);
        vm.startPrank(relayer);
        token.approve(address(bank), most + 1);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.AmountTooHigh.selector, most + 1, most));
        bank.fund(address(token), ann.addr, most + 1);
        bank.fund(address(token), ann.addr, most);
        vm.stopPrank();
    }

    function test_RejectsZeroAmount() public {
        vm.expectRevert(IChequeBank.ZeroAmount.selector);
        bank.fund(NATIVE, ann.addr, 0);
        vm.expectRevert(IChequeBank.ZeroAmount.selector);
        bank.fund(address(token), ann.addr, 0);
        IChequeBank.Authorization memory a = _authorize(payer, token, 0, _nonce(token, ann.addr, 0));
        vm.expectRevert(IChequeBank.ZeroAmount.selector);
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
    }

    function test_RejectsZeroAccount() public {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(0)));
        bank.fund{value: 1}(NATIVE, address(0), 1);
    }

    function test_RejectsCreditToTheBank() public {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(bank)));
        bank.fund{value: 1}(NATIVE, address(bank), 1);
    }

    function testFuzz_RejectsAnotherValueThanTheAmount(uint96 sent, uint96 amount) public {
        vm.assume(sent != amount && amount > 0);
        vm.deal(address(this), sent);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.WrongValue.selector, sent, amount));
        bank.fund{value: sent}(NATIVE, ann.addr, amount);
    }

    function test_RejectsNativeCoinWithTokens() public {
        token.mint(address(this), 5);
        token.approve(address(bank), 5);
        vm.deal(address(this), 5);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.WrongValue.selector, 5, 0));
        bank.fund{value: 5}(address(token), ann.addr, 5);
    }

    function test_RejectsTokenWithoutCode() public {
        address nothing = makeAddr("nothing");
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotAToken.selector, nothing));
        bank.fund(nothing, ann.addr, 5);
        IChequeBank.Authorization memory a;
        a.value = 5;
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotAToken.selector, nothing));
        bank.fundWithAuthorization(payer.addr, nothing, ann.addr, SALT, a);
    }

    function test_RejectsAuthorizationOfTheNativeCoin() public {
        IChequeBank.Authorization memory a;
        a.value = 5;
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotAToken.selector, NATIVE));
        bank.fundWithAuthorization(payer.addr, NATIVE, ann.addr, SALT, a);
    }

    function test_RejectsPlainTransfer() public {
        vm.deal(address(this), 2);
        (bool done,) = address(bank).call{value: 1}("");
        assertFalse(done, "plain transfer");
        (done,) = address(bank).call{value: 1}(hex"12345678");
        assertFalse(done, "unknown function");
    }

    function test_ForcedNativeCoinStaysOutsideTheAccounts() public {
        _fund(NATIVE, ann.addr, 10);
        vm.deal(address(bank), 1000);
        assertEq(_idle(ann.addr, NATIVE, 0), 10);
        vm.prank(ann.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 10, 11));
        bank.withdraw(NATIVE, 0, 11, ann.addr);
    }

    function test_TokensSentDirectlyStayOutsideTheAccounts() public {
        token.mint(address(bank), 1000);
        _fund(address(token), ann.addr, 10);
        assertEq(_idle(ann.addr, address(token), 0), 10);
    }

    /* WITH AUTHORIZATION */

    function testFuzz_AnyoneSubmitsAnAuthorization(address submitter, uint128 amount) public {
        vm.assume(amount > 0 && submitter != address(0) && submitter != address(bank));
        token.mint(payer.addr, amount);
        bytes32 nonce = _nonce(token, ann.addr, amount);
        IChequeBank.Authorization memory a = _authorize(payer, token, amount, nonce);
        vm.expectEmit(address(bank));
        emit IChequeBank.Funded(payer.addr, address(token), ann.addr, amount);
        vm.prank(submitter);
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
        assertEq(_idle(ann.addr, address(token), 0), amount);
        assertTrue(token.authorizationState(payer.addr, nonce));
        _assertConserved(address(token));
    }

    function test_RejectsAuthorizationAboveTheCap() public {
        uint256 most = type(uint128).max;
        token.mint(payer.addr, most + 1);
        IChequeBank.Authorization memory a = _authorize(payer, token, most + 1, _nonce(token, ann.addr, most + 1));
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.AmountTooHigh.selector, most + 1, most));
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
    }

    /// Attack: an observer submits the authorization for its own account, with another salt or another value.
    function test_ObserverCannotRedirectAnAuthorization() public {
        token.mint(payer.addr, 100);
        bytes32 nonce = _nonce(token, ann.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, nonce);

        vm.startPrank(relayer);
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        bank.fundWithAuthorization(payer.addr, address(token), relayer, SALT, a);
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, "pepper", a);
        a.value = 50;
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
        a.value = 100;
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        bank.fundWithAuthorization(ann.addr, address(token), ann.addr, SALT, a);
        vm.stopPrank();

        assertFalse(token.authorizationState(payer.addr, nonce), "burnt");
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
        assertEq(_idle(ann.addr, address(token), 0), 100);
    }

    /// Attack: an observer submits the authorization to the token itself, so that the tokens arrive without a credit.
    function test_ObserverCannotBurnAnAuthorizationAtTheToken() public {
        token.mint(payer.addr, 100);
        bytes32 nonce = _nonce(token, ann.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, nonce);

        vm.startPrank(relayer);
        vm.expectRevert(abi.encodeWithSelector(AuthorizationToken.CallerIsNotPayee.selector, relayer, address(bank)));
        token.receiveWithAuthorization(
            payer.addr, address(bank), 100, a.validAfter, a.validBefore, nonce, a.v, a.r, a.s
        );
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        token.transferWithAuthorization(
            payer.addr, address(bank), 100, a.validAfter, a.validBefore, nonce, a.v, a.r, a.s
        );
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        token.receiveWithAuthorization(payer.addr, relayer, 100, a.validAfter, a.validBefore, nonce, a.v, a.r, a.s);
        vm.stopPrank();

        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
        assertEq(_idle(ann.addr, address(token), 0), 100);
    }

    function test_AuthorizationWorksOnce() public {
        token.mint(payer.addr, 200);
        bytes32 nonce = _nonce(token, ann.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, nonce);
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
        vm.expectRevert(abi.encodeWithSelector(AuthorizationToken.AuthorizationUsed.selector, nonce));
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
    }

    function test_AuthorizationIsValidInItsTimeOnly() public {
        token.mint(payer.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, _nonce(token, ann.addr, 100));
        vm.warp(a.validBefore);
        vm.expectRevert();
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
        vm.warp(a.validAfter);
        vm.expectRevert();
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
        vm.warp(a.validAfter + 1);
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
    }

    /// The nonce is a digest under the current chain id, like all signatures.
    function test_AuthorizationFollowsTheChainId() public {
        vm.chainId(4242);
        token.mint(payer.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, _nonce(token, ann.addr, 100));
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
        assertEq(_idle(ann.addr, address(token), 0), 100);
    }

    function test_RejectsAuthorizationThatBringsLessThanItsValue() public {
        AuthorizationFeeToken fee = new AuthorizationFeeToken();
        fee.mint(payer.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, fee, 100, _nonce(fee, ann.addr, 100));
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.WrongAmountReceived.selector, 99, 100));
        bank.fundWithAuthorization(payer.addr, address(fee), ann.addr, SALT, a);
    }

    function test_RejectsAuthorizedCreditToZeroOrTheBank() public {
        token.mint(payer.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, _nonce(token, address(0), 100));
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(0)));
        bank.fundWithAuthorization(payer.addr, address(token), address(0), SALT, a);
        a = _authorize(payer, token, 100, _nonce(token, address(bank), 100));
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(bank)));
        bank.fundWithAuthorization(payer.addr, address(token), address(bank), SALT, a);
    }
}
