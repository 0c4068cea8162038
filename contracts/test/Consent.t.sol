// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {BurningPayee, RefusingPayee, Wallet} from "./mocks/Wallets.sol";
import {Leaf} from "./utils/AllowanceTrees.sol";
import {Digests} from "./utils/Digests.sol";

/// @notice Callers of `redeem`, the payee's consent, and the recipient of the payout.
contract ConsentTest is BaseTest {
    /// @dev Ann won with 30 of her 60 units. Her payout, 50 of 100, needs her consent.
    function _wonHalf(address asset) private returns (Round memory r, IChequeBank.Redemption memory x) {
        r = _smallRound(asset, 0);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        x = _redemption(r, ann.addr, 30);
    }

    /// @dev Ann won the whole deposit, with no better cheque possible.
    function _wonAll(address asset) private returns (Round memory r, IChequeBank.Redemption memory x) {
        r = _certainRound(asset, 100);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        x = _redemption(r, ann.addr, 100);
    }

    /// @dev A wallet won half.
    function _walletWon(Wallet wallet) private returns (Round memory r, IChequeBank.Redemption memory x) {
        _watch(address(wallet));
        Leaf[] memory leaves = _leaves(60, 30, 10);
        leaves[0] = _leaf(address(wallet), 60);
        r = _round(NATIVE, 0, leaves);
        _open(r);
        _drawAndRecord(r, _seedOf(r, address(wallet)));
        x = _redemption(r, address(wallet), 30);
    }

    function _expectMissing(IChequeBank.Redemption memory x) private {
        _expectNotRedeemable(x, IChequeBank.Outcome.ConsentMissing);
    }

    function testFuzz_OnlyThePayeeRedeemsLessThanTheDeposit(address caller) public {
        vm.assume(caller != ann.addr);
        (, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        vm.prank(caller);
        (IChequeBank.Outcome outcome,) = bank.outcomeOf(_pack(x), "");
        assertEq(uint8(outcome), uint8(IChequeBank.Outcome.ConsentMissing));
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.ConsentMissing));
        bank.redeem(_pack(x), "");
        vm.prank(ann.addr);
        assertEq(bank.redeem(_pack(x), ""), 50);
    }

    function testFuzz_AnyoneRedeemsTheWholeDeposit(address caller) public {
        (, IChequeBank.Redemption memory x) = _wonAll(NATIVE);
        vm.prank(caller);
        assertEq(bank.redeem(_pack(x), ""), 100);
        assertEq(_idle(ann.addr, NATIVE, 0), 100);
    }

    /// With minPayout = amount every payout is the whole deposit, for one unit spent as well.
    function test_AnyoneRedeemsAPayoutOfTheWholeDeposit() public {
        Round memory r = _smallRound(NATIVE, 100);
        _open(r);
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 1);
        uint256 start = r.tree.proofs[_indexOf(r, ann.addr)].start;
        _drawAndRecord(r, _seedFor(r, start, start + 1));
        vm.prank(relayer);
        assertEq(bank.redeem(_pack(x), ""), 100);
    }

    function testFuzz_AnyoneRedeemsWithTheConsent(address caller) public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        x.consent = _consent(r, ann, 30, address(0));
        vm.expectEmit(address(bank));
        emit IChequeBank.Redeemed(r.id, ann.addr, address(0), 30, 50);
        vm.prank(caller);
        assertEq(bank.redeem(_pack(x), ""), 50);
        assertEq(_idle(ann.addr, NATIVE, 0), 50);
        _assertConserved(NATIVE);
    }

    function test_RejectsConsentForAnotherTotalDepositOrRecipient() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        x.consent = _consent(r, ann, 29, address(0));
        _expectMissing(x);
        x.consent = _consent(r, ann, 31, address(0));
        _expectMissing(x);
        x.consent = _consent(r, ann, 30, relayer);
        _expectMissing(x);
        x.consent = _sign(ann, Digests.consent(keccak256("another deposit"), ann.addr, 30, address(0)));
        _expectMissing(x);
        x.consent = _consent(r, ben.addr, ann, 30, address(0));
        _expectMissing(x);
    }

    function test_RejectsConsentOfOthers() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        Account[3] memory others = [payer, signer, ben];
        for (uint256 i = 0; i < others.length; i++) {
            x.consent = _consent(r, ann.addr, others[i], 30, address(0));
            _expectMissing(x);
        }
    }

    function test_RejectsConsentForAnotherBankOrChain() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        bytes32 message = Digests.consent(r.id, ann.addr, 30, address(0));
        x.consent = _signDigest(ann, Digests.digest(Digests.domain(address(this), block.chainid), message));
        _expectMissing(x);
        x.consent = _signDigest(ann, Digests.digest(Digests.domain(address(bank), block.chainid + 1), message));
        _expectMissing(x);

        x.consent = _consent(r, ann, 30, address(0));
        vm.chainId(4242);
        _resign(x, r.id, signer);
        _expectMissing(x);
        x.consent = _consent(r, ann, 30, address(0));
        bank.redeem(_pack(x), "");
    }

    function test_RejectsOtherFormsOfTheSignature() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        bytes memory good = _consent(r, ann, 30, address(0));
        bytes[5] memory bad = [_highS(good), _lowV(good), _compact(good), bytes.concat(good, hex"00"), new bytes(65)];
        for (uint256 i = 0; i < bad.length; i++) {
            x.consent = bad[i];
            _expectMissing(x);
        }
        x.consent = good;
        bank.redeem(_pack(x), "");
    }

    /// A leaf of the zero address: a signature without a signer is not the consent of the zero address.
    function test_ZeroAddressCannotConsent() public {
        Leaf[] memory leaves = _leaves(60, 30, 10);
        leaves[0] = _leaf(address(0), 60);
        Round memory r = _round(NATIVE, 0, leaves);
        _open(r);
        _drawAndRecord(r, _seedOf(r, address(0)));
        IChequeBank.Redemption memory x = _redemption(r, address(0), 30);
        x.consent = new bytes(65);
        _expectMissing(x);
        x.consent = abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(1)), uint8(29));
        _expectMissing(x);
        x.consent = abi.encodePacked(bytes32(0), bytes32(0), uint8(27));
        x.to = relayer;
        _expectMissing(x);
    }

    /* RACES */

    /// Attack: the payer closes the deposit with the winner's older, smaller cheque before she redeems.
    function test_PayerCannotRedeemAnOlderCheque() public {
        (Round memory r, IChequeBank.Redemption memory newest) = _wonHalf(NATIVE);
        IChequeBank.Redemption memory older = _redemption(r, ann.addr, 1);
        newest.consent = _consent(r, ann, 30, address(0));
        older.consent = newest.consent;
        vm.startPrank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.ConsentMissing));
        bank.redeem(_pack(older), "");
        vm.stopPrank();
        vm.prank(relayer);
        assertEq(bank.redeem(_pack(newest), ""), 50);
    }

    /// As documented: sending is agreeing. A payer hands a relayer, itself a payee, that payee's older cheque. So it must
    /// compare what it is given with its own newest cheque.
    function test_RelayerThatIsAPayeeAgreesBySending() public {
        (Round memory r, IChequeBank.Redemption memory newest) = _wonHalf(NATIVE);
        IChequeBank.Redemption memory older = _redemption(r, ann.addr, 6);
        _expectMissing(older);
        vm.prank(ann.addr);
        assertEq(bank.redeem(_pack(older), ""), 10);
        _expectNotRedeemable(newest, IChequeBank.Outcome.NotOpen);
        assertEq(_idle(ann.addr, NATIVE, 0), 10);
        _assertConserved(NATIVE);
    }

    /// Attack: the payer signs a smaller cheque now, and shows it with the consent to the newest cheque.
    function test_PayerCannotRedeemASmallerChequeThanConsentedTo() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        x.consent = _consent(r, ann, 30, address(0));
        x.spent = 29;
        _resign(x, r.id, signer);
        vm.prank(payer.addr);
        (IChequeBank.Outcome outcome,) = bank.outcomeOf(_pack(x), "");
        assertEq(uint8(outcome), uint8(IChequeBank.Outcome.ConsentMissing));
    }

    /// Attack: the payer shows fewer steps of the winner's stream than she has.
    function test_PayerCannotShowAShorterStream() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        IChequeBank.Redemption memory longer = _redemption(r, ann.addr, 10);
        _stream(longer, r.id, 2, 10, 10);
        longer.consent = _consent(r, ann, 30, address(0));
        for (uint16 k = 0; k < 10; k++) {
            IChequeBank.Redemption memory shorter = _redemption(r, ann.addr, 10);
            _stream(shorter, r.id, 2, 10, k);
            if (k == 0) shorter.x = 0;
            shorter.consent = longer.consent;
            _expectMissing(shorter);
        }
        vm.prank(relayer);
        assertEq(bank.redeem(_pack(longer), ""), 50);
    }

    /// Attack: a relayer sends the payee's money to itself.
    function test_RelayerCannotChangeTheRecipient() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        x.consent = _consent(r, ann, 30, cyd.addr);
        x.to = relayer;
        _expectMissing(x);
        x.to = address(0);
        _expectMissing(x);
        x.to = cyd.addr;
        vm.prank(relayer);
        bank.redeem(_pack(x), "");
        assertEq(cyd.addr.balance, 50);
    }

    /// Without consent the whole deposit may go to the balance only.
    function test_StraightPayoutAlwaysNeedsConsent() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonAll(NATIVE);
        x.to = ann.addr;
        _expectMissing(x);
        x.to = relayer;
        vm.prank(relayer);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.ConsentMissing));
        bank.redeem(_pack(x), "");
        x.to = cyd.addr;
        x.consent = _consent(r, ann, 100, cyd.addr);
        bank.redeem(_pack(x), "");
        assertEq(cyd.addr.balance, 100);
    }

    /// Attack: an observer copies a redemption of the whole deposit with `to` = 0. The payee is credited instead of paid.
    function test_ObserverTurnsAStraightPayoutIntoACredit() public {
        (, IChequeBank.Redemption memory x) = _wonAll(NATIVE);
        x.to = cyd.addr;
        IChequeBank.Redemption memory copied = abi.decode(abi.encode(x), (IChequeBank.Redemption));
        copied.to = address(0);
        vm.prank(relayer);
        assertEq(bank.redeem(_pack(copied), ""), 100);

        vm.startPrank(ann.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.NotOpen));
        bank.redeem(_pack(x), "");
        bank.withdraw(NATIVE, 0, 100, cyd.addr);
        assertEq(cyd.addr.balance, 100);
        _assertConserved(NATIVE);
    }

    /* STRAIGHT PAYOUT */

    function test_PayeeIsPaidStraightOut() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        x.to = cyd.addr;
        vm.expectEmit(address(bank));
        emit IChequeBank.Redeemed(r.id, ann.addr, cyd.addr, 30, 50);
        vm.prank(ann.addr);
        assertEq(bank.redeem(_pack(x), ""), 50);
        assertEq(cyd.addr.balance, 50);
        assertEq(_idle(ann.addr, NATIVE, 0), 0);
        assertEq(_idle(payer.addr, NATIVE, 1), 50);
        _assertConserved(NATIVE);
    }

    function test_TokensArePaidStraightOut() public {
        (, IChequeBank.Redemption memory x) = _wonHalf(address(token));
        x.to = ann.addr;
        vm.prank(ann.addr);
        bank.redeem(_pack(x), "");
        assertEq(token.balanceOf(ann.addr), 50);
        _assertConserved(address(token));
    }

    function test_RejectsTheBankAsRecipient() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        x.to = address(bank);
        x.consent = _consent(r, ann, 30, address(bank));
        bytes memory invalid = abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(bank));
        vm.startPrank(ann.addr);
        vm.expectRevert(invalid);
        bank.redeem(_pack(x), "");
        vm.expectRevert(invalid);
        bank.outcomeOf(_pack(x), "");
    }

    function test_RefusedCoinLeavesTheDepositOpen() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        x.to = address(new RefusingPayee());
        vm.startPrank(ann.addr);
        vm.expectRevert();
        bank.redeem(_pack(x), "");
        x.to = address(new BurningPayee());
        vm.expectRevert();
        bank.redeem{gas: 1_000_000}(_pack(x), "");
        assertEq(_openId(r), r.id);
        x.to = address(0);
        assertEq(bank.redeem(_pack(x), ""), 50);
    }

    /* WALLETS */

    function test_WalletConsentsByErc1271() public {
        Wallet wallet = new Wallet(ben.addr);
        (Round memory r, IChequeBank.Redemption memory x) = _walletWon(wallet);
        x.consent = _consent(r, address(wallet), ann, 30, address(0));
        _expectMissing(x);
        x.consent = _consent(r, address(wallet), ben, 30, address(0));
        for (uint8 mode = 1; mode <= uint8(Wallet.Mode.AnswersTrue); mode++) {
            wallet.behave(Wallet.Mode(mode));
            vm.expectRevert(
                abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.ConsentMissing)
            );
            bank.redeem{gas: 5_000_000}(_pack(x), "");
        }
        wallet.behave(Wallet.Mode.Honest);
        assertEq(bank.redeem(_pack(x), ""), 50);
        assertEq(_idle(address(wallet), NATIVE, 0), 50);
        _assertConserved(NATIVE);
    }

    function test_WalletRedeemsForItself() public {
        Wallet wallet = new Wallet(ben.addr);
        (, IChequeBank.Redemption memory x) = _walletWon(wallet);
        x.to = address(wallet);
        wallet.run(address(bank), abi.encodeCall(IChequeBank.redeem, (_pack(x), "")));
        assertEq(address(wallet).balance, 50);
    }

    function test_KeyOfAPayeeWithCodeConsents() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf(NATIVE);
        vm.etch(ann.addr, address(new Wallet(ben.addr)).code);
        x.consent = _consent(r, ann, 30, address(0));
        assertEq(bank.redeem(_pack(x), ""), 50);
    }
}
