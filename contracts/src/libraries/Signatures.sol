// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {LibBytes} from "solady/utils/LibBytes.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";

/// @title Signatures
/// @notice Checks signatures by a key (65 bytes r, s, v) or by a contract (ERC-1271).
library Signatures {
    using LibBytes for bytes;

    /// @dev Half the order of secp256k1, rounded down: the highest `s` of a canonical signature.
    uint256 internal constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @notice True if `signature` is the canonical ECDSA signature of `digest` by the key of `account`. Calls no
    /// contract.
    function byKey(address account, bytes32 digest, bytes calldata signature) internal pure returns (bool) {
        if (signature.length != 65) return false;
        (bytes32 r, bytes32 s) = (signature.loadCalldata(0), signature.loadCalldata(32));
        if (uint256(s) > HALF_ORDER) return false;
        // The precompile answers zero for any v but 27 and 28.
        address recovered = ecrecover(digest, uint8(signature[64]), r, s);
        return recovered != address(0) && recovered == account;
    }

    /// @notice True if `account` signed `digest`, with its key or, failing that, as a contract.
    /// @dev The key comes first: an account that delegates to code (EIP-7702) keeps its key.
    /// @dev Of a contract's answer the first 32 bytes count. A shorter answer does not count.
    function by(address account, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        return byKey(account, digest, signature)
            || SignatureCheckerLib.isValidERC1271SignatureNowCalldata(account, digest, signature);
    }
}
