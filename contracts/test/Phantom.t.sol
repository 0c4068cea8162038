// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {GenerousToken, SwallowingToken, WrappedCoin} from "./mocks/PhantomTokens.sol";

/// Attack: a thief "authorizes" with a token that has no ERC-3009 and lets the call pass, and so would open a deposit
/// from its victim's balance, with itself as signer and payee.
contract PhantomTest is BaseTest {
    function _steal(address asset, uint256 value, bytes memory reason) private {
        _fund(asset, payer.addr, 100);
        Round memory r = _certainRound(asset, 100);
        r.deposit.signer = relayer;
        _seal(r);
        IChequeBank.Authorization memory nothing;
        nothing.value = value;
        vm.startPrank(relayer);
        if (reason.length > 0) vm.expectRevert(reason);
        else vm.expectRevert();
        bank.openWithAuthorization(r.deposit, nothing);
        if (reason.length > 0) vm.expectRevert(reason);
        else vm.expectRevert();
        bank.fundWithAuthorization(payer.addr, asset, relayer, 0, nothing);
        vm.stopPrank();
        assertEq(_idle(payer.addr, asset, 0), 100);
        assertEq(_idle(relayer, asset, 0), 0);
    }

    function test_RejectsWrappedCoinWithoutAuthorization() public {
        _steal(address(new WrappedCoin()), 0, abi.encodeWithSelector(IChequeBank.ZeroAmount.selector));
        _steal(address(new WrappedCoin()), 1, "");
    }

    function test_RejectsTokenThatAcceptsEveryCall() public {
        _steal(address(new SwallowingToken()), 0, abi.encodeWithSelector(IChequeBank.ZeroAmount.selector));
        _steal(address(new SwallowingToken()), 1, "");
    }

    /// Arriving tokens are no authorization either: the token must know the authorization as used.
    function test_RejectsTokenThatDoesNotKnowTheAuthorization() public {
        bytes memory reason = abi.encodeWithSelector(IChequeBank.InvalidSignature.selector, payer.addr);
        _steal(address(new GenerousToken()), 1, reason);
    }
}
