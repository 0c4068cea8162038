// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IDrandBank} from "../src/interfaces/IDrandBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Beacon} from "./utils/Beacon.sol";

/// @notice The bank on a chain at the level of Cancun, which lacks the precompiles of EIP-2537, and the opcodes of the
/// bank's code: none may be newer than Cancun.
/// @dev forge makes setUp at the level of foundry.toml, so the bank is there already: as if etched onto such a chain. What
/// needs the precompiles is made there, too.
contract CancunTest is BaseTest {
    uint64 private constant TIME = uint64(START_TIME);

    bytes private key;
    bytes private proof;

    function setUp() public override {
        super.setUp();
        key = Beacon.publicKey(Beacon.SECRET);
        proof = _proof(TIME);
    }

    function _hasPrecompiles() private view returns (bool) {
        (bool done, bytes memory answer) = address(0x0f).staticcall(new bytes(384));
        return done && answer.length == 32;
    }

    function test_ChainOfTheOtherTestsHasThePrecompiles() public {
        assertTrue(_hasPrecompiles());
        bank.recordSeed(TIME, proof);
    }

    /* WITHOUT THE PRECOMPILES */

    /// forge-config: default.evm_version = "cancun"
    function test_DeploymentIsRefused() public {
        assertFalse(_hasPrecompiles());
        bytes memory code =
            bytes.concat(vm.getCode("DrandBank.sol:DrandBank"), abi.encode(MIN_LEAD + 1, key, GENESIS, PERIOD));
        vm.expectRevert(IDrandBank.NoPrecompiles.selector);
        this.create(code);
        (bool done, bytes memory answer) = DEPLOYER.call(abi.encodePacked(bytes32(0), code));
        assertFalse(done && answer.length == 20 && bytes20(answer) != 0, "deployed");
    }

    function create(bytes calldata code) external {
        bytes memory init = code;
        assembly ("memory-safe") {
            if iszero(create(0, add(init, 32), mload(init))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    function _expectRefused(uint64 time, bytes memory wrong) private {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, time));
        bank.recordSeed(time, wrong);
    }

    /// A call to an address without code succeeds with an empty answer: it must not count.
    /// forge-config: default.evm_version = "cancun"
    function test_EveryProofIsRefused() public {
        assertFalse(_hasPrecompiles());
        _expectRefused(TIME, proof);
        _expectRefused(TIME, new bytes(96));
        _expectRefused(TIME, "");
        for (uint64 i = 0; i < 300; i++) {
            bytes32 a = keccak256(abi.encode(i));
            _expectRefused(TIME + i, abi.encodePacked(a, keccak256(abi.encode(a)), a));
        }
        assertEq(bank.seed(TIME), 0);
    }

    /// forge-config: default.evm_version = "cancun"
    function test_ProofInACallIsRefused() public {
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        vm.warp(r.deposit.drawTime + 1);
        bytes memory packed = _pack(_redemption(r, ann.addr, 100));
        bytes[] memory items = new bytes[](1);
        bytes[] memory proofs = new bytes[](1);
        uint64[] memory times = new uint64[](1);
        (items[0], proofs[0], times[0]) = (packed, proof, r.deposit.drawTime);
        bytes memory invalid = abi.encodeWithSelector(IChequeBank.InvalidSeedProof.selector, times[0]);
        vm.expectRevert(invalid);
        bank.redeem(packed, proof);
        vm.expectRevert(invalid);
        bank.outcomeOf(packed, proof);
        vm.expectRevert(invalid);
        bank.redeemBatch(items, times, proofs);
        assertEq(_openId(r), r.id);
    }

    /* OPCODES */

    /// All but the proof of a seed runs there, transient storage included.
    /// forge-config: default.evm_version = "cancun"
    function test_EverythingElseRuns() public {
        assertFalse(_hasPrecompiles());
        Round memory r = _smallRound(address(token), 0);
        _open(r);
        vm.warp(uint256(r.deposit.redeemUntil) + 1);
        Round memory next = _smallRound(address(token), 0);
        vm.prank(payer.addr);
        bank.reopen(r.deposit, next.deposit);
        _drawAndRecord(next, _seedOf(next, ann.addr));
        IChequeBank.Redemption memory x = _redemption(next, ann.addr, 10);
        _stream(x, next.id, 2, 12, 10);
        (x.to, x.consent) = (cyd.addr, _consent(next, ann, 30, cyd.addr));
        assertEq(bank.redeem(_pack(x), ""), 50);
        assertEq(token.balanceOf(cyd.addr), 50);

        next = _certainRound(NATIVE, 100);
        _open(next);
        _drawAndRecord(next, keccak256("any"));
        bytes[] memory items = new bytes[](1);
        items[0] = _pack(_redemption(next, ann.addr, 100));
        assertEq(bank.redeemBatch(items, new uint64[](0), new bytes[](0))[0], 100);
        vm.prank(ann.addr);
        bank.withdraw(NATIVE, 0, 100, cyd.addr);
        assertEq(cyd.addr.balance, 100);
        assertEq(IDrandBank(address(bank)).publicKey(), key);
        _assertConserved(address(token));
    }

    /// The constructor needs the precompiles, so its opcodes are read here, with those of the bank.
    function test_NoOpcodeIsNewerThanCancun() public view {
        uint256 creation = _read(vm.getCode("DrandBank.sol:DrandBank"));
        uint256 deployed = _read(address(bank).code);
        assertGt(creation, 500, "the constructor was not read");
        assertGt(deployed, 10_000, "the bank was not read");
    }

    /// @dev Reads the code up to the data behind it, which solc puts after an INVALID, and requires that every opcode
    /// is one of Cancun. Returns the number of bytes read.
    function _read(bytes memory code) private pure returns (uint256 i) {
        for (; i < code.length; i++) {
            uint8 op = uint8(code[i]);
            if (op == 0xfe) return i;
            assertTrue(_isOfCancun(op), string.concat(vm.toString(op), " at ", vm.toString(i)));
            if (op >= 0x60 && op <= 0x7f) i += op - 0x5f;
        }
    }

    /// @dev 0x1e, CLZ, is the first opcode newer than Cancun.
    function _isOfCancun(uint8 op) private pure returns (bool) {
        if (op <= 0x0b || (0x10 <= op && op <= 0x1d) || op == 0x20) return true;
        if (0x30 <= op && op <= 0x4a) return true; // up to BLOBBASEFEE
        if (0x50 <= op && op <= 0xa4) return true; // TLOAD, TSTORE, MCOPY, PUSH0 to LOG4
        return (0xf0 <= op && op <= 0xf5) || op == 0xfa || op == 0xfd;
    }
}
