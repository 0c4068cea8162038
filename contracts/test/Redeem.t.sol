// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Digests} from "./utils/Digests.sol";

contract RedeemTest is BaseTest {
    /// @dev Open, drawn for Ann, seed recorded. Ann has the whole allowance, so anybody may redeem for her.
    function _won() private returns (Round memory r, IChequeBank.Redemption memory x) {
        r = _certainRound(NATIVE, 100);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        x = _redemption(r, ann.addr, 100);
    }

    /// @dev Open and drawn for Ann, who has 30 of her 60 units: her payout is 50 of 100.
    function _wonHalf() private returns (Round memory r, IChequeBank.Redemption memory x) {
        r = _smallRound(NATIVE, 0);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        x = _redemption(r, ann.addr, 30);
    }

    function test_CreditsThePayoutToThePayee() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf();
        vm.expectEmit(address(bank));
        emit IChequeBank.Redeemed(r.id, ann.addr, address(0), 30, 50);
        vm.prank(ann.addr);
        assertEq(bank.redeem(_pack(x), ""), 50);

        (uint256 idle, bytes32 id) = bank.purse(payer.addr, NATIVE, 1);
        assertEq(idle, 50);
        assertEq(id, 0);
        assertEq(_idle(ann.addr, NATIVE, 0), 50);
        assertEq(_idle(payer.addr, NATIVE, 0), 0);
        assertEq(address(bank).balance, 100);
        _assertConserved(NATIVE);
    }

    function test_CreditsTokens() public {
        Round memory r = _smallRound(address(token), 0);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ben.addr));
        vm.prank(ben.addr);
        assertEq(bank.redeem(_pack(_redemption(r, ben.addr, 30)), ""), 100);
        assertEq(_idle(ben.addr, address(token), 0), 100);
        assertEq(_idle(ben.addr, NATIVE, 0), 0);
        _assertConserved(address(token));
    }

    function test_AddsThePayoutToTheBalance() public {
        _fund(NATIVE, ann.addr, 7);
        (, IChequeBank.Redemption memory x) = _won();
        bank.redeem(_pack(x), "");
        assertEq(_idle(ann.addr, NATIVE, 0), 107);
    }

    /// The payer is a payee like any other: it keeps the rest of the tree as a leaf of its own.
    function test_PayerRedeemsItsOwnLeaf() public {
        Round memory r = _smallRound(NATIVE, 0);
        r.tree.leaves[0].payee = payer.addr;
        r = _round(NATIVE, 0, r.tree.leaves);
        _open(r);
        _drawAndRecord(r, _seedOf(r, payer.addr));
        IChequeBank.Redemption memory x = _redemption(r, payer.addr, r.tree.leaves[_indexOf(r, payer.addr)].allowance);
        assertEq(bank.redeem(_pack(x), ""), 100);
        assertEq(_idle(payer.addr, NATIVE, 0), 100);
        assertEq(_idle(payer.addr, NATIVE, 1), 0);
        _assertConserved(NATIVE);
    }

    /* NOT OPEN */

    function test_RejectsDepositThatWasNeverOpened() public {
        Round memory r = _certainRound(NATIVE, 100);
        _drawAndRecord(r, keccak256("any"));
        _expectNotRedeemable(_redemption(r, ann.addr, 100), IChequeBank.Outcome.NotOpen);
    }

    function test_PaysOnce() public {
        (, IChequeBank.Redemption memory x) = _won();
        bank.redeem(_pack(x), "");
        _expectNotRedeemable(x, IChequeBank.Outcome.NotOpen);
        vm.prank(ann.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.NotOpen));
        bank.redeem(_pack(x), "");
        assertEq(_idle(ann.addr, NATIVE, 0), 100);
    }

    function test_RejectsReclaimedDeposit() public {
        (Round memory r, IChequeBank.Redemption memory x) = _won();
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        vm.warp(r.deposit.redeemUntil);
        _expectNotRedeemable(x, IChequeBank.Outcome.NotOpen);
    }

    /// Every field of the terms is part of the id, so none can be changed afterwards.
    function testFuzz_RejectsEveryChangedTerm(uint8 field) public {
        (Round memory r, IChequeBank.Redemption memory x) = _won();
        // A copy, so that the terms of the round stay unchanged.
        IChequeBank.Deposit memory d = abi.decode(abi.encode(r.deposit), (IChequeBank.Deposit));
        x.deposit = d;
        field = field % 9;
        if (field == 0) d.payer = relayer;
        if (field == 1) d.signer = relayer;
        if (field == 2) d.token = address(token);
        if (field == 3) d.lane = 2;
        if (field == 4) d.minPayout += 1;
        if (field == 5) d.drawTime -= 1;
        if (field == 6) d.redeemUntil += 1;
        // The proof yields amount and root.
        if (field == 7) (x.allowance, x.spent) = (99, 99);
        if (field == 8) x.salt = ~x.salt;
        _expectNotRedeemable(x, IChequeBank.Outcome.NotOpen);
        // The cheque and its signature were good.
        (x.deposit, x.allowance, x.spent, x.salt) = (r.deposit, 100, 100, r.tree.leaves[0].salt);
        assertEq(bank.redeem(_pack(x), ""), 100);
    }

    /* WINDOW */

    function test_RedeemsFromTheSecondAfterTheDrawToTheLast() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 100);
        uint256 snapshot = vm.snapshotState();

        vm.warp(r.deposit.drawTime - 1);
        _expectNotRedeemable(x, IChequeBank.Outcome.TooEarly);
        vm.warp(r.deposit.drawTime);
        _expectNotRedeemable(x, IChequeBank.Outcome.TooEarly);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        _expectNotRedeemable(x, IChequeBank.Outcome.TooLate);

        vm.warp(uint256(r.deposit.drawTime) + 1);
        assertEq(bank.redeem(_pack(x), ""), 100);
        vm.revertToState(snapshot);
        vm.warp(r.deposit.redeemUntil);
        assertEq(bank.redeem(_pack(x), ""), 100);
    }

    function test_WindowOfOneSecondIsOneSecond() public {
        Round memory r = _certainRound(NATIVE, 100);
        r.deposit.redeemUntil = r.deposit.drawTime + 1;
        _seal(r);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 100);
        vm.warp(uint256(r.deposit.drawTime) + 2);
        _expectNotRedeemable(x, IChequeBank.Outcome.TooLate);
        vm.warp(uint256(r.deposit.drawTime) + 1);
        bank.redeem(_pack(x), "");
    }

    /* SPENT */

    function test_RejectsNothingSpent() public {
        (Round memory r,) = _won();
        _expectNotRedeemable(_redemption(r, ann.addr, 0), IChequeBank.Outcome.NothingSpent);
    }

    function test_RejectsMoreThanTheAllowance() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _drawAndRecord(r, _seedOf(r, ann.addr));
        _expectNotRedeemable(_redemption(r, ann.addr, 61), IChequeBank.Outcome.OverAllowance);
        _expectNotRedeemable(_redemption(r, ann.addr, type(uint128).max), IChequeBank.Outcome.OverAllowance);
        assertEq(bank.redeem(_pack(_redemption(r, ann.addr, 60)), ""), 100);
    }

    /* SIGNATURE */

    function test_RejectsEveryChangedPartOfTheCheque() public {
        (Round memory r, IChequeBank.Redemption memory x) = _wonHalf();
        x.spent = 31;
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
        x.spent = 30;
        (x.anchor, x.step) = (keccak256("anchor"), 1);
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
        x = _redemption(r, ann.addr, 30);
        x.signature = _redemption(r, ben.addr, 30).signature;
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
    }

    function test_RejectsSignatureOfAnotherKey() public {
        (Round memory r, IChequeBank.Redemption memory x) = _won();
        Account[3] memory others = [payer, ann, ben];
        for (uint256 i = 0; i < others.length; i++) {
            _resign(x, r.id, others[i]);
            _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
        }
    }

    function test_RejectsSignatureForAnotherDepositBankOrChain() public {
        (Round memory r, IChequeBank.Redemption memory x) = _won();
        _resign(x, keccak256("another deposit"), signer);
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);

        bytes32 cheque = Digests.cheque(r.id, ann.addr, 100, 0, 0);
        x.signature = _signDigest(signer, Digests.digest(Digests.domain(address(this), block.chainid), cheque));
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
        x.signature = _signDigest(signer, Digests.digest(Digests.domain(address(bank), block.chainid + 1), cheque));
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
    }

    /// After a chain split ids stay, so money stays reachable. Cheques count on the chain that they were signed for.
    function test_ChequesFollowTheChainIdAndIdsDoNot() public {
        (Round memory r, IChequeBank.Redemption memory x) = _won();
        vm.chainId(4242);
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
        _resign(x, r.id, signer);
        assertEq(bank.redeem(_pack(x), ""), 100);
    }

    function test_RejectsOtherFormsOfTheSignature() public {
        (, IChequeBank.Redemption memory x) = _won();
        bytes memory good = x.signature;
        bytes[6] memory bad = [
            _highS(good),
            _lowV(good),
            bytes.concat(_compact(good), hex"00"),
            new bytes(65),
            abi.encodePacked(bytes32(0), bytes32(0), uint8(27)),
            abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(1)), uint8(29))
        ];
        for (uint256 i = 0; i < bad.length; i++) {
            x.signature = bad[i];
            _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
        }
        x.signature = good;
        bank.redeem(_pack(x), "");
    }

    /// A contract cannot sign for the signer's key: the contract could revoke a cheque that a payee accepted.
    function test_SignerWithCodeSignsByKeyOnly() public {
        (, IChequeBank.Redemption memory x) = _won();
        // A contract that answers every call with the magic value of ERC-1271.
        vm.etch(signer.addr, hex"631626ba7e60e01b5f5260205ff3");
        bytes memory good = x.signature;
        x.signature = new bytes(65);
        _expectNotRedeemable(x, IChequeBank.Outcome.BadSignature);
        x.signature = good;
        assertEq(bank.redeem(_pack(x), ""), 100);
    }

    /// Attack: a cheque of one bank shown to a second bank, where the same terms are open.
    function test_ChequeOfAnotherBankIsWorthless() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        IChequeBank.Redemption memory here = _redemption(r, ann.addr, 100);
        IChequeBank first = bank;

        bank = _deploy(MIN_LEAD - 1);
        assertTrue(bank != first);
        _seal(r);
        _open(r);
        _drawAndRecord(r, keccak256("any"));
        _expectNotRedeemable(here, IChequeBank.Outcome.BadSignature);
        assertEq(bank.redeem(_pack(_redemption(r, ann.addr, 100)), ""), 100);
    }

    function test_LosersGetNothing() public {
        (Round memory r,) = _wonHalf();
        IChequeBank.Redemption memory x = _redemption(r, ben.addr, 30);
        vm.prank(ben.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.Loses));
        bank.redeem(_pack(x), "");
        assertEq(_openId(r), r.id);
    }
}
