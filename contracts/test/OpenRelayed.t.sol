// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {AuthorizationFeeToken, AuthorizationToken} from "./mocks/AuthorizationToken.sol";
import {Wallet} from "./mocks/Wallets.sol";
import {Digests} from "./utils/Digests.sol";

/// @notice openFor and openWithAuthorization: a relayer sends the transaction.
contract OpenRelayedTest is BaseTest {
    function _ready() private returns (Round memory r) {
        r = _smallRound(NATIVE, 50);
        _fund(NATIVE, payer.addr, 100);
    }

    function _ofWallet(Wallet wallet) private returns (Round memory r) {
        r = _smallRound(NATIVE, 50);
        r.deposit.payer = address(wallet);
        _seal(r);
        _watch(address(wallet));
        _fund(NATIVE, address(wallet), 100);
    }

    function _expectInvalid(Round memory r, uint256 deadline, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSignature.selector, r.deposit.payer));
        bank.openFor(r.deposit, deadline, signature);
    }

    /* OPEN FOR */

    function testFuzz_AnyoneOpensForThePayer(address submitter, uint256 deadline) public {
        deadline = bound(deadline, block.timestamp, type(uint256).max);
        Round memory r = _ready();
        bytes memory signature = _sign(payer, Digests.open(r.id, deadline));
        vm.expectEmit(true, true, true, false, address(bank));
        emit IChequeBank.Opened(r.id, payer.addr, signer.addr, NATIVE, 1, 100, 50, 0, 0, 0);
        vm.prank(submitter);
        assertEq(bank.openFor(r.deposit, deadline, signature), r.id);
        assertEq(_openId(r), r.id);
        _assertConserved(NATIVE);
    }

    function test_DeadlineIsInclusive() public {
        Round memory r = _ready();
        uint256 deadline = block.timestamp + 60;
        (r.deposit.drawTime, r.deposit.redeemUntil) = (r.deposit.drawTime + 60, r.deposit.redeemUntil + 60);
        _seal(r);
        bytes memory signature = _sign(payer, Digests.open(r.id, deadline));
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.SignatureExpired.selector, deadline));
        bank.openFor(r.deposit, deadline, signature);
        vm.warp(deadline);
        bank.openFor(r.deposit, deadline, signature);
    }

    function test_RejectsSignatureForAnotherDeadlineDepositOrKey() public {
        Round memory r = _ready();
        Round memory other = _smallRound(NATIVE, 51);
        uint256 deadline = block.timestamp + 60;
        _expectInvalid(r, deadline + 1, _sign(payer, Digests.open(r.id, deadline)));
        _expectInvalid(r, deadline, _sign(payer, Digests.open(other.id, deadline)));
        _expectInvalid(r, deadline, _sign(signer, Digests.open(r.id, deadline)));
        _expectInvalid(r, deadline, "");
    }

    function test_RejectsSignatureForAnotherBankOrChain() public {
        Round memory r = _ready();
        uint256 deadline = block.timestamp + 60;
        bytes32 message = Digests.open(r.id, deadline);
        bytes32 elsewhere = Digests.digest(Digests.domain(address(token), block.chainid), message);
        _expectInvalid(r, deadline, _signDigest(payer, elsewhere));
        elsewhere = Digests.digest(Digests.domain(address(bank), block.chainid + 1), message);
        _expectInvalid(r, deadline, _signDigest(payer, elsewhere));
    }

    function test_SignatureFollowsTheChainId() public {
        Round memory r = _ready();
        uint256 deadline = block.timestamp + 60;
        bytes memory before = _sign(payer, Digests.open(r.id, deadline));
        vm.chainId(4242);
        _expectInvalid(r, deadline, before);
        assertEq(bank.openFor(r.deposit, deadline, _sign(payer, Digests.open(r.id, deadline))), r.id);
    }

    function test_RejectsOtherFormsOfTheSignature() public {
        Round memory r = _ready();
        uint256 deadline = block.timestamp + 60;
        bytes memory good = _sign(payer, Digests.open(r.id, deadline));
        _expectInvalid(r, deadline, _highS(good));
        _expectInvalid(r, deadline, _lowV(good));
        _expectInvalid(r, deadline, _compact(good));
        _expectInvalid(r, deadline, bytes.concat(good, hex"00"));
        bank.openFor(r.deposit, deadline, good);
    }

    /// A signature without a signer is not a signature by the zero address.
    function test_RejectsUnrecoverableSignatureForTheZeroAddress() public {
        Round memory r = _ready();
        r.deposit.payer = address(0);
        _seal(r);
        _expectInvalid(r, block.timestamp, abi.encodePacked(bytes32(0), bytes32(0), uint8(27)));
        _expectInvalid(r, block.timestamp, abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(1)), uint8(29)));
        _expectInvalid(r, block.timestamp, "");
    }

    function test_WalletSignsByErc1271() public {
        Wallet wallet = new Wallet(ann.addr);
        Round memory r = _ofWallet(wallet);
        bytes memory signature = _sign(ann, Digests.open(r.id, block.timestamp));
        assertEq(bank.openFor(r.deposit, block.timestamp, signature), r.id);
        _assertConserved(NATIVE);
    }

    function test_RejectsWalletThatDoesNotAgree() public {
        Wallet wallet = new Wallet(ann.addr);
        Round memory r = _ofWallet(wallet);
        bytes memory signature = _sign(ann, Digests.open(r.id, block.timestamp));
        _expectInvalid(r, block.timestamp, _sign(ben, Digests.open(r.id, block.timestamp)));
        for (uint8 mode = 1; mode <= uint8(Wallet.Mode.AnswersTrue); mode++) {
            wallet.behave(Wallet.Mode(mode));
            vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSignature.selector, address(wallet)));
            bank.openFor{gas: 5_000_000}(r.deposit, block.timestamp, signature);
        }
    }

    /// The key is checked first: an account with delegated code (EIP-7702) still signs with its key.
    function test_KeyOfAnAccountWithCodeSigns() public {
        Round memory r = _ready();
        Wallet wallet = new Wallet(ann.addr);
        vm.etch(payer.addr, address(wallet).code);
        bank.openFor(r.deposit, block.timestamp, _sign(payer, Digests.open(r.id, block.timestamp)));
        assertEq(_openId(r), r.id);
    }

    function test_OpenForChecksTheTermsToo() public {
        Round memory r = _ready();
        r.deposit.drawTime -= 1;
        _seal(r);
        bytes memory signature = _sign(payer, Digests.open(r.id, block.timestamp));
        vm.expectRevert(
            abi.encodeWithSelector(IChequeBank.DrawTooSoon.selector, r.deposit.drawTime, r.deposit.drawTime + 1)
        );
        bank.openFor(r.deposit, block.timestamp, signature);
    }

    /// Attack: the relayer submits the payer's signature a second time, to an idle purse.
    function test_SignatureOpensOnce() public {
        Round memory r = _ready();
        bytes memory signature = _sign(payer, Digests.open(r.id, type(uint256).max));
        bank.openFor(r.deposit, type(uint256).max, signature);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        vm.expectRevert();
        bank.openFor(r.deposit, type(uint256).max, signature);
        assertEq(_idle(payer.addr, NATIVE, 1), 100);
    }

    /// The relayer's own money is not the payer's.
    function test_OpenForTakesNothingFromTheRelayer() public {
        Round memory r = _smallRound(NATIVE, 50);
        _fund(NATIVE, relayer, 100);
        bytes memory signature = _sign(payer, Digests.open(r.id, block.timestamp));
        vm.prank(relayer);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, 0, 100));
        bank.openFor(r.deposit, block.timestamp, signature);
    }

    /* WITH AUTHORIZATION */

    function testFuzz_OneSignatureMovesTheTokensAndOpens(uint128 value, uint128 balance) public {
        value = uint128(bound(value, 1, 300));
        balance = uint128(bound(balance, 0, 300));
        Round memory r = _smallRound(address(token), 50);
        if (balance > 0) _fund(address(token), payer.addr, balance);
        token.mint(payer.addr, value);
        IChequeBank.Authorization memory a = _authorize(payer, token, value, r.id);
        vm.startPrank(relayer);
        if (value + balance < 100) {
            vm.expectRevert(abi.encodeWithSelector(IChequeBank.InsufficientFunds.selector, value + balance, 100));
            bank.openWithAuthorization(r.deposit, a);
            assertFalse(token.authorizationState(payer.addr, r.id));
            return;
        }
        vm.expectEmit(address(bank));
        emit IChequeBank.Funded(payer.addr, address(token), payer.addr, value);
        assertEq(bank.openWithAuthorization(r.deposit, a), r.id);
        assertEq(_openId(r), r.id);
        assertEq(_idle(payer.addr, address(token), 0), value + balance - 100);
        _assertConserved(address(token));
    }

    /// Attack: an observer opens other terms with the payer's authorization, or credits the tokens to itself.
    function test_ObserverCannotUseTheAuthorizationOtherwise() public {
        Round memory r = _smallRound(address(token), 50);
        token.mint(payer.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, r.id);

        Round memory other = _smallRound(address(token), 50);
        other.deposit.signer = relayer;
        _seal(other);
        vm.startPrank(relayer);
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        bank.openWithAuthorization(other.deposit, a);
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        bank.fundWithAuthorization(payer.addr, address(token), relayer, r.id, a);
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        bank.fundWithAuthorization(payer.addr, address(token), payer.addr, 0, a);
        vm.expectRevert(abi.encodeWithSelector(AuthorizationToken.CallerIsNotPayee.selector, relayer, address(bank)));
        token.receiveWithAuthorization(payer.addr, address(bank), 100, a.validAfter, a.validBefore, r.id, a.v, a.r, a.s);
        a.value = 99;
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        bank.openWithAuthorization(r.deposit, a);
        vm.stopPrank();

        assertFalse(token.authorizationState(payer.addr, r.id), "burnt");
        a.value = 100;
        assertEq(bank.openWithAuthorization(r.deposit, a), r.id);
    }

    /// Attack: an authorization meant for `fundWithAuthorization` cannot open a deposit.
    function test_FundingAuthorizationOpensNothing() public {
        Round memory r = _smallRound(address(token), 50);
        token.mint(payer.addr, 100);
        bytes32 nonce = _digest(Digests.fund(IChequeBank.Fund(payer.addr, address(token), payer.addr, 100, "salt")));
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, nonce);
        vm.expectRevert(AuthorizationToken.NotAuthorized.selector);
        bank.openWithAuthorization(r.deposit, a);
    }

    /// The nonce is the id, which keeps the chain id of deployment.
    function test_AuthorizationNonceIsTheIdAfterAChainSplit() public {
        Round memory r = _smallRound(address(token), 50);
        token.mint(payer.addr, 100);
        vm.chainId(4242);
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, r.id);
        assertEq(bank.openWithAuthorization(r.deposit, a), r.id);
    }

    function test_RejectsAuthorizationForTheNativeCoin() public {
        Round memory r = _ready();
        IChequeBank.Authorization memory a;
        a.value = 100;
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotAToken.selector, NATIVE));
        bank.openWithAuthorization(r.deposit, a);
    }

    function test_RejectsAuthorizationForATokenWithoutCode() public {
        address nothing = makeAddr("nothing");
        Round memory r = _smallRound(nothing, 50);
        IChequeBank.Authorization memory a;
        a.value = 100;
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotAToken.selector, nothing));
        bank.openWithAuthorization(r.deposit, a);
    }

    function test_RejectsAuthorizationAboveTheCap() public {
        uint256 most = type(uint128).max;
        Round memory r = _smallRound(address(token), 50);
        token.mint(payer.addr, most + 1);
        IChequeBank.Authorization memory a = _authorize(payer, token, most + 1, r.id);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.AmountTooHigh.selector, most + 1, most));
        bank.openWithAuthorization(r.deposit, a);
    }

    function test_RejectsAuthorizationThatBringsLess() public {
        AuthorizationFeeToken fee = new AuthorizationFeeToken();
        Round memory r = _smallRound(address(fee), 50);
        fee.mint(payer.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, fee, 100, r.id);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.WrongAmountReceived.selector, 99, 100));
        bank.openWithAuthorization(r.deposit, a);
    }

    function test_OpenWithAuthorizationChecksTheTermsToo() public {
        Round memory r = _smallRound(address(token), 50);
        r.deposit.signer = address(0);
        _seal(r);
        token.mint(payer.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, r.id);
        vm.expectRevert(IChequeBank.ZeroSigner.selector);
        bank.openWithAuthorization(r.deposit, a);
        assertFalse(token.authorizationState(payer.addr, r.id));
    }

    function test_OpenWithAuthorizationRejectsABusyPurse() public {
        Round memory r = _smallRound(address(token), 50);
        _open(r);
        Round memory next = _smallRound(address(token), 20);
        token.mint(payer.addr, 100);
        IChequeBank.Authorization memory a = _authorize(payer, token, 100, next.id);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.PurseBusy.selector, r.id));
        bank.openWithAuthorization(next.deposit, a);
        assertEq(token.balanceOf(payer.addr), 100);
    }
}
