// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Balances} from "./base/Balances.sol";
import {Deposits} from "./base/Deposits.sol";
import {IChequeBank} from "./interfaces/IChequeBank.sol";
import {AllowanceTree} from "./libraries/AllowanceTree.sol";
import {Cheques} from "./libraries/Cheques.sol";
import {Draw} from "./libraries/Draw.sol";
import {Money} from "./libraries/Money.sol";
import {Claim, Redemptions} from "./libraries/Redemptions.sol";

/// @title ChequeBank
/// @notice Holds the deposits of payers, and pays each of them out to the one payee that the seed of its draw time
/// selects. No owner, no pause, no upgrade, no fee.
/// @dev `BankStorage` has the state, `Balances` moves money in and out, `Deposits` opens and reclaims. This file draws
/// and redeems. A bank that is deployed adds the source of the seeds: `DrandBank`. The guarantees below are those of all
/// five together.
///
/// PURSES
/// - A purse (account, token, lane) is one word of storage. In lane 0 the word is the account's balance. In any other
///   lane a word below 2^128 is idle money, and any other word the id of the open deposit.
/// - No call brings in 2^128 units of a token or more, and no coin has as many wei. An opening may also credit idle money,
///   so a credit is below 2^129 units, and to overflow a balance takes 2^127 calls: no worthless token can block a batch.
/// - Idle money leaves a purse only by a call or a signature of its account: into a deposit, or by withdrawal.
/// - An open deposit leaves its purse only by redeem, or after its `redeemUntil` by reclaim or reopen.
/// - A deposit is paid from the purse's idle money, then the call's, then the balance, which also takes a surplus.
///
/// CONSERVATION
/// - For every token, and from events alone: funded = withdrawn + paid straight out + idle money + open deposits.
/// - The bank holds at least idle money + open deposits. Money sent to the bank without a call belongs to nobody and
///   stays.
/// - A deposit is paid at most once, and at most its `amount`. The rest is idle money of its purse.
///
/// DEPOSITS
/// - The id commits to all terms. No id is ever opened a second time: a deposit opens while now + minLead <= drawTime,
///   and closes while now > drawTime. As `minLead` is at least 1 and time never goes back, no opening can follow, and none
///   shares a second with the closing, even where several blocks share one.
/// - Ids keep the chain id of deployment, so a chain that changes its id in a split locks no deposit up. Signatures are
///   checked under the current chain id, so they count on one side of a split only.
///
/// ALLOWANCES
/// - The root commits to a Merkle-sum tree. A proof yields the start of a payee's range, and must add up to `amount`
///   exactly. So the ranges of two leaves never overlap, whatever tree the payer builds, and at most one payee can win.
/// - A redemption carries neither root nor amount. Its proof yields both, and they must give the id of the open deposit.
/// - Proofs have at most 40 levels. A leaf without a proof is a range without a winner: the payer reclaims.
///
/// DRAW
/// - roll = floor((keccak256(seed, depositId) >> 128) * amount / 2^128), a point in [0, amount).
/// - A cheque wins if start <= roll < start + range: the first point of a range wins, the point start + range does not.
/// - full = floor(spent * amount / allowance). If full >= minPayout: payout = full, range = allowance. Otherwise
///   payout = minPayout, range = floor(spent * amount / minPayout). A payee's chance times its payout is the total that
///   it was paid, but for rounding down by less than one unit of payout or of range. More spent never means less of
///   either.
/// - A time has at most one seed, whose proof nobody can vary: the source sees the time and the proof, and no state of
///   the chain. The bank knows no other way to a seed. A recorded seed stays known.
/// - A valid proof shows by itself that the time has come. No clock is compared, and no proof expires.
///
/// REDEEMING
/// - A redemption comes packed: half of the bytes of an ABI encoding would be zeros, and calldata is its largest cost.
/// - A payer could close a deposit with an older cheque of smaller payout. So unless the whole deposit goes to the
///   payee's balance, the payee must be the caller or have signed for exactly this total and recipient.
/// - A win of the whole deposit may be credited to the payee's balance by anybody, so also by somebody who copies the
///   payee's redemption and sets `to` to zero. The payee then has the money in the bank instead of at `to`. A payee
///   that is a contract must therefore be able to call `withdraw`, or to sign `Withdraw` by ERC-1271.
/// - Sending is agreeing, also in a batch. So a relayer that is itself a payee must compare a redemption given to it with
///   its own newest cheque.
/// - `redeem`, `redeemBatch` and `outcomeOf` share one check. A batch calls no payee and no token, and skips an item
///   that cannot be paid. Apart from the limits of any call (gas, a static call, coin sent along), a batch reverts only
///   if its calldata does not decode, if its own list of times and proofs is bad, or if the call reenters the bank.
/// - An item is judged by its own bytes: what follows in the call cannot complete it.
/// - A redemption is possible in drawTime < block.timestamp <= redeemUntil, a reclaim after it: never both.
///
/// TOKEN REQUIREMENTS
/// - ERC-20, with or without return values; ERC-3009 where tokens are moved in by authorization.
/// - A transfer moves exactly the amount: funding with a fee on transfer reverts. Balances change by transfers only: of
///   a rebasing token the bank may hold less than it owes.
/// - A token that blocks the bank or a payee stops withdrawals and straight payouts in that token; redemption to the
///   payee's balance goes on. A bad token harms only accounts that use it.
///
/// CHAIN REQUIREMENTS
/// - The pairing of EIP-2537 refuses points outside the subgroup of prime order, as the EIP demands. The constructor does
///   not test this. Without it a time would have several seeds.
/// - Timestamps never decrease from block to block. Blocks may share a second.
/// - Timestamps may differ from the real time: by hours where a chain halts, or where its sequencer may choose them. A
///   clock that is ahead shortens the time to redeem, so `redeemUntil` must leave more than that.
///
/// LIVENESS REQUIREMENTS
/// - The beacon's round of the draw time is shown by anybody, and the winner, or a relayer with its consent, redeems
///   until `redeemUntil`. Otherwise the deposit goes back to the payer.
///
/// KNOWN LIMITS
/// - Nobody can bias a draw: not proposers, builders or sequencers, not payers or payees, not the beacon's operators.
/// - A threshold of the beacon's operators can foresee a seed, and with it the draws of all deposits of that time. So can
///   former operators that kept their shares: what is signed is the number of the round. Nobody can notice it.
/// - If the beacon stops, nothing is drawn. Deposits whose `redeemUntil` passes go back to their payers.
/// - The bank does not compare its clock with the beacon's. While the chain's clock is behind by `minLead` or more, or once
///   a seed is recorded, a deposit can be opened whose draw is known. So payees go by the latest time that they know,
///   the beacon's included, and take no payment close to the draw or after it.
/// - No time is too late for a draw. Times in milliseconds lock a deposit for 50,000 years.
/// - Who orders transactions can delay a proof or a redemption. `redeemUntil` must leave more time than it can.
/// - Who can undo the chain's last blocks can drop an opening after its draw is known. So `minLead` should be at least the
///   time until the chain is final, and payees accept only banks of which that is true.
/// - A payer can keep part of the tree for itself. It then wins its own deposit that often, at nobody's expense.
/// - The tree behind a root, and the sum of all totals, are checked for the winner only.
abstract contract ChequeBank is Balances, Deposits {
    using Money for address;
    using Redemptions for bytes;

    /* DRAW */

    /// @inheritdoc IChequeBank
    function recordSeed(uint64 drawTime, bytes calldata proof) external notEntered returns (bytes32 recorded) {
        Recorded storage record = seed[drawTime];
        recorded = record.value;
        if (recorded != 0) return recorded;

        recorded = _proven(drawTime, proof);
        record.value = recorded;

        emit SeedRecorded(drawTime, recorded);
    }

    /// @inheritdoc IChequeBank
    function rollOf(Deposit calldata deposit) external view returns (uint128 roll) {
        bytes32 recorded = seed[deposit.drawTime].value;
        require(recorded != 0, SeedUnknown(deposit.drawTime));

        return Draw.roll(recorded, _depositId(deposit), deposit.amount);
    }

    /* REDEMPTION */

    /// @inheritdoc IChequeBank
    function redeem(bytes calldata redemption, bytes calldata proof) external notEntered returns (uint128 payout) {
        Outcome outcome;
        // slither-disable-next-line uninitialized-local a new claim is zero
        Claim memory claim;
        (outcome, payout) = _judge(redemption, claim, proof);
        require(outcome == Outcome.Payable, NotRedeemable(outcome));

        _settle(redemption, claim, payout);

        if (claim.to != address(0)) _payOut(claim.token, claim.to, payout);
    }

    /// @inheritdoc IChequeBank
    function redeemBatch(bytes[] calldata redemptions, uint64[] calldata drawTimes, bytes[] calldata proofs)
        external
        notEntered
        returns (uint128[] memory payouts)
    {
        bytes32[] memory seeds = _provenAll(drawTimes, proofs);
        payouts = new uint128[](redemptions.length);
        for (uint256 i = 0; i < redemptions.length; ++i) {
            bytes calldata redemption = redemptions[i];
            // slither-disable-next-line uninitialized-local a new claim is zero
            Claim memory claim;
            Outcome outcome = _promised(redemption, claim);
            // slither-disable-next-line uninitialized-local read only if the item is payable
            uint128 payout;
            if (outcome == Cheques.NO_OBJECTION) {
                bytes32 drawn = _drawnIn(redemption.drawTime(), drawTimes, seeds);
                (outcome, payout) = _drawn(redemption, claim, drawn, true);
            }

            if (outcome == Outcome.Payable) {
                _settle(redemption, claim, payout);
                payouts[i] = payout;
            } else {
                emit Skipped(claim.id, outcome == Outcome.Malformed ? address(0) : redemption.payee(), outcome);
            }
        }
    }

    /// @inheritdoc IChequeBank
    function outcomeOf(bytes calldata redemption, bytes calldata proof)
        external
        view
        returns (Outcome outcome, uint128 payout)
    {
        // slither-disable-next-line uninitialized-local a new claim is zero
        Claim memory claim;
        return _judge(redemption, claim, proof);
    }

    /* SEED SOURCE */

    /// @dev Reverts unless the source has a seed for this time. Depends on the time and on constants only.
    function _requireOnSchedule(uint64 drawTime) internal view virtual override;

    /// @dev The seed that a proof shows for a time on schedule, zero if it shows none. Depends on the arguments and on
    /// constants only, and gives no time two seeds.
    function _shownSeed(uint64 drawTime, bytes calldata proof) internal view virtual returns (bytes32);

    /// @dev The seed of a time that is not recorded, by its proof.
    function _proven(uint64 drawTime, bytes calldata proof) internal view returns (bytes32 shown) {
        _requireOnSchedule(drawTime);
        shown = _shownSeed(drawTime, proof);
        require(shown != 0, InvalidSeedProof(drawTime));
    }

    /// @dev The seeds of all these times, recorded or proven.
    function _provenAll(uint64[] calldata drawTimes, bytes[] calldata proofs)
        internal
        view
        returns (bytes32[] memory seeds)
    {
        require(drawTimes.length == proofs.length, LengthMismatch(drawTimes.length, proofs.length));

        seeds = new bytes32[](drawTimes.length);
        for (uint256 i = 0; i < seeds.length; ++i) {
            bytes32 recorded = seed[drawTimes[i]].value;
            seeds[i] = recorded != 0 ? recorded : _proven(drawTimes[i], proofs[i]);
        }
    }

    /// @dev The seed of a time: one of `seeds`, or the recorded one, or zero.
    function _drawnIn(uint64 drawTime, uint64[] calldata drawTimes, bytes32[] memory seeds)
        internal
        view
        returns (bytes32)
    {
        for (uint256 i = 0; i < seeds.length; ++i) {
            if (drawTimes[i] == drawTime) return seeds[i];
        }
        return seed[drawTime].value;
    }

    /* CHECKS */

    /// @dev The check behind `redeem` and `outcomeOf`. Fills in a new claim.
    function _judge(bytes calldata r, Claim memory claim, bytes calldata proof)
        internal
        view
        returns (Outcome outcome, uint128 payout)
    {
        outcome = _promised(r, claim);
        require(claim.to != address(this), InvalidRecipient(claim.to));
        if (outcome != Cheques.NO_OBJECTION) return (outcome, 0);

        uint64 drawTime = r.drawTime();
        bytes32 drawn = seed[drawTime].value;
        if (drawn == 0 && proof.length != 0) drawn = _proven(drawTime, proof);
        return _drawn(r, claim, drawn, false);
    }

    /// @dev The checks that need no seed, in the order that `Outcome` documents: cheap checks before expensive ones, and
    /// a stream only after its signature. Fills in a new claim. The outcome is `NO_OBJECTION` if all hold.
    function _promised(bytes calldata r, Claim memory claim) internal view returns (Outcome outcome) {
        if (!r.parse(claim)) return Outcome.Malformed;
        bytes32 root = AllowanceTree.locate(r, claim);
        if (root == 0) return Outcome.BadProof;

        bytes32 id = Cheques.digest(DEPLOYMENT_DOMAIN, Cheques.hashDeposit(r, claim.token, claim.amount, root));
        claim.id = id;
        if (_home(r, claim).word != uint256(id)) return Outcome.NotOpen;
        // forge-lint: disable-next-line(block-timestamp) windows leave room for the chain's clock
        if (block.timestamp <= r.drawTime()) return Outcome.TooEarly;
        // forge-lint: disable-next-line(block-timestamp) as above
        if (block.timestamp > r.redeemUntil()) return Outcome.TooLate;

        (outcome, claim.total) = Cheques.promised(r, claim, _domain());
    }

    /// @dev The checks that come after the draw: the payout of a good cheque, if its range holds the roll and the payee
    /// agrees. With `batch` they call no contract that a payee chose. `payout` is zero if no seed is known.
    function _drawn(bytes calldata r, Claim memory claim, bytes32 drawn, bool batch)
        internal
        view
        returns (Outcome, uint128 payout)
    {
        if (drawn == 0) return (Outcome.SeedUnknown, 0);

        uint256 range;
        (payout, range) = Draw.payoutAndRange(claim.total, r.allowance(), claim.amount, r.minPayout());
        if (!Draw.isIn(Draw.roll(drawn, claim.id, claim.amount), claim.start, range)) return (Outcome.Loses, payout);

        return (_agreed(r, claim, payout, batch) ? Outcome.Payable : Outcome.ConsentMissing, payout);
    }

    /// @dev True if the payee agrees that its total closes the deposit for `payout`, or if no consent is needed.
    function _agreed(bytes calldata r, Claim memory claim, uint128 payout, bool batch) internal view returns (bool) {
        if (batch && claim.to != address(0)) return false;
        if (msg.sender == r.payee()) return true;
        if (payout == claim.amount && claim.to == address(0)) return true;
        return Cheques.consented(r, claim, _domain(), batch);
    }

    /// @dev The purse of a redemption's deposit.
    function _home(bytes calldata r, Claim memory claim) internal pure returns (Purse storage) {
        return _purse(r.payer(), claim.token, r.lane());
    }

    /* EFFECTS */

    /// @dev Closes a payable deposit, and credits the payout to the payee's balance. If there is a `to`, leaves the
    /// transfer to the caller instead.
    function _settle(bytes calldata r, Claim memory claim, uint128 payout) internal {
        (address payee, address to) = (r.payee(), claim.to);
        _home(r, claim).word = claim.amount - payout;
        if (to == address(0)) _purse(payee, claim.token, 0).word += payout;

        emit Redeemed(claim.id, payee, to, claim.total, payout);
    }

    /// @dev The last action of `redeem`, whose caller has found the bank not entered.
    function _payOut(address token, address to, uint128 payout) private {
        entered = 1;
        token.push(to, payout);
        entered = 0;
    }
}
