// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Beacon} from "./utils/Beacon.sol";
import {Digests} from "./utils/Digests.sol";

contract ViewsTest is BaseTest {
    function testFuzz_DepositIdIsTheDigestOfTheTerms(IChequeBank.Deposit memory d) public view {
        assertEq(bank.depositId(d), _digest(Digests.deposit(d)));
    }

    function testFuzz_DepositIdKeepsTheChainIdOfDeployment(IChequeBank.Deposit memory d, uint64 chainId) public {
        bytes32 id = bank.depositId(d);
        vm.chainId(bound(chainId, 1, type(uint64).max - 1));
        assertEq(bank.depositId(d), id);
    }

    function test_DepositIdsOfTwoBanksDiffer() public {
        Round memory r = _smallRound(NATIVE, 0);
        bank = _deploy(MIN_LEAD + 1);
        assertTrue(bank.depositId(r.deposit) != r.id);
    }

    function test_DomainIsTheEip712Domain() public view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        ) = bank.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "ChequeBank");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(bank));
        assertEq(salt, 0);
        assertEq(extensions.length, 0);
    }

    function test_DomainFollowsTheChainId() public {
        vm.chainId(4242);
        (,,, uint256 chainId,,,) = bank.eip712Domain();
        assertEq(chainId, 4242);
    }

    function test_SettingsAreVisible() public view {
        assertEq(bank.minLead(), MIN_LEAD);
        IDrandBank settings = IDrandBank(address(bank));
        assertEq(settings.publicKey(), Beacon.publicKey(Beacon.SECRET));
        assertEq(settings.genesis(), GENESIS);
        assertEq(settings.period(), PERIOD);
    }

    function testFuzz_EverythingIsEmptyAtFirst(address account, address asset, uint64 lane, uint64 number) public view {
        (uint256 idle, bytes32 id) = bank.purse(account, asset, lane);
        assertEq(idle, 0);
        assertEq(id, 0);
        assertEq(bank.seed(number), 0);
        assertFalse(bank.nonceUsed(account, number));
    }

    function test_PurseIsMoneyOrADeposit() public {
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        (uint256 idle, bytes32 id) = bank.purse(payer.addr, NATIVE, 1);
        assertEq(idle, 0);
        assertEq(id, r.id);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        (idle, id) = bank.purse(payer.addr, NATIVE, 1);
        assertEq(idle, 100);
        assertEq(id, 0);
    }

    /// The largest idle money of a lane is not taken for an id, and a balance never is.
    function test_LargestMoneyIsMoney() public {
        Round memory r = _certainRound(address(token), type(uint128).max);
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        bank.reclaim(r.deposit);
        (uint256 idle, bytes32 id) = bank.purse(payer.addr, address(token), 1);
        assertEq(idle, type(uint128).max);
        assertEq(id, 0);
        vm.prank(payer.addr);
        bank.withdraw(address(token), 1, type(uint128).max, payer.addr);
        assertEq(token.balanceOf(payer.addr), type(uint128).max);
    }

    function testFuzz_RollIsThePointThatTheSeedSelects(bytes32 seed, uint128 amount, bytes32 root) public {
        vm.assume(seed != 0);
        Round memory r = _certainRound(NATIVE, uint128(bound(amount, 1, type(uint128).max)));
        r.deposit.root = root;
        _seal(r);
        _drawAndRecord(r, seed);
        uint128 roll = bank.rollOf(r.deposit);
        assertEq(roll, _rollOf(r.id, r.deposit.amount, seed));
        assertLt(roll, r.deposit.amount);
    }

    function test_RollNeedsARecordedSeed() public {
        Round memory r = _smallRound(NATIVE, 0);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.SeedUnknown.selector, r.deposit.drawTime));
        bank.rollOf(r.deposit);
        _draw(r);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.SeedUnknown.selector, r.deposit.drawTime));
        bank.rollOf(r.deposit);
    }
}
