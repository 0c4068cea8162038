// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {AuthorizationToken} from "./mocks/AuthorizationToken.sol";
import {AllowanceTrees, Leaf, Tree} from "./utils/AllowanceTrees.sol";
import {Beacon} from "./utils/Beacon.sol";
import {Digests} from "./utils/Digests.sol";
import {Packing} from "./utils/Packing.sol";
import {Test} from "forge-std/Test.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

/// @notice A chain with a bank, some accounts with money, and tools to act for them.
abstract contract BaseTest is Test {
    /// @notice Terms of a deposit, with the tree behind their root.
    struct Round {
        IChequeBank.Deposit deposit;
        bytes32 id;
        Tree tree;
    }

    address internal constant NATIVE = address(0);
    address internal constant DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    bytes internal constant DEPLOYER_CODE =
        hex"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";

    uint64 internal constant MIN_LEAD = 2400;
    uint64 internal constant WINDOW = 1 days;
    uint64 internal constant LANES = 4;
    uint256 internal constant START_TIME = 1_740_000_000;
    /// @dev The test beacon has a round in each second, so that any time is on its schedule.
    uint64 internal constant GENESIS = 1_700_000_000;
    uint64 internal constant PERIOD = 1;
    /// @dev The slot of `BankStorage.seed`.
    uint256 internal constant SEEDS_SLOT = 0;

    IChequeBank internal bank;
    AuthorizationToken internal token;

    Account internal payer;
    Account internal signer;
    Account internal ann;
    Account internal ben;
    Account internal cyd;
    address internal relayer;

    address[] private _accounts;
    mapping(bytes32 id => uint128) private _amountOf;

    function setUp() public virtual {
        vm.warp(START_TIME);
        vm.etch(DEPLOYER, DEPLOYER_CODE);

        bank = _deploy(MIN_LEAD);
        token = new AuthorizationToken(6);

        payer = makeAccount("payer");
        signer = makeAccount("signer");
        ann = makeAccount("ann");
        ben = makeAccount("ben");
        cyd = makeAccount("cyd");
        relayer = makeAddr("relayer");
        _watch(payer.addr);
        _watch(signer.addr);
        _watch(ann.addr);
        _watch(ben.addr);
        _watch(cyd.addr);
        _watch(relayer);
    }

    /// @dev A bank that draws from the test beacon.
    function _deploy(uint64 minLead) internal returns (IChequeBank) {
        return _deploy(minLead, Beacon.publicKey(Beacon.SECRET), GENESIS, PERIOD);
    }

    /// @dev Deploys like the deploy script; Deploy.t.sol shows that the script makes the same bank. Loads the bank by
    /// name: a file that imports the bank is compiled like the bank, which takes minutes.
    function _deploy(uint64 minLead, bytes memory key, uint64 genesis, uint64 period) internal returns (IChequeBank) {
        bytes memory code = vm.getCode("DrandBank.sol:DrandBank");
        code = bytes.concat(code, abi.encode(minLead, key, genesis, period));
        (bool done, bytes memory made) = DEPLOYER.call(abi.encodePacked(bytes32(0), code));
        assertTrue(done, "not deployed");
        return IChequeBank(address(bytes20(made)));
    }

    /* MONEY */

    /// @dev Makes `_assertConserved` count the money of this account.
    function _watch(address account) internal {
        _accounts.push(account);
    }

    function _know(bytes32 id, uint128 amount) internal {
        _amountOf[id] = amount;
    }

    /// @dev Asserts that idle money and open deposits of all watched accounts add up to the bank's holdings.
    function _assertConserved(address asset) internal view {
        uint256 accounted = 0;
        for (uint256 i = 0; i < _accounts.length; i++) {
            for (uint64 lane = 0; lane < LANES; lane++) {
                (uint256 idle, bytes32 id) = bank.purse(_accounts[i], asset, lane);
                assertTrue(id == 0 || (idle == 0 && _amountOf[id] > 0), "purse holds an unknown deposit");
                accounted += idle + _amountOf[id];
            }
        }
        assertEq(accounted, _holdings(asset), "accounted balances differ from holdings");
    }

    function _holdings(address asset) internal view returns (uint256) {
        return asset == NATIVE ? address(bank).balance : AuthorizationToken(asset).balanceOf(address(bank));
    }

    function _idle(address account, address asset, uint64 lane) internal view returns (uint256 idle) {
        (idle,) = bank.purse(account, asset, lane);
    }

    function _openId(Round memory r) internal view returns (bytes32 id) {
        (, id) = bank.purse(r.deposit.payer, r.deposit.token, r.deposit.lane);
    }

    /// @dev Funds the balance of `account` with new money.
    function _fund(address asset, address account, uint256 amount) internal {
        address giver = makeAddr("giver");
        if (asset == NATIVE) {
            vm.deal(giver, amount);
            vm.prank(giver);
            bank.fund{value: amount}(asset, account, amount);
        } else {
            AuthorizationToken(asset).mint(giver, amount);
            vm.startPrank(giver);
            // A low-level call, because some tokens return nothing.
            (bool approved,) = asset.call(abi.encodeCall(AuthorizationToken(asset).approve, (address(bank), amount)));
            assertTrue(approved, "approve");
            bank.fund(asset, account, amount);
            vm.stopPrank();
        }
    }

    /* TERMS */

    function _leaf(address payee, uint128 allowance) internal pure returns (Leaf memory) {
        return Leaf(payee, allowance, bytes16(keccak256(abi.encode("salt", payee, allowance))));
    }

    function _leaves(uint128 anns, uint128 bens, uint128 cyds) internal view returns (Leaf[] memory leaves) {
        leaves = new Leaf[](3);
        leaves[0] = _leaf(ann.addr, anns);
        leaves[1] = _leaf(ben.addr, bens);
        leaves[2] = _leaf(cyd.addr, cyds);
    }

    /// @dev Terms in lane 1 with the earliest draw; change `deposit` and call `_seal` for others.
    function _round(address asset, uint128 minPayout, Leaf[] memory leaves) internal returns (Round memory r) {
        r.tree = AllowanceTrees.build(leaves);
        r.deposit.payer = payer.addr;
        r.deposit.signer = signer.addr;
        r.deposit.token = asset;
        r.deposit.lane = 1;
        r.deposit.amount = uint128(r.tree.total);
        r.deposit.minPayout = minPayout;
        r.deposit.drawTime = uint64(vm.getBlockTimestamp()) + MIN_LEAD;
        r.deposit.redeemUntil = r.deposit.drawTime + WINDOW;
        r.deposit.root = r.tree.root;
        _seal(r);
    }

    /// @dev 60, 30 and 10 units for Ann, Ben and Cyd.
    function _smallRound(address asset, uint128 minPayout) internal returns (Round memory) {
        return _round(asset, minPayout, _leaves(60, 30, 10));
    }

    /// @dev Ann has the whole allowance, so her cheque for the whole amount wins at any seed.
    function _certainRound(address asset, uint128 amount) internal returns (Round memory) {
        Leaf[] memory leaves = new Leaf[](1);
        leaves[0] = _leaf(ann.addr, amount);
        return _round(asset, 0, leaves);
    }

    function _seal(Round memory r) internal {
        r.id = _digest(Digests.deposit(r.deposit));
        _know(r.id, r.deposit.amount);
    }

    function _open(Round memory r) internal {
        (uint256 idle,) = bank.purse(r.deposit.payer, r.deposit.token, r.deposit.lane);
        if (idle < r.deposit.amount) _fund(r.deposit.token, r.deposit.payer, r.deposit.amount - idle);
        vm.prank(r.deposit.payer);
        assertEq(bank.open(r.deposit), r.id, "id");
    }

    /* SIGNATURES */

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return Digests.digest(Digests.domain(address(bank), block.chainid), structHash);
    }

    function _signDigest(Account memory by, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(by.key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _sign(Account memory by, bytes32 structHash) internal view returns (bytes memory) {
        return _signDigest(by, _digest(structHash));
    }

    /// @dev The second signature of the same key over the same digest: s mirrored, v flipped.
    function _highS(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = _split(signature);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        return abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27));
    }

    /// @dev The same signature with v as 0 or 1.
    function _lowV(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = _split(signature);
        return abi.encodePacked(r, s, v - 27);
    }

    /// @dev The same signature in the 64 bytes of EIP-2098.
    function _compact(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = _split(signature);
        return abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    function _split(bytes memory signature) internal pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
    }

    function _authorize(Account memory from, AuthorizationToken asset, uint256 value, bytes32 nonce)
        internal
        view
        returns (IChequeBank.Authorization memory a)
    {
        a.value = value;
        a.validAfter = block.timestamp - 1;
        a.validBefore = block.timestamp + 1 hours;
        bytes32 digest = asset.authorizationDigest(
            asset.RECEIVE_TYPE(), from.addr, address(bank), value, a.validAfter, a.validBefore, nonce
        );
        (a.v, a.r, a.s) = vm.sign(from.key, digest);
    }

    /* CHEQUES */

    function _indexOf(Round memory r, address payee) internal pure returns (uint256) {
        for (uint256 i = 0; i < r.tree.leaves.length; i++) {
            if (r.tree.leaves[i].payee == payee) return i;
        }
        revert("no such payee");
    }

    /// @dev The payee's signed plain cheque with its proof; to the payee's balance, without consent.
    function _redemption(Round memory r, address payee, uint128 spent)
        internal
        view
        returns (IChequeBank.Redemption memory x)
    {
        uint256 i = _indexOf(r, payee);
        x.deposit = r.deposit;
        x.allowance = r.tree.leaves[i].allowance;
        x.salt = r.tree.leaves[i].salt;
        x.path = r.tree.proofs[i].path;
        x.siblings = r.tree.proofs[i].siblings;
        x.payee = payee;
        x.spent = spent;
        _resign(x, r.id, signer);
    }

    function _resign(IChequeBank.Redemption memory x, bytes32 id, Account memory by) internal view {
        x.signature = _sign(by, Digests.cheque(id, x.payee, x.spent, x.anchor, x.step));
    }

    function _consent(Round memory r, Account memory payee, uint128 total, address to)
        internal
        view
        returns (bytes memory)
    {
        return _consent(r, payee.addr, payee, total, to);
    }

    /// @dev A payee's consent, signed by the key of any account.
    function _consent(Round memory r, address payee, Account memory by, uint128 total, address to)
        internal
        view
        returns (bytes memory)
    {
        return _sign(by, Digests.consent(r.id, payee, total, to));
    }

    /// @dev Adds a stream of n steps to a redemption, and shows k steps.
    function _stream(IChequeBank.Redemption memory x, bytes32 id, uint128 step, uint256 n, uint16 k) internal view {
        bytes32 value = keccak256("x_0");
        for (uint256 i = 0; i < n; i++) {
            if (i == n - k) x.x = value;
            value = keccak256(abi.encode(value));
        }
        x.anchor = value;
        x.step = step;
        x.k = k;
        _resign(x, id, signer);
    }

    /* DRAW */

    /// @dev The test beacon's proof of the seed of a time.
    function _proof(uint64 drawTime) internal view returns (bytes memory) {
        return Beacon.sign(Beacon.SECRET, (drawTime - GENESIS) / PERIOD + 1);
    }

    /// @dev Goes to the first second in which a round can be redeemed, and returns the proof of its seed.
    function _draw(Round memory r) internal returns (bytes memory proof) {
        vm.warp(uint256(r.deposit.drawTime) + 1);
        return _proof(r.deposit.drawTime);
    }

    /// @dev Writes a seed of the test's choice where the bank keeps the recorded seeds: no beacon can be made to sign it.
    function _record(uint64 drawTime, bytes32 seed) internal {
        vm.store(address(bank), keccak256(abi.encode(drawTime, SEEDS_SLOT)), seed);
        assertEq(bank.seed(drawTime), seed, "the slot of recorded seeds has moved");
    }

    /// @dev Goes to the first second in which a round can be redeemed, with this seed recorded.
    function _drawAndRecord(Round memory r, bytes32 seed) internal {
        vm.warp(uint256(r.deposit.drawTime) + 1);
        _record(r.deposit.drawTime, seed);
    }

    function _rollOf(bytes32 id, uint256 amount, bytes32 seed) internal pure returns (uint256) {
        return ((uint256(EfficientHashLib.hash(seed, id)) >> 128) * amount) >> 128;
    }

    /// @dev A seed whose roll lies in [from, to).
    function _seedFor(Round memory r, uint256 from, uint256 to) internal pure returns (bytes32 seed) {
        // 200,000 misses in a row at a chance of 1 in 10,000 are rarer than once in 400 million runs.
        for (uint256 i = 0; i < 200_000; i++) {
            seed = EfficientHashLib.hash("mix", bytes32(i));
            uint256 roll = _rollOf(r.id, r.deposit.amount, seed);
            if (from <= roll && roll < to) return seed;
        }
        revert("no seed found");
    }

    /// @dev A seed by which the payee wins if its whole allowance was spent.
    function _seedOf(Round memory r, address payee) internal pure returns (bytes32) {
        uint256 i = _indexOf(r, payee);
        uint256 start = r.tree.proofs[i].start;
        return _seedFor(r, start, start + r.tree.leaves[i].allowance);
    }

    /// @dev SPEC.md, section 8.
    function _payoutAndRange(IChequeBank.Deposit memory d, uint256 allowance, uint256 spent)
        internal
        pure
        returns (uint256 payout, uint256 range)
    {
        uint256 full = spent * d.amount / allowance;
        if (full >= d.minPayout) return (full, allowance);
        return (d.minPayout, spent * d.amount / d.minPayout);
    }

    function _pack(IChequeBank.Redemption memory x) internal pure returns (bytes memory) {
        return Packing.pack(x);
    }

    function _pack(IChequeBank.Redemption[] memory xs) internal pure returns (bytes[] memory) {
        return Packing.pack(xs);
    }

    /* EXPECTATIONS */

    function _expectNotRedeemable(IChequeBank.Redemption memory x, IChequeBank.Outcome why) internal {
        (IChequeBank.Outcome outcome,) = bank.outcomeOf(_pack(x), "");
        assertEq(uint8(outcome), uint8(why), "outcomeOf");
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.NotRedeemable.selector, why));
        bank.redeem(_pack(x), "");
    }
}
