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

        bytes32 key;
        (id, key) = _find(deposit);
        _open(deposit, id, key, _idle(key), msg.value);
    }

    /// @inheritdoc IChequeBank
    function openFor(Deposit calldata deposit, uint256 deadline, bytes calldata signature)
        external
        notEntered
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
        notEntered
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
    function reclaim(Deposit calldata deposit) external notEntered {
        (bytes32 id, bytes32 key) = _find(deposit);
        require(purses[key] == uint256(id), DepositNotOpen(id));
        _requireOver(deposit);

        purses[key] = deposit.amount;

        emit Reclaimed(id, deposit.amount);
    }

    /// @inheritdoc IChequeBank
    function depositId(Deposit calldata deposit) external view returns (bytes32) {
        return _depositId(deposit);
    }

    /// @dev The id of a deposit and the key of its purse.
    function _find(Deposit calldata deposit) internal view returns (bytes32 id, bytes32 key) {
        return (_depositId(deposit), _key(deposit.payer, deposit.token, deposit.lane));
    }

    function _depositId(Deposit calldata deposit) internal view returns (bytes32) {
        return Cheques.digest(DEPLOYMENT_DOMAIN, Cheques.hashDeposit(deposit));
    }

    function _open(Deposit calldata deposit, bytes32 id, bytes32 key, uint256 idle, uint256 received) internal {
        uint256 earliest = block.timestamp + minLead;
        uint64 drawTime = deposit.drawTime;
        require(deposit.lane > 0, ZeroLane());
        require(deposit.signer != address(0), ZeroSigner());
        require(deposit.amount > 0, ZeroAmount());
        require(deposit.minPayout <= deposit.amount, MinPayoutTooHigh(deposit.minPayout, deposit.amount));
        // forge-lint: disable-next-line(block-timestamp) `minLead` is more than the seconds that a proposer can choose
        require(drawTime >= earliest, DrawTooSoon(drawTime, earliest));
        require(deposit.redeemUntil > drawTime, RedeemWindowEmpty(drawTime, deposit.redeemUntil));
        _requireOnSchedule(drawTime);
        require(uint256(id) >= MIN_ID, UnusableId(id));

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

    /// @dev Emits `Opened` with the fields from `token` on as they stand in calldata. Their upper bits are clean: `_open`
    /// and its callers have read every field.
    function _emitOpened(bytes32 id, Deposit calldata deposit) private {
        bytes32 topic = Opened.selector;
        (address payer, address signer) = (deposit.payer, deposit.signer);
        // Solidity costs OPENEDGAS gas more.
        assembly ("memory-safe") {
            let m := mload(0x40)
            calldatacopy(m, add(deposit, 0x40), 0xe0)
            log4(m, 0xe0, topic, id, payer, signer)
        }
    }

    function _requireOver(Deposit calldata deposit) private view {
        // forge-lint: disable-next-line(block-timestamp) the redemption of a second and its reclaim exclude each other
        require(block.timestamp > deposit.redeemUntil, StillRedeemable(deposit.redeemUntil));
    }

    /// @dev Reverts unless the source of the seeds has a seed for this time. `ChequeBank` declares what it has to be.
    function _requireOnSchedule(uint64 drawTime) internal view virtual;
}
