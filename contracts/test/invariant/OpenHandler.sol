// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {AuthorizationToken} from "../mocks/AuthorizationToken.sol";
import {AllowanceTrees, Leaf} from "../utils/AllowanceTrees.sol";
import {Digests} from "../utils/Digests.sol";
import {PlantedTrees} from "./PlantedTrees.sol";
import {World} from "./World.sol";

/// @notice Opens deposits in every way, for honest and dishonest payers, reclaims them, and lets time pass.
abstract contract OpenHandler is World {
    /// @dev The purse's idle money before an opening, and the money received with the call.
    struct Money {
        uint256 idle;
        uint256 received;
    }

    /// @dev An opening authorization that nobody has submitted yet.
    struct HeldBack {
        IChequeBank.Deposit deposit;
        IChequeBank.Authorization authorization;
    }

    /// @dev Every round that was opened, encoded: storage cannot hold a tree.
    bytes[] internal rounds;
    HeldBack[] private _heldBack;

    /* TIME */

    function waitForADraw(uint256 dice) external live(dice) {
        if (rounds.length == 0) return;
        IChequeBank.Deposit memory d = _someRound(dice).deposit;
        _waitUntil(uint256(d.drawTime) + _pick(dice, "past", 3));
    }

    function waitForAnEnd(uint256 dice) external live(dice) {
        if (rounds.length == 0 || _chance(dice, "patience", 2)) return;
        IChequeBank.Deposit memory d = _someRound(dice).deposit;
        _waitUntil(uint256(d.redeemUntil) + _pick(dice, "past", 2));
    }

    /* OPENING */

    function open(uint256 dice) external live(dice) {
        _openSomehow(_newRound(dice, _payer(dice)), dice);
    }

    /// @dev Opens a deposit whose tree promises too much, cannot be proven, or names one payee twice.
    function openPlanted(uint256 dice) external live(dice) {
        Round memory r = _newRound(dice, _payer(dice));
        uint128 amount = uint128(2 + _pick(dice, "planted amount", 100));
        (r.tree, r.deposit.amount) = PlantedTrees.plant(_pick(dice, "kind", 6), r.tree, amount);
        r.deposit.root = r.tree.root;
        if (r.deposit.minPayout > r.deposit.amount) r.deposit.minPayout = 0;
        _seal(r);
        if (_openSomehow(r, dice)) times["planted tree opened"]++;
    }

    /// @dev Attack: opens a deposit from the payer's balance by a forged authorization.
    function openWithoutAuthorization(uint256 dice) external live(dice) {
        Round memory r = _newRound(dice, _payer(dice));
        IChequeBank.Deposit memory d = r.deposit;
        d.token = _chance(dice, "knows no authorizations", 2) ? address(plain) : address(token);
        _seal(r);
        _pay(d.payer, d.payer, d.token, d.amount);
        IChequeBank.Authorization memory a;
        a.value = _pick(dice, "value", 2) * d.amount;
        (a.validBefore, a.v, a.r, a.s) = (type(uint256).max, 27, keccak256("r"), bytes32(uint256(1)));
        (bool done,) = _call(relayer, 0, abi.encodeCall(IChequeBank.openWithAuthorization, (d, a)));
        assertFalse(done, "opened without the payer");
        times["no authorization"]++;
    }

    function _payer(uint256 dice) private view returns (Account memory) {
        return people[_pick(dice, "payer", 3)];
    }

    /// @dev New terms with one to five payees; sometimes the payer is one of them.
    function _newRound(uint256 dice, Account memory by) private returns (Round memory r) {
        address[5] memory payees =
            [ann.addr, ben.addr, cyd.addr, address(wallet), by.addr == ann.addr ? dan.addr : by.addr];
        uint256 first = _pick(dice, "first payee", 5);
        Leaf[] memory leaves = new Leaf[](1 + _pick(dice, "payees", 5));
        // Tiny allowances make the first and last point of a range likely.
        uint256[4] memory scales = [uint256(3), 60, 60, 1 << 125];
        uint256 scale = scales[_pick(dice, "scale", 4)];
        for (uint256 i = 0; i < leaves.length; i++) {
            uint256 allowance = 1 + _pick(dice, keccak256(abi.encode("allowance", i)), scale);
            leaves[i] = Leaf(payees[(first + i) % 5], uint128(allowance), bytes16(keccak256(abi.encode(dice, i))));
        }
        r = _round(_asset(dice), 0, leaves);
        r.deposit.payer = by.addr;
        r.deposit.lane = uint64(1 + _pick(dice, "lane", LAST_LANE));
        uint256 kind = _pick(dice, "min payout", 3);
        if (kind == 1) r.deposit.minPayout = r.deposit.amount;
        if (kind == 2) r.deposit.minPayout = uint128(_pick(dice, "least payout", r.deposit.amount));
        // On a grid, so that one seed serves several deposits.
        uint64 earliest = uint64(_now()) + MIN_LEAD;
        r.deposit.drawTime = _chance(dice, "earliest", 3) ? earliest : (earliest / 1800 + 1) * 1800;
        uint64[4] memory windows = [uint64(1), 1000, 40_000, 180_000];
        r.deposit.redeemUntil = r.deposit.drawTime + windows[_pick(dice, "window", 4)];
        _seal(r);
    }

    /// @dev Opens by the payer's call, signature or authorization, with or without money; sometimes with too little.
    function _openSomehow(Round memory r, uint256 dice) private returns (bool done) {
        IChequeBank.Deposit memory d = r.deposit;
        Account memory by = _keeper(d.payer);
        if (!_chance(dice, "poor", 6)) _pay(d.payer, d.payer, d.token, d.amount);
        Money memory m = Money(idleOf[d.payer][d.token][d.lane], 0);
        uint256 way = _pick(dice, "way", 4);
        bytes memory answer;
        if (way == 0) {
            bytes memory signature = _sign(by, Digests.open(r.id, block.timestamp));
            (done, answer) = _call(relayer, 0, abi.encodeCall(IChequeBank.openFor, (d, block.timestamp, signature)));
        } else if (way == 1 && (d.token == address(token) || d.token == address(evil))) {
            m.received = 1 + _pick(dice, "received", 2 * uint256(d.amount)) % type(uint128).max;
            AuthorizationToken asset = AuthorizationToken(d.token);
            asset.mint(d.payer, m.received);
            bool again = asset.authorizationState(d.payer, r.id);
            bytes memory data =
                abi.encodeCall(IChequeBank.openWithAuthorization, (d, _authorize(by, asset, m.received, r.id)));
            (done, answer) = _call(relayer, 0, data);
            if (again) {
                // The same terms twice: the token refuses before the bank looks at the purse.
                assertFalse(done, "an authorization used twice");
                _requireError(answer, AuthorizationToken.AuthorizationUsed.selector);
                return false;
            }
        } else {
            if (d.token == NATIVE) m.received = _pick(dice, "received", 2 * uint256(d.amount));
            (done,) = _call(relayer, 0, abi.encodeCall(IChequeBank.open, (d)));
            assertFalse(done, "opened by another");
            (done, answer) = _call(d.payer, m.received, abi.encodeCall(IChequeBank.open, (d)));
        }
        assertEq(done, _expectOpened(d, m, openIn[d.payer][d.token][d.lane] == 0, answer), "open");
        if (done) _bookOpening(r, m);
    }

    /// @dev True if these terms can be opened. Otherwise requires that the bank gave the reason.
    function _expectOpened(IChequeBank.Deposit memory d, Money memory m, bool idle, bytes memory answer)
        private
        view
        returns (bool)
    {
        if (!idle) {
            _requireError(answer, IChequeBank.PurseBusy.selector);
            return false;
        }
        uint256 money = m.idle + m.received;
        if (money != d.amount) money += idleOf[d.payer][d.token][0];
        if (money < d.amount) _requireError(answer, IChequeBank.InsufficientFunds.selector);
        return money >= d.amount;
    }

    function _bookOpening(Round memory r, Money memory m) private {
        IChequeBank.Deposit memory d = r.deposit;
        uint256 balance = idleOf[d.payer][d.token][0];
        funded[d.token] += m.received;
        _setIdle(d.payer, d.token, 0, m.idle + m.received + balance - d.amount, d.payer);
        _setIdle(d.payer, d.token, d.lane, 0, d.payer);
        openIn[d.payer][d.token][d.lane] = r.id;
        assertEq(termsOf[r.id].amount, 0, "an id opened twice");
        termsOf[r.id] = d;
        ids.push(r.id);
        rounds.push(abi.encode(r));
        times["open"]++;
    }

    /* AGAIN */

    function reopen(uint256 dice) external live(dice) {
        if (rounds.length == 0) return;
        Round memory old = _someRound(dice);
        IChequeBank.Deposit memory d = old.deposit;
        Round memory next = _newRound(dice, _keeper(d.payer));
        (next.deposit.token, next.deposit.lane) = (d.token, d.lane);
        _seal(next);
        if (!_chance(dice, "poor", 6)) _pay(d.payer, d.payer, d.token, next.deposit.amount);

        bytes32 holds = openIn[d.payer][d.token][d.lane];
        Money memory m = Money(holds == old.id ? d.amount : idleOf[d.payer][d.token][d.lane], 0);
        if (d.token == NATIVE) m.received = _pick(dice, "received", 2 * uint256(next.deposit.amount));
        (bool done, bytes memory answer) = _call(relayer, 0, abi.encodeCall(IChequeBank.reopen, (d, next.deposit)));
        assertFalse(done, "reopened by another");
        (done, answer) = _call(d.payer, m.received, abi.encodeCall(IChequeBank.reopen, (d, next.deposit)));
        if (holds == old.id && _now() <= d.redeemUntil) {
            assertFalse(done, "reopened too early");
            _requireError(answer, IChequeBank.StillRedeemable.selector);
            return;
        }
        assertEq(done, _expectOpened(next.deposit, m, holds == 0 || holds == old.id, answer), "reopen");
        if (!done) return;
        if (holds == old.id) {
            _close(old.id, 0);
            times["reopen after the end"]++;
        }
        _bookOpening(next, m);
        times["reopen"]++;
    }

    function reclaim(uint256 dice) external live(dice) {
        if (rounds.length == 0) return;
        Round memory r = _someRound(dice);
        IChequeBank.Deposit memory d = r.deposit;
        bool held = openIn[d.payer][d.token][d.lane] == r.id;
        // Often in the last second that may redeem, or the first that may reclaim.
        if (held && _chance(dice, "at its end", 2)) _waitUntil(uint256(d.redeemUntil) + _pick(dice, "end", 2));
        (bool done, bytes memory answer) = _call(relayer, 0, abi.encodeCall(IChequeBank.reclaim, (d)));
        assertEq(done, held && _now() > d.redeemUntil, "reclaim");
        if (!done) {
            _requireError(answer, held ? IChequeBank.StillRedeemable.selector : IChequeBank.DepositNotOpen.selector);
            return;
        }
        openIn[d.payer][d.token][d.lane] = 0;
        _setIdle(d.payer, d.token, d.lane, d.amount, d.payer);
        _close(r.id, 0);
        times["reclaim"]++;
    }

    /* HELD BACK */

    /// @dev The payer authorizes an opening, and the relayer holds the authorization back.
    function holdBack(uint256 dice) external live(dice) {
        Account memory by = _payer(dice);
        Round memory r = _newRound(dice, by);
        r.deposit.token = address(token);
        _seal(r);
        token.mint(by.addr, r.deposit.amount);
        IChequeBank.Authorization memory a = _authorize(by, token, r.deposit.amount, r.id);
        a.validBefore = type(uint256).max;
        bytes32 digest = token.authorizationDigest(
            token.RECEIVE_TYPE(), by.addr, address(bank), a.value, a.validAfter, a.validBefore, r.id
        );
        (a.v, a.r, a.s) = vm.sign(by.key, digest);
        _heldBack.push(HeldBack(r.deposit, a));
        rounds.push(abi.encode(r));
    }

    /// @dev The relayer submits it later: it opens this deposit or nothing, and never funds an account.
    function submitHeldBack(uint256 dice) external live(dice) {
        if (_heldBack.length == 0) return;
        uint256 last = _heldBack.length - 1;
        HeldBack memory h = _heldBack[_chance(dice, "newest", 2) ? last : _pick(dice, "which", last + 1)];
        IChequeBank.Deposit memory d = h.deposit;
        bytes32 id = _digest(Digests.deposit(d));
        bool used = token.authorizationState(d.payer, id);
        (bool done, bytes memory answer) = _call(
            relayer,
            0,
            abi.encodeCall(IChequeBank.fundWithAuthorization, (d.payer, d.token, relayer, "salt", h.authorization))
        );
        assertFalse(done, "an opening that funds");

        Money memory m = Money(idleOf[d.payer][d.token][d.lane], h.authorization.value);
        bytes memory data = abi.encodeCall(IChequeBank.openWithAuthorization, (d, h.authorization));
        uint256 has = token.balanceOf(d.payer);
        (done, answer) = _call(relayer, 0, data);
        if (used || _now() + MIN_LEAD > d.drawTime) {
            assertFalse(done, "opened a second time or too late");
            times["held back too long"]++;
        } else {
            bool idle = openIn[d.payer][d.token][d.lane] == 0;
            assertEq(done, _expectOpened(d, m, idle, answer), "held back");
        }
        assertEq(token.balanceOf(d.payer), done ? has - m.received : has, "tokens of the payer");
        if (!done) return;
        Round memory r;
        (r.deposit, r.id) = (d, id);
        _bookOpening(_withTreeOf(r), m);
        times["held back, then opened"]++;
    }

    function _withTreeOf(Round memory r) private view returns (Round memory found) {
        for (uint256 i = 0; i < rounds.length; i++) {
            found = abi.decode(rounds[i], (Round));
            if (found.id == r.id) return found;
        }
        revert("unknown round");
    }

    /* ROUNDS */

    /// @dev A round, more likely a new than an old one.
    function _someRound(uint256 dice) internal view returns (Round memory) {
        uint256 back = _pick(dice, "round", rounds.length);
        if (_pick(dice, "recent", 4) > 0) back = back % 8;
        return abi.decode(rounds[rounds.length - 1 - back], (Round));
    }
}
