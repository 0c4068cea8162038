// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deploy} from "../script/Deploy.s.sol";
import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";

contract DeployTest is BaseTest {
    IChequeBank.SeedSource private constant PREVRANDAO = IChequeBank.SeedSource.PrevRandao;
    IChequeBank.SeedSource private constant BLOCK_HASH = IChequeBank.SeedSource.BlockHash;

    Deploy private script;

    function setUp() public override {
        super.setUp();
        script = new Deploy();
    }

    function _address(uint64 lead, IChequeBank.SeedSource source) private view returns (address) {
        bytes memory code = abi.encodePacked(vm.getCode("ChequeBank.sol:ChequeBank"), abi.encode(lead, source));
        bytes32 hash = keccak256(abi.encodePacked(hex"ff", DEPLOYER, bytes32(0), keccak256(code)));
        return address(uint160(uint256(hash)));
    }

    function test_AddressFollowsFromTheSettings() public {
        assertEq(address(bank), _address(MIN_LEAD, PREVRANDAO));
        assertEq(address(script.predict(MIN_LEAD, PREVRANDAO)), address(bank));
        assertEq(address(script.deploy(4, PREVRANDAO)), _address(4, PREVRANDAO));
        assertEq(address(script.deploy(4, BLOCK_HASH)), _address(4, BLOCK_HASH));
        assertEq(address(script.predict(5, BLOCK_HASH)), _address(5, BLOCK_HASH));
        assertTrue(_address(4, PREVRANDAO) != _address(4, BLOCK_HASH));
        assertTrue(_address(4, PREVRANDAO) != _address(5, PREVRANDAO));
    }

    function test_AddressIsTheSameOnEveryChain() public {
        vm.chainId(4242);
        vm.roll(START_BLOCK * 2);
        assertEq(address(script.deploy(4, PREVRANDAO)), _address(4, PREVRANDAO));
    }

    /// Attack: deploy the bank a second time over itself, to reset its storage.
    function test_BankCannotBeDeployedOverItself() public {
        _fund(NATIVE, ann.addr, 100);
        bytes memory code = abi.encodePacked(vm.getCode("ChequeBank.sol:ChequeBank"), abi.encode(MIN_LEAD, PREVRANDAO));
        (bool done, bytes memory answer) = DEPLOYER.call(abi.encodePacked(bytes32(0), code));
        assertFalse(done && answer.length == 20 && bytes20(answer) != 0, "deployed twice");
        assertEq(_idle(ann.addr, NATIVE, 0), 100);
    }

    function test_DeployingAgainGivesTheSameBank() public {
        _fund(NATIVE, ann.addr, 100);
        assertEq(address(script.deploy(MIN_LEAD, PREVRANDAO)), address(bank));
        assertEq(_idle(ann.addr, NATIVE, 0), 100);
    }

    function test_SettingsAreKept() public {
        bank = script.deploy(77, BLOCK_HASH);
        assertEq(bank.minLead(), 77);
        assertTrue(bank.seedSource() == BLOCK_HASH);
        bank = script.deploy(78, PREVRANDAO);
        assertEq(bank.minLead(), 78);
        assertTrue(bank.seedSource() == PREVRANDAO);
    }

    function test_LeadIsFrom1To100000() public {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.LeadOutOfRange.selector, 0, 100_000));
        script.deploy(0, PREVRANDAO);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.LeadOutOfRange.selector, 100_001, 100_000));
        script.deploy(100_001, BLOCK_HASH);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.LeadOutOfRange.selector, type(uint64).max, 100_000));
        script.deploy(type(uint64).max, PREVRANDAO);
        assertEq(script.deploy(1, PREVRANDAO).minLead(), 1);
        assertEq(script.deploy(100_000, PREVRANDAO).minLead(), 100_000);
    }

    function testFuzz_LeadIsTheLeadOfOpen(uint64 lead) public {
        lead = uint64(bound(lead, 1, 100_000));
        bank = script.deploy(lead, PREVRANDAO);
        Round memory r = _smallRound(NATIVE, 0);
        r.deposit.drawBlock = uint64(START_BLOCK) + lead - 1;
        r.deposit.lastRedeemBlock = r.deposit.drawBlock + 1;
        _fund(NATIVE, payer.addr, 100);
        vm.prank(payer.addr);
        vm.expectRevert(
            abi.encodeWithSelector(IChequeBank.DrawTooSoon.selector, r.deposit.drawBlock, START_BLOCK + lead)
        );
        bank.open(r.deposit);
        r.deposit.drawBlock += 1;
        r.deposit.lastRedeemBlock += 1;
        _seal(r);
        vm.prank(payer.addr);
        bank.open(r.deposit);
        assertEq(_openId(r), r.id);
    }

    function test_RejectsChainsWithoutRandomness() public {
        uint256[4] memory weak = [uint256(0), 1, 2_500_000_000_000_000, 1 << 64];
        for (uint256 i = 0; i < weak.length; i++) {
            vm.prevrandao(weak[i]);
            vm.expectRevert(abi.encodeWithSelector(IChequeBank.NoRandomness.selector, weak[i]));
            script.deploy(4, PREVRANDAO);
        }
        vm.prevrandao(uint256((1 << 64) + 1));
        assertEq(script.deploy(4, PREVRANDAO).minLead(), 4);
    }

    function test_BlockHashBankNeedsNoPrevRandao() public {
        vm.prevrandao(uint256(0));
        assertEq(script.deploy(4, BLOCK_HASH).minLead(), 4);
    }

    function test_RejectsCoinWithTheDeployment() public {
        bytes memory code = abi.encodePacked(vm.getCode("ChequeBank.sol:ChequeBank"), abi.encode(MIN_LEAD, BLOCK_HASH));
        vm.deal(address(this), 1);
        address made;
        assembly ("memory-safe") {
            made := create(1, add(code, 32), mload(code))
        }
        assertEq(made, address(0));
    }

    function test_NamesAMissingDeployer() public {
        vm.etch(DEPLOYER, "");
        vm.expectRevert(abi.encodeWithSelector(Deploy.NoDeployer.selector, DEPLOYER));
        script.deploy(4, PREVRANDAO);
        // A bank that exists already needs no deployer.
        assertEq(address(script.deploy(MIN_LEAD, PREVRANDAO)), address(bank));
    }

    /// One test, because the environment is shared by all tests that run at the same time.
    function test_RunTakesItsSettingsFromTheEnvironment() public {
        vm.setEnv("MIN_LEAD", "9");
        vm.setEnv("SEED_SOURCE", "blockhash");
        assertEq(address(script.run()), _address(9, BLOCK_HASH));
        vm.setEnv("SEED_SOURCE", "prevrandao");
        assertEq(address(script.run()), _address(9, PREVRANDAO));
        vm.setEnv("SEED_SOURCE", "coin");
        vm.expectRevert(abi.encodeWithSelector(Deploy.UnknownSeedSource.selector, "coin"));
        script.run();
        vm.setEnv("SEED_SOURCE", "prevrandao");
        vm.setEnv("MIN_LEAD", "18446744073709551617");
        vm.expectRevert(abi.encodeWithSelector(Deploy.UnusableMinLead.selector, (1 << 64) + 1));
        script.run();
        vm.setEnv("MIN_LEAD", "128");
        assertEq(address(script.run()), address(bank));
    }
}
