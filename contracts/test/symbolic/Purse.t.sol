// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ChequeBank} from "../../src/ChequeBank.sol";
import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {Redemptions} from "../../src/libraries/Redemptions.sol";
import {Packing} from "../utils/Packing.sol";
import {Test} from "forge-std/Test.sol";

/// @notice A bank whose storage can be set.
contract OpenBank is ChequeBank(1, IChequeBank.SeedSource.BlockHash) {
    using Redemptions for bytes;

    function set(address account, address token, uint64 lane, uint256 value) external {
        purses[_key(account, token, lane)] = value;
    }

    function word(address account, address token, uint64 lane) external view returns (uint256) {
        return purses[_key(account, token, lane)];
    }

    function settle(bytes calldata r, bytes32 id, uint128 total, uint128 payout) external {
        _settle(r, id, _key(r.payer(), r.token(), r.lane()), total, payout);
    }
}

/// @notice Proofs by halmos (`make symbolic`) for all 256 bits: a purse word is money or an id, and neither is taken
/// for the other.
contract SymbolicPurseTest is Test {
    OpenBank private bank;

    function setUp() public {
        bank = new OpenBank();
    }

    /// The word of a lane is an id or money by its value; a balance is money of any size.
    function check_AWordIsMoneyOrAnId(address account, address token, uint64 lane, uint256 word) public {
        bank.set(account, token, lane, word);
        (uint256 idle, bytes32 id) = bank.purse(account, token, lane);
        if (lane == 0 || word < 1 << 128) assert(idle == word && id == 0);
        else assert(idle == 0 && uint256(id) == word);
    }

    /// A lane with an open deposit allows no withdrawal.
    function check_AnIdIsNotWithdrawn(address account, uint64 lane, uint256 word, uint256 amount, address to) public {
        vm.assume(lane > 0 && word >= 1 << 128);
        bank.set(account, address(0), lane, word);
        vm.prank(account);
        (bool done,) = address(bank).call(abi.encodeCall(bank.withdraw, (address(0), lane, amount, to)));
        assert(!done && bank.word(account, address(0), lane) == word);
    }

    /// A reclaim leaves money in the purse, exactly the amount.
    function check_AReclaimedDepositIsMoney(IChequeBank.Deposit memory d) public {
        vm.assume(d.lane > 0);
        bytes32 id = bank.depositId(d);
        bank.set(d.payer, d.token, d.lane, uint256(id));
        (bool done,) = address(bank).call(abi.encodeCall(bank.reclaim, (d)));
        if (!done) return;
        assert(block.number > d.lastRedeemBlock);
        (uint256 idle, bytes32 still) = bank.purse(d.payer, d.token, d.lane);
        assert(idle == d.amount && still == 0);
    }

    /// A redemption leaves money in the purse, the amount less the payout.
    function check_ARedeemedDepositLeavesMoney(IChequeBank.Deposit memory d, bytes32 id, uint128 payout) public {
        vm.assume(d.lane > 0 && payout <= d.amount);
        IChequeBank.Redemption memory r;
        (r.deposit, r.to, r.signature) = (d, address(1), new bytes(65));
        bank.settle(Packing.pack(r), id, 1, payout);
        (uint256 idle, bytes32 still) = bank.purse(d.payer, d.token, d.lane);
        assert(idle == d.amount - payout && still == 0);
    }
}
