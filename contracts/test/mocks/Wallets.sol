// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @notice An ERC-1271 wallet that accepts signatures of its owner's key, or misbehaves in a given way.
contract Wallet {
    enum Mode {
        Honest,
        SaysNo,
        Reverts,
        BurnsAllGas,
        AnswersShort,
        AnswersTrue
    }

    address public immutable owner;
    Mode public mode;

    constructor(address owner_) {
        owner = owner_;
    }

    receive() external payable {}

    function behave(Mode mode_) external {
        mode = mode_;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (mode == Mode.SaysNo) return 0xffffffff;
        if (mode == Mode.Reverts) revert("no");
        if (mode == Mode.BurnsAllGas) while (true) {}
        if (mode == Mode.AnswersShort) _answer(abi.encodePacked(bytes4(0x1626ba7e)));
        if (mode == Mode.AnswersTrue) _answer(abi.encode(true));
        if (signature.length != 65) return 0xffffffff;
        address by = ecrecover(hash, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
        return by == owner ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }

    function run(address to, bytes calldata data) external payable returns (bytes memory) {
        (bool done, bytes memory answer) = to.call{value: msg.value}(data);
        require(done, "failed");
        return answer;
    }

    function _answer(bytes memory data) private pure {
        assembly ("memory-safe") {
            return(add(data, 32), mload(data))
        }
    }
}

/// @notice Cannot be given the native coin.
contract RefusingPayee {
    receive() external payable {
        revert("no, thank you");
    }
}

/// @notice Burns all gas it is given with the native coin.
contract BurningPayee {
    receive() external payable {
        while (true) {}
    }
}
