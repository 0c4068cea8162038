// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DrandBank} from "../src/DrandBank.sol";
import {Script} from "forge-std/Script.sol";
import {console} from "forge-std/console.sol";

/// @title Deploy
/// @notice Deploys a bank with CREATE2, so that the same settings have the same address on every chain.
///
///   forge script Deploy --rpc-url $ETH_RPC_URL --account NAME --broadcast
///
/// Settings come from the environment: MIN_LEAD in seconds (2400), and the beacon by BEACON_KEY (192 bytes), BEACON_GENESIS
/// and BEACON_PERIOD in seconds, all three or none (quicknet). Sends nothing if the bank exists already.
contract Deploy is Script {
    struct Settings {
        uint64 minLead;
        bytes publicKey;
        uint64 genesis;
        uint64 period;
    }

    /// @notice The deterministic deployment proxy (https://github.com/Arachnid/deterministic-deployment-proxy).
    address public constant DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    bytes32 public constant SALT = 0;

    /// @notice The public key of quicknet, drand's chain
    /// 52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971, uncompressed: x.c0, x.c1, y.c0, y.c1.
    bytes public constant QUICKNET_KEY =
        hex"0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a03cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510e5db2b6bfbb01c867749cadffca88b36c24f3012ba09fc4d3022c5c37dce0f977d3adb5d183c7477c442b1f0451527301a714f2edb74119a2f2b0d5a7c75ba902d163700a61bc224ededd8e63aef7be1aaf8e93d7a9718b047ccddb3eb5d68b";
    uint64 public constant QUICKNET_GENESIS = 1_692_803_367;
    uint64 public constant QUICKNET_PERIOD = 3;

    /// @notice A setting does not fit the constructor.
    error UnusableSetting(string name, uint256 given);
    /// @notice Only a part of the beacon's settings is given. A key with the schedule of another beacon would make a bank
    /// whose draws nobody can prove.
    error MissingSetting(string name);
    /// @notice This chain lacks the deterministic deployment proxy.
    error NoDeployer(address deployer);
    /// @notice The deployer did not make a bank at `expected`.
    error NotDeployed(address expected);

    function run() external returns (DrandBank bank) {
        Settings memory settings = _settings();
        bool isNew = address(predict(settings)).code.length == 0;
        vm.startBroadcast();
        bank = deploy(settings);
        vm.stopBroadcast();

        console.log(isNew ? "deployed" : "already deployed, nothing sent");
        console.log("bank           ", address(bank));
        console.log("init code hash ", vm.toString(initCodeHash(settings)));
        console.log("chain id       ", block.chainid);
        console.log("min lead       ", bank.minLead());
        console.log("beacon genesis ", bank.genesis());
        console.log("beacon period  ", bank.period());
        console.log("beacon key     ", vm.toString(bank.publicKey()));
    }

    /// @notice Returns the bank with these settings. Deploys the bank if it does not exist yet.
    function deploy(Settings memory s) public returns (DrandBank bank) {
        bank = predict(s);
        if (address(bank).code.length > 0) return bank;
        require(DEPLOYER.code.length > 0, NoDeployer(DEPLOYER));

        (bool done,) = DEPLOYER.call(abi.encodePacked(SALT, _initCode(s)));
        // The deployer hides the error of a constructor that reverts; a plain creation shows the error.
        if (!done) new DrandBank(s.minLead, s.publicKey, s.genesis, s.period);
        require(address(bank).code.length > 0, NotDeployed(address(bank)));
    }

    /// @notice Computes the address of the bank with these settings, the same on every chain.
    function predict(Settings memory s) public pure returns (DrandBank) {
        return DrandBank(vm.computeCreate2Address(SALT, initCodeHash(s), DEPLOYER));
    }

    /// @notice Computes the hash of what the deployer is given, from which the address follows.
    function initCodeHash(Settings memory s) public pure returns (bytes32) {
        return keccak256(_initCode(s));
    }

    function _initCode(Settings memory s) private pure returns (bytes memory) {
        return bytes.concat(type(DrandBank).creationCode, abi.encode(s.minLead, s.publicKey, s.genesis, s.period));
    }

    /// @dev The settings of the environment.
    function _settings() private view returns (Settings memory s) {
        s = Settings(2400, QUICKNET_KEY, QUICKNET_GENESIS, QUICKNET_PERIOD);
        if (_isGiven("MIN_LEAD")) s.minLead = _seconds("MIN_LEAD");
        string[3] memory beacon = ["BEACON_KEY", "BEACON_GENESIS", "BEACON_PERIOD"];
        if (!_isGiven(beacon[0]) && !_isGiven(beacon[1]) && !_isGiven(beacon[2])) return s;

        for (uint256 i = 0; i < beacon.length; i++) {
            require(_isGiven(beacon[i]), MissingSetting(beacon[i]));
        }
        s.publicKey = vm.envBytes(beacon[0]);
        (s.genesis, s.period) = (_seconds(beacon[1]), _seconds(beacon[2]));
    }

    /// @dev True unless a variable is missing or empty.
    function _isGiven(string memory name) private view returns (bool) {
        return bytes(vm.envOr(name, string(""))).length > 0;
    }

    function _seconds(string memory name) private view returns (uint64) {
        uint256 given = vm.envUint(name);
        require(given <= type(uint64).max, UnusableSetting(name, given));
        // forge-lint: disable-next-line(unsafe-typecast) checked above
        return uint64(given);
    }
}
