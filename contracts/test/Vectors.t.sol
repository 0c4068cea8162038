// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {IERC3009} from "../src/interfaces/IERC3009.sol";
import {AllowanceTree} from "../src/libraries/AllowanceTree.sol";
import {Cheques} from "../src/libraries/Cheques.sol";
import {Draw} from "../src/libraries/Draw.sol";
import {Claim, Redemptions} from "../src/libraries/Redemptions.sol";
import {Signatures} from "../src/libraries/Signatures.sol";
import {AllowanceTrees, Leaf, Tree} from "./utils/AllowanceTrees.sol";
import {Packing} from "./utils/Packing.sol";
import {VectorFiles} from "./utils/VectorFiles.sol";

/// @notice External functions for the bank's libraries, which take calldata.
contract Libraries {
    using Redemptions for bytes;

    /// @dev The root is zero if the proof leads to none.
    function locate(bytes calldata r) external pure returns (bytes32 root, uint128 amount, uint256 start) {
        Claim memory c;
        require(r.parse(c), "malformed");
        root = AllowanceTree.locate(r, c);
        (amount, start) = (c.amount, c.start);
    }

    /// @dev What the cheque of deposit 0 under the domain separator 0 promises.
    function promised(bytes calldata r) external pure returns (IChequeBank.Outcome, uint128) {
        Claim memory c;
        require(r.parse(c), "malformed");
        return Cheques.promised(r, c, 0);
    }

    function byKey(address account, bytes32 digest, bytes calldata signature) external pure returns (bool) {
        return Signatures.byKey(account, digest, signature);
    }
}

/// @notice The bank against the vectors of a third implementation (tools/vectors.mjs) and an outside signer. Files of
/// their own have the seeds and whole redemptions.
contract VectorsTest is VectorFiles {
    uint64 internal constant MIN_LEAD = 2400;

    Libraries internal libraries = new Libraries();

    /// @dev A bank at this address of this chain. Its beacon does not matter here.
    function _bank(uint256 chainId, address where) internal returns (IChequeBank) {
        vm.chainId(chainId);
        return _placeBank(where, MIN_LEAD, _beacons()[0]);
    }

    /* IDS */

    function test_TypeStringsAreTheBanks() public view {
        TypeVector[] memory vectors = abi.decode(_list("ids", ".types", TYPE), (TypeVector[]));
        bytes32[7] memory hashes = [
            Cheques.DEPOSIT_TYPEHASH,
            Cheques.CHEQUE_TYPEHASH,
            Cheques.OPEN_TYPEHASH,
            Cheques.CONSENT_TYPEHASH,
            Cheques.WITHDRAW_TYPEHASH,
            Cheques.FUND_TYPEHASH,
            Cheques.DOMAIN_TYPEHASH
        ];
        assertEq(vectors.length, hashes.length);
        for (uint256 i = 0; i < vectors.length; i++) {
            assertEq(keccak256(bytes(vectors[i].text)), vectors[i].typeHash, vectors[i].name);
            assertEq(hashes[i], vectors[i].typeHash, vectors[i].name);
        }
    }

    function test_BanksAnnounceTheDomainOfTheVectors() public {
        DomainVector[] memory vectors = abi.decode(_list("ids", ".domains", DOMAIN), (DomainVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            IChequeBank bank = _bank(vectors[i].chainId, vectors[i].bank);
            (, string memory name, string memory version, uint256 chainId, address where,,) = bank.eip712Domain();
            assertEq(Cheques.domain(name, version, chainId, where), vectors[i].separator);
        }
    }

    function test_DepositIdsAreTheVectors() public {
        DepositVector[] memory vectors = abi.decode(_list("ids", ".deposits", DEPOSIT_VECTOR), (DepositVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            DepositVector memory v = vectors[i];
            assertEq(keccak256(abi.encode(Cheques.DEPOSIT_TYPEHASH, v.deposit)), v.structHash, v.name);
            assertEq(_bank(v.chainId, v.bank).depositId(v.deposit), v.id, v.name);
        }
    }

    function test_DigestsOfSignedMessagesAreTheVectors() public view {
        TypeVector[] memory types = abi.decode(_list("ids", ".types", TYPE), (TypeVector[]));
        string[7] memory keys = ["", ".cheques", ".opens", ".consents", ".withdraws", ".funds", ""];
        for (uint256 i = 1; i < 6; i++) {
            bytes memory list = _list("ids", keys[i], _message(types[i].name, types[i].text));
            // All of these structs are static, so one loop reads them all: words of a message, then its digest.
            uint256 words = (list.length - 64) / 32 / uint256(_word(list, 1));
            for (uint256 first = 2; first < list.length / 32; first += words) {
                bytes memory message = abi.encode(types[i].typeHash);
                for (uint256 j = first + 2; j < first + words - 1; j++) {
                    message = bytes.concat(message, _word(list, j));
                }
                address where = address(uint160(uint256(_word(list, first + 1))));
                bytes32 separator = Cheques.domain("ChequeBank", "1", uint256(_word(list, first)), where);
                assertEq(Cheques.digest(separator, keccak256(message)), _word(list, first + words - 1), types[i].name);
            }
        }
    }

    /* SIGNATURES */

    function test_AcceptsEveryOutsideSignature() public view {
        SignedVector[] memory vectors = abi.decode(_list("signatures", ".signed", SIGNED), (SignedVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            SignedVector memory v = vectors[i];
            assertTrue(libraries.byKey(v.signer, v.digest, v.signature), v.name);
            assertFalse(libraries.byKey(v.signer, keccak256(abi.encode(v.digest)), v.signature), v.name);
            (uint8 vv, bytes32 r, bytes32 s) = vm.sign(v.key, v.digest);
            assertEq(abi.encodePacked(r, s, vv), v.signature, v.name);
        }
    }

    function test_RefusesEveryOtherSignature() public view {
        SignedVector[] memory signed = abi.decode(_list("signatures", ".signed", SIGNED), (SignedVector[]));
        RefusedSignature[] memory vectors =
            abi.decode(_list("signatures", ".refused", REFUSED_SIGNATURE), (RefusedSignature[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            RefusedSignature memory v = vectors[i];
            assertEq(v.digest, signed[0].digest, v.name);
            assertFalse(libraries.byKey(signed[0].signer, v.digest, v.signature), v.name);
            assertEq(libraries.byKey(v.recovered, v.digest, v.signature), v.recovered != address(0), v.name);
        }
    }

    function _signatureOf(bytes32 digest) internal view returns (bytes memory) {
        SignedVector[] memory vectors = abi.decode(_list("signatures", ".signed", SIGNED), (SignedVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            if (vectors[i].digest == digest) return vectors[i].signature;
        }
        revert("no signature of this digest");
    }

    function test_OpensByAnOutsideSignature() public {
        DepositVector memory v = abi.decode(_list("ids", ".deposits", DEPOSIT_VECTOR), (DepositVector[]))[0];
        OpenVector memory o = abi.decode(
            _list("ids", ".opens", _message("Open", "Open(bytes32 depositId,uint256 deadline)")), (OpenVector[])
        )[0];
        IChequeBank bank = _bank(v.chainId, v.bank);
        bank.fund{value: v.deposit.amount}(address(0), v.deposit.payer, v.deposit.amount);

        vm.warp(o.message.deadline);
        assertEq(bank.openFor(v.deposit, o.message.deadline, _signatureOf(o.digest)), v.id);

        (, bytes32 openId) = bank.purse(v.deposit.payer, v.deposit.token, v.deposit.lane);
        assertEq(openId, v.id);
    }

    function test_WithdrawsByAnOutsideSignature() public {
        string memory text =
            "Withdraw(address account,address token,uint64 lane,uint256 amount,address to,uint256 nonce,uint256 deadline)";
        WithdrawVector memory v =
            abi.decode(_list("ids", ".withdraws", _message("Withdraw", text)), (WithdrawVector[]))[0];
        IChequeBank.Withdraw memory w = v.message;
        IChequeBank bank = _bank(v.chainId, v.bank);
        bank.fund{value: w.amount}(w.token, w.account, w.amount);

        bank.withdrawFor(w.account, w.token, w.lane, w.amount, w.to, w.nonce, w.deadline, _signatureOf(v.digest));

        assertEq(w.to.balance, w.amount);
    }

    function test_AuthorizationToFundHasTheDigestAsNonce() public {
        string memory text = "Fund(address from,address token,address account,uint256 amount,bytes32 salt)";
        FundVector memory v = abi.decode(_list("ids", ".funds", _message("Fund", text)), (FundVector[]))[0];
        IChequeBank.Fund memory f = v.message;
        IChequeBank bank = _bank(v.chainId, v.bank);
        // A token whose balance grows by the amount after any call.
        vm.etch(f.token, hex"00");
        bytes[] memory balances = new bytes[](2);
        (balances[0], balances[1]) = (abi.encode(0), abi.encode(f.amount));
        vm.mockCalls(f.token, abi.encodeWithSignature("balanceOf(address)", address(bank)), balances);
        IChequeBank.Authorization memory a = IChequeBank.Authorization(f.amount, 0, 1, 27, 0, 0);
        bytes memory expected = abi.encodeCall(
            IERC3009.receiveWithAuthorization, (f.from, address(bank), f.amount, 0, 1, v.digest, 27, 0, 0)
        );
        vm.mockCall(f.token, expected, "");
        // The token knows only the vector's authorization.
        bytes memory known = abi.encodeCall(IERC3009.authorizationState, (f.from, v.digest));
        vm.mockCall(f.token, known, abi.encode(true));

        vm.expectCall(f.token, expected);
        bank.fundWithAuthorization(f.from, f.token, f.account, f.salt, a);
    }

    /* ALLOWANCES */

    function test_ProofsLeadToTheRootAndTheStart() public view {
        TreeVector[] memory vectors = abi.decode(_list("trees", ".trees", TREE), (TreeVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            for (uint256 j = 0; j < vectors[i].proofs.length; j++) {
                TreeProof memory p = vectors[i].proofs[j];
                IChequeBank.Redemption memory r;
                r.signature = new bytes(65);
                (r.payee, r.allowance, r.salt, r.path, r.siblings) = (p.payee, p.allowance, p.salt, p.path, p.siblings);
                (bytes32 root, uint128 amount, uint256 start) = libraries.locate(Packing.pack(r));
                assertEq(root, vectors[i].root, vectors[i].name);
                assertEq(amount, vectors[i].amount, vectors[i].name);
                assertEq(start, p.start, vectors[i].name);
                assertEq(p.leaf, keccak256(abi.encodePacked(p.payee, p.allowance, p.salt)), vectors[i].name);
                assertEq(p.salt, bytes16(keccak256(abi.encodePacked(vectors[i].master, p.payee))), vectors[i].name);
            }
        }
    }

    function test_SmallTreesAreBuiltToTheSameRoot() public view {
        TreeVector[] memory vectors = abi.decode(_list("trees", ".trees", TREE), (TreeVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            TreeVector memory v = vectors[i];
            if (v.count > 128) continue; // sorting by insertion takes too long
            Leaf[] memory leaves = new Leaf[](v.count);
            for (uint256 j = 0; j < v.count; j++) {
                bytes32 h = keccak256(abi.encode(j));
                address payee = address(uint160(uint256(h)));
                uint64 size = uint64(bytes8(h)) >> (j % 64);
                uint256 allowance = v.allowances.length == 0 ? uint256(size) + 1 : v.allowances[j];
                // forge-lint: disable-next-line(unsafe-typecast) an allowance of a vector is a uint128
                leaves[j] = Leaf(payee, uint128(allowance), bytes16(keccak256(abi.encodePacked(v.master, payee))));
            }
            Tree memory tree = AllowanceTrees.build(leaves);
            assertEq(tree.root, v.root, v.name);
            assertEq(tree.total, v.amount, v.name);
            bytes memory hashes;
            for (uint256 j = 0; j < v.count; j++) {
                hashes = bytes.concat(hashes, AllowanceTrees.hashLeaf(tree.leaves[j]));
            }
            assertEq(keccak256(hashes), v.leaves, v.name);
        }
    }

    function test_PlantedProofsHaveTheVerdictOfTheVectors() public view {
        PlantedProof[] memory vectors = abi.decode(_list("trees", ".planted", PLANTED), (PlantedProof[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            PlantedProof memory v = vectors[i];
            if (_same(v.verdict, "length")) continue; // cannot be packed
            IChequeBank.Redemption memory r;
            r.signature = new bytes(65);
            (r.payee, r.allowance, r.salt, r.path, r.siblings) = (v.payee, v.allowance, v.salt, v.path, v.siblings);
            (bytes32 root, uint128 amount, uint256 start) = libraries.locate(Packing.pack(r));
            if (_same(v.verdict, "depth") || _same(v.verdict, "path")) assertEq(root, 0, v.name);
            // The bank computes the id from root and amount: another one of either is another deposit.
            bool proven = root == v.root && amount == v.amount;
            assertEq(proven, _same(v.verdict, "ok"), v.name);
            if (proven) assertEq(start, v.start, v.name);
        }
    }

    /* STREAMS */

    /// @dev The outcome of a cheque for the stream alone, signed here.
    function _promised(ShownVector memory v) internal returns (IChequeBank.Outcome outcome, uint128 total) {
        Account memory signer = makeAccount("signer");
        IChequeBank.Redemption memory r;
        (r.allowance, r.anchor, r.step, r.k, r.x) = (type(uint128).max, v.anchor, 1, v.k, v.x);
        r.deposit.signer = signer.addr;
        bytes32 cheque = keccak256(abi.encode(Cheques.CHEQUE_TYPEHASH, bytes32(0), r.payee, r.spent, r.anchor, r.step));
        (uint8 vv, bytes32 rr, bytes32 s) = vm.sign(signer.key, Cheques.digest(bytes32(0), cheque));
        r.signature = abi.encodePacked(rr, s, vv);
        return libraries.promised(Packing.pack(r));
    }

    function test_ShownStepsLeadToTheAnchor() public {
        ShownVector[] memory vectors = abi.decode(_list("streams", ".shown", SHOWN), (ShownVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            (IChequeBank.Outcome outcome, uint128 total) = _promised(vectors[i]);
            assertTrue(outcome == Cheques.NO_OBJECTION);
            assertEq(total, vectors[i].k);
        }
    }

    function test_RefusesWrongOrTooManySteps() public {
        ShownVector[] memory vectors = abi.decode(_list("streams", ".refused", SHOWN), (ShownVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            (IChequeBank.Outcome outcome,) = _promised(vectors[i]);
            assertTrue(outcome == IChequeBank.Outcome.BadStream);
        }
    }

    /* DRAW */

    function test_RollsAreTheVectors() public view {
        RollVector[] memory vectors = abi.decode(_list("rolls", ".rolls", ROLL), (RollVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            assertEq(Draw.roll(vectors[i].seed, vectors[i].id, vectors[i].amount), vectors[i].roll);
        }
    }

    function test_PayoutsAndRangesAreTheVectors() public view {
        PayoutVector[] memory vectors = abi.decode(_list("payouts", ".payouts", PAYOUT), (PayoutVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            PayoutVector memory v = vectors[i];
            (uint128 payout, uint256 range) = Draw.payoutAndRange(v.spent, v.allowance, v.amount, v.minPayout);
            assertEq(payout, v.payout);
            assertEq(range, v.range);
        }
    }

    function test_RangesWinFromTheirStartToBeforeTheirEnd() public view {
        WinVector[] memory vectors = abi.decode(_list("payouts", ".wins", WIN), (WinVector[]));
        for (uint256 i = 0; i < vectors.length; i++) {
            WinVector memory v = vectors[i];
            assertEq(Draw.isIn(v.roll, v.start, v.range), v.wins);
        }
    }
}
