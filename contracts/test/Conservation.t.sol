// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Digests} from "./utils/Digests.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Many rounds in one bank: holdings = idle money + open deposits = sum of the events.
contract ConservationTest is BaseTest {
    /// @dev The bank's holdings of a token by its events.
    function _byEvents(Vm.Log[] memory logs, address asset) private view returns (uint256 holdings) {
        bytes32 ofAsset = bytes32(uint256(uint160(asset)));
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].emitter != address(bank)) continue;
            bytes32 topic = logs[i].topics[0];
            if (topic == IChequeBank.Funded.selector && logs[i].topics[2] == ofAsset) {
                holdings += abi.decode(logs[i].data, (uint256));
            } else if (topic == IChequeBank.Withdrawn.selector && logs[i].topics[2] == ofAsset) {
                (, uint256 amount) = abi.decode(logs[i].data, (uint64, uint256));
                holdings -= amount;
            } else if (topic == IChequeBank.Redeemed.selector && logs[i].topics[3] != 0) {
                (, uint128 payout) = abi.decode(logs[i].data, (uint128, uint128));
                holdings -= payout;
            }
        }
    }

    /// @dev One round of a lane: opened in one of four ways, won or reclaimed.
    function _playRound(address asset, uint64 lane, uint256 dice) private {
        Round memory r = _round(
            asset, 0, _leaves(uint128(1 + dice % 50), uint128(1 + (dice >> 8) % 50), uint128(1 + (dice >> 16) % 50))
        );
        r.deposit.lane = lane;
        r.deposit.minPayout = uint128((dice >> 24) % (r.deposit.amount + 1));
        _seal(r);
        _openSomehow(r, (dice >> 32) % 3);
        _assertConserved(asset);
        _drawAndRecord(r, keccak256(abi.encode(dice)));

        for (uint256 i = 0; i < 3; i++) {
            uint128 allowance = r.tree.leaves[i].allowance;
            uint128 spent = uint128(1 + (dice >> (40 + 8 * i)) % allowance);
            IChequeBank.Redemption memory x = _redemption(r, r.tree.leaves[i].payee, spent);
            if ((dice >> 64) % 2 == 0) x.to = cyd.addr;
            vm.startPrank(x.payee);
            (IChequeBank.Outcome outcome,) = bank.outcomeOf(_pack(x), "");
            if (outcome == IChequeBank.Outcome.Payable) bank.redeem(_pack(x), "");
            vm.stopPrank();
            _assertConserved(asset);
        }
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        if (_openId(r) == r.id) bank.reclaim(r.deposit);
        _assertConserved(asset);
    }

    function _openSomehow(Round memory r, uint256 way) private {
        address asset = r.deposit.token;
        uint128 amount = r.deposit.amount;
        if (way == 0) {
            _open(r);
        } else if (way == 1) {
            _fund(asset, payer.addr, amount);
            bytes memory signature = _sign(payer, Digests.open(r.id, block.timestamp));
            bank.openFor(r.deposit, block.timestamp, signature);
        } else if (asset == NATIVE) {
            vm.deal(payer.addr, amount);
            vm.prank(payer.addr);
            bank.open{value: amount}(r.deposit);
        } else {
            token.mint(payer.addr, amount);
            bank.openWithAuthorization(r.deposit, _authorize(payer, token, amount, r.id));
        }
        assertEq(_openId(r), r.id);
    }

    function _withdrawAll(address account, address asset) private {
        for (uint64 lane = 0; lane < LANES; lane++) {
            uint256 idle = _idle(account, asset, lane);
            if (idle == 0) continue;
            vm.prank(account);
            bank.withdraw(asset, lane, idle, cyd.addr);
        }
    }

    function _play(address asset, uint256 dice) private {
        vm.recordLogs();
        for (uint64 i = 0; i < 6; i++) {
            dice = uint256(keccak256(abi.encode(dice)));
            _playRound(asset, 1 + i % 2, dice);
        }
        uint256 before = asset == NATIVE ? cyd.addr.balance : token.balanceOf(cyd.addr);
        uint256 held = _holdings(asset);
        _withdrawAll(payer.addr, asset);
        _withdrawAll(ann.addr, asset);
        _withdrawAll(ben.addr, asset);
        _withdrawAll(cyd.addr, asset);
        assertEq(_holdings(asset), 0, "holdings after all withdrawals");
        assertEq((asset == NATIVE ? cyd.addr.balance : token.balanceOf(cyd.addr)) - before, held);
        assertEq(_byEvents(vm.getRecordedLogs(), asset), 0, "events");
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_NativeCoinIsConserved(uint256 dice) public {
        _play(NATIVE, dice);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_TokensAreConserved(uint256 dice) public {
        _play(address(token), dice);
    }

    /// Mid-way, too, the events add up to the holdings.
    function testFuzz_EventsTellTheHoldings(uint256 dice) public {
        vm.recordLogs();
        _playRound(NATIVE, 1, dice);
        assertEq(_byEvents(vm.getRecordedLogs(), NATIVE), _holdings(NATIVE));
    }
}
