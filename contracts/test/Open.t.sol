// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {UnluckyBank} from "./mocks/UnluckyBank.sol";
import {Beacon} from "./utils/Beacon.sol";
import {Digests} from "./utils/Digests.sol";

contract OpenTest is BaseTest {
    function _expectRefused(Round memory r, bytes memory why) private {
        vm.prank(r.deposit.payer);
        vm.expectRevert(why);
        bank.open(r.deposit);
    }

    /// @dev A round whose money is in the payer's balance already.
    function _ready() private returns (Round memory r) {
        r = _smallRound(NATIVE, 50);
        _fund(NATIVE, payer.addr, 100);
    }

    /// @dev Opens, redeems half for Ann and so leaves 50 idle units in lane 1.
    function _leaveIdle() private {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        vm.prank(ann.addr);
        bank.redeem(_pack(_redemption(r, ann.addr, 30)), "");
        assertEq(_idle(payer.addr, NATIVE, 1), 50);
    }

    /* TERMS */

    function test_OpensWithTheBalance() public {
        Round memory r = _ready();
        IChequeBank.Deposit memory d = r.deposit;
        vm.expectEmit(address(bank));
        emit IChequeBank.Opened(r.id, d.payer, d.signer, NATIVE, 1, 100, 50, d.drawTime, d.redeemUntil, d.root);
        vm.prank(payer.addr);
        assertEq(bank.open(d), r.id);

        (uint256 idle, bytes32 id) = bank.purse(payer.addr, NATIVE, 1);
        assertEq(idle, 0);
        assertEq(id, r.id);
        assertEq(_idle(payer.addr, NATIVE, 0), 0);
        _assertConserved(NATIVE);
    }

    function testFuzz_OnlyThePayerOpens(address caller) public {
        vm.assume(caller != payer.addr);
        Round memory r = _ready();
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotPayer.selector, caller, payer.addr));
        bank.open(r.deposit);
    }

    function test_RejectsZeroSigner() public {
        Round memory r = _ready();
        r.deposit.signer = address(0);
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.ZeroSigner.selector));
    }

    function test_RejectsLaneZero() public {
        Round memory r = _ready();
        r.deposit.lane = 0;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.ZeroLane.selector));
    }

    function test_OpensInTheLastLane() public {
        Round memory r = _ready();
        r.deposit.lane = type(uint64).max;
        _seal(r);
        vm.prank(payer.addr);
        bank.open(r.deposit);
        assertEq(_openId(r), r.id);
    }

    function test_RejectsZeroAmount() public {
        Round memory r = _ready();
        r.deposit.amount = 0;
        r.deposit.minPayout = 0;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.ZeroAmount.selector));
    }

    function test_MinPayoutIsAtMostTheAmount() public {
        Round memory r = _ready();
        r.deposit.minPayout = 101;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.MinPayoutTooHigh.selector, 101, 100));
        r.deposit.minPayout = 100;
        _seal(r);
        _open(r);
    }

    /// Starts with all terms wrong and corrects one at a time.
    function test_TermsAreCheckedInTheirOrder() public {
        uint64 earliest = uint64(START_TIME) + MIN_LEAD;
        bank = _deploy(MIN_LEAD, Beacon.publicKey(Beacon.SECRET), earliest + 10, 7);
        Round memory r = _smallRound(NATIVE, 0);
        IChequeBank.Deposit memory d = r.deposit;
        (d.lane, d.signer, d.amount, d.minPayout, d.drawTime, d.redeemUntil) = (0, address(0), 0, 1, 0, 0);
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.ZeroLane.selector));
        d.lane = 1;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.ZeroSigner.selector));
        d.signer = signer.addr;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.ZeroAmount.selector));
        (d.amount, d.minPayout) = (100, 101);
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.MinPayoutTooHigh.selector, 101, 100));
        d.minPayout = 100;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.DrawTooSoon.selector, 0, earliest));
        d.drawTime = earliest;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.RedeemWindowEmpty.selector, earliest, 0));
        d.redeemUntil = type(uint64).max;
        _expectRefused(r, abi.encodeWithSelector(IDrandBank.DrawBeforeGenesis.selector, earliest, earliest + 10));
        d.drawTime = earliest + 11;
        _expectRefused(r, abi.encodeWithSelector(IDrandBank.DrawOffSchedule.selector, earliest + 11));
        d.drawTime = earliest + 17;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 0, 100));
        _seal(r);
        _open(r);
    }

    function test_DrawIsAtLeastMinLeadAhead() public {
        Round memory r = _ready();
        uint256 earliest = START_TIME + MIN_LEAD;
        r.deposit.drawTime = uint64(earliest - 1);
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.DrawTooSoon.selector, earliest - 1, earliest));
        r.deposit.drawTime = uint64(earliest);
        _seal(r);
        _open(r);
    }

    function testFuzz_RejectsDrawTimesTooNearOrPast(uint64 drawTime, uint64 now_) public {
        Round memory r = _ready();
        now_ = uint64(bound(now_, 1, type(uint64).max));
        vm.warp(now_);
        uint256 earliest = uint256(now_) + MIN_LEAD;
        drawTime = uint64(bound(drawTime, 0, earliest - 1 > type(uint64).max ? type(uint64).max : earliest - 1));
        r.deposit.drawTime = drawTime;
        r.deposit.redeemUntil = type(uint64).max;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.DrawTooSoon.selector, drawTime, earliest));
    }

    function test_RedeemWindowHasASecond() public {
        Round memory r = _ready();
        uint64 draw = r.deposit.drawTime;
        r.deposit.redeemUntil = draw;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.RedeemWindowEmpty.selector, draw, draw));
        r.deposit.redeemUntil = draw - 1;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.RedeemWindowEmpty.selector, draw, draw - 1));
        r.deposit.redeemUntil = draw + 1;
        _seal(r);
        _open(r);
    }

    function test_OpensWithTheFarthestTimes() public {
        Round memory r = _ready();
        r.deposit.drawTime = type(uint64).max - 1;
        r.deposit.redeemUntil = type(uint64).max;
        _seal(r);
        _open(r);
    }

    function testFuzz_OpensAnyGoodTerms(
        uint128 amount,
        uint128 minPayout,
        uint64 lane,
        uint64 lead,
        address signer_,
        bytes32 root
    ) public {
        Round memory r = _smallRound(NATIVE, 0);
        r.deposit.amount = uint128(bound(amount, 1, type(uint128).max));
        r.deposit.minPayout = uint128(bound(minPayout, 0, r.deposit.amount));
        r.deposit.lane = uint64(bound(lane, 1, LANES - 1));
        r.deposit.drawTime = uint64(START_TIME + bound(lead, MIN_LEAD, 1 << 40));
        r.deposit.redeemUntil = r.deposit.drawTime + 1;
        r.deposit.signer = signer_ == address(0) ? address(1) : signer_;
        r.deposit.root = root;
        _seal(r);
        _fund(NATIVE, payer.addr, r.deposit.amount);
        IChequeBank.Deposit memory d = r.deposit;
        vm.expectEmit(address(bank));
        emit IChequeBank.Opened(
            r.id, d.payer, d.signer, d.token, d.lane, d.amount, d.minPayout, d.drawTime, d.redeemUntil, d.root
        );
        vm.prank(payer.addr);
        bank.open(d);
        assertEq(_openId(r), r.id);
        _assertConserved(NATIVE);
    }

    /// Attack: a field with bits above its type. The same terms must not have a second id.
    function test_RejectsFieldsWithDirtyBits() public {
        Round memory r = _ready();
        bytes memory good = abi.encodeCall(IChequeBank.open, (r.deposit));
        // All fields but the last, the root, are narrower than a word.
        for (uint256 field = 0; field < 8; field++) {
            bytes memory dirty = bytes.concat(good);
            dirty[4 + 32 * field] = 0x80;
            vm.prank(payer.addr);
            (bool done,) = address(bank).call(dirty);
            assertFalse(done, "dirty bits");
        }
        vm.prank(payer.addr);
        (bool opened,) = address(bank).call(good);
        assertTrue(opened);
    }

    /* PURSE */

    function test_RejectsBusyPurse() public {
        Round memory r = _ready();
        _open(r);
        Round memory other = _smallRound(NATIVE, 20);
        _fund(NATIVE, payer.addr, 100);
        _expectRefused(other, abi.encodeWithSelector(IChequeBank.PurseBusy.selector, r.id));
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.PurseBusy.selector, r.id));
    }

    function test_OpensOneDepositInEachLaneAndToken() public {
        Round memory a = _smallRound(NATIVE, 0);
        Round memory b = _smallRound(NATIVE, 0);
        b.deposit.lane = 2;
        _seal(b);
        Round memory c = _smallRound(address(token), 0);
        _open(a);
        _open(b);
        _open(c);
        assertEq(_openId(a), a.id);
        assertEq(_openId(b), b.id);
        assertEq(_openId(c), c.id);
        _assertConserved(NATIVE);
        _assertConserved(address(token));
    }

    /// Attack: open the same terms again after the deposit is closed. Their draw time is past by then.
    function test_DepositCannotBeOpenedTwice() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        bank.redeem(_pack(_redemption(r, ann.addr, 100)), "");
        _fund(NATIVE, payer.addr, 100);
        uint256 earliest = vm.getBlockTimestamp() + MIN_LEAD;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.DrawTooSoon.selector, r.deposit.drawTime, earliest));
    }

    function test_DepositCannotBeOpenedAgainAfterReclaim() public {
        Round memory r = _ready();
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        uint256 earliest = vm.getBlockTimestamp() + MIN_LEAD;
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.DrawTooSoon.selector, r.deposit.drawTime, earliest));
    }

    /* MONEY */

    function testFuzz_PaysWithThePurseThenTheValueThenTheBalance(uint8 balance, uint8 value) public {
        _leaveIdle();
        uint256 before = 50 + uint256(balance) + value;
        if (balance > 0) _fund(NATIVE, payer.addr, balance);
        Round memory r = _smallRound(NATIVE, 0);
        vm.deal(payer.addr, value);
        if (before < 100) {
            vm.prank(payer.addr);
            vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, before, 100));
            bank.open{value: value}(r.deposit);
            assertEq(_idle(payer.addr, NATIVE, 1), 50);
            return;
        }
        vm.prank(payer.addr);
        bank.open{value: value}(r.deposit);
        assertEq(_openId(r), r.id);
        assertEq(_idle(payer.addr, NATIVE, 0), before - 100);
        assertEq(_idle(payer.addr, NATIVE, 1), 0);
        _assertConserved(NATIVE);
    }

    function test_ValueIsReportedAsFunded() public {
        Round memory r = _smallRound(NATIVE, 0);
        vm.deal(payer.addr, 120);
        vm.expectEmit(address(bank));
        emit IChequeBank.Funded(payer.addr, NATIVE, payer.addr, 120);
        vm.prank(payer.addr);
        bank.open{value: 120}(r.deposit);
        assertEq(_idle(payer.addr, NATIVE, 0), 20);
        _assertConserved(NATIVE);
    }

    function test_SurplusOfThePurseGoesToTheBalance() public {
        _leaveIdle();
        Round memory r = _round(NATIVE, 0, _leaves(10, 10, 10));
        vm.prank(payer.addr);
        bank.open(r.deposit);
        assertEq(_idle(payer.addr, NATIVE, 0), 20);
        assertEq(_openId(r), r.id);
        _assertConserved(NATIVE);
    }

    function test_DoesNotTakeFromOtherLanes() public {
        _leaveIdle();
        Round memory r = _smallRound(NATIVE, 0);
        r.deposit.lane = 2;
        _seal(r);
        _fund(NATIVE, payer.addr, 99);
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 99, 100));
    }

    function test_DoesNotTakeFromOtherAccountsOrTokens() public {
        Round memory r = _smallRound(NATIVE, 0);
        _fund(NATIVE, ann.addr, 1000);
        _fund(NATIVE, signer.addr, 1000);
        _fund(address(token), payer.addr, 1000);
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 0, 100));
    }

    function test_RejectsNativeCoinWithATokenDeposit() public {
        Round memory r = _smallRound(address(token), 0);
        _fund(address(token), payer.addr, 100);
        vm.deal(payer.addr, 1);
        vm.prank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.WrongValue.selector, 1, 0));
        bank.open{value: 1}(r.deposit);
    }

    /// An address without code is no token, so the payer has no money of it.
    function test_RejectsTokenWithoutCode() public {
        Round memory r = _smallRound(makeAddr("nothing"), 0);
        _expectRefused(r, abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 0, 100));
    }

    /// A balance above 2^128 in lane 0 is money too.
    function test_PaysWithABalanceAboveTheCap() public {
        _fund(address(token), payer.addr, type(uint128).max);
        _fund(address(token), payer.addr, type(uint128).max);
        Round memory r = _certainRound(address(token), type(uint128).max);
        vm.prank(payer.addr);
        bank.open(r.deposit);
        assertEq(_idle(payer.addr, address(token), 0), type(uint128).max);
        _assertConserved(address(token));
    }

    /// Ids take the domain as of deployment: a chain split cannot freeze money.
    function test_IdsKeepTheChainIdOfDeployment() public {
        Round memory r = _ready();
        vm.chainId(4242);
        assertEq(bank.depositId(r.deposit), r.id);
        vm.prank(payer.addr);
        assertEq(bank.open(r.deposit), r.id);
        bytes32 other = Digests.digest(Digests.domain(address(bank), 4242), Digests.deposit(r.deposit));
        assertTrue(other != r.id);
    }

    /// An id below 2^128 would be taken for money. No terms with such an id are known.
    function test_RejectsAnIdThatReadsAsMoney() public {
        UnluckyBank unlucky = new UnluckyBank();
        Round memory r = _smallRound(NATIVE, 0);
        bytes32[2] memory ids = [bytes32(0), bytes32(uint256(type(uint128).max))];
        for (uint256 i = 0; i < ids.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(IChequeBank.UnusableId.selector, ids[i]));
            unlucky.openUnder{value: r.deposit.amount}(r.deposit, ids[i]);
        }
        bytes32 lowest = bytes32(uint256(1 << 128));
        unlucky.openUnder{value: r.deposit.amount}(r.deposit, lowest);
        (, bytes32 opened) = unlucky.purse(payer.addr, NATIVE, 1);
        assertEq(opened, lowest);
    }
}
