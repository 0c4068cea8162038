// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {BurningPayee, RefusingPayee, Wallet} from "./mocks/Wallets.sol";
import {Digests} from "./utils/Digests.sol";
import {Vm} from "forge-std/Vm.sol";

contract WithdrawTest is BaseTest {
    function _order(uint256 amount) private view returns (IChequeBank.Withdraw memory w) {
        return IChequeBank.Withdraw(ann.addr, NATIVE, 0, amount, cyd.addr, 7, block.timestamp + 60);
    }

    function _submit(IChequeBank.Withdraw memory w, bytes memory signature) private {
        bank.withdrawFor(w.account, w.token, w.lane, w.amount, w.to, w.nonce, w.deadline, signature);
    }

    function _expectInvalid(IChequeBank.Withdraw memory w, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSignature.selector, w.account));
        _submit(w, signature);
    }

    /* BY THE OWNER */

    function testFuzz_SendsTheNativeCoin(uint128 funded, uint128 amount) public {
        funded = uint128(bound(funded, 1, type(uint128).max));
        amount = uint128(bound(amount, 1, funded));
        _fund(NATIVE, ann.addr, funded);
        vm.expectEmit(address(bank));
        emit IChequeBank.Withdrawn(ann.addr, NATIVE, 0, amount, cyd.addr);
        vm.prank(ann.addr);
        bank.withdraw(NATIVE, 0, amount, cyd.addr);
        assertEq(cyd.addr.balance, amount);
        assertEq(_idle(ann.addr, NATIVE, 0), funded - amount);
        _assertConserved(NATIVE);
    }

    function testFuzz_SendsTokens(uint128 funded, uint128 amount) public {
        funded = uint128(bound(funded, 1, type(uint128).max));
        amount = uint128(bound(amount, 1, funded));
        _fund(address(token), ann.addr, funded);
        vm.expectEmit(address(bank));
        emit IChequeBank.Withdrawn(ann.addr, address(token), 0, amount, cyd.addr);
        vm.prank(ann.addr);
        bank.withdraw(address(token), 0, amount, cyd.addr);
        assertEq(token.balanceOf(cyd.addr), amount);
        assertEq(_idle(ann.addr, address(token), 0), funded - amount);
        _assertConserved(address(token));
    }

    function testFuzz_RejectsMoreThanTheIdleMoney(uint128 funded, uint256 amount) public {
        amount = bound(amount, uint256(funded) + 1, type(uint256).max);
        if (funded > 0) _fund(NATIVE, ann.addr, funded);
        vm.prank(ann.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, funded, amount));
        bank.withdraw(NATIVE, 0, amount, cyd.addr);
    }

    function test_RejectsMoneyOfOthers() public {
        _fund(NATIVE, ann.addr, 100);
        _fund(address(token), ben.addr, 100);
        vm.prank(ben.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 0, 1));
        bank.withdraw(NATIVE, 0, 1, ben.addr);
    }

    function test_SendsIdleMoneyOfAPurse() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        vm.startPrank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 100, 101));
        bank.withdraw(NATIVE, 1, 101, cyd.addr);
        vm.expectEmit(address(bank));
        emit IChequeBank.Withdrawn(payer.addr, NATIVE, 1, 40, cyd.addr);
        bank.withdraw(NATIVE, 1, 40, cyd.addr);
        assertEq(_idle(payer.addr, NATIVE, 1), 60);
        bank.withdraw(NATIVE, 1, 60, cyd.addr);
        assertEq(_idle(payer.addr, NATIVE, 1), 0);
        assertEq(cyd.addr.balance, 100);
        _assertConserved(NATIVE);
    }

    /// Attack: withdraw the id of an open deposit, a big number, as money.
    function test_RejectsWithdrawalFromAnOpenDeposit() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        _fund(NATIVE, ann.addr, 1000);
        vm.prank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.PurseBusy.selector, r.id));
        bank.withdraw(NATIVE, 1, 1, cyd.addr);
    }

    function test_RejectsZeroAmount() public {
        _fund(NATIVE, ann.addr, 100);
        vm.prank(ann.addr);
        vm.expectRevert(IChequeBank.ZeroAmount.selector);
        bank.withdraw(NATIVE, 0, 0, cyd.addr);
    }

    function test_RejectsZeroAndTheBankAsRecipient() public {
        _fund(NATIVE, ann.addr, 100);
        vm.startPrank(ann.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(0)));
        bank.withdraw(NATIVE, 0, 1, address(0));
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(bank)));
        bank.withdraw(NATIVE, 0, 1, address(bank));
    }

    function test_RefusedCoinStaysInTheBalance() public {
        RefusingPayee refusing = new RefusingPayee();
        _fund(NATIVE, ann.addr, 100);
        vm.startPrank(ann.addr);
        vm.expectRevert();
        bank.withdraw(NATIVE, 0, 100, address(refusing));
        assertEq(_idle(ann.addr, NATIVE, 0), 100);
        bank.withdraw(NATIVE, 0, 100, cyd.addr);
        assertEq(cyd.addr.balance, 100);
    }

    function test_RecipientThatBurnsAllGasHarmsOnlyTheWithdrawal() public {
        BurningPayee burning = new BurningPayee();
        _fund(NATIVE, ann.addr, 100);
        vm.prank(ann.addr);
        vm.expectRevert();
        bank.withdraw{gas: 1_000_000}(NATIVE, 0, 100, address(burning));
        assertEq(_idle(ann.addr, NATIVE, 0), 100);
    }

    /* BY SIGNATURE */

    function testFuzz_AnyoneSubmitsASignedWithdrawal(address submitter, uint64 amount, uint256 nonce, uint64 wait)
        public
    {
        IChequeBank.Withdraw memory w = _order(uint256(amount) + 1);
        w.nonce = nonce;
        w.deadline = block.timestamp + wait;
        _fund(NATIVE, ann.addr, w.amount);
        _fund(NATIVE, ann.addr, 5);
        bytes memory signature = _sign(ann, Digests.withdraw(w));
        assertFalse(bank.nonceUsed(ann.addr, nonce));
        vm.expectEmit(address(bank));
        emit IChequeBank.NonceConsumed(ann.addr, nonce);
        vm.expectEmit(address(bank));
        emit IChequeBank.Withdrawn(ann.addr, NATIVE, 0, w.amount, cyd.addr);
        vm.prank(submitter);
        _submit(w, signature);
        assertEq(cyd.addr.balance, w.amount);
        assertEq(_idle(ann.addr, NATIVE, 0), 5);
        assertTrue(bank.nonceUsed(ann.addr, nonce));
        _assertConserved(NATIVE);
    }

    function test_SignedWithdrawalFromALaneOfTokens() public {
        Round memory r = _smallRound(address(token), 0);
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        IChequeBank.Withdraw memory w =
            IChequeBank.Withdraw(payer.addr, address(token), 1, 100, cyd.addr, 0, block.timestamp);
        _submit(w, _sign(payer, Digests.withdraw(w)));
        assertEq(token.balanceOf(cyd.addr), 100);
        _assertConserved(address(token));
    }

    function test_DeadlineIsInclusive() public {
        _fund(NATIVE, ann.addr, 100);
        IChequeBank.Withdraw memory w = _order(100);
        bytes memory signature = _sign(ann, Digests.withdraw(w));
        vm.warp(w.deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.SignatureExpired.selector, w.deadline));
        _submit(w, signature);
        vm.warp(w.deadline);
        _submit(w, signature);
    }

    function test_NonceWorksOnce() public {
        _fund(NATIVE, ann.addr, 100);
        IChequeBank.Withdraw memory w = _order(10);
        bytes memory signature = _sign(ann, Digests.withdraw(w));
        _submit(w, signature);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NonceUsed.selector, ann.addr, w.nonce));
        _submit(w, signature);
        w.amount = 20;
        signature = _sign(ann, Digests.withdraw(w));
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NonceUsed.selector, ann.addr, w.nonce));
        _submit(w, signature);
        assertEq(_idle(ann.addr, NATIVE, 0), 90);
    }

    /// The event names the account, which another one submits for, and comes with each use once.
    function test_UseOfANonceHasAnEvent() public {
        _fund(NATIVE, ann.addr, 100);
        vm.recordLogs();
        for (uint256 i = 0; i < 3; i++) {
            IChequeBank.Withdraw memory w = _order(10);
            w.nonce = type(uint256).max - i;
            bytes memory signature = _sign(ann, Digests.withdraw(w));
            vm.prank(relayer);
            _submit(w, signature);
            Vm.Log[] memory logs = vm.getRecordedLogs();
            assertEq(logs.length, 2, "NonceConsumed and Withdrawn");
            assertEq(logs[0].topics[0], IChequeBank.NonceConsumed.selector);
            assertEq(logs[0].topics[1], bytes32(uint256(uint160(ann.addr))));
            assertEq(logs[0].data, abi.encode(w.nonce));
            assertEq(logs[1].topics[0], IChequeBank.Withdrawn.selector);
        }
        // The owner's own withdrawal uses none.
        vm.prank(ann.addr);
        bank.withdraw(NATIVE, 0, 10, cyd.addr);
        assertEq(vm.getRecordedLogs().length, 1);
    }

    /// Nonces share words of storage. Each nonce is used alone, in any order.
    function testFuzz_NoncesAreUnordered(uint256 first, uint256 second) public {
        vm.assume(first != second);
        _fund(NATIVE, ann.addr, 100);
        _fund(NATIVE, ben.addr, 100);
        IChequeBank.Withdraw memory w = _order(10);
        w.nonce = first;
        _submit(w, _sign(ann, Digests.withdraw(w)));
        assertFalse(bank.nonceUsed(ann.addr, second));
        assertFalse(bank.nonceUsed(ben.addr, first));
        w.nonce = second;
        _submit(w, _sign(ann, Digests.withdraw(w)));
        w.account = ben.addr;
        _submit(w, _sign(ben, Digests.withdraw(w)));
        assertEq(cyd.addr.balance, 30);
    }

    function test_NeighbouringNoncesAreDifferentOnes() public {
        uint256[6] memory nonces = [uint256(0), 1, 255, 256, type(uint256).max - 255, type(uint256).max];
        _fund(NATIVE, ann.addr, 100);
        for (uint256 i = 0; i < nonces.length; i++) {
            IChequeBank.Withdraw memory w = _order(1);
            w.nonce = nonces[i];
            assertFalse(bank.nonceUsed(ann.addr, w.nonce));
            _submit(w, _sign(ann, Digests.withdraw(w)));
            assertTrue(bank.nonceUsed(ann.addr, w.nonce));
        }
        for (uint256 i = 0; i < nonces.length; i++) {
            assertTrue(bank.nonceUsed(ann.addr, nonces[i]), "nonce is unused again");
        }
    }

    /// Attack: a relayer changes one argument of a signed withdrawal.
    function test_RejectsEveryChangedArgument() public {
        _fund(NATIVE, ann.addr, 100);
        _fund(address(token), ann.addr, 100);
        _fund(NATIVE, ben.addr, 100);
        bytes memory signature = _sign(ann, Digests.withdraw(_order(10)));
        IChequeBank.Withdraw memory w = _order(10);
        w.account = ben.addr;
        _expectInvalid(w, signature);
        w = _order(10);
        w.token = address(token);
        _expectInvalid(w, signature);
        w = _order(10);
        w.lane = 1;
        _expectInvalid(w, signature);
        w = _order(11);
        _expectInvalid(w, signature);
        w = _order(10);
        w.to = relayer;
        _expectInvalid(w, signature);
        w = _order(10);
        w.nonce = 8;
        _expectInvalid(w, signature);
        w = _order(10);
        w.deadline += 1;
        _expectInvalid(w, signature);
        assertFalse(bank.nonceUsed(ann.addr, 7));
        _submit(_order(10), signature);
    }

    function test_RejectsSignatureForAnotherBankOrChain() public {
        _fund(NATIVE, ann.addr, 100);
        IChequeBank.Withdraw memory w = _order(10);
        bytes32 message = Digests.withdraw(w);
        _expectInvalid(w, _signDigest(ann, Digests.digest(Digests.domain(address(token), block.chainid), message)));
        _expectInvalid(w, _signDigest(ann, Digests.digest(Digests.domain(address(bank), block.chainid + 1), message)));
        bytes memory before = _sign(ann, message);
        vm.chainId(4242);
        _expectInvalid(w, before);
        _submit(w, _sign(ann, message));
    }

    function test_RejectsOtherFormsOfTheSignature() public {
        _fund(NATIVE, ann.addr, 100);
        IChequeBank.Withdraw memory w = _order(10);
        bytes memory good = _sign(ann, Digests.withdraw(w));
        _expectInvalid(w, _highS(good));
        _expectInvalid(w, _lowV(good));
        _expectInvalid(w, _compact(good));
        _expectInvalid(w, bytes.concat(good, hex"00"));
        _expectInvalid(w, "");
        _submit(w, good);
    }

    /// A leaf of the zero address may win. Its payout stays in the balance of the zero address.
    function test_RejectsUnrecoverableSignatureForTheZeroAddress() public {
        IChequeBank.Withdraw memory w = _order(10);
        w.account = address(0);
        _expectInvalid(w, abi.encodePacked(bytes32(0), bytes32(0), uint8(27)));
        _expectInvalid(w, abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(1)), uint8(30)));
    }

    function test_WalletSignsByErc1271() public {
        Wallet wallet = new Wallet(ann.addr);
        _watch(address(wallet));
        _fund(NATIVE, address(wallet), 100);
        IChequeBank.Withdraw memory w = _order(10);
        w.account = address(wallet);
        bytes memory signature = _sign(ann, Digests.withdraw(w));
        _expectInvalid(w, _sign(ben, Digests.withdraw(w)));
        for (uint8 mode = 1; mode <= uint8(Wallet.Mode.AnswersTrue); mode++) {
            wallet.behave(Wallet.Mode(mode));
            vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSignature.selector, address(wallet)));
            bank.withdrawFor{gas: 5_000_000}(w.account, w.token, w.lane, w.amount, w.to, w.nonce, w.deadline, signature);
        }
        wallet.behave(Wallet.Mode.Honest);
        _submit(w, signature);
        assertEq(cyd.addr.balance, 10);
        _assertConserved(NATIVE);
    }

    function test_KeyOfAnAccountWithCodeSigns() public {
        vm.etch(ann.addr, address(new Wallet(ben.addr)).code);
        _fund(NATIVE, ann.addr, 100);
        IChequeBank.Withdraw memory w = _order(10);
        _submit(w, _sign(ann, Digests.withdraw(w)));
        assertEq(cyd.addr.balance, 10);
    }

    function test_SignedWithdrawalHasTheSameLimits() public {
        _fund(NATIVE, ann.addr, 100);
        IChequeBank.Withdraw memory w = _order(101);
        bytes memory signature = _sign(ann, Digests.withdraw(w));
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 100, 101));
        _submit(w, signature);
        assertFalse(bank.nonceUsed(ann.addr, w.nonce));

        w = _order(0);
        signature = _sign(ann, Digests.withdraw(w));
        vm.expectRevert(IChequeBank.ZeroAmount.selector);
        _submit(w, signature);

        w = _order(1);
        w.to = address(bank);
        signature = _sign(ann, Digests.withdraw(w));
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(bank)));
        _submit(w, signature);
        w.to = address(0);
        signature = _sign(ann, Digests.withdraw(w));
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidRecipient.selector, address(0)));
        _submit(w, signature);
    }
}
