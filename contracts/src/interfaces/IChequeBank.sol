// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title IChequeBank
/// @notice All calls, events and errors of a cheque bank, and all structs that are hashed or signed for a bank. Amounts
/// are in the smallest unit of the token (wei for the native coin) throughout. SPEC.md explains the protocol,
/// `ChequeBank.sol` states its guarantees. A cheque here is a (probabilistic) ticket elsewhere.
interface IChequeBank {
    /* TYPES */

    /// @notice The source of the randomness of a draw block.
    /// @dev `PrevRandao`: the `mixHash` of the block's header (EIP-4399). `BlockHash`: the block's hash, for chains
    /// without RANDAO.
    /// @dev Warning: a `PrevRandao` bank draws again if the proposer of the block before the draw block withholds its
    /// block, or, from EIP-7732 on, if the builder of the draw block's payload, who knows both seeds, withholds it.
    /// @dev Warning: the builder of a block can grind its hash, so a `BlockHash` bank is fair only among payers and
    /// payees who do not build blocks.
    enum SeedSource {
        PrevRandao,
        BlockHash
    }

    /// @notice The terms of one deposit. `depositId` is the EIP-712 hash of this struct.
    /// @dev `payer` owns the money: refunds go to its purse.
    /// @dev `signer` is the secp256k1 key whose signature makes a cheque. The key can pay only the payees of the tree
    /// and only up to their allowances, so a hot key will do.
    /// @dev `token` is the ERC-20 token, or zero for the native coin.
    /// @dev `lane` numbers the purses of one payer and token, from 1.
    /// @dev `amount` is the locked amount and the sum of all allowances of the tree, in token units.
    /// @dev `minPayout` is the smallest payout, in token units, at most `amount`.
    /// @dev `drawBlock` is the block whose seed decides; `lastRedeemBlock` is the last block that may redeem.
    /// @dev `root` is the root hash of the allowance tree.
    struct Deposit {
        address payer;
        address signer;
        address token;
        uint64 lane;
        uint128 amount;
        uint128 minPayout;
        uint64 drawBlock;
        uint64 lastRedeemBlock;
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
    struct Consent {
        bytes32 depositId;
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

    /// @notice Everything needed to redeem one cheque. `redeem` and its kin take it packed, as `bytes`.
    /// @dev `allowance`, `salt`, `path` and `siblings` are the payee's leaf and its proof: `siblings` holds 48 bytes
    /// per level from the leaf up, the sibling's hash (32) and sum (16); bit i of `path` is 1 if the own node is the
    /// right child at level i.
    /// @dev `payee`, `spent`, `anchor`, `step` and `signature` (65 bytes r, s, v) are the cheque.
    /// @dev `k` and `x` show k steps of its stream, keccak256^k(x) = anchor; both zero if there is nothing to show.
    /// @dev `header` is the RLP header of the draw block, or empty if the seed is recorded (always empty in a
    /// `BlockHash` bank).
    /// @dev `to` is the recipient of the payout, `consent` the payee's agreement: see `redeem`.
    /// @dev Packed it is the concatenation, numbers big-endian, of
    /// - the deposit: payer (20 bytes), signer (20), token (20), lane (8), amount (16), minPayout (16), drawBlock (8),
    ///   lastRedeemBlock (8), root (32);
    /// - payee (20), allowance (16), salt (16), path (5), spent (16), signature (65), to (20);
    /// - the number of levels of `siblings` (1), the number of streams, 0 or 1 (1), the length of `header` (2);
    /// - `siblings`; with one stream also anchor (32), step (16), k (2), x (32), which are zero without; `header`;
    ///   `consent`, the rest.
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
        bytes header;
        bytes consent;
    }

    /// @notice The result of checking a redemption now, in the order of the checks (`BadStream` has a second place).
    /// @dev `Payable`: the cheque wins and would be paid.
    /// @dev `Malformed`: shorter than the parts that it announces, or more than one stream.
    /// @dev `NotOpen`: the purse does not hold this deposit: never opened, redeemed already, or reclaimed.
    /// @dev `TooEarly`, `TooLate`: the block is not in drawBlock < block <= lastRedeemBlock.
    /// @dev `BadStream`: k > 4096, an anchor without a step or the reverse, `x` given for k = 0, or k > 0 without an
    /// anchor.
    /// @dev `NothingSpent`: the total, spent + k * step, is zero. `OverAllowance`: the total exceeds the allowance.
    /// @dev `BadProof`: `siblings` has more than 40 levels, `path` a bit beyond them, or the proof does not lead to the
    /// deposit's root and amount.
    /// @dev `BadSignature`: the cheque is not signed by the deposit's signer (low s, v 27 or 28). Then `BadStream`
    /// again: `x` does not lead to `anchor`.
    /// @dev `SeedUnknown`: no seed is recorded, and no header is given (in a `PrevRandao` bank) or the chain no longer
    /// knows the block's hash. `BadHeader`: the header is not the draw block's, carries no usable randomness, or is not
    /// empty in a `BlockHash` bank. The bank ignores the header if the seed is recorded.
    /// @dev `Loses`: the roll is outside the payee's range.
    /// @dev `ConsentMissing`: the payee has to agree and did not, or `to` is not zero in a batch.
    enum Outcome {
        Payable,
        Malformed,
        NotOpen,
        TooEarly,
        TooLate,
        BadStream,
        NothingSpent,
        OverAllowance,
        BadProof,
        BadSignature,
        SeedUnknown,
        BadHeader,
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
        uint64 drawBlock,
        uint64 lastRedeemBlock,
        bytes32 root
    );

    /// @notice The seed of a block was recorded, for ever.
    event SeedRecorded(uint256 indexed blockNumber, bytes32 seed);

    /// @notice A deposit was won: `payout` went to the payee's balance if `to` is zero, else straight out to `to`. The
    /// rest of the deposit is idle money of its purse.
    /// @param spent total that the payee had been paid by cheque, stream steps included
    event Redeemed(bytes32 indexed depositId, address indexed payee, address indexed to, uint128 spent, uint128 payout);

    /// @notice A redemption of a batch was skipped, for the reason given.
    /// @dev The id and the payee of a `Malformed` redemption mean nothing.
    event Skipped(bytes32 indexed depositId, address indexed payee, Outcome outcome);

    /// @notice The deposit was not redeemed in time; its `amount` is idle money of its purse again.
    event Reclaimed(bytes32 indexed depositId, uint128 amount);

    /// @notice `amount` units of `token` left the purse `lane` of `account` and the bank, to `to`.
    event Withdrawn(address indexed account, address indexed token, uint64 lane, uint256 amount, address indexed to);

    /* ERRORS */

    /// @notice The bank cannot be deployed with a lead of `minLead` blocks; the limit is 1 to `most`.
    error LeadOutOfRange(uint64 minLead, uint64 most);
    /// @notice This chain's PREVRANDAO is no randomness: `prevrandao` must be above 2^64.
    error NoRandomness(uint256 prevrandao);
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
    /// @notice The draw must lie at block `earliest` or later.
    error DrawTooSoon(uint64 drawBlock, uint256 earliest);
    /// @notice `lastRedeemBlock` must come after `drawBlock`.
    error RedeemWindowEmpty(uint64 drawBlock, uint64 lastRedeemBlock);
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
    /// @notice The deposit may be redeemed until `lastRedeemBlock`, and reclaimed only after it.
    error StillRedeemable(uint64 lastRedeemBlock);
    /// @notice The redemption cannot be paid, for the reason given.
    error NotRedeemable(Outcome outcome);
    /// @notice The signature is not by `account`.
    error InvalidSignature(address account);
    /// @notice The signed message was valid until `deadline`.
    error SignatureExpired(uint256 deadline);
    /// @notice The nonce was used before.
    error NonceUsed(address account, uint256 nonce);
    /// @notice The chain does not (or no longer, or not yet) know the hash of this block.
    error BlockUnknown(uint256 blockNumber);
    /// @notice The header is malformed, is not the header of this block, or carries no usable randomness.
    error InvalidHeader(uint256 blockNumber);

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

    /// @notice Turns a deposit that nobody redeemed until `lastRedeemBlock` into idle money of its purse. Anyone may
    /// call.
    function reclaim(Deposit calldata deposit) external;

    /* DRAW */

    /// @notice Records the seed of block `blockNumber` for ever. `header` is the block's RLP header, empty in a
    /// `BlockHash` bank. Works while the chain knows the block's hash (8191 blocks, EIP-2935). Repeating it changes
    /// nothing. Anyone may call.
    function recordSeed(uint256 blockNumber, bytes calldata header) external returns (bytes32 recorded);

    /// @notice Pays a won cheque, given as a packed `Redemption`. A cheque wins if start <= roll < start + range, where
    /// `start` is the sum of all allowances left of the payee's.
    /// @dev Unless the whole deposit goes to the payee's balance, the payee must agree: the payee is the caller, or
    /// signed Consent(depositId, total, to) in `consent`, by ECDSA or ERC-1271, for exactly the total shown. So nobody
    /// can close a deposit with an older, smaller cheque.
    /// @dev `to` = 0 credits the payee's balance. Any other `to` is paid straight out, and needs the payee's agreement
    /// always. `to` cannot be the bank (InvalidRecipient).
    /// @dev Warning: anybody can copy the redemption of a whole deposit with `to` = 0 and send it first. The payee is
    /// then credited instead of paid straight out, and its own call reverts with NotRedeemable(NotOpen). So a payee
    /// that is a contract must be able to call `withdraw`, or to sign `Withdraw` by ERC-1271.
    /// @return payout units paid
    function redeem(bytes calldata redemption) external returns (uint128 payout);

    /// @notice Redeems many cheques to their payees' balances. Skips redemptions that cannot be paid, and reports each.
    /// Calls no payee: consents must be ECDSA signatures or the caller's own, and `to` must be zero.
    /// @dev Reverts only if the calldata does not decode, if the call reenters the bank, or for the limits of any call
    /// (gas, a static call, coin sent along). A skipped redemption costs gas too: for up to 4096 steps and 40 levels.
    /// @return payouts units paid for each redemption, 0 where skipped
    function redeemBatch(bytes[] calldata redemptions) external returns (uint128[] memory payouts);

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

    /// @notice The least number of blocks between opening a deposit and its draw.
    function minLead() external view returns (uint64);

    /// @notice The source of the randomness of draws.
    function seedSource() external view returns (SeedSource);

    /// @notice The id of a deposit with these terms: its EIP-712 digest under the domain as of deployment.
    function depositId(Deposit calldata deposit) external view returns (bytes32);

    /// @notice The content of a purse: `idle` units of money, or the open deposit `openDepositId` (zero if none).
    function purse(address account, address token, uint64 lane)
        external
        view
        returns (uint256 idle, bytes32 openDepositId);

    /// @notice The recorded seed of a block, zero if none is recorded.
    function seed(uint256 blockNumber) external view returns (bytes32);

    /// @notice The point in [0, amount) that the recorded seed selects. Reverts if no seed is recorded.
    function rollOf(Deposit calldata deposit) external view returns (uint128 roll);

    /// @notice Simulates `redeem` by the same caller. `payout` is the payout of a win if the outcome is `Payable`,
    /// `Loses` or `ConsentMissing`, and 0 otherwise. Reverts like `redeem` if `to` is the bank.
    function outcomeOf(bytes calldata redemption) external view returns (Outcome outcome, uint128 payout);

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
