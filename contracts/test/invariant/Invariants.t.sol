// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {Handler} from "./Handler.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The seven invariants, numbered as in README.md beside this file, after any sequence of calls.
contract InvariantsTest is Test {
    uint64 private constant LANES = 4;

    Handler private handler;
    IChequeBank private bank;

    function setUp() public {
        handler = new Handler();
        handler.setUp();
        bank = handler.theBank();
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), handler.calls()));
    }

    /// @dev sum B + sum I, and the sum of the amounts of open deposits, read from the bank.
    function _accounted(address asset) private view returns (uint256 idle, uint256 locked) {
        address[] memory accounts = handler.allAccounts();
        for (uint256 i = 0; i < accounts.length; i++) {
            for (uint64 lane = 0; lane < LANES; lane++) {
                (uint256 money, bytes32 id) = bank.purse(accounts[i], asset, lane);
                idle += money;
                if (id != 0) locked += handler.terms(id).amount;
            }
        }
    }

    /// 1: money in = money out + idle money + open deposits. 2: the bank holds the last two.
    function invariant_1and2_NothingIsLostOrMade() public view {
        address[] memory assets = handler.allAssets();
        for (uint256 i = 0; i < assets.length; i++) {
            address asset = assets[i];
            (uint256 idle, uint256 locked) = _accounted(asset);
            uint256 out = handler.withdrawn(asset) + handler.paidStraight(asset);
            assertEq(handler.funded(asset), out + idle + locked, "1: funded");
            assertEq(handler.holdings(asset), idle + locked + handler.forced(asset), "2: holdings");
        }
    }

    /// 3: a deposit is closed at most once, and pays at most its amount. 4: at most one leaf could be redeemed.
    function invariant_3and4_ADepositPaysOnePayeeOnce() public view {
        bytes32[] memory ids = handler.allIds();
        for (uint256 i = 0; i < ids.length; i++) {
            assertLe(handler.closedTimes(ids[i]), 1, "3: closed twice");
            assertLe(handler.paidFor(ids[i]), handler.terms(ids[i]).amount, "3: paid more than the amount");
        }
        assertLe(handler.mostWinners(), 1, "4: two winners");
    }

    /// 5: a deposit stays in its purse until it is redeemed, or reclaimed after its last second.
    function invariant_5_OpenDepositsStay() public view {
        bytes32[] memory ids = handler.allIds();
        for (uint256 i = 0; i < ids.length; i++) {
            IChequeBank.Deposit memory d = handler.terms(ids[i]);
            (, bytes32 id) = bank.purse(d.payer, d.token, d.lane);
            if (handler.closedTimes(ids[i]) == 0) {
                assertEq(id, ids[i], "5: left its purse");
            } else {
                assertTrue(id != ids[i], "5: open again");
                uint256 closed = handler.closedAt(ids[i]);
                bool inTime = closed > d.drawTime && closed <= d.redeemUntil;
                assertEq(inTime, handler.wasRedeemed(ids[i]), "5: redeemed before its end, reclaimed after it");
            }
        }
    }

    /// 6: each purse agrees with the books, which only its account lowers. 7: idle money is below 2^128.
    function invariant_6and7_MoneyMovesByItsAccountOnly() public view {
        address[] memory accounts = handler.allAccounts();
        address[] memory assets = handler.allAssets();
        for (uint256 i = 0; i < accounts.length; i++) {
            for (uint256 j = 0; j < assets.length; j++) {
                for (uint64 lane = 0; lane < LANES; lane++) {
                    (uint256 idle, bytes32 id) = bank.purse(accounts[i], assets[j], lane);
                    assertEq(idle, handler.idleOf(accounts[i], assets[j], lane), "6: idle");
                    assertEq(id, handler.openIn(accounts[i], assets[j], lane), "6: open");
                    if (lane > 0) assertLe(idle, type(uint128).max, "7: not below 2^128");
                }
            }
        }
    }

    /// Every outcome that the handlers are written for happens. Some are rare, and the dice that reach them depend on
    /// the bank's address, hence on its bytecode.
    function test_HandlersReachEveryOutcome() public {
        bytes4[] memory calls = handler.calls();
        string memory missing = "everything";
        for (uint256 i = 0; i < 24_000 && bytes(missing).length > 0; i++) {
            uint256 dice = uint256(keccak256(abi.encode("dice", i)));
            (bool done, bytes memory answer) =
                address(handler).call(abi.encodeWithSelector(calls[dice % calls.length], dice));
            assertTrue(done, string(answer));
            if (i % 1200 == 1199) missing = _missing();
        }
        assertEq(missing, "", "outcome never happened");
        invariant_1and2_NothingIsLostOrMade();
        invariant_3and4_ADepositPaysOnePayeeOnce();
        invariant_5_OpenDepositsStay();
        invariant_6and7_MoneyMovesByItsAccountOnly();
    }

    /// @dev The first outcome that did not happen yet, empty if all did.
    function _missing() private view returns (string memory) {
        bytes32[33] memory reached = [
            bytes32("fund"),
            "fundWithAuthorization",
            "fundBadly",
            "force",
            "withdraw",
            "withdrawFor",
            "withdrawal replayed",
            "withdrawal refused by recipient",
            "open",
            "planted tree opened",
            "no authorization",
            "reopen",
            "reopen after the end",
            "reclaim",
            "held back, then opened",
            "held back too long",
            "recordSeed",
            "recordSeed again",
            "wrong proof refused",
            "forged seed refused",
            "proof in the call",
            "bad list refused",
            "second shared",
            "redemption of native coin",
            "redeem",
            "redeem straight out",
            "redeem with consent",
            "payout refused by its recipient",
            "stale cheque refused",
            "item paid",
            "item skipped",
            "replay refused",
            "reentry refused"
        ];
        for (uint256 i = 0; i < reached.length; i++) {
            if (handler.times(reached[i]) == 0) return string(abi.encodePacked(reached[i]));
        }
        for (uint8 i = 0; i <= uint8(type(IChequeBank.Outcome).max); i++) {
            if (handler.outcomes(i) == 0) return string.concat("outcome ", vm.toString(i));
        }
        return "";
    }
}
