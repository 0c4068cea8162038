// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Wallet} from "./mocks/Wallets.sol";
import {Leaf} from "./utils/AllowanceTrees.sol";

/// @notice Answers any call with the accepting word of ERC-1271, padded with zeros, cut or lengthened to `length` bytes.
contract LengthyWallet {
    uint256 private immutable LENGTH;

    constructor(uint256 length) {
        LENGTH = length;
    }

    fallback() external {
        bytes memory answer = bytes.concat(bytes4(0x1626ba7e), new bytes(28), hex"ff", new bytes(64));
        uint256 length = LENGTH;
        assembly ("memory-safe") {
            return(add(answer, 32), length)
        }
    }
}

/// @notice Payees and payers that are contracts: two wallets of one owner, which accept the same signatures, and answers of
/// odd lengths.
contract Erc1271Test is BaseTest {
    Wallet private one;
    Wallet private two;

    function setUp() public override {
        super.setUp();
        (one, two) = (new Wallet(ann.addr), new Wallet(ann.addr));
        _watch(address(one));
        _watch(address(two));
    }

    /// @dev Wallet two won half of the deposit.
    function _twoWon() private returns (Round memory r) {
        Leaf[] memory leaves = new Leaf[](2);
        (leaves[0], leaves[1]) = (_leaf(address(one), 50), _leaf(address(two), 50));
        r = _round(NATIVE, 0, leaves);
        _open(r);
        _drawAndRecord(r, _seedOf(r, address(two)));
    }

    /// @dev The owner's consent for one of its wallets.
    function _consentOf(Wallet payee, Round memory r, uint128 total) private view returns (bytes memory) {
        bytes32 typehash = keccak256("Consent(bytes32 depositId,address payee,uint128 spent,address to)");
        return _sign(ann, keccak256(abi.encode(typehash, r.id, payee, total, address(0))));
    }

    /// Attack: the payer closes the win of one wallet with its old cheque and the consent of the other wallet.
    function test_ConsentOfOneWalletDoesNotServeAnother() public {
        Round memory r = _twoWon();
        IChequeBank.Redemption memory old = _redemption(r, address(two), 5);
        old.consent = _consentOf(one, r, 5);
        _expectNotRedeemable(old, IChequeBank.Outcome.ConsentMissing);

        IChequeBank.Redemption memory newest = _redemption(r, address(two), 25);
        newest.consent = _consentOf(one, r, 25);
        _expectNotRedeemable(newest, IChequeBank.Outcome.ConsentMissing);
        newest.consent = _consentOf(two, r, 25);
        vm.prank(relayer);
        assertEq(bank.redeem(_pack(newest), ""), 50);
        _assertConserved(NATIVE);
    }

    /// The struct of older drafts, which named no payee, is no consent.
    function test_ConsentWithoutPayeeIsNone() public {
        Round memory r = _twoWon();
        bytes32 typehash = keccak256("Consent(bytes32 depositId,uint128 spent,address to)");
        IChequeBank.Redemption memory old = _redemption(r, address(two), 5);
        old.consent = _sign(ann, keccak256(abi.encode(typehash, r.id, uint128(5), address(0))));
        _expectNotRedeemable(old, IChequeBank.Outcome.ConsentMissing);
    }

    /// The bank reads the first 32 bytes of an answer. A shorter answer does not count, a longer answer does.
    function test_FirstWordOfTheAnswerCounts() public {
        uint256[6] memory lengths = [uint256(0), 4, 31, 32, 33, 97];
        for (uint64 i = 0; i < lengths.length; i++) {
            Round memory r = _smallRound(NATIVE, 0);
            r.deposit.payer = address(new LengthyWallet(lengths[i]));
            _seal(r);
            _fund(NATIVE, r.deposit.payer, 100);
            if (lengths[i] < 32) {
                vm.expectRevert(abi.encodeWithSelector(IChequeBank.InvalidSignature.selector, r.deposit.payer));
            }
            bank.openFor(r.deposit, type(uint256).max, "any");
            assertEq(_openId(r), lengths[i] < 32 ? bytes32(0) : r.id);
        }
    }
}
