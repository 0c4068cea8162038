// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {FeeToken} from "./mocks/OddTokens.sol";
import {Beacon} from "./utils/Beacon.sol";
import {Digests} from "./utils/Digests.sol";

/// @notice The order of the checks of each function, as in section 9.2 of SPEC.md. Each test starts with all faults and
/// corrects one at a time. `Open.t.sol` does so for the terms, `Redeem.t.sol` for a redemption.
contract OrderTest is BaseTest {
    address private constant MAP_TO_CURVE = address(0x10);
    uint256 private constant MOST = type(uint128).max;
    bytes32 private constant SALT = "salt";

    address private nothing = makeAddr("nothing");

    /// @dev Wrong terms, but for the fields that the test sets: after the checks of the purse, their first error is
    /// ZeroSigner.
    function _wrongTerms(address asset) private returns (Round memory r) {
        r = _smallRound(asset, 0);
        (r.deposit.signer, r.deposit.drawTime) = (address(0), 0);
    }

    function _correct(Round memory r) private {
        r.deposit.signer = signer.addr;
        r.deposit.drawTime = uint64(vm.getBlockTimestamp()) + MIN_LEAD;
        r.deposit.redeemUntil = r.deposit.drawTime + WINDOW;
        _seal(r);
    }

    /* MONEY IN */

    function _expectFund(uint256 value, address asset, address account, uint256 amount, bytes memory why) private {
        vm.deal(relayer, value);
        vm.prank(relayer);
        vm.expectRevert(why);
        bank.fund{value: value}(asset, account, amount);
    }

    function test_FundChecksInTheirOrder() public {
        FeeToken fee = new FeeToken();
        _expectFund(1, nothing, address(0), 0, abi.encodeWithSelector(IChequeBank.WrongValue.selector, 1, 0));
        _expectFund(1, NATIVE, address(0), 0, abi.encodeWithSelector(IChequeBank.WrongValue.selector, 1, 0));
        for (uint256 i = 0; i < 2; i++) {
            address wrong = i == 0 ? address(0) : address(bank);
            _expectFund(0, nothing, wrong, 0, abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, wrong));
        }
        _expectFund(0, nothing, ann.addr, 0, abi.encodeWithSelector(IChequeBank.ZeroAmount.selector));
        bytes memory why = abi.encodeWithSelector(IChequeBank.NotAToken.selector, nothing);
        _expectFund(0, nothing, ann.addr, MOST + 1, why);
        fee.mint(relayer, MOST + 1);
        vm.prank(relayer);
        fee.approve(address(bank), MOST + 1);
        why = abi.encodeWithSelector(IChequeBank.AmountTooHigh.selector, MOST + 1, MOST);
        _expectFund(0, address(fee), ann.addr, MOST + 1, why);
        why = abi.encodeWithSelector(IChequeBank.WrongAmountReceived.selector, 99, 100);
        _expectFund(0, address(fee), ann.addr, 100, why);
        _fund(address(token), ann.addr, 5);
        assertEq(_idle(ann.addr, address(token), 0), 5);
    }

    function _expectFundAuthorized(address asset, address account, IChequeBank.Authorization memory a, bytes memory why)
        private
    {
        vm.expectRevert(why);
        bank.fundWithAuthorization(payer.addr, asset, account, SALT, a);
    }

    /// A token that moves nothing, and does not know the authorization as used.
    function _breakToken() private {
        vm.mockCall(address(token), abi.encodeWithSelector(token.receiveWithAuthorization.selector), "");
    }

    /// The token now says that the authorization is used.
    function _letTokenLie() private {
        vm.mockCall(address(token), abi.encodeWithSelector(token.authorizationState.selector), abi.encode(true));
    }

    function test_FundWithAuthorizationChecksInTheirOrder() public {
        IChequeBank.Authorization memory a;
        for (uint256 i = 0; i < 2; i++) {
            address wrong = i == 0 ? address(0) : address(bank);
            bytes memory recipient = abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, wrong);
            _expectFundAuthorized(nothing, wrong, a, recipient);
        }
        _expectFundAuthorized(nothing, ann.addr, a, abi.encodeWithSelector(IChequeBank.ZeroAmount.selector));
        a.value = MOST + 1;
        _expectFundAuthorized(nothing, ann.addr, a, abi.encodeWithSelector(IChequeBank.NotAToken.selector, nothing));
        _breakToken();
        bytes memory why = abi.encodeWithSelector(IChequeBank.AmountTooHigh.selector, MOST + 1, MOST);
        _expectFundAuthorized(address(token), ann.addr, a, why);
        a.value = 5;
        why = abi.encodeWithSelector(IChequeBank.InvalidSignature.selector, payer.addr);
        _expectFundAuthorized(address(token), ann.addr, a, why);
        _letTokenLie();
        why = abi.encodeWithSelector(IChequeBank.WrongAmountReceived.selector, 0, 5);
        _expectFundAuthorized(address(token), ann.addr, a, why);

        vm.clearMockedCalls();
        token.mint(payer.addr, 5);
        bytes32 purpose = Digests.fund(IChequeBank.Fund(payer.addr, address(token), ann.addr, 5, SALT));
        a = _authorize(payer, token, 5, _digest(purpose));
        bank.fundWithAuthorization(payer.addr, address(token), ann.addr, SALT, a);
        assertEq(_idle(ann.addr, address(token), 0), 5);
    }

    /* OPENING */

    function _expectOpen(address caller, uint256 value, Round memory r, bytes memory why) private {
        vm.deal(caller, value);
        vm.prank(caller);
        vm.expectRevert(why);
        bank.open{value: value}(r.deposit);
    }

    function test_OpenChecksInTheirOrder() public {
        Round memory busy = _smallRound(address(token), 0);
        _open(busy);
        Round memory r = _wrongTerms(address(token));
        bytes memory why = abi.encodeWithSelector(IChequeBank.NotPayer.selector, relayer, payer.addr);
        _expectOpen(relayer, 1, r, why);
        _expectOpen(payer.addr, 1, r, abi.encodeWithSelector(IChequeBank.WrongValue.selector, 1, 0));
        _expectOpen(payer.addr, 0, r, abi.encodeWithSelector(IChequeBank.PurseBusy.selector, busy.id));
        r.deposit.lane = 2;
        _expectOpen(payer.addr, 0, r, abi.encodeWithSelector(IChequeBank.ZeroSigner.selector));
        _correct(r);
        _open(r);
    }

    function _expectOpenFor(Round memory r, uint256 deadline, bytes memory signature, bytes memory why) private {
        vm.expectRevert(why);
        bank.openFor(r.deposit, deadline, signature);
    }

    function _signOpening(Round memory r, uint256 deadline) private returns (bytes memory) {
        _seal(r);
        return _sign(payer, Digests.open(r.id, deadline));
    }

    function test_OpenForChecksInTheirOrder() public {
        Round memory busy = _smallRound(NATIVE, 0);
        _open(busy);
        Round memory r = _wrongTerms(NATIVE);
        uint256 now_ = vm.getBlockTimestamp();
        bytes memory why = abi.encodeWithSelector(IChequeBank.SignatureExpired.selector, now_ - 1);
        _expectOpenFor(r, now_ - 1, "", why);
        why = abi.encodeWithSelector(IChequeBank.InvalidSignature.selector, payer.addr);
        _expectOpenFor(r, now_, "", why);
        why = abi.encodeWithSelector(IChequeBank.PurseBusy.selector, busy.id);
        _expectOpenFor(r, now_, _signOpening(r, now_), why);
        r.deposit.lane = 2;
        why = abi.encodeWithSelector(IChequeBank.ZeroSigner.selector);
        _expectOpenFor(r, now_, _signOpening(r, now_), why);
        _correct(r);
        _fund(NATIVE, payer.addr, 100);
        assertEq(bank.openFor(r.deposit, now_, _signOpening(r, now_)), r.id);
    }

    function _expectOpenAuthorized(Round memory r, IChequeBank.Authorization memory a, bytes memory why) private {
        vm.expectRevert(why);
        bank.openWithAuthorization(r.deposit, a);
    }

    function test_OpenWithAuthorizationChecksInTheirOrder() public {
        Round memory busy = _smallRound(address(token), 0);
        _open(busy);
        Round memory r = _wrongTerms(nothing);
        IChequeBank.Authorization memory a;
        _expectOpenAuthorized(r, a, abi.encodeWithSelector(IChequeBank.ZeroAmount.selector));
        a.value = MOST + 1;
        _expectOpenAuthorized(r, a, abi.encodeWithSelector(IChequeBank.NotAToken.selector, nothing));
        r.deposit.token = address(token);
        _breakToken();
        _expectOpenAuthorized(r, a, abi.encodeWithSelector(IChequeBank.AmountTooHigh.selector, MOST + 1, MOST));
        a.value = 100;
        _expectOpenAuthorized(r, a, abi.encodeWithSelector(IChequeBank.InvalidSignature.selector, payer.addr));
        _letTokenLie();
        _expectOpenAuthorized(r, a, abi.encodeWithSelector(IChequeBank.WrongAmountReceived.selector, 0, 100));

        vm.clearMockedCalls();
        token.mint(payer.addr, 100);
        _seal(r);
        a = _authorize(payer, token, 100, r.id);
        _expectOpenAuthorized(r, a, abi.encodeWithSelector(IChequeBank.PurseBusy.selector, busy.id));
        r.deposit.lane = 2;
        _seal(r);
        a = _authorize(payer, token, 100, r.id);
        _expectOpenAuthorized(r, a, abi.encodeWithSelector(IChequeBank.ZeroSigner.selector));
        _correct(r);
        assertEq(bank.openWithAuthorization(r.deposit, _authorize(payer, token, 100, r.id)), r.id);
    }

    function _expectReopen(address caller, uint256 value, Round memory expired, Round memory next, bytes memory why)
        private
    {
        vm.deal(caller, value);
        vm.prank(caller);
        vm.expectRevert(why);
        bank.reopen{value: value}(expired.deposit, next.deposit);
    }

    function test_ReopenChecksInTheirOrder() public {
        Round memory open = _smallRound(address(token), 0);
        _open(open);
        Round memory other = _smallRound(address(token), 1);
        Round memory next = _wrongTerms(address(token));
        next.deposit.lane = 2;
        bytes memory why = abi.encodeWithSelector(IChequeBank.NotPayer.selector, relayer, payer.addr);
        _expectReopen(relayer, 1, open, next, why);
        _expectReopen(payer.addr, 1, open, next, abi.encodeWithSelector(IChequeBank.WrongValue.selector, 1, 0));
        why = abi.encodeWithSelector(IChequeBank.PurseMismatch.selector);
        _expectReopen(payer.addr, 0, open, next, why);
        next.deposit.lane = 1;
        why = abi.encodeWithSelector(IChequeBank.StillRedeemable.selector, open.deposit.redeemUntil);
        _expectReopen(payer.addr, 0, open, next, why);
        why = abi.encodeWithSelector(IChequeBank.PurseBusy.selector, open.id);
        _expectReopen(payer.addr, 0, other, next, why);
        vm.warp(uint256(open.deposit.redeemUntil) + 1);
        _expectReopen(payer.addr, 0, open, next, abi.encodeWithSelector(IChequeBank.ZeroSigner.selector));
        _correct(next);
        vm.prank(payer.addr);
        assertEq(bank.reopen(open.deposit, next.deposit), next.id);
    }

    /* BATCH */

    function test_RedeemBatchChecksInTheirOrder() public {
        bank = _deploy(MIN_LEAD, Beacon.publicKey(Beacon.SECRET), GENESIS, 7);
        bytes[] memory items = new bytes[](1);
        bytes[] memory proofs = new bytes[](1);
        uint64[] memory times = new uint64[](2);
        (times[0], times[1]) = (GENESIS - 7, GENESIS + 1);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.LengthMismatch.selector, 2, 1));
        bank.redeemBatch(items, times, proofs);
        proofs = new bytes[](2);
        vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawBeforeGenesis.selector, GENESIS - 7, GENESIS));
        bank.redeemBatch(items, times, proofs);
        times[0] = GENESIS + 8;
        vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawOffSchedule.selector, GENESIS + 8));
        bank.redeemBatch(items, times, proofs);
        times[0] = GENESIS + 7;
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, GENESIS + 7));
        bank.redeemBatch(items, times, proofs);
        // The times come one after the other, each with all its checks.
        proofs[0] = Beacon.sign(Beacon.SECRET, 2);
        vm.expectRevert(abi.encodeWithSelector(IDrandBank.DrawOffSchedule.selector, GENESIS + 1));
        bank.redeemBatch(items, times, proofs);
        // What a redemption is comes last, and reverts nothing.
        (times[1], proofs[1]) = (GENESIS + 7, proofs[0]);
        assertEq(bank.redeemBatch(items, times, proofs)[0], 0);
    }

    /* MONEY OUT */

    function _expectWithdraw(uint64 lane, uint256 amount, address to, bytes memory why) private {
        vm.prank(payer.addr);
        vm.expectRevert(why);
        bank.withdraw(NATIVE, lane, amount, to);
    }

    function test_WithdrawChecksInTheirOrder() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _expectWithdraw(1, 0, address(0), abi.encodeWithSelector(IChequeBank.PurseBusy.selector, r.id));
        for (uint256 i = 0; i < 2; i++) {
            address wrong = i == 0 ? address(0) : address(bank);
            _expectWithdraw(2, 0, wrong, abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, wrong));
        }
        _expectWithdraw(2, 0, cyd.addr, abi.encodeWithSelector(IChequeBank.ZeroAmount.selector));
        _expectWithdraw(2, 1, cyd.addr, abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 0, 1));
        _fund(NATIVE, payer.addr, 1);
        vm.prank(payer.addr);
        bank.withdraw(NATIVE, 0, 1, cyd.addr);
        assertEq(cyd.addr.balance, 1);
    }

    function _withdrawFor(IChequeBank.Withdraw memory w, bytes memory signature) private {
        bank.withdrawFor(w.account, w.token, w.lane, w.amount, w.to, w.nonce, w.deadline, signature);
    }

    function _expectWithdrawFor(IChequeBank.Withdraw memory w, bytes memory why) private {
        bytes memory signature = _sign(payer, Digests.withdraw(w));
        vm.expectRevert(why);
        _withdrawFor(w, signature);
    }

    function test_WithdrawForChecksInTheirOrder() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _fund(NATIVE, payer.addr, 1);
        uint256 now_ = vm.getBlockTimestamp();
        IChequeBank.Withdraw memory w = IChequeBank.Withdraw(payer.addr, NATIVE, 0, 1, cyd.addr, 7, now_);
        _withdrawFor(w, _sign(payer, Digests.withdraw(w)));

        (w.lane, w.amount, w.to, w.deadline) = (1, 0, address(0), now_ - 1);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NonceUsed.selector, payer.addr, 7));
        _withdrawFor(w, "");
        w.nonce = 8;
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.SignatureExpired.selector, now_ - 1));
        _withdrawFor(w, "");
        w.deadline = now_;
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSignature.selector, payer.addr));
        _withdrawFor(w, "");
        _expectWithdrawFor(w, abi.encodeWithSelector(IChequeBank.PurseBusy.selector, r.id));
        w.lane = 0;
        _expectWithdrawFor(w, abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(0)));
        w.to = cyd.addr;
        _expectWithdrawFor(w, abi.encodeWithSelector(IChequeBank.ZeroAmount.selector));
        w.amount = 1;
        _expectWithdrawFor(w, abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 0, 1));
        _fund(NATIVE, payer.addr, 1);
        _withdrawFor(w, _sign(payer, Digests.withdraw(w)));
        assertTrue(bank.nonceUsed(payer.addr, 8));
    }

    /* CONSTRUCTOR */

    function create(bytes calldata code) external returns (address made) {
        bytes memory init = code;
        assembly ("memory-safe") {
            made := create(0, add(init, 32), mload(init))
            if iszero(made) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    function _expectNoBank(uint64 lead, bytes memory key, uint64 genesis, uint64 period, bytes memory why) private {
        bytes memory code = vm.getCode("DrandBank.sol:DrandBank");
        code = bytes.concat(code, abi.encode(lead, key, genesis, period));
        vm.expectRevert(why);
        this.create{gas: 10_000_000}(code);
    }

    function test_ConstructorChecksInTheirOrder() public {
        bytes memory good = Beacon.publicKey(Beacon.SECRET);
        vm.mockCall(MAP_TO_CURVE, bytes(""), bytes(""));
        _expectNoBank(0, "", 0, 0, abi.encodeWithSelector(IChequeBank.LeadOutOfRange.selector, 0, 30 days));
        _expectNoBank(1, "", 0, 0, abi.encodeWithSelector(IDrandBank.InvalidSchedule.selector, 0, 0));
        _expectNoBank(1, "", 1, 1, abi.encodeWithSelector(IDrandBank.InvalidPublicKey.selector));
        // The identity is no key, but cannot be told without the precompiles.
        _expectNoBank(1, new bytes(192), 1, 1, abi.encodeWithSelector(IDrandBank.NoPrecompiles.selector));
        vm.clearMockedCalls();
        _expectNoBank(1, new bytes(192), 1, 1, abi.encodeWithSelector(IDrandBank.InvalidPublicKey.selector));
        assertEq(_deploy(1, good, 1, 1).minLead(), 1);
    }
}
