// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deploy} from "../script/Deploy.s.sol";
import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Beacon} from "./utils/Beacon.sol";

contract DeployTest is BaseTest {
    uint64 private constant MOST = 30 days;

    Deploy private script;

    function setUp() public override {
        super.setUp();
        script = new Deploy();
    }

    /// @dev A bank of the test beacon.
    function _settings(uint64 lead) private view returns (Deploy.Settings memory) {
        return Deploy.Settings(lead, Beacon.publicKey(Beacon.SECRET), GENESIS, PERIOD);
    }

    function _quicknet(uint64 lead) private view returns (Deploy.Settings memory) {
        return Deploy.Settings(lead, script.QUICKNET_KEY(), script.QUICKNET_GENESIS(), script.QUICKNET_PERIOD());
    }

    function _initCodeHash(Deploy.Settings memory s) private view returns (bytes32) {
        bytes memory code = vm.getCode("DrandBank.sol:DrandBank");
        return keccak256(bytes.concat(code, abi.encode(s.minLead, s.publicKey, s.genesis, s.period)));
    }

    function _address(Deploy.Settings memory s) private view returns (address) {
        bytes32 hash = keccak256(abi.encodePacked(hex"ff", DEPLOYER, bytes32(0), _initCodeHash(s)));
        return address(uint160(uint256(hash)));
    }

    /* ADDRESS */

    function test_AddressFollowsFromTheSettings() public {
        assertEq(address(bank), _address(_settings(MIN_LEAD)));
        assertEq(address(script.predict(_settings(MIN_LEAD))), address(bank));
        assertEq(script.initCodeHash(_settings(MIN_LEAD)), _initCodeHash(_settings(MIN_LEAD)));
        Deploy.Settings[5] memory all = [_settings(4), _settings(4), _settings(4), _settings(4), _settings(5)];
        all[1].publicKey = Beacon.publicKey(2);
        all[2].genesis += 1;
        all[3].period += 1;
        for (uint256 i = 0; i < all.length; i++) {
            assertEq(address(script.deploy(all[i])), _address(all[i]));
            for (uint256 j = 0; j < i; j++) {
                assertTrue(_address(all[i]) != _address(all[j]), "the same address");
            }
        }
    }

    function test_AddressIsTheSameOnEveryChain() public {
        vm.chainId(4242);
        vm.warp(START_TIME * 2);
        assertEq(address(script.deploy(_settings(4))), _address(_settings(4)));
    }

    /// Attack: deploy the bank a second time over itself, to reset its storage.
    function test_BankCannotBeDeployedOverItself() public {
        _fund(NATIVE, ann.addr, 100);
        Deploy.Settings memory s = _settings(MIN_LEAD);
        bytes memory code = vm.getCode("DrandBank.sol:DrandBank");
        code = bytes.concat(code, abi.encode(s.minLead, s.publicKey, s.genesis, s.period));
        (bool done, bytes memory answer) = DEPLOYER.call(abi.encodePacked(bytes32(0), code));
        assertFalse(done && answer.length == 20 && bytes20(answer) != 0, "deployed twice");
        assertEq(_idle(ann.addr, NATIVE, 0), 100);
    }

    function test_DeployingAgainGivesTheSameBank() public {
        _fund(NATIVE, ann.addr, 100);
        assertEq(address(script.deploy(_settings(MIN_LEAD))), address(bank));
        assertEq(_idle(ann.addr, NATIVE, 0), 100);
    }

    function test_NamesAMissingDeployer() public {
        vm.etch(DEPLOYER, "");
        Deploy.Settings memory s = _settings(4);
        vm.expectRevert(abi.encodeWithSelector(Deploy.NoDeployer.selector, DEPLOYER));
        script.deploy(s);
        // A bank that exists already needs no deployer.
        assertEq(address(script.deploy(_settings(MIN_LEAD))), address(bank));
    }

    /* SETTINGS */

    function test_SettingsAreKept() public {
        Deploy.Settings memory s = Deploy.Settings(77, Beacon.publicKey(9), 123, 456);
        bank = script.deploy(s);
        IDrandBank settings = IDrandBank(address(bank));
        assertEq(bank.minLead(), 77);
        assertEq(settings.publicKey(), Beacon.publicKey(9));
        assertEq(settings.genesis(), 123);
        assertEq(settings.period(), 456);
        bank = script.deploy(_quicknet(2400));
        settings = IDrandBank(address(bank));
        assertEq(settings.publicKey(), script.QUICKNET_KEY());
        assertEq(settings.genesis(), 1_692_803_367);
        assertEq(settings.period(), 3);
    }

    function test_LeadIsFrom1SecondTo30Days() public {
        uint64[3] memory wrong = [uint64(0), MOST + 1, type(uint64).max];
        for (uint256 i = 0; i < wrong.length; i++) {
            Deploy.Settings memory s = _settings(wrong[i]);
            vm.expectRevert(abi.encodeWithSelector(IChequeBank.LeadOutOfRange.selector, wrong[i], MOST));
            script.deploy(s);
        }
        assertEq(script.deploy(_settings(1)).minLead(), 1);
        assertEq(script.deploy(_settings(MOST)).minLead(), MOST);
    }

    function testFuzz_LeadIsTheLeadOfOpen(uint64 lead) public {
        lead = uint64(bound(lead, 1, MOST));
        bank = script.deploy(_settings(lead));
        Round memory r = _smallRound(NATIVE, 0);
        r.deposit.drawTime = uint64(START_TIME) + lead - 1;
        r.deposit.redeemUntil = r.deposit.drawTime + 1;
        _fund(NATIVE, payer.addr, 100);
        vm.prank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.DrawTooSoon.selector, r.deposit.drawTime, START_TIME + lead));
        bank.open(r.deposit);
        r.deposit.drawTime += 1;
        r.deposit.redeemUntil += 1;
        _seal(r);
        vm.prank(payer.addr);
        bank.open(r.deposit);
        assertEq(_openId(r), r.id);
    }

    function test_GenesisAndPeriodAreMoreThanZero() public {
        Deploy.Settings memory s = _settings(4);
        s.genesis = 0;
        vm.expectRevert(abi.encodeWithSelector(IDrandBank.InvalidSchedule.selector, 0, PERIOD));
        script.deploy(s);
        (s.genesis, s.period) = (GENESIS, 0);
        vm.expectRevert(abi.encodeWithSelector(IDrandBank.InvalidSchedule.selector, GENESIS, 0));
        script.deploy(s);
        (s.genesis, s.period) = (1, 1);
        assertEq(script.deploy(s).genesis(), 1);
        (s.genesis, s.period) = (type(uint64).max, type(uint64).max);
        assertEq(script.deploy(s).period(), type(uint64).max);
    }

    /* ENVIRONMENT */

    /// Attack on oneself: the key of one beacon with the schedule of another, whose draws nobody could prove. Leaves the
    /// settings of the test beacon.
    function _expectAllThreeOrNone() private {
        string[3] memory names = ["BEACON_KEY", "BEACON_GENESIS", "BEACON_PERIOD"];
        string[3] memory values =
            [vm.toString(Beacon.publicKey(Beacon.SECRET)), vm.toString(GENESIS), vm.toString(PERIOD)];
        for (uint256 given = 1; given < 7; given++) {
            string memory missing = "";
            for (uint256 i = 3; i > 0; i--) {
                bool isGiven = given >> (i - 1) & 1 == 1;
                vm.setEnv(names[i - 1], isGiven ? values[i - 1] : "");
                if (!isGiven) missing = names[i - 1];
            }
            vm.expectRevert(abi.encodeWithSelector(Deploy.MissingSetting.selector, missing));
            script.run();
        }
        for (uint256 i = 0; i < 3; i++) {
            vm.setEnv(names[i], values[i]);
        }
    }

    /// One test, because the environment is shared by all tests that run at the same time.
    function test_RunTakesItsSettingsFromTheEnvironment() public {
        assertEq(address(script.run()), _address(_quicknet(2400)), "quicknet");
        vm.setEnv("MIN_LEAD", "9");
        assertEq(address(script.run()), _address(_quicknet(9)));
        _expectAllThreeOrNone();
        assertEq(address(script.run()), _address(_settings(9)));
        vm.setEnv("MIN_LEAD", vm.toString(MIN_LEAD));
        assertEq(address(script.run()), address(bank));
        string[3] memory names = ["MIN_LEAD", "BEACON_GENESIS", "BEACON_PERIOD"];
        for (uint256 i = 0; i < names.length; i++) {
            vm.setEnv(names[i], "18446744073709551617");
            vm.expectRevert(abi.encodeWithSelector(Deploy.UnusableSetting.selector, names[i], (1 << 64) + 1));
            script.run();
            vm.setEnv(names[i], "7");
        }
    }
}
