// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Wallet} from "./mocks/Wallets.sol";
import {Leaf} from "./utils/AllowanceTrees.sol";

contract RedeemBatchTest is BaseTest {
    /// @dev Opens three rounds of 100 units, all for Ann, in lanes 1 to 3, and draws them.
    function _threeWon() private returns (IChequeBank.Redemption[] memory xs) {
        xs = new IChequeBank.Redemption[](3);
        Round memory r;
        for (uint64 i = 0; i < 3; i++) {
            r = _certainRound(NATIVE, 100);
            r.deposit.lane = i + 1;
            _seal(r);
            _open(r);
            xs[i] = _redemption(r, ann.addr, 100);
        }
        _drawAndRecord(r, keccak256("any"));
    }

    /// @dev A batch without proofs: all seeds are recorded.
    function _batch(bytes[] memory items) private returns (uint128[] memory) {
        return bank.redeemBatch(items, new uint64[](0), new bytes[](0));
    }

    function _copy(IChequeBank.Redemption memory x) private pure returns (IChequeBank.Redemption memory) {
        return abi.decode(abi.encode(x), (IChequeBank.Redemption));
    }

    function _expectSkipped(IChequeBank.Redemption memory x, IChequeBank.Outcome why) private {
        bytes32 id = why == IChequeBank.Outcome.BadProof ? bytes32(0) : bank.depositId(x.deposit);
        vm.expectEmit(address(bank));
        emit IChequeBank.Skipped(id, x.payee, why);
    }

    function test_PaysAll() public {
        IChequeBank.Redemption[] memory xs = _threeWon();
        for (uint256 i = 0; i < 3; i++) {
            vm.expectEmit(address(bank));
            emit IChequeBank.Redeemed(bank.depositId(xs[i].deposit), ann.addr, address(0), 100, 100);
        }
        vm.prank(relayer);
        uint128[] memory payouts = _batch(_pack(xs));
        assertEq(payouts.length, 3);
        for (uint256 i = 0; i < 3; i++) {
            assertEq(payouts[i], 100);
            assertEq(_idle(payer.addr, NATIVE, uint64(i + 1)), 0);
        }
        assertEq(_idle(ann.addr, NATIVE, 0), 300);
        _assertConserved(NATIVE);
    }

    function test_EmptyBatchPaysNothing() public {
        vm.recordLogs();
        assertEq(_batch(new bytes[](0)).length, 0);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_PaysTheSameDepositOnce() public {
        IChequeBank.Redemption[] memory xs = _threeWon();
        xs[1] = _copy(xs[0]);
        xs[2] = _copy(xs[0]);
        _expectSkipped(xs[1], IChequeBank.Outcome.NotOpen);
        uint128[] memory payouts = _batch(_pack(xs));
        assertEq(payouts[0], 100);
        assertEq(payouts[1], 0);
        assertEq(payouts[2], 0);
        assertEq(_idle(ann.addr, NATIVE, 0), 100);
        _assertConserved(NATIVE);
    }

    /* POISON */

    /// @dev Sends good, bad, good; expects that only the bad item is skipped, with this outcome.
    function _expectOnlySkipped(IChequeBank.Redemption memory bad, IChequeBank.Outcome why) private {
        uint256 snapshot = vm.snapshotState();
        (IChequeBank.Outcome outcome,) = bank.outcomeOf(_pack(bad), "");
        if (bad.to == address(0)) assertEq(uint8(outcome), uint8(why), "outcomeOf");
        Round memory before = _certainRound(NATIVE, 11);
        (before.deposit.lane, before.deposit.drawTime) = (2, bad.deposit.drawTime);
        Round memory behind = _certainRound(NATIVE, 22);
        (behind.deposit.lane, behind.deposit.drawTime) = (3, bad.deposit.drawTime);
        uint256 current = vm.getBlockTimestamp();
        before.deposit.redeemUntil = behind.deposit.redeemUntil = uint64(current + WINDOW);
        _seal(before);
        _seal(behind);

        vm.warp(START_TIME);
        _open(before);
        _open(behind);
        vm.warp(current);
        IChequeBank.Redemption[] memory xs = new IChequeBank.Redemption[](3);
        xs[0] = _redemption(before, ann.addr, 11);
        xs[1] = bad;
        xs[2] = _redemption(behind, ann.addr, 22);
        uint256 had = _idle(ann.addr, NATIVE, 0);

        _expectSkipped(bad, why);
        uint128[] memory payouts = _batch(_pack(xs));
        assertEq(payouts[0], 11);
        assertEq(payouts[1], 0);
        assertEq(payouts[2], 22);
        assertEq(_idle(ann.addr, NATIVE, 0), had + 33);
        _assertConserved(NATIVE);
        vm.revertToState(snapshot);
    }

    function test_SkipsEveryBadItemWithItsReason() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        IChequeBank.Redemption memory good = _redemption(r, ann.addr, 30);
        good.consent = _consent(r, ann, 30, address(0));
        (IChequeBank.Outcome outcome,) = bank.outcomeOf(_pack(good), "");
        assertEq(uint8(outcome), uint8(IChequeBank.Outcome.Payable));

        IChequeBank.Redemption memory x = _copy(good);
        x.deposit.minPayout = 1;
        _expectOnlySkipped(x, IChequeBank.Outcome.NotOpen);
        x = _copy(good);
        x.k = 4097;
        _expectOnlySkipped(x, IChequeBank.Outcome.BadStream);
        x = _copy(good);
        x.spent = 0;
        _expectOnlySkipped(x, IChequeBank.Outcome.NothingSpent);
        x.spent = 61;
        _expectOnlySkipped(x, IChequeBank.Outcome.OverAllowance);
        x = _copy(good);
        x.siblings = new bytes(41 * 48);
        _expectOnlySkipped(x, IChequeBank.Outcome.BadProof);
        x = _copy(good);
        x.path = 1 << 39;
        _expectOnlySkipped(x, IChequeBank.Outcome.BadProof);
        x = _copy(good);
        x.signature = new bytes(65);
        _expectOnlySkipped(x, IChequeBank.Outcome.BadSignature);
        x = _redemption(r, ben.addr, 30);
        _expectOnlySkipped(x, IChequeBank.Outcome.Loses);
        x = _copy(good);
        x.consent = "";
        _expectOnlySkipped(x, IChequeBank.Outcome.ConsentMissing);
        x = _copy(good);
        x.to = address(bank);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(bank)));
        bank.outcomeOf(_pack(x), "");
    }

    function test_SkipsItemsOutsideTheirWindow() public {
        IChequeBank.Redemption[] memory xs = _threeWon();
        Round memory late = _certainRound(NATIVE, 50);
        late.deposit.lane = 1;
        // Draws later than the others, so its redemption is too early.
        bank.redeem(_pack(xs[0]), "");
        _seal(late);
        _open(late);
        xs[0] = _redemption(late, ann.addr, 50);
        _expectSkipped(xs[0], IChequeBank.Outcome.TooEarly);
        uint256 snapshot = vm.snapshotState();
        uint128[] memory payouts = _batch(_pack(xs));
        assertEq(payouts[0], 0);
        assertEq(payouts[1], 100);
        assertEq(payouts[2], 100);
        vm.revertToState(snapshot);

        vm.warp(uint256(xs[1].deposit.redeemUntil) + 1);
        _expectSkipped(xs[1], IChequeBank.Outcome.TooLate);
        payouts = _batch(_pack(xs));
        assertEq(payouts[1], 0);
        assertEq(payouts[2], 0);
        _assertConserved(NATIVE);
    }

    /// A batch calls no payee, so it skips a straight payout, even if the payee sends the batch.
    function test_SkipsStraightPayouts() public {
        IChequeBank.Redemption[] memory xs = _threeWon();
        xs[0].to = ann.addr;
        xs[1].to = address(bank);
        _expectSkipped(xs[0], IChequeBank.Outcome.ConsentMissing);
        _expectSkipped(xs[1], IChequeBank.Outcome.ConsentMissing);
        vm.prank(ann.addr);
        uint128[] memory payouts = _batch(_pack(xs));
        assertEq(payouts[0], 0);
        assertEq(payouts[1], 0);
        assertEq(payouts[2], 100);
        assertEq(ann.addr.balance, 0);
        _assertConserved(NATIVE);
    }

    function test_SkipsStraightPayoutWithConsent() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        IChequeBank.Redemption[] memory xs = new IChequeBank.Redemption[](1);
        xs[0] = _redemption(r, ann.addr, 100);
        xs[0].to = cyd.addr;
        xs[0].consent = _consent(r, ann, 100, cyd.addr);
        _expectSkipped(xs[0], IChequeBank.Outcome.ConsentMissing);
        assertEq(_batch(_pack(xs))[0], 0);
        assertEq(_openId(r), r.id);
    }

    /* CONSENT */

    function _halfWonBy(address payee) private returns (Round memory r, IChequeBank.Redemption[] memory xs) {
        Leaf[] memory leaves = _leaves(60, 30, 10);
        leaves[0] = _leaf(payee, 60);
        r = _round(NATIVE, 0, leaves);
        _open(r);
        _drawAndRecord(r, _seedOf(r, payee));
        xs = new IChequeBank.Redemption[](1);
        xs[0] = _redemption(r, payee, 30);
    }

    function test_SignedConsentWorks() public {
        (Round memory r, IChequeBank.Redemption[] memory xs) = _halfWonBy(ann.addr);
        xs[0].consent = _consent(r, ann, 29, address(0));
        assertEq(_batch(_pack(xs))[0], 0);
        xs[0].consent = _consent(r, ann, 30, cyd.addr);
        assertEq(_batch(_pack(xs))[0], 0);
        xs[0].consent = _consent(r, ben, 30, address(0));
        assertEq(_batch(_pack(xs))[0], 0);
        xs[0].consent = _consent(r, ann, 30, address(0));
        assertEq(_batch(_pack(xs))[0], 50);
        assertEq(_idle(ann.addr, NATIVE, 0), 50);
    }

    function test_PayeesOwnBatchNeedsNoConsent() public {
        (, IChequeBank.Redemption[] memory xs) = _halfWonBy(ann.addr);
        vm.prank(payer.addr);
        assertEq(_batch(_pack(xs))[0], 0);
        vm.prank(ann.addr);
        assertEq(_batch(_pack(xs))[0], 50);
    }

    /// As documented: a relayer that is itself a payee agrees to its own items by sending them, older ones too. It needs
    /// the consent of others.
    function test_RelayerThatIsAPayeeAgreesToItsOwnItems() public {
        (Round memory r, IChequeBank.Redemption[] memory xs) = _halfWonBy(ann.addr);
        IChequeBank.Redemption[] memory handed = new IChequeBank.Redemption[](3);
        handed[0] = _redemption(r, ben.addr, 30);
        handed[1] = _redemption(r, ann.addr, 6);
        handed[2] = xs[0];
        vm.prank(ann.addr);
        uint128[] memory payouts = _batch(_pack(handed));
        assertEq(payouts[0], 0, "loses");
        assertEq(payouts[1], 10, "its older cheque closes the deposit");
        assertEq(payouts[2], 0, "too late for its newest one");

        vm.warp(START_TIME);
        r = _smallRound(NATIVE, 0);
        r.deposit.lane = 2;
        _seal(r);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ben.addr));
        xs[0] = _redemption(r, ben.addr, 6);
        vm.prank(ann.addr);
        assertEq(_batch(_pack(xs))[0], 0, "another payee's older cheque");
    }

    /// A wallet could burn all gas of the batch, so the bank does not call wallets.
    function test_DoesNotCallWallets() public {
        Wallet wallet = new Wallet(ben.addr);
        _watch(address(wallet));
        (Round memory r, IChequeBank.Redemption[] memory xs) = _halfWonBy(address(wallet));
        xs[0].consent = _consent(r, ben, 30, address(0));
        vm.expectCall(address(wallet), abi.encodeWithSelector(Wallet.isValidSignature.selector), 0);
        assertEq(_batch(_pack(xs))[0], 0);
        wallet.behave(Wallet.Mode.BurnsAllGas);
        assertEq(bank.redeemBatch{gas: 1_000_000}(_pack(xs), new uint64[](0), new bytes[](0))[0], 0);
        assertEq(_openId(r), r.id);
    }

    function test_WalletsOwnBatchWorks() public {
        Wallet wallet = new Wallet(ben.addr);
        _watch(address(wallet));
        (, IChequeBank.Redemption[] memory xs) = _halfWonBy(address(wallet));
        wallet.run(address(bank), abi.encodeCall(IChequeBank.redeemBatch, (_pack(xs), new uint64[](0), new bytes[](0))));
        assertEq(_idle(address(wallet), NATIVE, 0), 50);
        _assertConserved(NATIVE);
    }

    function test_TokensAndTheNativeCoinInOneBatch() public {
        Round memory a = _certainRound(NATIVE, 100);
        Round memory b = _certainRound(address(token), 200);
        _open(a);
        _open(b);
        _drawAndRecord(a, keccak256("any"));
        IChequeBank.Redemption[] memory xs = new IChequeBank.Redemption[](2);
        xs[0] = _redemption(a, ann.addr, 100);
        xs[1] = _redemption(b, ann.addr, 200);
        _batch(_pack(xs));
        assertEq(_idle(ann.addr, NATIVE, 0), 100);
        assertEq(_idle(ann.addr, address(token), 0), 200);
        _assertConserved(NATIVE);
        _assertConserved(address(token));
    }
}
