// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title IChequeBank
/// @notice All calls, events and errors of a cheque bank, and all structs that are hashed or signed for a bank. Amounts
/// are in the smallest unit of the token (wei for the native coin) throughout. SPEC.md explains the protocol,
/// `ChequeBank.sol` states its guarantees. A cheque here is a (probabilistic) ticket elsewhere.
interface IChequeBank {
    /* TYPES */

    /// @notice The terms of one deposit. `depositId` is the EIP-712 hash of this struct.
    /// @dev `payer` owns the money: refunds go to its purse.
    /// @dev `signer` is the secp256k1 key whose signature makes a cheque. The key can pay only the payees of the tree
    /// and only up to their allowances, so a hot key will do.
    /// @dev `token` is the ERC-20 token, or zero for the native coin.
    /// @dev `lane` numbers the purses of one payer and token, from 1.
    /// @dev `amount` is the locked amount and the sum of all allowances of the tree, in token units.
    /// @dev `minPayout` is the smallest payout, in token units, at most `amount`.
    /// @dev `drawTime` is the second whose seed decides; `redeemUntil` is the last second that may redeem. Both count
    /// seconds from 1970, by the chain's clock. Warning: not milliseconds.
    /// @dev `root` is the root hash of the allowance tree.
    struct Deposit {
        address payer;
        address signer;
        address token;
        uint64 lane;
        uint128 amount;
        uint128 minPayout;
        uint64 drawTime;
        uint64 redeemUntil;
        bytes32 root;
    }

    /// @notice A signed promise: "`payee` has been paid `spent` units of its allowance in deposit `depositId`".
    /// @dev `spent` is cumulative. With `anchor` and `step` set the cheque also opens a stream: a value x with
    /// keccak256^k(x) = anchor proves `k` further payments of `step` units each.
    struct Cheque {
        bytes32 depositId;
        address payee;
        uint128 spent;
        bytes32 anchor;
        uint128 step;
    }

    /// @notice A payer's agreement that anybody may open the deposit, until `deadline` (seconds since 1970, inclusive).
    struct Open {
        bytes32 depositId;
        uint256 deadline;
    }

    /// @notice A payee's agreement that anybody may redeem its cheque at exactly this total, paid to `to` (zero: to the
    /// payee's balance in the bank).
    /// @dev The payee is named because contracts of one owner accept the same signature: no consent serves two payees.
    struct Consent {
        bytes32 depositId;
        address payee;
        uint128 spent;
        address to;
    }

    /// @notice An owner's agreement that anybody may withdraw its idle money to `to`, until `deadline` (seconds since
    /// 1970, inclusive). Nonces are unordered: any unused number will do.
    struct Withdraw {
        address account;
        address token;
        uint64 lane;
        uint256 amount;
        address to;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice The purpose of an ERC-3009 authorization to `fundWithAuthorization`. The authorization's nonce is the
    /// EIP-712 digest of this struct, so the submitter cannot change the account that is credited.
    struct Fund {
        address from;
        address token;
        address account;
        uint256 amount;
        bytes32 salt;
    }

    /// @notice An ERC-3009 `receiveWithAuthorization` signature over (from, this bank, value, validAfter, validBefore,
    /// nonce). `from` and `nonce` follow from the call. `value` is in token units, times in seconds.
    struct Authorization {
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice Everything needed to redeem one cheque, but the proof of the seed. `redeem` and its kin take it packed, as
    /// `bytes`.
    /// @dev `allowance`, `salt`, `path` and `siblings` are the payee's leaf and its proof: `siblings` holds 48 bytes
    /// per level from the leaf up, the sibling's hash (32) and sum (16); bit i of `path` is 1 if the own node is the
    /// right child at level i.
    /// @dev `payee`, `spent`, `anchor`, `step` and `signature` (65 bytes r, s, v) are the cheque.
    /// @dev `k` and `x` show k steps of its stream, keccak256^k(x) = anchor; both zero if there is nothing to show.
    /// @dev `to` is the recipient of the payout, `consent` the payee's agreement: see `redeem`.
    /// @dev Packed it is the concatenation, numbers big-endian, of
    /// - payer (20 bytes), signer (20), lane (8), minPayout (16), drawTime (8), redeemUntil (8);
    /// - payee (20), allowance (16), salt (16), path (5), spent (16), signature (65);
    /// - the number of levels (1), and a byte `form`: bits 0 to 3 are w - 1, where w is the number of bytes of each
    ///   sibling's sum; bits 4, 5 and 6 say that token, to and a stream follow; bit 7 is zero;
    /// - for each level, from the leaf up, the sibling's hash (32) and sum (w);
    /// - if `form` says so, token (20), then to (20), then anchor (32), step (16), k (2), x (32): they are zero otherwise;
    /// - `consent`, the rest.
    /// @dev The deposit's amount and root are not packed. The proof yields both, and the id commits to them.
    struct Redemption {
        Deposit deposit;
        address payee;
        uint128 allowance;
        bytes16 salt;
        uint40 path;
        uint128 spent;
        bytes signature;
        address to;
        bytes siblings;
        bytes32 anchor;
        uint128 step;
        uint16 k;
        bytes32 x;
        bytes consent;
    }

    /// @notice The result of checking a redemption now, in the order of the checks (`BadStream` has a second place).
    /// @dev `Payable`: the cheque wins and would be paid.
    /// @dev `Malformed`: shorter than the parts that it announces, or bit 7 of `form` is set.
    /// @dev `BadProof`: `siblings` has more than 40 levels, `path` a bit beyond them, or the sum is 2^128 or more.
    /// @dev `NotOpen`: the purse does not hold this deposit: never opened, redeemed already, or reclaimed. Or the proof
    /// does not lead to the deposit's root and amount, which makes the id another one.
    /// @dev `TooEarly`, `TooLate`: now is not in drawTime < block.timestamp <= redeemUntil.
    /// @dev `BadStream`: k > 4096, an anchor without a step or the reverse, `x` given for k = 0, or k > 0 without an
    /// anchor.
    /// @dev `NothingSpent`: the total, spent + k * step, is zero. `OverAllowance`: the total exceeds the allowance.
    /// @dev `BadSignature`: the cheque is not signed by the deposit's signer (low s, v 27 or 28). Then `BadStream`
    /// again: `x` does not lead to `anchor`.
    /// @dev `SeedUnknown`: the seed of `drawTime` is not recorded, and no proof of it is given.
    /// @dev `Loses`: the roll is outside the payee's range.
    /// @dev `ConsentMissing`: the payee has to agree and did not, or `to` is not zero in a batch.
    enum Outcome {
        Payable,
        Malformed,
        BadProof,
        NotOpen,
        TooEarly,
        TooLate,
        BadStream,
        NothingSpent,
        OverAllowance,
        BadSignature,
        SeedUnknown,
        Loses,
        ConsentMissing
    }

    /* EVENTS */

    /// @notice `amount` units of `token` came in from `from` and were added to the balance (lane 0) of `account`.
    event Funded(address indexed from, address indexed token, address indexed account, uint256 amount);

    /// @notice A deposit was opened. The purse's idle money, then the payer's balance (lane 0), paid for it; idle money
    /// beyond `amount` went to the balance.
    event Opened(
        bytes32 indexed depositId,
        address indexed payer,
        address indexed signer,
        address token,
        uint64 lane,
        uint128 amount,
        uint128 minPayout,
        uint64 drawTime,
        uint64 redeemUntil,
        bytes32 root
    );

    /// @notice The seed of a time was recorded, for ever.
    event SeedRecorded(uint64 indexed drawTime, bytes32 seed);

    /// @notice A deposit was won: `payout` went to the payee's balance if `to` is zero, else straight out to `to`. The
    /// rest of the deposit is idle money of its purse.
    /// @param spent total that the payee had been paid by cheque, stream steps included
    event Redeemed(bytes32 indexed depositId, address indexed payee, address indexed to, uint128 spent, uint128 payout);

    /// @notice A redemption of a batch was skipped, for the reason given.
    /// @dev The id is zero for `Malformed` and `BadProof`, the payee for `Malformed`.
    event Skipped(bytes32 indexed depositId, address indexed payee, Outcome outcome);

    /// @notice The deposit was not redeemed in time; its `amount` is idle money of its purse again.
    event Reclaimed(bytes32 indexed depositId, uint128 amount);

    /// @notice `amount` units of `token` left the purse `lane` of `account` and the bank, to `to`.
    event Withdrawn(address indexed account, address indexed token, uint64 lane, uint256 amount, address indexed to);

    /// @notice The account's signature with this nonce was used by `withdrawFor`, and works no more.
    event NonceConsumed(address indexed account, uint256 nonce);

    /* ERRORS */

    /// @notice The bank cannot be deployed with a lead of `minLead` seconds; the limit is 1 to `most`.
    error LeadOutOfRange(uint64 minLead, uint64 most);
    /// @notice A call reentered the bank.
    error Reentered();
    /// @notice Money cannot be credited or sent to this address.
    error InvalidRecipient(address recipient);
    /// @notice `sent` wei came with the call, `needed` were due.
    error WrongValue(uint256 sent, uint256 needed);
    /// @notice There is no contract at the token's address.
    error NotAToken(address token);
    /// @notice `received` units of the token arrived, `expected` were announced.
    error WrongAmountReceived(uint256 received, uint256 expected);
    /// @notice The amount is zero.
    error ZeroAmount();
    /// @notice No call brings in more than `most` units of a token, 2^128 - 1.
    error AmountTooHigh(uint256 amount, uint256 most);
    /// @notice Only `payer` may do this.
    error NotPayer(address caller, address payer);
    /// @notice A deposit needs a signer.
    error ZeroSigner();
    /// @notice Lane 0 is the plain balance and holds no deposit.
    error ZeroLane();
    /// @notice The smallest payout is more than the deposit.
    error MinPayoutTooHigh(uint128 minPayout, uint128 amount);
    /// @notice The draw must lie at second `earliest` or later.
    error DrawTooSoon(uint64 drawTime, uint256 earliest);
    /// @notice `redeemUntil` must come after `drawTime`.
    error RedeemWindowEmpty(uint64 drawTime, uint64 redeemUntil);
    /// @notice The id is below 2^128 and would read as an amount of money (chance 2^-128): change the terms.
    error UnusableId(bytes32 depositId);
    /// @notice The purse holds an open deposit.
    error PurseBusy(bytes32 openDepositId);
    /// @notice The account's idle money does not cover the amount.
    error InsufficientFunds(uint256 available, uint256 needed);
    /// @notice `reopen` needs two deposits of the same payer, token and lane.
    error PurseMismatch();
    /// @notice The purse does not hold this deposit.
    error DepositNotOpen(bytes32 depositId);
    /// @notice The deposit may be redeemed until `redeemUntil`, and reclaimed only after it.
    error StillRedeemable(uint64 redeemUntil);
    /// @notice The redemption cannot be paid, for the reason given.
    error NotRedeemable(Outcome outcome);
    /// @notice The signature is not by `account`.
    error InvalidSignature(address account);
    /// @notice The signed message was valid until `deadline`.
    error SignatureExpired(uint256 deadline);
    /// @notice The nonce was used before.
    error NonceUsed(address account, uint256 nonce);
    /// @notice The seed of this time is not recorded.
    error SeedUnknown(uint64 drawTime);
    /// @notice The proof does not show the seed of this time.
    error InvalidSeedProof(uint64 drawTime);
    /// @notice A batch needs one proof for each of its draw times.
    error LengthMismatch(uint256 drawTimes, uint256 proofs);

    /* MONEY IN */

    /// @notice Adds `amount` to the balance (lane 0) of `account`. The caller pays: with `msg.value` = `amount` for the
    /// native coin, by token approval to the bank otherwise.
    /// @dev Warning: exactly `amount` must arrive, so tokens that take a fee on transfer are refused. If a token's
    /// balances shrink by themselves, the last accounts to withdraw bear the loss.
    function fund(address token, address account, uint256 amount) external payable;

    /// @notice Adds `authorization.value` of the token to the balance of `account`, moved from `from` by its ERC-3009
    /// authorization with nonce = digest of Fund(from, token, account, value, salt). Anyone may submit it.
    function fundWithAuthorization(
        address from,
        address token,
        address account,
        bytes32 salt,
        Authorization calldata authorization
    ) external;

    /* PAYER */

    /// @notice Locks a deposit. Pays with the purse's idle money first, then `msg.value` (native coin only), then the
    /// payer's balance; a surplus goes to the balance.
    /// @dev Warning: payees trust the terms, not the caller, so the tree behind `root` is checked only on redemption. A
    /// tree that does not add up to `amount` makes cheques worthless; payees refuse such deposits.
    /// @dev Warning: no draw is too far ahead. Times in milliseconds lock the deposit for 50,000 years.
    function open(Deposit calldata deposit) external payable returns (bytes32 id);

    /// @notice Locks a deposit for a payer who signed Open(depositId, deadline), by ECDSA or ERC-1271.
    function openFor(Deposit calldata deposit, uint256 deadline, bytes calldata signature) external returns (bytes32 id);

    /// @notice Moves tokens in by an ERC-3009 authorization of the payer with nonce = depositId and locks the deposit.
    /// Anyone may submit it; the payer needs no native coin. `authorization.value` is more than zero, and may be less
    /// than `deposit.amount` if the purse's idle money or the payer's balance holds the rest; a surplus goes to the
    /// balance.
    function openWithAuthorization(Deposit calldata deposit, Authorization calldata authorization)
        external
        returns (bytes32 id);

    /// @notice Reclaims `expired` and opens `next` in the same purse with one storage write. If the purse is idle
    /// already, only opens `next`. Pays like `open`.
    function reopen(Deposit calldata expired, Deposit calldata next) external payable returns (bytes32 id);

    /// @notice Turns a deposit that nobody redeemed in time into idle money of its purse. Anyone may call.
    function reclaim(Deposit calldata deposit) external;

    /* DRAW */

    /// @notice Records the seed of `drawTime` for ever, by a proof in the form of the bank's source. Anyone may call. A
    /// valid proof shows that the time has come: no clock is compared. Repeating the call changes nothing.
    /// @dev Warning: an invalid proof can burn nearly all gas of the call.
    function recordSeed(uint64 drawTime, bytes calldata proof) external returns (bytes32 recorded);

    /// @notice Pays a won cheque, given as a packed `Redemption`. A cheque wins if start <= roll < start + range, where
    /// `start` is the sum of all allowances left of the payee's.
    /// @dev `proof` shows the seed of the draw time if the seed is not recorded, and is ignored if it is. A proof that is
    /// neither empty nor valid reverts with InvalidSeedProof, if all checks before `SeedUnknown` hold. The seed is used
    /// and not recorded.
    /// @dev Unless the whole deposit goes to the payee's balance, the payee must agree: the payee is the caller, or
    /// signed Consent(depositId, payee, total, to) in `consent`, by ECDSA or ERC-1271, for exactly the total shown. So nobody
    /// can close a deposit with an older, smaller cheque.
    /// @dev `to` = 0 credits the payee's balance. Any other `to` is paid straight out, and needs the payee's agreement
    /// always. `to` cannot be the bank (InvalidRecipient, checked after `Malformed` and before all other outcomes).
    /// @dev Warning: anybody can copy the redemption of a whole deposit with `to` = 0 and send it first. The payee is
    /// then credited instead of paid straight out, and its own call reverts with NotRedeemable(NotOpen). So a payee
    /// that is a contract must be able to call `withdraw`, or to sign `Withdraw` by ERC-1271.
    /// @dev Warning: sending is agreeing. A payee compares a redemption given to it with its own newest cheque first.
    /// @return payout units paid
    function redeem(bytes calldata redemption, bytes calldata proof) external returns (uint128 payout);

    /// @notice Redeems many cheques to their payees' balances. Skips redemptions that cannot be paid, and reports each.
    /// Calls no payee: consents must be ECDSA signatures or the caller's own, and `to` must be zero.
    /// @dev `proofs[i]` shows the seed of `drawTimes[i]`, and is ignored if that seed is recorded; recorded seeds need no
    /// entry. Proofs are verified before the redemptions; an invalid proof, an empty one too, reverts the call.
    /// @dev Reverts also if the calldata does not decode, if the lists differ in length, if the call reenters the bank,
    /// or for the limits of any call (gas, a static call, coin sent along). A skipped redemption costs gas too: for up to
    /// 4096 steps and 40 levels.
    /// @dev Warning: the caller's own agreement counts, as in `redeem`: compare redemptions given to you by others.
    /// @return payouts units paid for each redemption, 0 where skipped
    function redeemBatch(bytes[] calldata redemptions, uint64[] calldata drawTimes, bytes[] calldata proofs)
        external
        returns (uint128[] memory payouts);

    /* MONEY OUT */

    /// @notice Sends idle money of one of the caller's purses to `to`. Lane 0 is the balance.
    function withdraw(address token, uint64 lane, uint256 amount, address to) external;

    /// @notice Sends idle money of `account` to `to`, by its signature over the Withdraw struct of these arguments
    /// (ECDSA or ERC-1271). Each nonce works once. Anyone may submit it.
    function withdrawFor(
        address account,
        address token,
        uint64 lane,
        uint256 amount,
        address to,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /* VIEWS */

    /// @notice The least number of seconds between opening a deposit and its draw.
    function minLead() external view returns (uint64);

    /// @notice The id of a deposit with these terms: its EIP-712 digest under the domain as of deployment.
    function depositId(Deposit calldata deposit) external view returns (bytes32);

    /// @notice The content of a purse: `idle` units of money, or the open deposit `openDepositId` (zero if none).
    function purse(address account, address token, uint64 lane)
        external
        view
        returns (uint256 idle, bytes32 openDepositId);

    /// @notice The recorded seed of a time, zero if none is recorded.
    function seed(uint64 drawTime) external view returns (bytes32 value);

    /// @notice The point in [0, amount) that the recorded seed selects. Reverts if no seed is recorded.
    function rollOf(Deposit calldata deposit) external view returns (uint128 roll);

    /// @notice Simulates `redeem` by the same caller. `payout` is the payout of a win if the outcome is `Payable`,
    /// `Loses` or `ConsentMissing`, and 0 otherwise. Reverts like `redeem` if `to` is the bank or the proof is invalid.
    function outcomeOf(bytes calldata redemption, bytes calldata proof)
        external
        view
        returns (Outcome outcome, uint128 payout);

    /// @notice True if a `withdrawFor` nonce of `account` is used.
    function nonceUsed(address account, uint256 nonce) external view returns (bool);

    /// @notice EIP-5267: the EIP-712 domain of all signatures for this bank. Ids use the chain id as of deployment.
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        );
}
