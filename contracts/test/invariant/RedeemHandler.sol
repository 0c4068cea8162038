// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../../src/interfaces/IDrandBank.sol";
import {Beacon} from "../utils/Beacon.sol";
import {Judge} from "./Judge.sol";
import {OpenHandler} from "./OpenHandler.sol";

/// @notice Draws and redemptions, by payees and by relayers with and without consent, alone and in batches, and the
/// attacks of payers and strangers. The bank must decide each as `Judge` does.
abstract contract RedeemHandler is OpenHandler, Judge {
    /// @dev Redemptions that were paid, to be tried again.
    bytes[] private _paid;

    /* SEEDS */

    /// @dev Mostly after the draw; sometimes before, by a beacon whose operators foresee their rounds.
    function recordSeed(uint256 dice) external live(dice) {
        if (rounds.length == 0) return;
        uint64 time = _someRound(dice).deposit.drawTime;
        if (_now() <= time && !_chance(dice, "foreseen", 4)) return;
        bytes memory proof = recorded[time] && _chance(dice, "none", 2) ? bytes("") : _proof(time);
        (bool done, bytes memory answer) = _call(relayer, 0, abi.encodeCall(IChequeBank.recordSeed, (time, proof)));
        assertTrue(done, "recordSeed");
        assertEq(abi.decode(answer, (bytes32)), _seedAt(time), "seed");
        times[recorded[time] ? bytes32("recordSeed again") : bytes32("recordSeed")]++;
        recorded[time] = true;
    }

    /// @dev Wrong proofs record no seed, and no proof shows a seed of a time before the beacon's first round.
    function recordSeedBadly(uint256 dice) external live(dice) {
        if (rounds.length == 0) return;
        uint64 time = _someRound(dice).deposit.drawTime;
        if (recorded[time]) return;
        bytes memory data = abi.encodeCall(IChequeBank.recordSeed, (time, _forged(time, dice)));
        (bool done, bytes memory answer) = _call(relayer, 0, data);
        assertFalse(done, "chosen seed");
        _requireError(answer, IChequeBank.InvalidSeedProof.selector);

        uint64 early = GENESIS - 1 - uint64(_pick(dice, "early", GENESIS));
        (done, answer) = _call(relayer, 0, abi.encodeCall(IChequeBank.recordSeed, (early, _proof(GENESIS))));
        assertFalse(done, "no round");
        _requireError(answer, IDrandBank.DrawBeforeGenesis.selector);
        times["wrong proof refused"]++;
    }

    /// @dev A proof that is not of this time.
    function _forged(uint64 time, uint256 dice) private view returns (bytes memory proof) {
        uint256 kind = _pick(dice, "forged", 4);
        if (kind == 0) return abi.encodePacked(keccak256(abi.encode(dice)));
        if (kind == 1) return Beacon.sign(uint256(keccak256(abi.encode(dice))), time - GENESIS + 1);
        proof = _proof(time + 1 - 2 * uint64(_pick(dice, "neighbour", 2)));
        // Off the curve, which burns the gas of the call.
        if (kind == 2 && _chance(dice, "burn", 4)) proof[95] ^= 0x01;
    }

    /* ONE REDEMPTION */

    function redeem(uint256 dice) external live(dice) {
        if (rounds.length == 0) return;
        Round memory r = _drawnRound(dice);
        _countWinners(r);
        _redeem(_attempt(r, dice, _pick(dice, "mode", 8)));
    }

    function redeemByThePayee(uint256 dice) external live(dice) {
        if (rounds.length == 0) return;
        _redeem(_attempt(_drawnRound(dice), dice, _pick(dice, "straight", 2)));
    }

    function redeemByARelayer(uint256 dice) external live(dice) {
        if (rounds.length == 0) return;
        _redeem(_attempt(_drawnRound(dice), dice, 2 + _pick(dice, "straight", 2)));
    }

    /// @dev A payee of one of the newest deposits of native coin names a recipient that refuses coin.
    function redeemToARefusingRecipient(uint256 dice) external live(dice) {
        for (uint256 i = rounds.length; i > 0 && i + 24 > rounds.length; i--) {
            Round memory r = abi.decode(rounds[i - 1], (Round));
            IChequeBank.Deposit memory d = r.deposit;
            bool open = openIn[d.payer][NATIVE][d.lane] == r.id && _now() <= d.redeemUntil;
            if (d.token != NATIVE || !open) continue;
            _waitUntil(uint256(d.drawTime) + 1);
            Attempt memory a = _attempt(r, dice, 1);
            a.x.to = address(refusing);
            return _redeem(a);
        }
    }

    /// @dev Attack: the payer, who has the cheques too, closes the deposit with an older cheque.
    function raceWithAStaleCheque(uint256 dice) external live(dice) {
        if (rounds.length == 0) return;
        Round memory r = _drawnRound(dice);
        Attempt memory a = _attempt(r, dice, 4);
        a.caller = a.x.payee == r.deposit.payer ? relayer : r.deposit.payer;
        a.x.spent = uint128(1 + _pick(dice, "stale", a.x.allowance));
        (a.x.anchor, a.x.step, a.x.k, a.x.x) = (0, 0, 0, 0);
        _resign(a.x, r.id, signer);
        (a.signed, a.steps) = (true, true);
        // The payee consented to more than this.
        a.x.consent = _consent(r, a.x.payee, _keeper(a.x.payee), a.x.spent + 1, address(0));
        (IChequeBank.Outcome outcome, uint256 payout) = _foresee(a, false);
        if (outcome == IChequeBank.Outcome.Payable) assertEq(payout, r.deposit.amount, "a stale cheque pays");
        if (outcome == IChequeBank.Outcome.ConsentMissing) times["stale cheque refused"]++;
        _redeem(a);
    }

    function _redeem(Attempt memory a) private {
        (IChequeBank.Outcome outcome, uint256 payout) = _foresee(a, false);
        if (outcome == IChequeBank.Outcome.SeedUnknown && a.forged) return _expectForgeryRefused(a);
        vm.prank(a.caller);
        (IChequeBank.Outcome said,) = bank.outcomeOf(_packed(a), a.proof);
        assertEq(uint8(said), uint8(outcome), "outcomeOf");
        outcomes[uint8(outcome)]++;

        address asset = a.x.deposit.token;
        address to = a.x.to;
        bool refused = asset == NATIVE && (to == address(refusing) || to == address(burning));
        uint256 before = _tokensOf(to, asset);
        (bool done, bytes memory answer) = _call(a.caller, 0, abi.encodeCall(IChequeBank.redeem, (_packed(a), a.proof)));
        if (outcome != IChequeBank.Outcome.Payable) {
            assertFalse(done, "redeem");
            assertEq(answer, abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, outcome));
            return;
        }
        assertEq(done, !refused, "payable");
        if (refused) {
            times["payout refused by its recipient"]++;
            return;
        }
        assertEq(abi.decode(answer, (uint128)), payout, "payout");
        if (to != address(0)) assertEq(_tokensOf(to, asset), before + payout, "received");
        _bookRedemption(a, payout);
        times[to == address(0) ? bytes32("redeem") : bytes32("redeem straight out")]++;
        if (a.caller != a.x.payee && a.consented) times["redeem with consent"]++;
        if (!recorded[a.x.deposit.drawTime]) times["proof in the call"]++;
    }

    function _expectForgeryRefused(Attempt memory a) private {
        bytes memory data = abi.encodeCall(IChequeBank.redeem, (_packed(a), a.proof));
        (bool done, bytes memory answer) = _call(a.caller, 0, data);
        assertFalse(done, "a forged seed");
        assertEq(answer, abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, a.x.deposit.drawTime));
        times["forged seed refused"]++;
    }

    function _bookRedemption(Attempt memory a, uint256 payout) private {
        IChequeBank.Deposit memory d = a.x.deposit;
        openIn[d.payer][d.token][d.lane] = 0;
        _setIdle(d.payer, d.token, d.lane, d.amount - payout, d.payer);
        if (a.x.to == address(0)) idleOf[a.x.payee][d.token][0] += payout;
        else paidStraight[d.token] += payout;
        _close(a.id, payout);
        wasRedeemed[a.id] = true;
        _paid.push(abi.encode(a));
        if (d.token == NATIVE) times["redemption of native coin"]++;
    }

    /* BATCHES */

    /// @dev Good and bad items in any order, and some of them twice, with the proofs of most of their seeds.
    function redeemBatch(uint256 dice) external live(dice) {
        if (rounds.length == 0) return;
        Attempt[] memory attempts = new Attempt[](1 + _pick(dice, "items", 5));
        bytes[] memory items = new bytes[](attempts.length);
        address caller = _chance(dice, "by a payee", 2) ? relayer : people[_pick(dice, "by", people.length)].addr;
        for (uint256 i = 0; i < attempts.length; i++) {
            uint256 d = uint256(keccak256(abi.encode(dice, "item", i)));
            attempts[i] = i > 0 && _chance(d, "again", 5) ? attempts[i - 1] : _item(d);
            attempts[i].caller = caller;
            items[i] = _packed(attempts[i]);
        }
        (uint64[] memory drawTimes, bytes[] memory proofs) = _show(attempts, _pick(dice, "shown", attempts.length + 2));
        if (_chance(dice, "bad list", 6)) return _expectRefused(caller, items, drawTimes, proofs, dice);

        bytes memory data = abi.encodeCall(IChequeBank.redeemBatch, (items, drawTimes, proofs));
        (bool done, bytes memory answer) = _call(caller, 0, data);
        assertTrue(done, "batch reverted");
        uint128[] memory payouts = abi.decode(answer, (uint128[]));
        for (uint256 i = 0; i < attempts.length; i++) {
            (IChequeBank.Outcome outcome, uint256 payout) = _foresee(attempts[i], true);
            bool pays = outcome == IChequeBank.Outcome.Payable;
            assertEq(payouts[i], pays ? payout : 0, "payout of an item");
            if (pays) _bookRedemption(attempts[i], payout);
            times[pays ? bytes32("item paid") : bytes32("item skipped")]++;
            outcomes[uint8(outcome)]++;
        }
    }

    /// @dev The draw times of the first `shown` items with their proofs, in the order of the items: several items with
    /// one time make it appear as often. With fewer than all items, the rest may have an unknown seed.
    function _show(Attempt[] memory attempts, uint256 shown)
        private
        view
        returns (uint64[] memory drawTimes, bytes[] memory proofs)
    {
        if (shown > attempts.length) shown = attempts.length;
        (drawTimes, proofs) = (new uint64[](shown), new bytes[](shown));
        for (uint256 i = 0; i < attempts.length; i++) {
            uint64 time = attempts[i].x.deposit.drawTime;
            (attempts[i].proof, attempts[i].forged) = ("", false);
            for (uint256 j = 0; j < shown; j++) {
                if (attempts[j].x.deposit.drawTime == time) attempts[i].proof = _proof(time);
            }
            if (i < shown) (drawTimes[i], proofs[i]) = (time, recorded[time] ? bytes("ignored") : attempts[i].proof);
        }
    }

    /// @dev A list of times and proofs that is wrong pays nobody.
    function _expectRefused(
        address caller,
        bytes[] memory items,
        uint64[] memory drawTimes,
        bytes[] memory proofs,
        uint256 dice
    ) private {
        bytes memory expected = abi.encodeWithSelector(
            IChequeBank.LengthMismatch.selector, drawTimes.length, drawTimes.length + 1
        );
        uint256 i = drawTimes.length == 0 ? 0 : _pick(dice, "wrong", drawTimes.length);
        if (drawTimes.length == 0 || recorded[drawTimes[i]]) {
            proofs = new bytes[](drawTimes.length + 1);
        } else {
            proofs[i] = _chance(dice, "empty", 3) ? bytes("") : _forged(drawTimes[i], dice);
            expected = abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, drawTimes[i]);
        }
        (bool done, bytes memory answer) =
            _call(caller, 0, abi.encodeCall(IChequeBank.redeemBatch, (items, drawTimes, proofs)));
        assertFalse(done, "a bad list");
        assertEq(answer, expected);
        times["bad list refused"]++;
    }

    /// @dev An item of a batch. One in six is malformed, cannot be proven, or has terms that were never opened.
    function _item(uint256 dice) private returns (Attempt memory a) {
        Round memory r = _drawnRound(dice);
        a = _attempt(r, dice, _pick(dice, "mode", 8));
        if (!_chance(dice, "poison", 6)) return a;
        (a.x.spent, a.x.k, a.x.x) = (a.x.allowance, 0, 0);
        (a.cut, a.x.consent) = (_chance(dice, "cut", 3), bytes(""));
        if (_chance(dice, "deep", 2)) (a.x.siblings, a.x.path) = (new bytes(47 * 48), type(uint40).max);
        if (_chance(dice, "unopened", 2)) (a.x.deposit.minPayout, a.x.to) = (a.x.deposit.amount + 1, address(burning));
        (a.signed, a.x.signature) = (false, new bytes(65));
    }

    function _packed(Attempt memory a) private pure returns (bytes memory packed) {
        packed = _pack(a.x);
        if (!a.cut) return packed;
        assembly ("memory-safe") {
            mstore(packed, sub(mload(packed), 1))
        }
    }

    /* AGAIN */

    function replay(uint256 dice) external live(dice) {
        if (_paid.length == 0) return;
        Attempt memory a = abi.decode(_paid[_pick(dice, "which", _paid.length)], (Attempt));
        bytes memory data = abi.encodeCall(IChequeBank.redeem, (_packed(a), a.proof));
        (bool done, bytes memory answer) = _call(a.caller, 0, data);
        assertFalse(done, "paid twice");
        assertEq(answer, abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, IChequeBank.Outcome.NotOpen));
        times["replay refused"]++;
    }

    /* ATTEMPTS */

    /// @dev A drawn and open round if the dice meet one; otherwise mostly a round whose draw is pending.
    function _drawnRound(uint256 dice) private returns (Round memory r) {
        for (uint256 i = 0; i < 6; i++) {
            r = _someRound(uint256(keccak256(abi.encode(dice, i))));
            IChequeBank.Deposit memory d = r.deposit;
            bool open = openIn[d.payer][d.token][d.lane] == r.id;
            if (open && _now() > d.drawTime && _now() <= d.redeemUntil) return r;
            if (open && _now() <= d.drawTime && _chance(dice, "wait", 2)) {
                _waitUntil(uint256(d.drawTime) + 1);
                return r;
            }
        }
    }

    /// @dev The leaf whose range holds the roll, if any.
    function _luckyLeaf(Round memory r) private view returns (uint256) {
        uint256 roll = _rollOf(r.id, r.deposit.amount, _seedAt(r.deposit.drawTime));
        for (uint256 i = 0; i < r.tree.leaves.length; i++) {
            uint256 start = r.tree.proofs[i].start;
            if (start <= roll && roll < start + r.tree.leaves[i].allowance) return i;
        }
        return 0;
    }

    /// @dev Modes: 0 and 1 the payee calls, to its balance or straight out; 2 and 3 a relayer with consent, likewise;
    /// 4 and 5 a relayer without consent; 6 with consent to another total; 7 the payee with a cheque of another key.
    function _attempt(Round memory r, uint256 dice, uint256 mode) private returns (Attempt memory a) {
        uint256 i = _chance(dice, "any leaf", 4) ? _pick(dice, "leaf", r.tree.leaves.length) : _luckyLeaf(r);
        IChequeBank.Redemption memory x = a.x;
        x.deposit = r.deposit;
        (x.payee, x.allowance, x.salt) = (r.tree.leaves[i].payee, r.tree.leaves[i].allowance, r.tree.leaves[i].salt);
        (x.path, x.siblings) = (r.tree.proofs[i].path, r.tree.proofs[i].siblings);
        (a.id, a.steps, a.signed) = (r.id, true, mode != 7);
        _spend(a, dice);
        _resign(x, r.id, mode == 7 ? dan : signer);
        _prove(a, dice);
        if (mode == 1 || mode == 3 || mode == 5) x.to = _recipient(dice);
        a.caller = mode < 2 || mode == 7 ? x.payee : relayer;
        a.consented = mode == 2 || mode == 3;
        uint256 total = _totalOf(x);
        if (a.consented) x.consent = _consent(r, x.payee, _keeper(x.payee), uint128(total), x.to);
        if (mode == 6) x.consent = _consent(r, x.payee, _keeper(x.payee), uint128(total + 1), x.to);
    }

    /// @dev Shows the seed mostly, wrongly sometimes. Most proofs of a recorded seed are left out.
    function _prove(Attempt memory a, uint256 dice) private view {
        uint64 time = a.x.deposit.drawTime;
        uint256 kind = _pick(dice, "proof", 10);
        if (kind == 0 || (recorded[time] && kind < 8)) return;
        (a.forged, a.proof) = (kind == 9, kind == 9 ? _forged(time, dice) : _proof(time));
    }

    /// @dev Spends mostly all or a part of the allowance, sometimes nothing or too much; one in four as a stream.
    function _spend(Attempt memory a, uint256 dice) private view {
        IChequeBank.Redemption memory x = a.x;
        uint256 kind = _pick(dice, "spent", 12);
        x.spent = kind < 4 ? x.allowance : uint128(1 + _pick(dice, "part", x.allowance));
        if (kind == 4) x.spent = 0;
        if (kind == 5 && x.allowance < type(uint128).max) x.spent = x.allowance + 1;
        if (!_chance(dice, "stream", 4)) return;
        uint16 k = uint16(_pick(dice, "k", 5));
        x.spent = uint128(_pick(dice, "before", x.allowance));
        _stream(x, a.id, uint128(1 + _pick(dice, "step", 4)), 4, k);
        if (k == 0) x.x = 0;
        if (k == 0 || !_chance(dice, "guess", 4)) return;
        x.x = keccak256("a guess");
        a.steps = false;
    }

    /// @dev Counts the leaves of a drawn deposit that could be redeemed now with their whole allowance: at most one.
    function _countWinners(Round memory r) private {
        bytes memory proof = _proof(r.deposit.drawTime);
        uint256 winners = 0;
        for (uint256 i = 0; i < r.tree.leaves.length; i++) {
            IChequeBank.Redemption memory x;
            x.deposit = r.deposit;
            (x.payee, x.allowance, x.salt) = (r.tree.leaves[i].payee, r.tree.leaves[i].allowance, r.tree.leaves[i].salt);
            (x.path, x.siblings) = (r.tree.proofs[i].path, r.tree.proofs[i].siblings);
            x.spent = x.allowance;
            _resign(x, r.id, signer);
            vm.prank(x.payee);
            (IChequeBank.Outcome outcome,) = bank.outcomeOf(_pack(x), proof);
            if (outcome == IChequeBank.Outcome.Payable) winners++;
        }
        if (winners > mostWinners) mostWinners = winners;
    }
}
