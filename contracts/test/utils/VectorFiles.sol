// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {Test} from "forge-std/Test.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @notice Reads contracts/test/vectors/*.json, which tools/vectors.mjs writes and cargo's tests read as well. Below
/// each struct is its description for forge, which compares the two and refuses a file that lacks a field.
abstract contract VectorFiles is Test {
    string internal constant DEPOSIT =
        "Deposit(address payer,address signer,address token,uint64 lane,uint128 amount,uint128 minPayout,uint64 drawTime,uint64 redeemUntil,bytes32 root)";

    /* ids.json */

    struct TypeVector {
        string name;
        string text;
        bytes32 typeHash;
    }

    string internal constant TYPE = "TypeVector(string name,string text,bytes32 typeHash)";

    struct DomainVector {
        uint256 chainId;
        address bank;
        bytes32 separator;
    }

    string internal constant DOMAIN = "DomainVector(uint256 chainId,address bank,bytes32 separator)";

    struct DepositVector {
        string name;
        uint256 chainId;
        address bank;
        IChequeBank.Deposit deposit;
        bytes32 structHash;
        bytes32 id;
    }

    string internal constant DEPOSIT_VECTOR = string.concat(
        "DepositVector(string name,uint256 chainId,address bank,Deposit deposit,bytes32 structHash,bytes32 id)", DEPOSIT
    );

    struct ChequeVector {
        uint256 chainId;
        address bank;
        IChequeBank.Cheque message;
        bytes32 digest;
    }

    struct OpenVector {
        uint256 chainId;
        address bank;
        IChequeBank.Open message;
        bytes32 digest;
    }

    struct ConsentVector {
        uint256 chainId;
        address bank;
        IChequeBank.Consent message;
        bytes32 digest;
    }

    struct WithdrawVector {
        uint256 chainId;
        address bank;
        IChequeBank.Withdraw message;
        bytes32 digest;
    }

    struct FundVector {
        uint256 chainId;
        address bank;
        IChequeBank.Fund message;
        bytes32 digest;
    }

    /// @dev The description of a signed message, given its EIP-712 type string "Name(...)".
    function _message(string memory name, string memory text) internal pure returns (string memory) {
        return string.concat(name, "Vector(uint256 chainId,address bank,", name, " message,bytes32 digest)", text);
    }

    /* signatures.json */

    struct SignedVector {
        string name;
        bytes32 digest;
        uint256 key;
        address signer;
        bytes signature;
    }

    string internal constant SIGNED =
        "SignedVector(string name,bytes32 digest,uint256 key,address signer,bytes signature)";

    struct RefusedSignature {
        string name;
        bytes32 digest;
        bytes signature;
        address recovered;
    }

    string internal constant REFUSED_SIGNATURE =
        "RefusedSignature(string name,bytes32 digest,bytes signature,address recovered)";

    /* trees.json */

    struct TreeVector {
        string name;
        bytes32 master;
        uint256 count;
        uint128[] allowances;
        uint128 amount;
        bytes32 root;
        bytes32 leaves;
        TreeProof[] proofs;
    }

    struct TreeProof {
        uint256 index;
        address payee;
        uint128 allowance;
        bytes16 salt;
        bytes32 leaf;
        uint40 path;
        bytes siblings;
        uint128 start;
    }

    string internal constant TREE =
        "TreeVector(string name,bytes32 master,uint256 count,uint128[] allowances,uint128 amount,bytes32 root,bytes32 leaves,TreeProof[] proofs)TreeProof(uint256 index,address payee,uint128 allowance,bytes16 salt,bytes32 leaf,uint40 path,bytes siblings,uint128 start)";

    struct PlantedProof {
        string name;
        string verdict;
        address payee;
        uint128 allowance;
        bytes16 salt;
        uint40 path;
        bytes siblings;
        bytes32 root;
        uint128 amount;
        uint128 start;
    }

    string internal constant PLANTED =
        "PlantedProof(string name,string verdict,address payee,uint128 allowance,bytes16 salt,uint40 path,bytes siblings,bytes32 root,uint128 amount,uint128 start)";

    /* streams.json, seeds.json, rolls.json, payouts.json */

    struct ShownVector {
        bytes32 anchor;
        uint16 k;
        bytes32 x;
    }

    string internal constant SHOWN = "ShownVector(bytes32 anchor,uint16 k,bytes32 x)";

    struct BeaconVector {
        string name;
        uint256 secret;
        bytes publicKey;
        uint64 genesis;
        uint64 period;
    }

    string internal constant BEACON =
        "BeaconVector(string name,uint256 secret,bytes publicKey,uint64 genesis,uint64 period)";

    struct RoundVector {
        uint256 beacon;
        uint64 drawTime;
        uint64 round;
        bytes signature;
        bytes proof;
        bytes32 seed;
    }

    string internal constant ROUND =
        "RoundVector(uint256 beacon,uint64 drawTime,uint64 round,bytes signature,bytes proof,bytes32 seed)";

    struct ScheduleVector {
        uint256 beacon;
        uint64 drawTime;
        string refusal;
    }

    string internal constant SCHEDULE = "ScheduleVector(uint256 beacon,uint64 drawTime,string refusal)";

    struct RefusedProof {
        string name;
        uint256 beacon;
        uint64 drawTime;
        bytes proof;
    }

    string internal constant REFUSED_PROOF = "RefusedProof(string name,uint256 beacon,uint64 drawTime,bytes proof)";

    struct RollVector {
        uint128 amount;
        bytes32 id;
        bytes32 seed;
        uint128 roll;
    }

    string internal constant ROLL = "RollVector(uint128 amount,bytes32 id,bytes32 seed,uint128 roll)";

    struct PayoutVector {
        uint128 amount;
        uint128 allowance;
        uint128 minPayout;
        uint128 spent;
        uint128 payout;
        uint128 range;
    }

    string internal constant PAYOUT =
        "PayoutVector(uint128 amount,uint128 allowance,uint128 minPayout,uint128 spent,uint128 payout,uint128 range)";

    struct WinVector {
        uint128 start;
        uint128 range;
        uint128 roll;
        bool wins;
    }

    string internal constant WIN = "WinVector(uint128 start,uint128 range,uint128 roll,bool wins)";

    /* redemptions.json */

    struct DrawnDeposit {
        string name;
        IChequeBank.Deposit deposit;
        bytes32 id;
        uint128 roll;
    }

    string internal constant DRAWN =
        string.concat("DrawnDeposit(string name,Deposit deposit,bytes32 id,uint128 roll)", DEPOSIT);

    struct RedemptionVector {
        string name;
        uint256 deposit;
        uint64 time;
        string proof;
        address caller;
        string outcome;
        uint8 outcomeCode;
        uint128 payout;
        uint8 inBatchCode;
        address payee;
        uint128 allowance;
        bytes16 salt;
        uint40 path;
        bytes siblings;
        uint128 spent;
        bytes32 anchor;
        uint128 step;
        bytes signature;
        uint16 k;
        bytes32 x;
        address to;
        bytes consent;
        bool canonical;
        bytes packed;
    }

    string internal constant REDEMPTION =
        "RedemptionVector(string name,uint256 deposit,uint64 time,string proof,address caller,string outcome,uint8 outcomeCode,uint128 payout,uint8 inBatchCode,address payee,uint128 allowance,bytes16 salt,uint40 path,bytes siblings,uint128 spent,bytes32 anchor,uint128 step,bytes signature,uint16 k,bytes32 x,address to,bytes consent,bool canonical,bytes packed)";

    function _file(string memory name) internal view returns (string memory) {
        return vm.readFile(string.concat("contracts/test/vectors/", name, ".json"));
    }

    /// @dev The ABI encoding of the list at `key`. An empty list would test nothing.
    function _list(string memory file, string memory key, string memory description)
        internal
        view
        returns (bytes memory list)
    {
        list = vm.parseJsonTypeArray(_file(file), key, description);
        // The offset of the list, then its length.
        assertGt(uint256(_word(list, 1)), 0, string.concat("no vectors in ", file, key));
    }

    function _word(bytes memory data, uint256 index) internal pure returns (bytes32) {
        return LibBytes.load(data, 32 * index);
    }

    /// @dev The beacons of seeds.json: quicknet, and one with a secret key that is published.
    function _beacons() internal view returns (BeaconVector[] memory) {
        return abi.decode(_list("seeds", ".beacons", BEACON), (BeaconVector[]));
    }

    /// @dev Puts a bank that draws from this beacon to an address of the present chain.
    function _placeBank(address where, uint64 minLead, BeaconVector memory beacon) internal returns (IChequeBank) {
        bytes memory settings = abi.encode(minLead, beacon.publicKey, beacon.genesis, beacon.period);
        deployCodeTo("DrandBank.sol:DrandBank", settings, where);
        return IChequeBank(where);
    }

    function _same(string memory a, string memory b) internal pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }
}
