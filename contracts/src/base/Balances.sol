// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../interfaces/IChequeBank.sol";
import {Cheques} from "../libraries/Cheques.sol";
import {Money} from "../libraries/Money.sol";
import {BankStorage} from "./BankStorage.sol";

/// @title Balances
/// @notice Money into balances, and idle money out of the bank.
abstract contract Balances is BankStorage {
    using Money for address;

    /* MONEY IN */

    /// @inheritdoc IChequeBank
    function fund(address token, address account, uint256 amount) external payable nonReentrant {
        uint256 value = token == address(0) ? amount : 0;
        require(msg.value == value, WrongValue(msg.value, value));
        require(account != address(0) && account != address(this), InvalidRecipient(account));
        require(amount > 0, ZeroAmount());

        if (token != address(0)) token.pull(msg.sender, amount);
        _purse(account, token, 0).word += amount;

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
        _purse(account, token, 0).word += amount;

        emit Funded(from, token, account, amount);
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
        emit NonceConsumed(account, nonce);
        _withdraw(account, token, lane, amount, to);
    }

    /// @inheritdoc IChequeBank
    function nonceUsed(address account, uint256 nonce) public view returns (bool) {
        return nonces[account][nonce >> 8] >> (nonce & 0xff) & 1 == 1;
    }

    function _withdraw(address account, address token, uint64 lane, uint256 amount, address to) private {
        Purse storage from = _purse(account, token, lane);
        uint256 idle = lane == 0 ? from.word : _idle(from);
        require(to != address(0) && to != address(this), InvalidRecipient(to));
        require(amount > 0, ZeroAmount());
        require(idle >= amount, InsufficientFunds(idle, amount));

        from.word = idle - amount;

        emit Withdrawn(account, token, lane, amount, to);

        token.push(to, amount);
    }
}
