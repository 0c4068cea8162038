// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {AuthorizationToken} from "../mocks/AuthorizationToken.sol";
import {BonusToken, FalseToken, FeeToken, LyingToken} from "../mocks/OddTokens.sol";
import {TestToken} from "../mocks/TestToken.sol";
import {Digests} from "../utils/Digests.sol";
import {World} from "./World.sol";

/// @notice Money in and out, and attempts to take the money of others.
abstract contract FundHandler is World {
    /// @dev Withdrawals that were made by signature, to be tried again.
    bytes[] private _usedWithdrawals;
    TestToken[] private _odd;

    /* MONEY IN */

    function fund(uint256 dice) external live(dice) {
        address from = people[_pick(dice, "from", people.length)].addr;
        _pay(from, accounts[_pick(dice, "account", accounts.length)], _asset(dice), _anyAmount(dice, "amount"));
        times["fund"]++;
    }

    /// @dev An observer can neither redirect the authorization nor use it up at the token.
    function fundWithAuthorization(uint256 dice) external live(dice) {
        AuthorizationToken asset = _chance(dice, "evil", 3) ? evil : token;
        Account memory from = people[_pick(dice, "from", people.length)];
        address account = accounts[_pick(dice, "account", accounts.length)];
        uint256 amount = _anyAmount(dice, "amount");
        bytes32 salt = keccak256(abi.encode(dice, _now()));
        bytes32 nonce = _digest(Digests.fund(IChequeBank.Fund(from.addr, address(asset), account, amount, salt)));
        if (asset.authorizationState(from.addr, nonce)) return;
        IChequeBank.Authorization memory a = _authorize(from, asset, amount, nonce);
        asset.mint(from.addr, amount);

        (bool done,) = _call(
            relayer, 0, abi.encodeCall(IChequeBank.fundWithAuthorization, (from.addr, address(asset), relayer, salt, a))
        );
        assertFalse(done, "redirected");
        vm.prank(relayer);
        vm.expectRevert(abi.encodeWithSelector(AuthorizationToken.CallerIsNotPayee.selector, relayer, address(bank)));
        asset.receiveWithAuthorization(
            from.addr, address(bank), a.value, a.validAfter, a.validBefore, nonce, a.v, a.r, a.s
        );

        bytes memory data =
            abi.encodeCall(IChequeBank.fundWithAuthorization, (from.addr, address(asset), account, salt, a));
        (done,) = _call(relayer, 0, data);
        assertTrue(done, "fundWithAuthorization");
        _setIdle(account, address(asset), 0, idleOf[account][address(asset)][0] + amount, from.addr);
        funded[address(asset)] += amount;
        times["fundWithAuthorization"]++;

        (done,) = _call(relayer, 0, data);
        assertFalse(done, "used twice");
    }

    /// @dev Money sent without a call stays outside the books.
    function force(uint256 dice) external live(dice) {
        address asset = _asset(dice);
        if (asset == NATIVE) vm.deal(address(bank), address(bank).balance + 7);
        else TestToken(asset).mint(address(bank), 7);
        forced[asset] += 7;
        times["force"]++;
    }

    /// @dev The bank refuses tokens that move another amount than announced, and a wrong value.
    function fundBadly(uint256 dice) external live(dice) {
        address from = people[_pick(dice, "from", people.length)].addr;
        uint256 amount = 1000 + _pick(dice, "amount", 1000);
        if (_odd.length == 0) _makeOdd();
        for (uint256 i = 0; i < _odd.length; i++) {
            _odd[i].mint(from, amount);
            vm.prank(from);
            _odd[i].approve(address(bank), amount);
            (bool done,) = _call(from, 0, abi.encodeCall(IChequeBank.fund, (address(_odd[i]), from, amount)));
            assertFalse(done, "odd token");
            (uint256 idle,) = bank.purse(from, address(_odd[i]), 0);
            assertEq(idle, 0, "odd token credited");
        }
        (bool funded_, bytes memory answer) =
            _call(from, amount - 1, abi.encodeCall(IChequeBank.fund, (NATIVE, from, amount)));
        assertFalse(funded_, "wrong value");
        _requireError(answer, IChequeBank.WrongValue.selector);
        times["fundBadly"]++;
    }

    function _makeOdd() private {
        _odd = [TestToken(new FeeToken()), TestToken(new BonusToken()), TestToken(new LyingToken())];
        FalseToken saysNo = new FalseToken();
        saysNo.refuse(true);
        _odd.push(saysNo);
    }

    /* MONEY OUT */

    function withdraw(uint256 dice) external live(dice) {
        address account = accounts[_pick(dice, "account", accounts.length)];
        _withdraw(dice, account, false);
    }

    function withdrawFor(uint256 dice) external live(dice) {
        // The reentering contracts have no key.
        address account = accounts[_pick(dice, "account", people.length + 1)];
        _withdraw(dice, account, true);
    }

    /// @dev Withdraws all, a part, or too much; to accounts, or to contracts that refuse the native coin.
    function _withdraw(uint256 dice, address account, bool signed) private {
        (address asset, uint64 lane) = _fullestPurse(dice, account);
        uint256 idle = idleOf[account][asset][lane];
        uint256 amount = _chance(dice, "all", 3) ? idle : 1 + _pick(dice, "amount", idle + idle / 8 + 1);
        address to = _recipient(dice);
        bool refused = asset == NATIVE && (to == address(refusing) || to == address(burning));
        bool expected = openIn[account][asset][lane] == 0 && amount > 0 && amount <= idle && !refused;

        uint256 before = _tokensOf(to, asset);
        (bool done,) = signed
            ? _withdrawSigned(dice, IChequeBank.Withdraw(account, asset, lane, amount, to, 0, 0))
            : _call(account, 0, abi.encodeCall(IChequeBank.withdraw, (asset, lane, amount, to)));
        assertEq(done, expected, "withdraw");
        if (!done) {
            if (refused) times["withdrawal refused by recipient"]++;
            return;
        }
        assertEq(_tokensOf(to, asset), before + amount, "received");
        _setIdle(account, asset, lane, idle - amount, account);
        withdrawn[asset] += amount;
        times[signed ? bytes32("withdrawFor") : bytes32("withdraw")]++;
    }

    function _withdrawSigned(uint256 dice, IChequeBank.Withdraw memory w)
        private
        returns (bool done, bytes memory answer)
    {
        w.nonce = uint256(keccak256(abi.encode(dice, _now(), times["withdrawFor"])));
        w.deadline = block.timestamp;
        Account memory other = w.account == ann.addr ? cyd : ann;
        bytes32 hash = Digests.withdraw(w);
        (done, answer) = _call(relayer, 0, _encode(w, _sign(other, hash)));
        assertFalse(done, "signed by another");

        bytes memory data = _encode(w, _sign(_keeper(w.account), hash));
        (done, answer) = _call(relayer, 0, data);
        if (done) _usedWithdrawals.push(data);
    }

    function _encode(IChequeBank.Withdraw memory w, bytes memory signature) private pure returns (bytes memory) {
        return abi.encodeCall(
            IChequeBank.withdrawFor, (w.account, w.token, w.lane, w.amount, w.to, w.nonce, w.deadline, signature)
        );
    }

    /// @dev A purse with idle money, if the dice meet one.
    function _fullestPurse(uint256 dice, address account) private view returns (address asset, uint64 lane) {
        for (uint256 i = 0; i < 8; i++) {
            asset = assets[_pick(dice, bytes32(i), assets.length)];
            lane = uint64(_pick(dice, bytes32(i + 8), LAST_LANE + 1));
            if (idleOf[account][asset][lane] > 0) break;
        }
    }

    /// @dev A signed withdrawal pays once.
    function replayWithdrawal(uint256 dice) external live(dice) {
        if (_usedWithdrawals.length == 0) return;
        bytes memory data = _usedWithdrawals[_pick(dice, "which", _usedWithdrawals.length)];
        (bool done, bytes memory answer) = _call(relayer, 0, data);
        assertFalse(done, "replayed");
        _requireError(answer, IChequeBank.NonceUsed.selector);
        times["withdrawal replayed"]++;
    }
}
