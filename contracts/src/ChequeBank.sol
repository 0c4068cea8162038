// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Balances} from "./base/Balances.sol";
import {BankStorage} from "./base/BankStorage.sol";
import {Deposits} from "./base/Deposits.sol";
import {IChequeBank} from "./interfaces/IChequeBank.sol";
import {BlockHeader} from "./libraries/BlockHeader.sol";
import {Cheques} from "./libraries/Cheques.sol";
import {Draw} from "./libraries/Draw.sol";
import {Money} from "./libraries/Money.sol";
import {Redemptions} from "./libraries/Redemptions.sol";

/// @title ChequeBank
/// @notice Holds the deposits of payers, and pays each of them out to the one payee that the randomness of its draw
/// block selects. No owner, no pause, no upgrade, no fee.
/// @dev `BankStorage` has the state, `Balances` moves money in and out, `Deposits` opens and reclaims. This file draws
/// and redeems. The guarantees below are those of all four together.
///
/// PURSES
/// - A purse (account, token, lane) is one word of storage. In lane 0 the word is the account's balance. In any other
///   lane a word below 2^128 is idle money, and any other word the id of the open deposit.
/// - No credit is 2^128 units or more. So no balance can overflow, which would let a worthless token block a batch, and
///   none can be driven to the value of an id.
/// - Idle money leaves a purse only by a call or a signature of its account: into a deposit, or by withdrawal.
/// - An open deposit leaves its purse only by redeem, or after its `lastRedeemBlock` by reclaim or reopen.
/// - A deposit is paid from the purse's idle money, then the call's, then the balance, which also takes a surplus.
///
/// CONSERVATION
/// - For every token, and from events alone: funded = withdrawn + paid straight out + idle money + open deposits.
/// - The bank holds at least idle money + open deposits. Money sent to the bank without a call belongs to nobody and
///   stays.
/// - A deposit is paid at most once, and at most its `amount`. The rest is idle money of its purse.
///
/// DEPOSITS
/// - The id commits to all terms. The draw block must lie at least `minLead` blocks ahead when a deposit opens, so an
///   id can never be opened a second time.
/// - Ids keep the chain id of deployment, so a chain that changes its id in a split locks no deposit up. Signatures are
///   checked under the current chain id, so they count on one side of a split only.
///
/// ALLOWANCES
/// - The root commits to a Merkle-sum tree. A proof yields the start of a payee's range, and must add up to `amount`
///   exactly. So the ranges of two leaves never overlap, whatever tree the payer builds, and at most one payee can win.
/// - Proofs have at most 40 levels. A leaf without a proof is a range without a winner: the payer reclaims.
///
/// DRAW
/// - roll = floor((keccak256(seed, depositId) >> 128) * amount / 2^128), a point in [0, amount).
/// - A cheque wins if start <= roll < start + range: the first point of a range wins, the point start + range does not.
/// - full = floor(spent * amount / allowance). If full >= minPayout: payout = full, range = allowance. Otherwise
///   payout = minPayout, range = floor(spent * amount / minPayout). A payee's chance times its payout is the total that
///   it was paid, but for rounding down by less than one unit of payout or of range. More spent never means less of
///   either.
/// - The seed of a block is proven by its header, whose hash must be the one the EVM has for that block number: of the
///   last 256 blocks by BLOCKHASH, of the last 8191 by EIP-2935. The seed is the header's `mixHash`, not its hash: the
///   builder of a block can choose among as many hashes as it can compute. A recorded seed stays known.
///
/// REDEEMING
/// - A redemption comes packed: half of the bytes of an ABI encoding would be zeros, and calldata is its largest cost.
/// - A payer could close a deposit with an older cheque of smaller payout. So unless the whole deposit goes to the
///   payee's balance, the payee must be the caller or have signed for exactly this total and recipient.
/// - A win of the whole deposit may be credited to the payee's balance by anybody, so also by somebody who copies the
///   payee's redemption and sets `to` to zero. The payee then has the money in the bank instead of at `to`. A payee
///   that is a contract must therefore be able to call `withdraw`, or to sign `Withdraw` by ERC-1271.
/// - `redeem`, `redeemBatch` and `outcomeOf` share one check. A batch calls no payee and no token, and skips an item
///   that cannot be paid. Apart from the limits of any call (gas, a static call, coin sent along), a batch reverts only
///   if its calldata does not decode as `bytes[]`, or if the call reenters the bank.
/// - A redemption is possible in drawBlock < block number <= lastRedeemBlock, a reclaim after it: never both.
///
/// TOKEN REQUIREMENTS
/// - ERC-20, with or without return values; ERC-3009 where tokens are moved in by authorization.
/// - A transfer moves exactly the amount: funding with a fee on transfer reverts. Balances change by transfers only: of
///   a rebasing token the bank may hold less than it owes.
/// - A token that blocks the bank or a payee stops withdrawals and straight payouts in that token; redemption to the
///   payee's balance goes on. A bad token harms only accounts that use it.
///
/// LIVENESS REQUIREMENTS
/// - Block numbers count the blocks of this chain, as BLOCKHASH does.
/// - The header of the draw block is shown within 8191 blocks (256 without EIP-2935), by anybody, and the winner, or a
///   relayer with its consent, redeems until `lastRedeemBlock`. Otherwise the deposit goes back to the payer.
///
/// KNOWN LIMITS
/// - The seed of a `PrevRandao` bank is the RANDAO value left by the block before the draw block. The proposer of that
///   block knows the seed first, and can withhold the block to draw again, at the price of the block.
/// - From EIP-7732 on, the builder of the draw block's payload knows two seeds, that of its own slot and that of the
///   next slot, and can withhold the payload to take the second. Any builder can buy that payload.
/// - One withheld block draws again for all deposits of that draw block. Limits on deposits and exposure therefore
///   bound the loss of a payee, not the gain of the attacker.
/// - A `BlockHash` bank is fair only among payers and payees who do not build blocks.
/// - A payer can keep part of the tree for itself. It then wins its own deposit that often, at nobody's expense.
/// - The tree behind a root, and the sum of all totals, are checked for the winner only.
contract ChequeBank is Balances, Deposits {
    using Money for address;
    using Redemptions for bytes;

    /// @inheritdoc IChequeBank
    // forge-lint: disable-next-line(screaming-snake-case-immutable)
    SeedSource public immutable seedSource;

    constructor(uint64 lead, SeedSource source) BankStorage(lead) {
        bool hasSeeds = source == SeedSource.BlockHash || block.prevrandao > BlockHeader.NO_RANDOMNESS;
        require(hasSeeds, NoRandomness(block.prevrandao));

        seedSource = source;
    }

    /* DRAW */

    /// @inheritdoc IChequeBank
    function recordSeed(uint256 blockNumber, bytes calldata header) external nonReentrant returns (bytes32 recorded) {
        recorded = seed[blockNumber];
        if (recorded != 0) return recorded;

        Outcome outcome;
        (outcome, recorded) = Draw.prove(seedSource, blockNumber, header);
        require(outcome != Outcome.SeedUnknown, BlockUnknown(blockNumber));
        require(outcome != Outcome.BadHeader, InvalidHeader(blockNumber));

        seed[blockNumber] = recorded;

        emit SeedRecorded(blockNumber, recorded);
    }

    /// @inheritdoc IChequeBank
    function rollOf(Deposit calldata deposit) external view returns (uint128 roll) {
        bytes32 recorded = seed[deposit.drawBlock];
        require(recorded != 0, BlockUnknown(deposit.drawBlock));

        return Draw.roll(recorded, _depositId(deposit), deposit.amount);
    }

    /* REDEMPTION */

    /// @inheritdoc IChequeBank
    function redeem(bytes calldata redemption) external nonReentrant returns (uint128 payout) {
        address to = redemption.to();
        require(to != address(this), InvalidRecipient(to));

        (bytes32 id, bytes32 key) = _find(redemption);
        Outcome outcome;
        uint128 total;
        (outcome, payout, total) = _judge(redemption, id, key, false);
        require(outcome == Outcome.Payable, NotRedeemable(outcome));

        _settle(redemption, id, key, total, payout);

        if (to != address(0)) redemption.token().push(to, payout);
    }

    /// @inheritdoc IChequeBank
    function redeemBatch(bytes[] calldata redemptions) external nonReentrant returns (uint128[] memory payouts) {
        payouts = new uint128[](redemptions.length);
        for (uint256 i = 0; i < redemptions.length; ++i) {
            bytes calldata redemption = redemptions[i];
            (bytes32 id, bytes32 key) = _find(redemption);
            (Outcome outcome, uint128 payout, uint128 total) = _judge(redemption, id, key, true);
            if (outcome == Outcome.Payable) {
                _settle(redemption, id, key, total, payout);
                payouts[i] = payout;
            } else {
                emit Skipped(id, redemption.payee(), outcome);
            }
        }
    }

    /// @inheritdoc IChequeBank
    function outcomeOf(bytes calldata redemption) external view returns (Outcome outcome, uint128 payout) {
        address to = redemption.to();
        require(to != address(this), InvalidRecipient(to));
        (bytes32 id, bytes32 key) = _find(redemption);
        (outcome, payout,) = _judge(redemption, id, key, false);
    }

    /* INTERNAL */

    /// @dev The id of a redemption's deposit and the key of its purse.
    function _find(bytes calldata redemption) internal view returns (bytes32 id, bytes32 key) {
        id = Cheques.digest(DEPLOYMENT_DOMAIN, Cheques.hashDeposit(redemption));
        key = _key(redemption.payer(), redemption.token(), redemption.lane());
    }

    /// @dev The one check behind `redeem`, `redeemBatch` and `outcomeOf`, in the order that `Outcome` documents: cheap
    /// checks before expensive ones, and a stream only after its signature. With `batch` it calls no contract that a
    /// payee chose. `payout` and `total` are set if the outcome is `Payable`, `Loses` or `ConsentMissing`.
    function _judge(bytes calldata r, bytes32 id, bytes32 key, bool batch)
        internal
        view
        returns (Outcome outcome, uint128 payout, uint128 total)
    {
        if (!r.wellFormed()) return (Outcome.Malformed, 0, 0);
        if (purses[key] != uint256(id)) return (Outcome.NotOpen, 0, 0);
        if (block.number <= r.drawBlock()) return (Outcome.TooEarly, 0, 0);
        if (block.number > r.lastRedeemBlock()) return (Outcome.TooLate, 0, 0);

        uint256 start;
        (outcome, total, start) = Cheques.promised(r, id, _domain());
        if (outcome == Outcome.Payable) (outcome, payout) = _drawn(r, id, total, start, batch);
    }

    /// @dev The half of `_judge` that comes after the draw: the payout of a good cheque.
    function _drawn(bytes calldata r, bytes32 id, uint128 total, uint256 start, bool batch)
        internal
        view
        returns (Outcome outcome, uint128 payout)
    {
        bytes32 drawn;
        (outcome, drawn) = _seedOf(r);
        if (outcome != Outcome.Payable) return (outcome, 0);

        bool wins;
        (wins, payout) = Draw.result(Draw.roll(drawn, id, r.amount()), start, total, r);
        if (!wins) outcome = Outcome.Loses;
        else if (!Cheques.agreed(r, id, total, payout, _domain(), batch)) outcome = Outcome.ConsentMissing;
    }

    /// @dev The seed of a block, recorded or proven here. The outcome is `Payable` if there is one.
    function _seedOf(bytes calldata r) internal view returns (Outcome, bytes32 drawn) {
        uint256 blockNumber = r.drawBlock();
        drawn = seed[blockNumber];
        if (drawn != 0) return (Outcome.Payable, drawn);
        bytes calldata header = r.header();
        if (header.length == 0 && seedSource == SeedSource.PrevRandao) return (Outcome.SeedUnknown, 0);
        return Draw.prove(seedSource, blockNumber, header);
    }

    /// @dev Closes a deposit that `_judge` found payable. Leaves the transfer to the caller if there is a `to`.
    function _settle(bytes calldata r, bytes32 id, bytes32 key, uint128 total, uint128 payout) internal {
        (address payee, address to) = (r.payee(), r.to());
        purses[key] = r.amount() - payout;
        if (to == address(0)) purses[_key(payee, r.token(), 0)] += payout;

        emit Redeemed(id, payee, to, total, payout);
    }
}
