// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";

/// @notice EIP-712 from first principles. Imports nothing from the bank, so a wrong type string in the bank shows.
library Digests {
    bytes32 internal constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant DEPOSIT_TYPE = keccak256(
        "Deposit(address payer,address signer,address token,uint64 lane,uint128 amount,uint128 minPayout,uint64 drawTime,uint64 redeemUntil,bytes32 root)"
    );
    bytes32 internal constant CHEQUE_TYPE =
        keccak256("Cheque(bytes32 depositId,address payee,uint128 spent,bytes32 anchor,uint128 step)");
    bytes32 internal constant OPEN_TYPE = keccak256("Open(bytes32 depositId,uint256 deadline)");
    bytes32 internal constant CONSENT_TYPE =
        keccak256("Consent(bytes32 depositId,address payee,uint128 spent,address to)");
    bytes32 internal constant WITHDRAW_TYPE = keccak256(
        "Withdraw(address account,address token,uint64 lane,uint256 amount,address to,uint256 nonce,uint256 deadline)"
    );
    bytes32 internal constant FUND_TYPE =
        keccak256("Fund(address from,address token,address account,uint256 amount,bytes32 salt)");

    function domain(address bank, uint256 chainId) internal pure returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, keccak256("ChequeBank"), keccak256("1"), chainId, bank));
    }

    function digest(bytes32 separator, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", separator, structHash));
    }

    function deposit(IChequeBank.Deposit memory d) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                abi.encode(DEPOSIT_TYPE, d.payer, d.signer, d.token, d.lane, d.amount),
                abi.encode(d.minPayout, d.drawTime, d.redeemUntil, d.root)
            )
        );
    }

    function cheque(bytes32 id, address payee, uint128 spent, bytes32 anchor, uint128 step)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(CHEQUE_TYPE, id, payee, spent, anchor, step));
    }

    function open(bytes32 id, uint256 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(OPEN_TYPE, id, deadline));
    }

    function consent(bytes32 id, address payee, uint128 spent, address to) internal pure returns (bytes32) {
        return keccak256(abi.encode(CONSENT_TYPE, id, payee, spent, to));
    }

    function withdraw(IChequeBank.Withdraw memory w) internal pure returns (bytes32) {
        return keccak256(abi.encode(WITHDRAW_TYPE, w.account, w.token, w.lane, w.amount, w.to, w.nonce, w.deadline));
    }

    function fund(IChequeBank.Fund memory f) internal pure returns (bytes32) {
        return keccak256(abi.encode(FUND_TYPE, f.from, f.token, f.account, f.amount, f.salt));
    }
}
