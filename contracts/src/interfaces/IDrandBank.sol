// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title IDrandBank
/// @notice The calls and errors that a `DrandBank` has besides those of `IChequeBank`.
interface IDrandBank {
    /* ERRORS */

    /// @notice The beacon's first round comes at `genesis`, after the draw.
    error DrawBeforeGenesis(uint64 drawTime, uint64 genesis);
    /// @notice The beacon has no round at this second.
    error DrawOffSchedule(uint64 drawTime);
    /// @notice Genesis and period must be more than zero.
    error InvalidSchedule(uint64 genesis, uint64 period);
    /// @notice This chain lacks the precompiles of EIP-2537.
    error NoPrecompiles();
    /// @notice The public key is not 192 bytes long, is no point of the subgroup, or is the identity.
    error InvalidPublicKey();

    /* VIEWS */

    /// @notice The beacon's public key, a point of G2 as 192 bytes: x.c0, x.c1, y.c0, y.c1.
    function publicKey() external view returns (bytes memory);

    /// @notice The time of the beacon's first round, in seconds since 1970.
    function genesis() external view returns (uint64);

    /// @notice The seconds from one round of the beacon to the next.
    function period() external view returns (uint64);
}
