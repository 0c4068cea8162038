// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../interfaces/IChequeBank.sol";
import {Cheques} from "../libraries/Cheques.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

/// @title BankStorage
/// @notice All storage of a bank, the keys of its purses, the EIP-712 domain of its signatures, and the reentrancy
/// guard.
abstract contract BankStorage is IChequeBank {
    /// @dev The one word of a purse, in the slot of the number keccak256(abi.encode(account, token, lane)). That is a hash
    /// of 96 bytes, and Solidity's mappings hash 64, so no other word has the slot of a purse. A mapping hashes a second
    /// time: 70 gas for each look-up, of which a redemption makes three.
    struct Purse {
        uint256 word;
    }

    /// @dev A recorded seed, in a struct so that one look-up serves to read and to write.
    struct Recorded {
        bytes32 value;
    }

    /* CONSTANTS */

    string internal constant NAME = "ChequeBank";
    string internal constant VERSION = "1";
    /// @dev The longest `minLead`: a bank beyond it would be a mistake.
    uint64 internal constant MAX_LEAD = 30 days;
    /// @dev Below it a purse word is an amount of money, from it on the id of a deposit.
    uint256 internal constant MIN_ID = 1 << 128;

    /* IMMUTABLES */

    /// @inheritdoc IChequeBank
    // forge-lint: disable-next-line(screaming-snake-case-immutable)
    uint64 public immutable minLead;
    uint256 internal immutable DEPLOYMENT_CHAIN_ID;
    bytes32 internal immutable DEPLOYMENT_DOMAIN;

    /* STORAGE */

    /// @inheritdoc IChequeBank
    mapping(uint64 drawTime => Recorded) public seed;
    mapping(address account => mapping(uint256 index => uint256 bits)) internal nonces;
    /// @dev 0 or 1. A bool would be read before it is written: 200 gas.
    uint256 internal transient entered;

    constructor(uint64 lead) {
        require(lead > 0 && lead <= MAX_LEAD, LeadOutOfRange(lead, MAX_LEAD));

        minLead = lead;
        DEPLOYMENT_CHAIN_ID = block.chainid;
        DEPLOYMENT_DOMAIN = Cheques.domain(NAME, VERSION, block.chainid, address(this));
    }

    /// @dev For functions that call other contracts. A static call cannot change anything and needs no lock.
    modifier nonReentrant() {
        require(entered == 0, Reentered());
        entered = 1;
        _;
        entered = 0;
    }

    /// @dev For functions that call nothing, or call statically: they cannot be reentered, but must not run while another
    /// function has not finished.
    modifier notEntered() {
        require(entered == 0, Reentered());
        _;
    }

    /* PURSES */

    /// @inheritdoc IChequeBank
    function purse(address account, address token, uint64 lane)
        external
        view
        returns (uint256 idle, bytes32 openDepositId)
    {
        uint256 word = _purse(account, token, lane).word;
        return lane == 0 || word < MIN_ID ? (word, bytes32(0)) : (0, bytes32(word));
    }

    function _purse(address account, address token, uint64 lane) internal pure returns (Purse storage found) {
        bytes32 slot = EfficientHashLib.hash(uint160(account), uint160(token), lane);
        assembly ("memory-safe") {
            found.slot := slot
        }
    }

    /// @dev The idle money of a purse other than a balance.
    function _idle(Purse storage found) internal view returns (uint256 word) {
        word = found.word;
        require(word < MIN_ID, PurseBusy(bytes32(word)));
    }

    /* SIGNATURES */

    /// @inheritdoc IChequeBank
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        // name, version, chainId and verifyingContract: bits 0 to 3
        return (0x0f, NAME, VERSION, block.chainid, address(this), 0, new uint256[](0));
    }

    function _requireSigned(address account, uint256 deadline, bytes32 structHash, bytes calldata signature)
        internal
        view
    {
        // forge-lint: disable-next-line(block-timestamp) a deadline by the chain's clock
        require(block.timestamp <= deadline, SignatureExpired(deadline));
        bytes32 digest = Cheques.digest(_domain(), structHash);
        require(Signatures.by(account, digest, signature), InvalidSignature(account));
    }

    /// @dev The domain of every signature, under the current chain id.
    function _domain() internal view returns (bytes32) {
        if (block.chainid == DEPLOYMENT_CHAIN_ID) return DEPLOYMENT_DOMAIN;
        return Cheques.domain(NAME, VERSION, block.chainid, address(this));
    }
}
