// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {BaseTest} from "./BaseTest.sol";
import {AllowanceTrees, Leaf, Proof} from "./utils/AllowanceTrees.sol";

/// @notice Builds proofs by hand, of trees that no library builds.
abstract contract ProofTools is BaseTest {
    /// @dev Opens a round with this root and total, good or bad.
    function _openWith(bytes32 root, uint128 amount) internal returns (Round memory r) {
        r = _certainRound(NATIVE, amount);
        r.deposit.root = root;
        _seal(r);
        _open(r);
    }

    function _with(Round memory r, Leaf memory leaf, Proof memory proof)
        internal
        view
        returns (IChequeBank.Redemption memory x)
    {
        x.deposit = r.deposit;
        (x.payee, x.allowance, x.salt) = (leaf.payee, leaf.allowance, leaf.salt);
        (x.path, x.siblings) = (proof.path, proof.siblings);
        x.spent = leaf.allowance;
        _resign(x, r.id, signer);
    }

    function _outcome(IChequeBank.Redemption memory x) internal returns (IChequeBank.Outcome outcome) {
        vm.prank(x.payee);
        (outcome,) = bank.outcomeOf(_pack(x), "");
    }

    /// @dev No walk: too many levels, a path bit beyond them, or too large a sum.
    function _expectBad(IChequeBank.Redemption memory x) internal {
        _expectNotRedeemable(x, IChequeBank.Outcome.BadProof);
    }

    /// @dev The walk leads to another root or sum, hence to another id.
    function _expectElsewhere(IChequeBank.Redemption memory x) internal {
        _expectNotRedeemable(x, IChequeBank.Outcome.NotOpen);
    }

    /// @dev A branch from Ann's leaf up, with siblings of one unit each on the sides given by `path`.
    function _branch(Leaf memory leaf, uint256 depth, uint40 path)
        internal
        pure
        returns (bytes32 root, Proof memory proof, uint128 total)
    {
        root = AllowanceTrees.hashLeaf(leaf);
        total = leaf.allowance;
        proof.path = path;
        for (uint256 i = 0; i < depth; i++) {
            bytes32 other = keccak256(abi.encode("sibling", i));
            bool isRight = (path >> i) & 1 == 1;
            if (isRight) proof.start += 1;
            root = isRight
                ? AllowanceTrees.hashInner(other, 1, root, total)
                : AllowanceTrees.hashInner(root, total, other, 1);
            total += 1;
            proof.siblings = bytes.concat(proof.siblings, AllowanceTrees.sibling(other, 1));
        }
    }

    /// @dev The proof of a leaf with one sibling.
    function _beside(uint40 path, bytes32 hash, uint256 sum) internal pure returns (Proof memory) {
        return Proof(path, AllowanceTrees.sibling(hash, sum), 0);
    }

    /// @dev The proof of a leaf with a sibling, and a second sibling to the right of their parent.
    function _below(uint40 path, bytes32 hash, uint256 sum, Leaf memory right) internal pure returns (Proof memory) {
        bytes memory above = AllowanceTrees.sibling(AllowanceTrees.hashLeaf(right), right.allowance);
        return Proof(path, bytes.concat(AllowanceTrees.sibling(hash, sum), above), 0);
    }
}
