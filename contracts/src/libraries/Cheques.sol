// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../interfaces/IChequeBank.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

/// @title Cheques
/// @notice The EIP-712 hashes of everything that is signed for a bank, and the streams (PayWord hash chains) of cheques.
library Cheques {
    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant DEPOSIT_TYPEHASH = keccak256(
        "Deposit(address payer,address signer,address token,uint64 lane,uint128 amount,uint128 minPayout,uint64 drawBlock,uint64 lastRedeemBlock,bytes32 root)"
    );
    bytes32 internal constant CHEQUE_TYPEHASH =
        keccak256("Cheque(bytes32 depositId,address payee,uint128 spent,bytes32 anchor,uint128 step)");
    bytes32 internal constant OPEN_TYPEHASH = keccak256("Open(bytes32 depositId,uint256 deadline)");
    bytes32 internal constant CONSENT_TYPEHASH = keccak256("Consent(bytes32 depositId,uint128 spent,address to)");
    bytes32 internal constant WITHDRAW_TYPEHASH = keccak256(
        "Withdraw(address account,address token,uint64 lane,uint256 amount,address to,uint256 nonce,uint256 deadline)"
    );
    bytes32 internal constant FUND_TYPEHASH =
        keccak256("Fund(address from,address token,address account,uint256 amount,bytes32 salt)");

    /// @dev The longest stream that can be shown on chain, in steps.
    uint256 internal constant MAX_STEPS = 4096;

    /// @notice The EIP-712 domain separator of a bank on a chain.
    function domain(string memory name, string memory version, uint256 chainId, address bank)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, keccak256(bytes(name)), keccak256(bytes(version)), chainId, bank));
    }

    /// @notice The EIP-712 digest of a struct.
    function digest(bytes32 domainSeparator, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash));
    }

    function hashDeposit(IChequeBank.Deposit calldata deposit) internal pure returns (bytes32) {
        return keccak256(abi.encode(DEPOSIT_TYPEHASH, deposit));
    }

    /// @notice The struct hash of the cheque in a redemption of deposit `id`.
    function hashCheque(bytes32 id, IChequeBank.Redemption calldata r) internal pure returns (bytes32) {
        return keccak256(abi.encode(CHEQUE_TYPEHASH, id, r.payee, r.spent, r.anchor, r.step));
    }

    /// @notice The struct hash of a payee's consent to be paid for `total`.
    function hashConsent(bytes32 id, uint128 total, address to) internal pure returns (bytes32) {
        return keccak256(abi.encode(CONSENT_TYPEHASH, id, total, to));
    }

    /// @notice Whether the stream fields of a redemption fit together. Hashes nothing.
    /// @dev A cheque has an anchor and a step, or neither; steps can be shown only of a stream, with a value `x`.
    function streamFits(IChequeBank.Redemption calldata r) internal pure returns (bool) {
        if (r.k > MAX_STEPS || (r.anchor == 0) != (r.step == 0)) return false;
        return r.k == 0 ? r.x == 0 : r.anchor != 0;
    }

    /// @notice Whether hashing `x` `k` times gives `anchor`.
    function leadsTo(bytes32 x, uint256 k, bytes32 anchor) internal pure returns (bool) {
        for (uint256 i = 0; i < k; ++i) {
            x = EfficientHashLib.hash(x);
        }
        return x == anchor;
    }
}
