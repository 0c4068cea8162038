// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {TestToken} from "./TestToken.sol";

/// @notice A token with ERC-3009 like USDC: only the recipient may call `receiveWithAuthorization`.
contract AuthorizationToken is TestToken {
    bytes32 public constant RECEIVE_TYPE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 public constant TRANSFER_TYPE = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    mapping(address authorizer => mapping(bytes32 nonce => bool)) public authorizationState;

    error CallerIsNotPayee(address caller, address payee);
    error NotValidNow(uint256 validAfter, uint256 validBefore);
    error AuthorizationUsed(bytes32 nonce);
    error NotAuthorized();

    constructor(uint8 decimals_) TestToken(decimals_) {}

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
    ) external virtual {
        require(msg.sender == to, CallerIsNotPayee(msg.sender, to));
        bytes32 digest = authorizationDigest(RECEIVE_TYPE, from, to, value, validAfter, validBefore, nonce);
        _authorized(from, to, value, validAfter, validBefore, nonce, ecrecover(digest, v, r, s));
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        bytes32 digest = authorizationDigest(TRANSFER_TYPE, from, to, value, validAfter, validBefore, nonce);
        _authorized(from, to, value, validAfter, validBefore, nonce, ecrecover(digest, v, r, s));
    }

    function authorizationDigest(
        bytes32 kind,
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce
    ) public view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Authorization Token"),
                keccak256("2"),
                block.chainid,
                address(this)
            )
        );
        bytes32 message = keccak256(abi.encode(kind, from, to, value, validAfter, validBefore, nonce));
        return keccak256(abi.encodePacked(hex"1901", domain, message));
    }

    function _authorized(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        address signedBy
    ) private {
        require(validAfter < block.timestamp && block.timestamp < validBefore, NotValidNow(validAfter, validBefore));
        require(!authorizationState[from][nonce], AuthorizationUsed(nonce));
        require(signedBy == from && from != address(0), NotAuthorized());
        authorizationState[from][nonce] = true;
        _move(from, to, value);
    }
}

/// @notice Takes a fee of one unit from every transfer.
contract AuthorizationFeeToken is AuthorizationToken(6) {
    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        balanceOf[to] -= 1;
        totalSupply -= 1;
    }
}
