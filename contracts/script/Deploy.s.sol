// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ChequeBank} from "../src/ChequeBank.sol";
import {IChequeBank} from "../src/interfaces/IChequeBank.sol";
import {Script} from "forge-std/Script.sol";
import {console} from "forge-std/console.sol";

/// @title Deploy
/// @notice Deploys a bank with CREATE2, so that the same settings have the same address on every chain.
///
///   forge script Deploy --rpc-url $ETH_RPC_URL --account NAME --broadcast
///
/// Settings come from the environment: MIN_LEAD in blocks (128), SEED_SOURCE `prevrandao` (default) or `blockhash`.
/// Sends nothing if the bank exists already.
contract Deploy is Script {
    /// @notice The deterministic deployment proxy (https://github.com/Arachnid/deterministic-deployment-proxy).
    address public constant DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    bytes32 public constant SALT = 0;

    /// @notice SEED_SOURCE is neither `prevrandao` nor `blockhash`.
    error UnknownSeedSource(string given);
    /// @notice MIN_LEAD does not fit the constructor.
    error UnusableMinLead(uint256 given);
    /// @notice This chain lacks the deterministic deployment proxy.
    error NoDeployer(address deployer);
    /// @notice The deployer did not make a bank at `expected`.
    error NotDeployed(address expected);

    function run() external returns (ChequeBank bank) {
        uint256 lead = vm.envOr("MIN_LEAD", uint256(128));
        require(lead <= type(uint64).max, UnusableMinLead(lead));
        // forge-lint: disable-next-line(unsafe-typecast) checked above
        uint64 minLead = uint64(lead);
        IChequeBank.SeedSource source = _source(vm.envOr("SEED_SOURCE", string("prevrandao")));

        bool isNew = address(predict(minLead, source)).code.length == 0;
        vm.startBroadcast();
        bank = deploy(minLead, source);
        vm.stopBroadcast();

        console.log(isNew ? "deployed" : "already deployed, nothing sent");
        console.log("bank        ", address(bank));
        console.log("chain id    ", block.chainid);
        console.log("min lead    ", bank.minLead());
        console.log("seed source ", bank.seedSource() == IChequeBank.SeedSource.PrevRandao ? "prevrandao" : "blockhash");
    }

    /// @notice Returns the bank with these settings. Deploys the bank if it does not exist yet.
    function deploy(uint64 minLead, IChequeBank.SeedSource source) public returns (ChequeBank bank) {
        bank = predict(minLead, source);
        if (address(bank).code.length > 0) return bank;
        require(DEPLOYER.code.length > 0, NoDeployer(DEPLOYER));

        (bool done,) = DEPLOYER.call(abi.encodePacked(SALT, _initCode(minLead, source)));
        // The deployer hides the error of a constructor that reverts; a plain creation shows the error.
        if (!done) new ChequeBank(minLead, source);
        require(address(bank).code.length > 0, NotDeployed(address(bank)));
    }

    /// @notice Computes the address of the bank with these settings, the same on every chain.
    function predict(uint64 minLead, IChequeBank.SeedSource source) public pure returns (ChequeBank) {
        return ChequeBank(vm.computeCreate2Address(SALT, keccak256(_initCode(minLead, source)), DEPLOYER));
    }

    function _initCode(uint64 minLead, IChequeBank.SeedSource source) private pure returns (bytes memory) {
        return abi.encodePacked(type(ChequeBank).creationCode, abi.encode(minLead, source));
    }

    function _source(string memory name) private pure returns (IChequeBank.SeedSource) {
        if (keccak256(bytes(name)) == keccak256("prevrandao")) return IChequeBank.SeedSource.PrevRandao;
        require(keccak256(bytes(name)) == keccak256("blockhash"), UnknownSeedSource(name));
        return IChequeBank.SeedSource.BlockHash;
    }
}
