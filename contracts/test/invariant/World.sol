// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {BaseTest} from "../BaseTest.sol";
import {SilentToken} from "../mocks/OddTokens.sol";
import {WrappedCoin} from "../mocks/PhantomTokens.sol";
import {Reentering, ReenteringPayee, ReenteringToken} from "../mocks/Reentering.sol";
import {TestToken} from "../mocks/TestToken.sol";
import {BurningPayee, RefusingPayee, Wallet} from "../mocks/Wallets.sol";
import {Beacon} from "../utils/Beacon.sol";

/// @notice The accounts, the tokens and the chain that the handlers act on, and the books: a second implementation of
/// the bank's accounts, with the content of each purse and all money in and out.
abstract contract World is BaseTest {
    uint64 internal constant LAST_LANE = 3;
    /// @dev More than any call to the bank needs, and the most that a gas-burning payee can burn.
    uint256 internal constant CALL_GAS = 3_000_000;

    /* PEOPLE AND TOKENS */

    /// @dev All accounts with a key. The first three are payers too.
    Account[] internal people;
    Account internal dan;
    Wallet internal wallet;
    ReenteringToken internal evil;
    /// @dev A plain token that accepts any call.
    WrappedCoin internal plain;
    SilentToken internal silent;
    ReenteringPayee internal evilPayee;
    RefusingPayee internal refusing;
    BurningPayee internal burning;

    /// @dev All accounts with money in the bank, and all tokens.
    address[] internal accounts;
    address[] internal assets;

    /* THE BOOKS */

    mapping(address account => mapping(address asset => mapping(uint64 lane => uint256))) public idleOf;
    mapping(address account => mapping(address asset => mapping(uint64 lane => bytes32))) public openIn;
    mapping(bytes32 id => IChequeBank.Deposit) internal termsOf;
    bytes32[] internal ids;
    mapping(bytes32 id => uint256) public closedTimes;
    mapping(bytes32 id => uint256) public paidFor;
    mapping(bytes32 id => uint256) public closedAt;
    mapping(bytes32 id => bool) public wasRedeemed;
    /// @dev The largest number of leaves of one deposit that could be redeemed at the same time.
    uint256 public mostWinners;

    mapping(address asset => uint256) public funded;
    mapping(address asset => uint256) public withdrawn;
    mapping(address asset => uint256) public paidStraight;
    /// @dev Sent to the bank without a call to it.
    mapping(address asset => uint256) public forced;

    /// @dev Counts events by name, so that a test can require that the handlers reach each.
    mapping(bytes32 what => uint256) public times;
    /// @dev Counts the outcomes of redemptions.
    uint256[13] public outcomes;

    /* THE CHAIN */

    uint256 private _block;
    uint256 private _time;
    mapping(uint64 drawTime => bool) internal recorded;

    /// @dev Restores the chain as the last call left it, and goes to the next block. Half of the blocks share the second
    /// of the block before.
    modifier live(uint256 dice) {
        _block += 1;
        vm.roll(_block);
        vm.warp(_time);
        if (_chance(dice, "next second", 2)) _waitUntil(_time + 1 + _pick(dice, "seconds", 3));
        else times["second shared"]++;
        _;
    }

    function setUp() public override {
        super.setUp();
        (_block, _time) = (1, START_TIME);
        dan = makeAccount("dan");
        wallet = new Wallet(ben.addr);
        evil = new ReenteringToken();
        plain = new WrappedCoin();
        silent = new SilentToken();
        evilPayee = new ReenteringPayee();
        refusing = new RefusingPayee();
        burning = new BurningPayee();

        people.push(payer);
        people.push(dan);
        people.push(ann);
        people.push(ben);
        people.push(cyd);
        for (uint256 i = 0; i < people.length; i++) {
            accounts.push(people[i].addr);
        }
        accounts.push(address(wallet));
        accounts.push(address(evil));
        accounts.push(address(evilPayee));
        assets = [NATIVE, address(token), address(plain), address(silent), address(evil)];

        // The reentering contracts have money of their own to take.
        _pay(dan.addr, address(evil), NATIVE, 1000);
        _pay(dan.addr, address(evilPayee), NATIVE, 1000);
    }

    /* DICE */

    function _pick(uint256 dice, bytes32 what, uint256 choices) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(dice, what))) % choices;
    }

    function _chance(uint256 dice, bytes32 what, uint256 oneIn) internal pure returns (bool) {
        return _pick(dice, what, oneIn) == 0;
    }

    /// @dev Mostly small, so that sums collide; sometimes the largest amount of one call.
    function _anyAmount(uint256 dice, bytes32 what) internal pure returns (uint256) {
        uint256 kind = _pick(dice, what, 12);
        if (kind == 0) return type(uint128).max;
        if (kind == 1) return 1;
        return 1 + _pick(dice, keccak256(abi.encode(what)), 1000);
    }

    function _asset(uint256 dice) internal view returns (address) {
        // Half of all is native coin, which recipients can refuse.
        return _chance(dice, "native", 2) ? NATIVE : assets[_pick(dice, "asset", assets.length)];
    }

    /// @dev The key that signs for this account.
    function _keeper(address account) internal view returns (Account memory) {
        for (uint256 i = 0; i < people.length; i++) {
            if (people[i].addr == account) return people[i];
        }
        return ben;
    }

    /// @dev An account, or a contract that refuses the native coin, burns all gas, or reenters.
    function _recipient(uint256 dice) internal view returns (address) {
        uint256 who = _pick(dice, "to", 8);
        if (who == 0) return address(refusing);
        if (who == 1) return address(burning);
        if (who == 2) return address(evilPayee);
        return people[_pick(dice, "to whom", people.length)].addr;
    }

    /* CALLS */

    /// @dev Calls the bank. Arms the reentering contracts, and requires that the bank refused them.
    function _call(address caller, uint256 value, bytes memory data) internal returns (bool done, bytes memory answer) {
        _arm(evil);
        _arm(evilPayee);
        vm.deal(caller, caller.balance + value);
        vm.prank(caller);
        (done, answer) = address(bank).call{value: value, gas: CALL_GAS}(data);
        _requireRefused(evil);
        _requireRefused(evilPayee);
    }

    /// @dev Calls that succeed on their own: a withdrawal of own money, and a batch without items.
    function _arm(Reentering reentering) private {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(IChequeBank.withdraw, (NATIVE, 0, 1, address(reentering)));
        calls[1] = abi.encodeCall(IChequeBank.redeemBatch, (new bytes[](0), new uint64[](0), new bytes[](0)));
        reentering.arm(address(bank), calls);
    }

    function _requireRefused(Reentering reentering) private {
        for (uint256 i = 0; i < reentering.answered(); i++) {
            assertFalse(reentering.succeeded(i), "reentered");
            assertEq(reentering.answers(i), abi.encodeWithSelector(IChequeBank.Reentered.selector));
            times["reentry refused"]++;
        }
    }

    function _requireError(bytes memory answer, bytes4 expected) internal pure {
        assertEq(bytes4(answer), expected, "another error");
    }

    function _tokensOf(address account, address asset) internal view returns (uint256) {
        return asset == NATIVE ? account.balance : TestToken(asset).balanceOf(account);
    }

    /* BOOKKEEPING */

    /// @dev Sets idle money. A decrease needs the account's own call or signature.
    function _setIdle(address account, address asset, uint64 lane, uint256 amount, address by) internal {
        if (amount < idleOf[account][asset][lane]) assertEq(by, account, "moved by another");
        idleOf[account][asset][lane] = amount;
    }

    /// @dev Funds a balance with new money.
    function _pay(address from, address account, address asset, uint256 amount) internal {
        if (asset != NATIVE) {
            TestToken(asset).mint(from, amount);
            vm.prank(from);
            (bool approved,) = asset.call(abi.encodeCall(TestToken.approve, (address(bank), amount)));
            assertTrue(approved, "approve");
        }
        bytes memory data = abi.encodeCall(IChequeBank.fund, (asset, account, amount));
        (bool done,) = _call(from, asset == NATIVE ? amount : 0, data);
        assertTrue(done, "fund");
        _setIdle(account, asset, 0, idleOf[account][asset][0] + amount, from);
        funded[asset] += amount;
    }

    function _close(bytes32 id, uint256 payout) internal {
        closedTimes[id]++;
        closedAt[id] = _time;
        paidFor[id] += payout;
    }

    /* TIME */

    function _now() internal view returns (uint256) {
        return _time;
    }

    function _waitUntil(uint256 time) internal {
        if (time <= _time) return;
        _time = time;
        vm.warp(time);
    }

    function _seedAt(uint64 drawTime) internal view returns (bytes32) {
        return Beacon.seed(_proof(drawTime));
    }

    /* WHAT THE INVARIANTS READ */

    function theBank() external view returns (IChequeBank) {
        return bank;
    }

    function allAccounts() external view returns (address[] memory) {
        return accounts;
    }

    function allAssets() external view returns (address[] memory) {
        return assets;
    }

    function allIds() external view returns (bytes32[] memory) {
        return ids;
    }

    function terms(bytes32 id) external view returns (IChequeBank.Deposit memory) {
        return termsOf[id];
    }

    function holdings(address asset) external view returns (uint256) {
        return _tokensOf(address(bank), asset);
    }
}
