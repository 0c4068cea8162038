// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title IERC3009
/// @notice The functions of ERC-3009 that a bank calls.
interface IERC3009 {
    /// @notice Moves `value` units from `from` to `to`, which must be the caller, by the signature of `from`.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice True if the authorization of `authorizer` with this nonce was used.
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
}
