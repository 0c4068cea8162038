// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Headers} from "./utils/Headers.sol";

contract SeedTest is BaseTest {
    bytes32 private constant MIX = keccak256("mix");
    uint256 private constant BLOCK = START_BLOCK - 10;

    /// @dev A block of the past with an honest header.
    function _block(uint256 number, bytes32 mixHash) private returns (bytes memory header) {
        header = Headers.header(number, mixHash);
        _setHash(number, keccak256(header));
    }

    function _expectUnknown(uint256 number, bytes memory header) private {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.BlockUnknown.selector, number));
        bank.recordSeed(number, header);
    }

    function _expectInvalid(uint256 number, bytes memory header) private {
        vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidHeader.selector, number));
        bank.recordSeed(number, header);
    }

    function _hashBank() private {
        bank = _deploy(MIN_LEAD, IChequeBank.SeedSource.BlockHash);
    }

    /* PREVRANDAO */

    function testFuzz_AnyoneRecordsTheMixHash(address caller, bytes32 mixHash) public {
        vm.assume(uint256(mixHash) > 1 << 64);
        bytes memory header = _block(BLOCK, mixHash);
        assertEq(bank.seed(BLOCK), 0);
        vm.expectEmit(address(bank));
        emit IChequeBank.SeedRecorded(BLOCK, mixHash);
        vm.prank(caller);
        assertEq(bank.recordSeed(BLOCK, header), mixHash);
        assertEq(bank.seed(BLOCK), mixHash);
        assertEq(bank.seed(BLOCK - 1), 0);
        assertEq(bank.seed(BLOCK + 1), 0);
    }

    function test_RepeatingChangesNothing() public {
        bytes memory header = _block(BLOCK, MIX);
        bank.recordSeed(BLOCK, header);
        vm.recordLogs();
        assertEq(bank.recordSeed(BLOCK, header), MIX);
        // Another block of that number, or a forgotten hash, changes nothing either.
        bytes memory other = _block(BLOCK, keccak256("another mix"));
        assertEq(bank.recordSeed(BLOCK, other), MIX);
        vm.roll(BLOCK + 9000);
        assertEq(bank.recordSeed(BLOCK, header), MIX);
        assertEq(bank.seed(BLOCK), MIX);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_RecordsFrom1To8191BlocksBack() public {
        uint256[6] memory ages = [uint256(1), 2, 256, 257, 8190, 8191];
        for (uint256 i = 0; i < ages.length; i++) {
            uint256 number = START_BLOCK - ages[i];
            assertEq(bank.recordSeed(number, _block(number, bytes32(uint256(MIX) + i))), bytes32(uint256(MIX) + i));
        }
    }

    function testFuzz_RecordsAnyBlockOfTheHistory(uint256 age) public {
        age = bound(age, 1, 8191);
        uint256 number = START_BLOCK - age;
        assertEq(bank.recordSeed(number, _block(number, MIX)), MIX);
    }

    function test_DoesNotKnowBlocksOlderThan8191() public {
        uint256 number = START_BLOCK - 8192;
        _expectUnknown(number, _block(number, MIX));
        _expectUnknown(0, _block(0, MIX));
    }

    function test_DoesNotKnowThisBlockOrLaterOnes() public {
        _expectUnknown(START_BLOCK, _block(START_BLOCK, MIX));
        _expectUnknown(START_BLOCK + 1, _block(START_BLOCK + 1, MIX));
        _expectUnknown(START_BLOCK + 8191, _block(START_BLOCK + 8191, MIX));
        _expectUnknown(type(uint64).max, Headers.header(type(uint64).max, MIX));
        _expectUnknown(type(uint256).max, Headers.header(type(uint256).max, MIX));
        // The same slot of the history, and the same number cut to 64 bits.
        uint256 wrapped = (1 << 64) + BLOCK;
        _expectUnknown(wrapped, _block(BLOCK, MIX));
    }

    function testFuzz_DoesNotKnowOtherBlocks(uint256 number) public {
        if (number < START_BLOCK) number = number % (START_BLOCK - 8191);
        _expectUnknown(number, Headers.header(number, MIX));
    }

    /// Block zero is known too.
    function test_RecordsBlockZero() public {
        vm.roll(1);
        assertEq(bank.recordSeed(0, _block(0, MIX)), MIX);
    }

    /* HISTORY CONTRACT */

    /// Without the contract of EIP-2935 a call succeeds with an empty answer, which is no hash.
    function test_EmptyAnswerIsNoHash() public {
        vm.etch(HISTORY, "");
        uint256 number = START_BLOCK - 257;
        _expectUnknown(number, _block(number, MIX));
        _expectUnknown(number, "");
        number = START_BLOCK - 256;
        assertEq(bank.recordSeed(number, _block(number, MIX)), MIX);
    }

    /// In its first day the history contract answers zero for blocks before its deployment.
    function test_ZeroIsNoHash() public {
        uint256 number = START_BLOCK - 1000;
        _expectUnknown(number, Headers.header(number, MIX));
        _hashBank();
        _expectUnknown(number, "");
    }

    function test_RecentBlocksNeedNoHistory() public {
        vm.etch(HISTORY, "");
        assertEq(bank.recordSeed(START_BLOCK - 1, _block(START_BLOCK - 1, MIX)), MIX);
    }

    /* RANDOMNESS */

    function test_MixHashIsAbove2To64() public {
        uint256[4] memory weak = [uint256(0), 1, (1 << 64) - 1, 1 << 64];
        for (uint256 i = 0; i < weak.length; i++) {
            _expectInvalid(BLOCK, _block(BLOCK, bytes32(weak[i])));
        }
        bytes32 least = bytes32(uint256((1 << 64) + 1));
        assertEq(bank.recordSeed(BLOCK, _block(BLOCK, least)), least);
        bytes32 most = bytes32(type(uint256).max);
        assertEq(bank.recordSeed(BLOCK + 1, _block(BLOCK + 1, most)), most);
    }

    function test_RejectsHeaderOfAnotherBlock() public {
        bytes memory other = _block(BLOCK - 1, MIX);
        _block(BLOCK, keccak256("own mix"));
        _expectInvalid(BLOCK, other);
        assertEq(bank.seed(BLOCK), 0);
    }

    function test_RejectsNoHeader() public {
        _block(BLOCK, MIX);
        _expectInvalid(BLOCK, "");
    }

    /* BLOCK HASH */

    function test_BlockHashBankTakesTheHash() public {
        _hashBank();
        assertTrue(bank.seedSource() == IChequeBank.SeedSource.BlockHash);
        bytes32 hash = keccak256(_block(BLOCK, MIX));
        vm.expectEmit(address(bank));
        emit IChequeBank.SeedRecorded(BLOCK, hash);
        assertEq(bank.recordSeed(BLOCK, ""), hash);
        assertEq(bank.seed(BLOCK), hash);
        uint256 old = START_BLOCK - 8191;
        hash = keccak256(_block(old, MIX));
        assertEq(bank.recordSeed(old, ""), hash);
        _expectUnknown(START_BLOCK - 8192, "");
        _expectUnknown(START_BLOCK, "");
    }

    function test_BlockHashBankTakesNoHeader() public {
        _hashBank();
        bytes memory header = _block(BLOCK, MIX);
        _expectInvalid(BLOCK, header);
        _expectInvalid(BLOCK, hex"00");
    }

    /// The rules for mixHash and difficulty do not apply to hashes.
    function test_BlockHashBankTakesAnyHash() public {
        _hashBank();
        _setHash(BLOCK, bytes32(uint256(1)));
        assertEq(bank.recordSeed(BLOCK, ""), bytes32(uint256(1)));
    }

    function test_BlockHashBankRedeemsWithoutHeader() public {
        _hashBank();
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        bytes memory header = _draw(r, MIX);
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 100);
        x.header = header;
        _expectNotRedeemable(x, IChequeBank.Outcome.BadHeader);
        x.header = "";
        assertEq(bank.redeem(_pack(x)), 100);
    }

    function test_BlockHashBankRedeemsWhileTheHashIsKnown() public {
        _hashBank();
        Round memory r = _certainRound(NATIVE, 100);
        r.deposit.lastRedeemBlock = r.deposit.drawBlock + 10_000;
        _seal(r);
        _open(r);
        _draw(r, MIX);
        vm.roll(uint256(r.deposit.drawBlock) + 8192);
        _expectNotRedeemable(_redemption(r, ann.addr, 100), IChequeBank.Outcome.SeedUnknown);
        vm.roll(uint256(r.deposit.drawBlock) + 8191);
        assertEq(bank.redeem(_pack(_redemption(r, ann.addr, 100))), 100);
    }

    function test_BlockHashBankRedeemsWithARecordedSeed() public {
        _hashBank();
        Round memory r = _certainRound(NATIVE, 100);
        _open(r);
        _draw(r, MIX);
        bank.recordSeed(r.deposit.drawBlock, "");
        IChequeBank.Redemption memory x = _redemption(r, ann.addr, 100);
        x.header = "not looked at";
        vm.roll(r.deposit.lastRedeemBlock);
        assertEq(bank.redeem(_pack(x)), 100);
    }

    function test_BlockHashBankDrawsByTheHash() public {
        _hashBank();
        Round memory r = _smallRound(NATIVE, 0);
        _open(r);
        vm.roll(uint256(r.deposit.drawBlock) + 1);
        bytes32 hash = _seedOf(r, ben.addr);
        _setHash(r.deposit.drawBlock, hash);
        _expectNotRedeemable(_redemption(r, ann.addr, 60), IChequeBank.Outcome.Loses);
        assertEq(bank.redeem(_pack(_redemption(r, ben.addr, 30))), 100);
    }

    /// Banks share no storage.
    function test_EachBankKeepsItsOwnSeeds() public {
        bank.recordSeed(BLOCK, _block(BLOCK, MIX));
        bank = _deploy(MIN_LEAD + 1, IChequeBank.SeedSource.PrevRandao);
        assertEq(bank.seed(BLOCK), 0);
    }
}
