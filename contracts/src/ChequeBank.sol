// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "./interfaces/IChequeBank.sol";
import {BlockHeader} from "./libraries/BlockHeader.sol";
import {Cheques} from "./libraries/Cheques.sol";
import {Draw} from "./libraries/Draw.sol";
import {Money} from "./libraries/Money.sol";
import {Redemptions} from "./libraries/Redemptions.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

/// @title ChequeBank
/// @notice Holds the deposits of payers, and pays each of them out to the one payee that the randomness of its draw
/// block selects. No owner, no pause, no upgrade, no fee.
///
/// PURSES
/// - A purse (account, token, lane) is one word of storage. In lane 0 it is the account's balance. In any other lane it
///   is idle money if below 2^128, else the id of the open deposit.
/// - No credit is 2^128 units or more. So no balance can overflow, which would let a worthless token block a batch, and
///   none can be driven to the value of an id.
/// - Idle money leaves a purse only by a call or a signature of its account: into a deposit, or by withdrawal.
/// - An open deposit leaves its purse only by redeem, or after its `lastRedeemBlock` by reclaim or reopen.
/// - A deposit is paid from the purse's idle money, then the call's, then the balance, which also takes a surplus.
///
/// CONSERVATION
/// - For every token, and from events alone: funded = withdrawn + paid straight out + idle money + open deposits.
/// - The bank holds at least idle money + open deposits. What is sent to it without a call belongs to nobody and stays.
/// - A deposit is paid at most once, and at most its `amount`. The rest is idle money of its purse.
///
/// DEPOSITS
/// - The id commits to all terms. The draw block must lie at least `minLead` blocks ahead when a deposit opens, so an
///   id can never be opened a second time.
/// - Ids keep the chain id of deployment, so a chain that changes its id in a split locks no deposit up. Signatures are
///   checked under the chain id of now, so they count on one side of a split only.
///
/// ALLOWANCES
/// - The root commits to a Merkle-sum tree. A proof yields where a payee's range starts, and must add up to `amount`
///   exactly. So the ranges of two leaves never overlap, whatever tree the payer builds, and at most one payee can win.
/// - Proofs have at most 40 levels. A leaf nobody can prove is a range nobody wins: the payer reclaims.
///
/// DRAW
/// - roll = floor((keccak256(seed, depositId) >> 128) * amount / 2^128), a point in [0, amount).
/// - A cheque wins if start <= roll < start + range: the first point of a range wins, the point start + range does not.
/// - full = floor(spent * amount / allowance). If full >= minPayout: payout = full, range = allowance. Otherwise
///   payout = minPayout, range = floor(spent * amount / minPayout). A payee's chance times its payout is what it was
///   paid, but for rounding down by less than one unit of payout or of range. More spent never means less of either.
/// - The seed of a block is proven by its header, whose hash must be the one the EVM has for that block number: of the
///   last 256 blocks by BLOCKHASH, of the last 8191 by EIP-2935. It is the `mixHash` and not the hash, which the
///   builder of the block can choose among as many as it can compute. A recorded seed is known for ever.
///
/// REDEEMING
/// - A redemption comes packed, since half of its bytes would be zeros otherwise, and calldata is what it pays for most.
/// - A payer could close a deposit with an older cheque of smaller payout. So unless the payout is the whole deposit,
///   the payee must be the caller or have signed for exactly this total.
/// - `redeem`, `redeemBatch` and `outcomeOf` share one check. A batch calls no payee and no token, and no item that is
///   encoded as the ABI says can make it revert.
/// - A redemption is possible in drawBlock < block number <= lastRedeemBlock, a reclaim after it: never both.
///
/// TOKEN REQUIREMENTS
/// - ERC-20, with or without return values; ERC-3009 where tokens are moved in by authorization.
/// - A transfer moves exactly the amount: funding with a fee on transfer reverts. Balances change by transfers only: of
///   a rebasing token the bank may hold less than it owes.
/// - A token that blocks the bank or a payee stops withdrawals and straight payouts in that token; redemption to the
///   payee's balance goes on. A bad token harms nobody who does not use it.
///
/// LIVENESS REQUIREMENTS
/// - Block numbers count the blocks of this chain, as BLOCKHASH does.
/// - Somebody shows the header of the draw block within 8191 blocks (256 without EIP-2935), and the winner, or somebody
///   with its consent, redeems until `lastRedeemBlock`. Otherwise the deposit goes back to the payer.
///
/// KNOWN LIMITS
/// - Whoever proposes the draw block can withhold it, for the price of a block, to draw again. Payees bound the
///   deposits they accept by that price. A `BlockHash` bank protects only against payers who do not build blocks.
/// - A payer can keep part of the tree for itself. Then it wins its own deposit that often, and nobody loses by it.
/// - What a root commits to, and what was spent in all, is checked for the winner only.
contract ChequeBank is IChequeBank {
    using Money for address;
    using Redemptions for bytes;

    /* CONSTANTS */

    string internal constant NAME = "ChequeBank";
    string internal constant VERSION = "1";
    /// @dev The longest `minLead`: a bank beyond it would be a mistake.
    uint64 internal constant MOST_LEAD = 100_000;
    /// @dev Below it a purse word is an amount of money, from it on the id of a deposit.
    uint256 internal constant LOWEST_ID = 1 << 128;

    /* IMMUTABLES */

    /// @inheritdoc IChequeBank
    // forge-lint: disable-next-line(screaming-snake-case-immutable)
    uint64 public immutable minLead;
    /// @inheritdoc IChequeBank
    // forge-lint: disable-next-line(screaming-snake-case-immutable)
    SeedSource public immutable seedSource;
    uint256 internal immutable DEPLOYMENT_CHAIN_ID;
    bytes32 internal immutable DEPLOYMENT_DOMAIN;

    /* STORAGE */

    mapping(bytes32 key => uint256 word) internal purses;
    /// @inheritdoc IChequeBank
    mapping(uint256 blockNumber => bytes32) public seed;
    mapping(address account => mapping(uint256 index => uint256 bits)) internal nonces;
    /// @dev 0 or 1. A bool would be read before it is written: 200 gas.
    uint256 internal transient entered;

    constructor(uint64 lead, SeedSource source) {
        require(lead > 0 && lead <= MOST_LEAD, LeadOutOfRange(lead, MOST_LEAD));
        bool hasSeeds = source == SeedSource.BlockHash || block.prevrandao > BlockHeader.NO_RANDOMNESS;
        require(hasSeeds, NoRandomness(block.prevrandao));

        minLead = lead;
        seedSource = source;
        DEPLOYMENT_CHAIN_ID = block.chainid;
        DEPLOYMENT_DOMAIN = Cheques.domain(NAME, VERSION, block.chainid, address(this));
    }

    modifier nonReentrant() {
        require(entered == 0, Reentered());
        entered = 1;
        _;
        entered = 0;
    }

    /* MONEY IN */

    /// @inheritdoc IChequeBank
    function fund(address token, address account, uint256 amount) external payable nonReentrant {
        uint256 value = token == address(0) ? amount : 0;
        require(msg.value == value, WrongValue(msg.value, value));
        require(account != address(0) && account != address(this), InvalidRecipient(account));
        require(amount > 0, ZeroAmount());

        if (token != address(0)) token.pull(msg.sender, amount);
        purses[_key(account, token, 0)] += amount;

        emit Funded(msg.sender, token, account, amount);
    }

    /// @inheritdoc IChequeBank
    function fundWithAuthorization(
        address from,
        address token,
        address account,
        bytes32 salt,
        Authorization calldata authorization
    ) external nonReentrant {
        uint256 amount = authorization.value;
        require(account != address(0) && account != address(this), InvalidRecipient(account));

        bytes32 purpose = keccak256(abi.encode(Cheques.FUND_TYPEHASH, from, token, account, amount, salt));
        token.pullAuthorized(from, Cheques.digest(_domain(), purpose), authorization);
        purses[_key(account, token, 0)] += amount;

        emit Funded(from, token, account, amount);
    }

    /* PAYER */

    /// @inheritdoc IChequeBank
    function open(Deposit calldata deposit) external payable nonReentrant returns (bytes32 id) {
        address payer = deposit.payer;
        require(msg.sender == payer, NotPayer(msg.sender, payer));
        require(msg.value == 0 || deposit.token == address(0), WrongValue(msg.value, 0));

        bytes32 key;
        (id, key) = _find(deposit);
        _open(deposit, id, key, _idle(key), msg.value);
    }

    /// @inheritdoc IChequeBank
    function openFor(Deposit calldata deposit, uint256 deadline, bytes calldata signature)
        external
        nonReentrant
        returns (bytes32 id)
    {
        bytes32 key;
        (id, key) = _find(deposit);
        bytes32 agreement = keccak256(abi.encode(Cheques.OPEN_TYPEHASH, id, deadline));
        _requireSigned(deposit.payer, deadline, agreement, signature);

        _open(deposit, id, key, _idle(key), 0);
    }

    /// @inheritdoc IChequeBank
    function openWithAuthorization(Deposit calldata deposit, Authorization calldata authorization)
        external
        nonReentrant
        returns (bytes32 id)
    {
        bytes32 key;
        (id, key) = _find(deposit);
        deposit.token.pullAuthorized(deposit.payer, id, authorization);

        _open(deposit, id, key, _idle(key), authorization.value);
    }

    /// @inheritdoc IChequeBank
    function reopen(Deposit calldata expired, Deposit calldata next)
        external
        payable
        nonReentrant
        returns (bytes32 id)
    {
        address payer = next.payer;
        require(msg.sender == payer, NotPayer(msg.sender, payer));
        require(msg.value == 0 || next.token == address(0), WrongValue(msg.value, 0));
        (bytes32 expiredId, bytes32 key) = _find(expired);
        require(key == _key(payer, next.token, next.lane), PurseMismatch());

        uint256 idle;
        if (purses[key] == uint256(expiredId)) {
            _requireOver(expired);
            idle = expired.amount;
            emit Reclaimed(expiredId, expired.amount);
        } else {
            idle = _idle(key);
        }
        id = _depositId(next);
        _open(next, id, key, idle, msg.value);
    }

    /// @inheritdoc IChequeBank
    function reclaim(Deposit calldata deposit) external nonReentrant {
        (bytes32 id, bytes32 key) = _find(deposit);
        require(purses[key] == uint256(id), DepositNotOpen(id));
        _requireOver(deposit);

        purses[key] = deposit.amount;

        emit Reclaimed(id, deposit.amount);
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

    /* MONEY OUT */

    /// @inheritdoc IChequeBank
    function withdraw(address token, uint64 lane, uint256 amount, address to) external nonReentrant {
        _withdraw(msg.sender, token, lane, amount, to);
    }

    /// @inheritdoc IChequeBank
    function withdrawFor(
        address account,
        address token,
        uint64 lane,
        uint256 amount,
        address to,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external nonReentrant {
        require(!nonceUsed(account, nonce), NonceUsed(account, nonce));
        bytes32 agreement =
            keccak256(abi.encode(Cheques.WITHDRAW_TYPEHASH, account, token, lane, amount, to, nonce, deadline));
        _requireSigned(account, deadline, agreement, signature);

        nonces[account][nonce >> 8] |= uint256(1) << (nonce & 0xff);
        _withdraw(account, token, lane, amount, to);
    }

    /* VIEWS */

    /// @inheritdoc IChequeBank
    function depositId(Deposit calldata deposit) external view returns (bytes32) {
        return _depositId(deposit);
    }

    /// @inheritdoc IChequeBank
    function purse(address account, address token, uint64 lane)
        external
        view
        returns (uint256 idle, bytes32 openDepositId)
    {
        uint256 word = purses[_key(account, token, lane)];
        return lane == 0 || word < LOWEST_ID ? (word, bytes32(0)) : (0, bytes32(word));
    }

    /// @inheritdoc IChequeBank
    function rollOf(Deposit calldata deposit) external view returns (uint128 roll) {
        bytes32 recorded = seed[deposit.drawBlock];
        require(recorded != 0, BlockUnknown(deposit.drawBlock));

        return Draw.roll(recorded, _depositId(deposit), deposit.amount);
    }

    /// @inheritdoc IChequeBank
    function outcomeOf(bytes calldata redemption) external view returns (Outcome outcome, uint128 payout) {
        address to = redemption.to();
        require(to != address(this), InvalidRecipient(to));
        (bytes32 id, bytes32 key) = _find(redemption);
        (outcome, payout,) = _judge(redemption, id, key, false);
    }

    /// @inheritdoc IChequeBank
    function nonceUsed(address account, uint256 nonce) public view returns (bool) {
        return nonces[account][nonce >> 8] >> (nonce & 0xff) & 1 == 1;
    }

    /// @inheritdoc IChequeBank
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
        )
    {
        // name, version, chainId and verifyingContract: bits 0 to 3
        return (0x0f, NAME, VERSION, block.chainid, address(this), 0, new uint256[](0));
    }

    /* INTERNAL: PURSES */

    /// @dev keccak256(abi.encode(account, token, lane))
    function _key(address account, address token, uint64 lane) internal pure returns (bytes32) {
        return EfficientHashLib.hash(uint160(account), uint160(token), lane);
    }

    /// @dev The id of a deposit and the key of its purse.
    function _find(Deposit calldata deposit) internal view returns (bytes32 id, bytes32 key) {
        return (_depositId(deposit), _key(deposit.payer, deposit.token, deposit.lane));
    }

    /// @dev The same of a redemption's deposit.
    function _find(bytes calldata redemption) internal view returns (bytes32 id, bytes32 key) {
        id = Cheques.digest(DEPLOYMENT_DOMAIN, Cheques.hashDeposit(redemption));
        key = _key(redemption.payer(), redemption.token(), redemption.lane());
    }

    /// @dev The idle money of a purse other than a balance.
    function _idle(bytes32 key) internal view returns (uint256 word) {
        word = purses[key];
        require(word < LOWEST_ID, PurseBusy(bytes32(word)));
    }

    function _open(Deposit calldata deposit, bytes32 id, bytes32 key, uint256 idle, uint256 received) internal {
        uint256 earliest = block.number + minLead;
        uint64 drawBlock = deposit.drawBlock;
        require(deposit.lane > 0, ZeroLane());
        require(deposit.signer != address(0), ZeroSigner());
        require(deposit.amount > 0, ZeroAmount());
        require(deposit.minPayout <= deposit.amount, MinPayoutTooHigh(deposit.minPayout, deposit.amount));
        require(drawBlock >= earliest, DrawTooSoon(drawBlock, earliest));
        require(deposit.lastRedeemBlock > drawBlock, RedeemWindowEmpty(drawBlock, deposit.lastRedeemBlock));
        require(uint256(id) >= LOWEST_ID, UnusableId(id));

        uint256 money = idle + received;
        if (money != deposit.amount) {
            bytes32 balanceKey = _key(deposit.payer, deposit.token, 0);
            money += purses[balanceKey];
            require(money >= deposit.amount, InsufficientFunds(money, deposit.amount));
            purses[balanceKey] = money - deposit.amount;
        }
        purses[key] = uint256(id);

        if (received > 0) emit Funded(deposit.payer, deposit.token, deposit.payer, received);
        _emitOpened(id, deposit);
    }

    function _emitOpened(bytes32 id, Deposit calldata d) internal {
        emit Opened(
            id, d.payer, d.signer, d.token, d.lane, d.amount, d.minPayout, d.drawBlock, d.lastRedeemBlock, d.root
        );
    }

    function _requireOver(Deposit calldata deposit) internal view {
        require(block.number > deposit.lastRedeemBlock, StillRedeemable(deposit.lastRedeemBlock));
    }

    function _withdraw(address account, address token, uint64 lane, uint256 amount, address to) internal {
        bytes32 key = _key(account, token, lane);
        uint256 idle = lane == 0 ? purses[key] : _idle(key);
        require(to != address(0) && to != address(this), InvalidRecipient(to));
        require(amount > 0, ZeroAmount());
        require(idle >= amount, InsufficientFunds(idle, amount));

        purses[key] = idle - amount;

        emit Withdrawn(account, token, lane, amount, to);

        token.push(to, amount);
    }

    /* INTERNAL: REDEMPTION */

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

    /// @dev The half of `_judge` that comes after the draw: what a good cheque wins.
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

    /* INTERNAL: SIGNATURES */

    function _requireSigned(address account, uint256 deadline, bytes32 structHash, bytes calldata signature)
        internal
        view
    {
        // forge-lint: disable-next-line(block-timestamp) a validator's few seconds do not matter to a deadline
        require(block.timestamp <= deadline, SignatureExpired(deadline));
        bytes32 digest = Cheques.digest(_domain(), structHash);
        require(Signatures.by(account, digest, signature), InvalidSignature(account));
    }

    function _depositId(Deposit calldata deposit) internal view returns (bytes32) {
        return Cheques.digest(DEPLOYMENT_DOMAIN, Cheques.hashDeposit(deposit));
    }

    /// @dev The domain of everything signed: that of the chain id of now.
    function _domain() internal view returns (bytes32) {
        if (block.chainid == DEPLOYMENT_CHAIN_ID) return DEPLOYMENT_DOMAIN;
        return Cheques.domain(NAME, VERSION, block.chainid, address(this));
    }
}
