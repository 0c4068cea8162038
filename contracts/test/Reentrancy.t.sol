// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Reentering, ReenteringPayee, ReenteringToken} from "./mocks/Reentering.sol";
import {Leaf} from "./utils/AllowanceTrees.sol";
import {Digests} from "./utils/Digests.sol";

/// @notice Every contract that the bank calls reenters every function that changes state. Each of these calls would
/// succeed on its own, and each must be refused.
contract ReentrancyTest is BaseTest {
    uint64 private constant SEED_TIME = uint64(START_TIME) - 5;

    ReenteringToken private evil;
    IChequeBank.Deposit private _expired;
    IChequeBank.Redemption private _won;

    function setUp() public override {
        super.setUp();
        evil = new ReenteringToken();
    }

    /// @dev Calls by `caller` that all succeed on their own after `_prepare`.
    function _everyCall(address caller) private returns (bytes[] memory calls) {
        Round memory own = _smallRound(address(token), 0);
        own.deposit.payer = caller;
        (own.deposit.drawTime, own.deposit.redeemUntil) = (uint64(START_TIME * 2), uint64(START_TIME * 3));
        _seal(own);
        Round memory other = _smallRound(address(token), 0);
        other.deposit = _later(other.deposit);
        _seal(other);

        calls = new bytes[](12);
        calls[0] = abi.encodeCall(IChequeBank.fund, (address(token), ann.addr, 5));
        bytes32 nonce = _digest(Digests.fund(IChequeBank.Fund(payer.addr, address(token), ann.addr, 7, "salt")));
        calls[1] = abi.encodeCall(
            IChequeBank.fundWithAuthorization,
            (payer.addr, address(token), ann.addr, "salt", _authorize(payer, token, 7, nonce))
        );
        calls[2] = abi.encodeCall(IChequeBank.open, (own.deposit));
        bytes memory signature = _sign(payer, Digests.open(other.id, type(uint256).max));
        calls[3] = abi.encodeCall(IChequeBank.openFor, (other.deposit, type(uint256).max, signature));
        other.deposit.lane = 3;
        _seal(other);
        calls[4] =
            abi.encodeCall(IChequeBank.openWithAuthorization, (other.deposit, _authorize(payer, token, 100, other.id)));
        own.deposit.lane = 2;
        _seal(own);
        calls[5] = abi.encodeCall(IChequeBank.reopen, (own.deposit, own.deposit));
        calls[6] = abi.encodeCall(IChequeBank.reclaim, (_expired));
        calls[7] = abi.encodeCall(IChequeBank.recordSeed, (SEED_TIME, _proof(SEED_TIME)));
        IChequeBank.Redemption[] memory xs = new IChequeBank.Redemption[](1);
        xs[0] = _won;
        calls[8] = abi.encodeCall(IChequeBank.redeem, (_pack(_won), ""));
        calls[9] = abi.encodeCall(IChequeBank.redeemBatch, (_pack(xs), new uint64[](0), new bytes[](0)));
        calls[10] = abi.encodeCall(IChequeBank.withdraw, (address(token), 0, 1, ben.addr));
        IChequeBank.Withdraw memory w =
            IChequeBank.Withdraw(ann.addr, address(token), 0, 1, ben.addr, 1, type(uint256).max);
        signature = _sign(ann, Digests.withdraw(w));
        calls[11] = abi.encodeCall(
            IChequeBank.withdrawFor, (ann.addr, address(token), 0, 1, ben.addr, 1, type(uint256).max, signature)
        );
    }

    function _later(IChequeBank.Deposit memory d) private pure returns (IChequeBank.Deposit memory) {
        (d.drawTime, d.redeemUntil) = (uint64(START_TIME * 2), uint64(START_TIME * 3));
        return d;
    }

    /// @dev Prepares the state for the calls: an expired deposit, a won deposit, money and approvals of the caller.
    function _prepare(address caller) private {
        Round memory expired = _smallRound(NATIVE, 0);
        expired.deposit.lane = 2;
        expired.deposit.redeemUntil = expired.deposit.drawTime + 1;
        _seal(expired);
        _open(expired);
        _expired = expired.deposit;
        Round memory won = _certainRound(NATIVE, 100);
        won.deposit.lane = 3;
        _seal(won);
        _open(won);
        _drawAndRecord(won, keccak256("any"));
        _won = _redemption(won, ann.addr, 100);
        vm.warp(vm.getBlockTimestamp() + 5);

        _fund(address(token), caller, 1000);
        _fund(address(token), payer.addr, 1000);
        _fund(address(token), ann.addr, 1000);
        token.mint(caller, 1000);
        token.mint(payer.addr, 1000);
        vm.prank(caller);
        token.approve(address(bank), 1000);
    }

    function _arm(Reentering reentering) private {
        reentering.arm(address(bank), _everyCall(address(reentering)));
    }

    function _expectAllRefused(Reentering reentering) private view {
        assertEq(reentering.answered(), 12, "no reentry happened");
        for (uint256 i = 0; i < 12; i++) {
            assertFalse(reentering.succeeded(i), "reentered");
            assertEq(
                reentering.answers(i),
                abi.encodeWithSelector(IChequeBank.Reentered.selector),
                string.concat("another error, call ", vm.toString(i))
            );
        }
    }

    /// Each call succeeds if made outside the bank.
    function test_CallsSucceedOnTheirOwn() public {
        address caller = address(evil);
        _prepare(caller);
        bytes[] memory calls = _everyCall(caller);
        for (uint256 i = 0; i < calls.length; i++) {
            uint256 snapshot = vm.snapshotState();
            vm.prank(caller);
            (bool done, bytes memory answer) = address(bank).call(calls[i]);
            assertTrue(done, string.concat("call ", vm.toString(i), " ", vm.toString(answer)));
            vm.revertToState(snapshot);
        }
    }

    function test_TokenCannotReenterFund() public {
        _prepare(address(evil));
        evil.mint(ann.addr, 100);
        _arm(evil);
        vm.startPrank(ann.addr);
        evil.approve(address(bank), 100);
        bank.fund(address(evil), ann.addr, 100);
        vm.stopPrank();
        _expectAllRefused(evil);
        assertEq(_idle(ann.addr, address(evil), 0), 100);
    }

    function test_TokenCannotReenterFundWithAuthorization() public {
        _prepare(address(evil));
        evil.mint(payer.addr, 100);
        bytes32 nonce = _digest(Digests.fund(IChequeBank.Fund(payer.addr, address(evil), ann.addr, 100, "salt")));
        IChequeBank.Authorization memory a = _authorize(payer, evil, 100, nonce);
        _arm(evil);
        bank.fundWithAuthorization(payer.addr, address(evil), ann.addr, "salt", a);
        _expectAllRefused(evil);
        assertEq(_idle(ann.addr, address(evil), 0), 100);
    }

    function test_TokenCannotReenterOpenWithAuthorization() public {
        _prepare(address(evil));
        Round memory r = _smallRound(address(evil), 0);
        evil.mint(payer.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, evil, 100, r.id);
        _arm(evil);
        bank.openWithAuthorization(r.deposit, a);
        _expectAllRefused(evil);
        assertEq(_openId(r), r.id);
    }

    function test_TokenCannotReenterWithdraw() public {
        _prepare(address(evil));
        _fund(address(evil), ann.addr, 100);
        _arm(evil);
        vm.prank(ann.addr);
        bank.withdraw(address(evil), 0, 60, ann.addr);
        _expectAllRefused(evil);
        assertEq(_idle(ann.addr, address(evil), 0), 40);
    }

    function test_TokenCannotReenterWithdrawFor() public {
        _prepare(address(evil));
        _fund(address(evil), ann.addr, 100);
        IChequeBank.Withdraw memory w =
            IChequeBank.Withdraw(ann.addr, address(evil), 0, 60, cyd.addr, 9, type(uint256).max);
        bytes memory signature = _sign(ann, Digests.withdraw(w));
        _arm(evil);
        bank.withdrawFor(ann.addr, address(evil), 0, 60, cyd.addr, 9, type(uint256).max, signature);
        _expectAllRefused(evil);
    }

    function test_TokenCannotReenterRedeem() public {
        _prepare(address(evil));
        Round memory r = _certainRound(address(evil), 100);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 100);
        x.to = ann.addr;
        _arm(evil);
        vm.prank(ann.addr);
        bank.redeem(_pack(x), "");
        _expectAllRefused(evil);
        assertEq(evil.balanceOf(ann.addr), 100);
        assertEq(_holdings(address(evil)), 0);
    }

    function test_PayeeCannotReenterWithdraw() public {
        ReenteringPayee payee = new ReenteringPayee();
        _prepare(address(payee));
        _fund(NATIVE, ann.addr, 100);
        _arm(payee);
        vm.prank(ann.addr);
        bank.withdraw(NATIVE, 0, 60, address(payee));
        _expectAllRefused(payee);
        assertEq(_idle(ann.addr, NATIVE, 0), 40);
        assertEq(address(payee).balance, 60);
    }

    function test_PayeeCannotReenterRedeem() public {
        ReenteringPayee payee = new ReenteringPayee();
        _prepare(address(payee));
        Leaf[] memory leaves = new Leaf[](1);
        leaves[0] = _leaf(address(payee), 100);
        Round memory r = _round(NATIVE, 0, leaves);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        IChequeBank.Redemption memory x = _redemption(r, address(payee), 30);
        x.to = address(payee);
        _arm(payee);
        payee.run(address(bank), abi.encodeCall(IChequeBank.redeem, (_pack(x), "")));
        _expectAllRefused(payee);
        assertEq(address(payee).balance, 30);
        assertEq(_idle(payer.addr, NATIVE, 1), 70);
    }
}
