// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../interfaces/IChequeBank.sol";
import {Cheques} from "../libraries/Cheques.sol";
import {Money} from "../libraries/Money.sol";
import {BankStorage} from "./BankStorage.sol";

/// @title Deposits
/// @notice Opens deposits, and reclaims those that were not redeemed.
abstract contract Deposits is BankStorage {
    using Money for address;

    /// @inheritdoc IChequeBank
    function open(Deposit calldata deposit) external payable notEntered returns (bytes32 id) {
        address payer = deposit.payer;
        require(msg.sender == payer, NotPayer(msg.sender, payer));
        require(msg.value == 0 || deposit.token == address(0), WrongValue(msg.value, 0));

        id = _depositId(deposit);
        Purse storage home = _purse(payer, deposit.token, deposit.lane);
        _open(deposit, id, home, _idle(home), msg.value);
    }

    /// @inheritdoc IChequeBank
    function openFor(Deposit calldata deposit, uint256 deadline, bytes calldata signature)
        external
        notEntered
        returns (bytes32 id)
    {
        id = _depositId(deposit);
        bytes32 agreement = keccak256(abi.encode(Cheques.OPEN_TYPEHASH, id, deadline));
        _requireSigned(deposit.payer, deadline, agreement, signature);

        Purse storage home = _home(deposit);
        _open(deposit, id, home, _idle(home), 0);
    }

    /// @inheritdoc IChequeBank
    function openWithAuthorization(Deposit calldata deposit, Authorization calldata authorization)
        external
        nonReentrant
        returns (bytes32 id)
    {
        id = _depositId(deposit);
        deposit.token.pullAuthorized(deposit.payer, id, authorization);

        Purse storage home = _home(deposit);
        _open(deposit, id, home, _idle(home), authorization.value);
    }

    /// @inheritdoc IChequeBank
    function reopen(Deposit calldata expired, Deposit calldata next) external payable notEntered returns (bytes32 id) {
        address payer = next.payer;
        require(msg.sender == payer, NotPayer(msg.sender, payer));
        require(msg.value == 0 || next.token == address(0), WrongValue(msg.value, 0));
        bool isSamePurse = expired.payer == payer && expired.token == next.token && expired.lane == next.lane;
        require(isSamePurse, PurseMismatch());

        Purse storage home = _home(next);
        bytes32 expiredId = _depositId(expired);
        uint256 idle;
        if (home.word == uint256(expiredId)) {
            _requireOver(expired);
            idle = expired.amount;
            emit Reclaimed(expiredId, expired.amount);
        } else {
            idle = _idle(home);
        }
        id = _depositId(next);
        _open(next, id, home, idle, msg.value);
    }

    /// @inheritdoc IChequeBank
    function reclaim(Deposit calldata deposit) external notEntered {
        bytes32 id = _depositId(deposit);
        Purse storage home = _home(deposit);
        require(home.word == uint256(id), DepositNotOpen(id));
        _requireOver(deposit);

        home.word = deposit.amount;

        emit Reclaimed(id, deposit.amount);
    }

    /// @inheritdoc IChequeBank
    function depositId(Deposit calldata deposit) external view returns (bytes32) {
        return _depositId(deposit);
    }

    /// @dev The purse of a deposit.
    function _home(Deposit calldata deposit) internal pure returns (Purse storage) {
        return _purse(deposit.payer, deposit.token, deposit.lane);
    }

    function _depositId(Deposit calldata deposit) internal view returns (bytes32) {
        return Cheques.digest(DEPLOYMENT_DOMAIN, Cheques.hashDeposit(deposit));
    }

    function _open(Deposit calldata deposit, bytes32 id, Purse storage home, uint256 idle, uint256 received) internal {
        uint256 earliest;
        // Unchecked: saves 55 gas. Headers hold a time of 64 bits, and `minLead` is at most 30 days.
        unchecked {
            earliest = block.timestamp + minLead;
        }
        uint64 drawTime = deposit.drawTime;
        require(deposit.lane > 0, ZeroLane());
        require(deposit.signer != address(0), ZeroSigner());
        require(deposit.amount > 0, ZeroAmount());
        require(deposit.minPayout <= deposit.amount, MinPayoutTooHigh(deposit.minPayout, deposit.amount));
        // forge-lint: disable-next-line(block-timestamp) payees judge by other clocks, too
        require(drawTime >= earliest, DrawTooSoon(drawTime, earliest));
        require(deposit.redeemUntil > drawTime, RedeemWindowEmpty(drawTime, deposit.redeemUntil));
        _requireOnSchedule(drawTime);
        require(uint256(id) >= MIN_ID, UnusableId(id));

        uint256 money = idle;
        if (received > 0) {
            money += received;
            emit Funded(deposit.payer, deposit.token, deposit.payer, received);
        }
        if (money != deposit.amount) {
            Purse storage balance = _purse(deposit.payer, deposit.token, 0);
            money += balance.word;
            require(money >= deposit.amount, InsufficientFunds(money, deposit.amount));
            balance.word = money - deposit.amount;
        }
        home.word = uint256(id);

        _emitOpened(id, deposit);
    }

    /// @dev Emits `Opened` with the fields as they stand in calldata. Their upper bits are clean: `_open` and its callers
    /// have read every field.
    function _emitOpened(bytes32 id, Deposit calldata deposit) private {
        bytes32 topic = Opened.selector;
        // Solidity costs 226 gas more, 0.7 % of `open`.
        assembly ("memory-safe") {
            let m := mload(0x40)
            calldatacopy(m, add(deposit, 0x40), 0xe0) // from token to root
            log4(m, 0xe0, topic, id, calldataload(deposit), calldataload(add(deposit, 0x20)))
        }
    }

    function _requireOver(Deposit calldata deposit) private view {
        // forge-lint: disable-next-line(block-timestamp) the redemption of a second and its reclaim exclude each other
        require(block.timestamp > deposit.redeemUntil, StillRedeemable(deposit.redeemUntil));
    }

    /// @dev Reverts unless the source of the seeds has a seed for this time. `ChequeBank` declares what it has to be.
    function _requireOnSchedule(uint64 drawTime) internal view virtual;
}
