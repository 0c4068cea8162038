// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {stdError} from "forge-std/StdError.sol";

/// @notice What the bank does not refuse: the limits that `ChequeBank` and SPEC.md state.
contract LimitsTest is BaseTest {
    uint128 private constant LARGEST = type(uint128).max;

    /// Times in milliseconds are seconds in 50,000 years, on schedule if the beacon's period divides them.
    function test_OpensForADrawIn50000Years() public {
        Round memory r = _smallRound(NATIVE, 0);
        r.deposit.drawTime = uint64(START_TIME) * 1000;
        r.deposit.redeemUntil = r.deposit.drawTime + 86_400_000;
        _seal(r);
        _open(r);
        vm.warp(START_TIME + 50_000 * 365 days);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.StillRedeemable.selector, r.deposit.redeemUntil));
        bank.reclaim(r.deposit);
    }

    /// The chain's clock is behind, or the seed leaked: the bank compares no clocks, and payees must judge by more than its.
    function test_OpensThoughTheSeedIsRecorded() public {
        Round memory r = _certainRound(NATIVE, 100);
        bank.recordSeed(r.deposit.drawTime, _proof(r.deposit.drawTime));
        _open(r);
        assertEq(_openId(r), r.id);
        assertEq(bank.rollOf(r.deposit), _rollOf(r.id, 100, bank.seed(r.deposit.drawTime)));
    }

    /// An opening credits a surplus of both the call's money and the purse's: just below 2^129 units at most.
    function test_LargestCreditIsJustBelow2To129() public {
        Round memory first = _certainRound(address(token), LARGEST);
        _open(first);
        vm.warp(uint256(first.deposit.redeemUntil) + 1);
        bank.reclaim(first.deposit);
        assertEq(_idle(payer.addr, address(token), 1), LARGEST);

        Round memory r = _certainRound(address(token), 1);
        token.mint(payer.addr, LARGEST);
        bank.openWithAuthorization(r.deposit, _authorize(payer, token, LARGEST, r.id));
        assertEq(_idle(payer.addr, address(token), 0), 2 * uint256(LARGEST) - 1);
        _assertConserved(address(token));
    }

    /// The bank counts on the coin's supply, which is below 2^128 wei everywhere.
    function test_CoinIsLimitedByItsSupplyAlone() public {
        _fund(NATIVE, payer.addr, 1 << 128);
        assertEq(_idle(payer.addr, NATIVE, 0), 1 << 128);
    }

    /// Money beyond all supply is refused where it would wrap, and not taken for a small sum.
    function test_MoneyDoesNotWrap() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);

        r = _certainRound(NATIVE, 100);
        vm.deal(address(bank), 0); // room for the coin of the call
        vm.deal(payer.addr, type(uint256).max);
        vm.prank(payer.addr);
        vm.expectRevert(stdError.arithmeticError);
        bank.open{value: type(uint256).max}(r.deposit); // 100 + 2^256 - 1 would wrap to 99

        uint256 rest = type(uint256).max - 99;
        _fund(NATIVE, payer.addr, rest);
        vm.deal(address(bank), 0);
        vm.deal(payer.addr, 100);
        vm.prank(payer.addr);
        vm.expectRevert(stdError.arithmeticError);
        bank.open{value: 100}(r.deposit);
    }
}
