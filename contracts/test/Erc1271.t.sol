// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {Wallet} from "./mocks/Wallets.sol";
import {Leaf} from "./utils/AllowanceTrees.sol";

/// @notice Two wallets (ERC-1271) of one owner, both payees of one deposit. They accept the same signatures.
contract SharedOwnerTest is BaseTest {
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
}
