// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {AllowanceTrees, Leaf} from "../utils/AllowanceTrees.sol";
import {Digests} from "../utils/Digests.sol";
import {World} from "./World.sol";

/// @notice Predicts the outcome of a redemption from the books alone, without the bank.
abstract contract Judge is World {
    /// @dev A redemption, its sender, and the facts known to its maker.
    struct Attempt {
        IChequeBank.Redemption x;
        bytes32 id;
        address caller;
        bool signed; // by the deposit's signer, over this cheque
        bool steps; // k and x fit the anchor
        bool consented; // the payee signed for this total and recipient
        bool cut; // sent without its last byte, which is not part of a consent
        bytes proof; // of the seed
        bool forged; // the proof is not the beacon's
    }

    function _totalOf(IChequeBank.Redemption memory x) internal pure returns (uint256) {
        return uint256(x.spent) + uint256(x.k) * x.step;
    }

    function _foresee(Attempt memory a, bool batch) internal view returns (IChequeBank.Outcome, uint256 payout) {
        IChequeBank.Redemption memory x = a.x;
        IChequeBank.Deposit memory d = x.deposit;
        if (a.cut) return (IChequeBank.Outcome.Malformed, 0);
        (bytes32 root, uint256 sum, uint256 start) = _walk(x);
        if (root == 0) return (IChequeBank.Outcome.BadProof, 0);
        if (openIn[d.payer][d.token][d.lane] != _idWith(d, root, sum)) return (IChequeBank.Outcome.NotOpen, 0);
        if (_now() <= d.drawTime) return (IChequeBank.Outcome.TooEarly, 0);
        if (_now() > d.redeemUntil) return (IChequeBank.Outcome.TooLate, 0);
        if (_totalOf(x) == 0) return (IChequeBank.Outcome.NothingSpent, 0);
        if (_totalOf(x) > x.allowance) return (IChequeBank.Outcome.OverAllowance, 0);
        if (!a.signed) return (IChequeBank.Outcome.BadSignature, 0);
        if (!a.steps) return (IChequeBank.Outcome.BadStream, 0);
        bool shown = a.proof.length != 0 && !a.forged;
        if (!recorded[d.drawTime] && !shown) return (IChequeBank.Outcome.SeedUnknown, 0);
        uint256 range;
        (payout, range) = _payoutAndRange(d, x.allowance, _totalOf(x));
        uint256 roll = _rollOf(a.id, d.amount, _seedAt(d.drawTime));
        if (roll < start || roll >= start + range) return (IChequeBank.Outcome.Loses, payout);
        return (_agreed(a, payout, batch) ? IChequeBank.Outcome.Payable : IChequeBank.Outcome.ConsentMissing, payout);
    }

    function _agreed(Attempt memory a, uint256 payout, bool batch) private view returns (bool) {
        if (batch && a.x.to != address(0)) return false;
        if (a.caller == a.x.payee) return true;
        if (payout == a.x.deposit.amount && a.x.to == address(0)) return true;
        return a.consented && !(batch && a.x.payee == address(wallet));
    }

    /// @dev The id of these terms with another root and amount.
    function _idWith(IChequeBank.Deposit memory d, bytes32 root, uint256 amount) private view returns (bytes32) {
        IChequeBank.Deposit memory other = abi.decode(abi.encode(d), (IChequeBank.Deposit));
        (other.root, other.amount) = (root, uint128(amount));
        return _digest(Digests.deposit(other));
    }

    /// @dev The proof with all sums in 256 bits. The root is zero if the bank must refuse the proof.
    function _walk(IChequeBank.Redemption memory x) internal pure returns (bytes32, uint256 sum, uint256 start) {
        uint256 depth = x.siblings.length / 48;
        if (x.siblings.length % 48 != 0 || depth > 40 || x.path >> depth != 0) return (0, 0, 0);
        bytes32 node = AllowanceTrees.hashLeaf(Leaf(x.payee, x.allowance, x.salt));
        sum = x.allowance;
        for (uint256 i = 0; i < depth; i++) {
            (bytes32 hash, uint128 other) = _level(x.siblings, i);
            bool isRight = (x.path >> i) & 1 == 1;
            node = isRight
                ? AllowanceTrees.hashInner(hash, other, node, sum)
                : AllowanceTrees.hashInner(node, sum, hash, other);
            if (isRight) start += other;
            sum += other;
        }
        return (sum > type(uint128).max ? bytes32(0) : node, sum, start);
    }

    function _level(bytes memory siblings, uint256 i) private pure returns (bytes32 hash, uint128 sum) {
        bytes32 right;
        assembly ("memory-safe") {
            hash := mload(add(siblings, add(32, mul(48, i))))
            right := mload(add(siblings, add(48, mul(48, i))))
        }
        sum = uint128(uint256(right));
    }
}
