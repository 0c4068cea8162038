// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../interfaces/IChequeBank.sol";
import {IERC3009} from "../interfaces/IERC3009.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title Money
/// @notice Moves tokens into the calling contract, exactly as many as announced, and money out of the contract.
library Money {
    using SafeTransferLib for address;

    /// @dev The largest amount that one call can bring in, in token units. No token in use has as many units; see
    /// PURSES in `ChequeBank`.
    uint256 internal constant MAX_AMOUNT = type(uint128).max;

    /// @notice Moves `amount` units of a token in by the owner's token approval.
    function pull(address token, address from, uint256 amount) internal {
        uint256 held = _before(token, amount);
        // The bank passes its own caller as `from`, and no other account.
        // slither-disable-next-line arbitrary-send-erc20
        token.safeTransferFrom(from, address(this), amount);
        _requireReceived(token, held, amount);
    }

    /// @notice Moves units of a token in by the owner's ERC-3009 authorization with this nonce.
    /// @dev A call that does not revert shows nothing: a token without the function may have a fallback that accepts
    /// any call, as WETH9 has. So the amount must be above zero and arrive, and the token must know the authorization
    /// as used.
    function pullAuthorized(address token, address from, bytes32 nonce, IChequeBank.Authorization calldata a) internal {
        require(a.value > 0, IChequeBank.ZeroAmount());
        uint256 held = _before(token, a.value);
        IERC3009(token)
            .receiveWithAuthorization(from, address(this), a.value, a.validAfter, a.validBefore, nonce, a.v, a.r, a.s);
        require(IERC3009(token).authorizationState(from, nonce), IChequeBank.InvalidSignature(from));
        _requireReceived(token, held, a.value);
    }

    /// @notice Moves money out: native coin if `token` is zero.
    function push(address token, address to, uint256 amount) internal {
        if (token == address(0)) to.safeTransferETH(amount);
        else token.safeTransfer(to, amount);
    }

    /// @dev The contract's balance of the token before `amount` comes in.
    function _before(address token, uint256 amount) private view returns (uint256) {
        require(token.code.length > 0, IChequeBank.NotAToken(token));
        require(amount <= MAX_AMOUNT, IChequeBank.AmountTooHigh(amount, MAX_AMOUNT));
        return token.balanceOf(address(this));
    }

    function _requireReceived(address token, uint256 held, uint256 amount) private view {
        uint256 holds = token.balanceOf(address(this));
        uint256 received = holds > held ? holds - held : 0;
        require(received == amount, IChequeBank.WrongAmountReceived(received, amount));
    }
}
