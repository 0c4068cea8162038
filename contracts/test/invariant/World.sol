// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {BaseTest} from "../BaseTest.sol";
import {SilentToken} from "../mocks/OddTokens.sol";
import {WrappedCoin} from "../mocks/PhantomTokens.sol";
import {Reentering, ReenteringPayee, ReenteringToken} from "../mocks/Reentering.sol";
import {TestToken} from "../mocks/TestToken.sol";
import {BurningPayee, RefusingPayee, Wallet} from "../mocks/Wallets.sol";
import {Headers} from "../utils/Headers.sol";

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

    /* THE CHAIN */

    uint256 private _block;
    uint256 private _time;
    uint64[] private _pendingDraws;
    mapping(uint256 blockNumber => bytes) internal headerOf;
    mapping(uint256 blockNumber => bytes32) internal mixOf;
    mapping(uint256 blockNumber => bool) internal recorded;

    /// @dev Restores the chain as the last call left it, and mines a few blocks.
    modifier live(uint256 dice) {
        vm.roll(_block);
        vm.warp(_time);
        _mineTo(_block + _pick(dice, "blocks", 3), dice);
        _;
    }

    function setUp() public override {
        super.setUp();
        (_block, _time) = (START_BLOCK, START_TIME);
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
        // The native coin, which recipients can refuse, twice as often as the others.
        return assets[_pick(dice, "asset", assets.length + 1) % assets.length];
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
        calls[1] = abi.encodeCall(IChequeBank.redeemBatch, (new bytes[](0)));
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
        closedAt[id] = _block;
        paidFor[id] += payout;
    }

    /* BLOCKS */

    function _now() internal view returns (uint256) {
        return _block;
    }

    /// @dev Mines up to a block. The draw blocks before it get headers.
    function _mineTo(uint256 to, uint256 dice) internal {
        if (to <= _block) return;
        _time += 12 * (to - _block);
        _block = to;
        vm.roll(to);
        vm.warp(_time);
        for (uint256 i = _pendingDraws.length; i > 0; i--) {
            uint64 number = _pendingDraws[i - 1];
            if (number >= to) continue;
            // One header in ten carries no randomness, as on a chain without RANDAO.
            bytes32 mix = keccak256(abi.encode(dice, number));
            if (_chance(dice, bytes32(uint256(number)), 10)) mix = bytes32(uint256(mix) % (1 << 64));
            mixOf[number] = mix;
            headerOf[number] = Headers.header(number, mix);
            _pendingDraws[i - 1] = _pendingDraws[_pendingDraws.length - 1];
            _pendingDraws.pop();
        }
    }

    function _awaitDraw(uint64 number) internal {
        for (uint256 i = 0; i < _pendingDraws.length; i++) {
            if (_pendingDraws[i] == number) return;
        }
        _pendingDraws.push(number);
    }

    /// @dev Sets a block's hash before each use, because forge forgets it between calls.
    function _showHash(uint256 number) internal {
        if (headerOf[number].length == 0 || _block > number + 8191) return;
        _setHash(number, keccak256(headerOf[number]));
    }

    /// @dev The seed that the header of this block proves now, or zero.
    function _provable(uint256 number) internal view returns (bytes32) {
        if (headerOf[number].length == 0 || _block > number + 8191) return 0;
        return uint256(mixOf[number]) > 1 << 64 ? mixOf[number] : bytes32(0);
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
