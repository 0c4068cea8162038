// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ChequeBank} from "../../src/ChequeBank.sol";
import {BankStorage} from "../../src/base/BankStorage.sol";
import {IChequeBank} from "../../src/interfaces/IChequeBank.sol";
import {Claim} from "../../src/libraries/Redemptions.sol";
import {Packing} from "../utils/Packing.sol";
import {Test} from "forge-std/Test.sol";

/// @notice A bank whose storage can be set. It has a seed for every time, and shows none.
contract OpenBank is ChequeBank {
    constructor() BankStorage(1) {}

    function set(address account, address token, uint64 lane, uint256 value) external {
        _purse(account, token, lane).word = value;
    }

    function word(address account, address token, uint64 lane) external view returns (uint256) {
        return _purse(account, token, lane).word;
    }

    function settle(bytes calldata r, Claim memory claim, uint128 payout) external {
        _settle(r, claim, payout);
    }

    function _requireOnSchedule(uint64) internal pure override {}

    function _shownSeed(uint64, bytes calldata) internal pure override returns (bytes32) {
        return 0;
    }
}

/// @notice Proofs by halmos (`make symbolic`) for all 256 bits: a purse word is money or an id, and neither is taken
/// for the other.
/// @custom:halmos --storage-layout generic
/// @dev A purse has a slot of its own making, which the layout of Solidity's mappings does not know.
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
        assert(block.timestamp > d.redeemUntil);
        (uint256 idle, bytes32 still) = bank.purse(d.payer, d.token, d.lane);
        assert(idle == d.amount && still == 0);
    }

    /// From its draw on, so after any redemption or reclaim, no deposit can be opened.
    function check_NoDepositOpensFromItsDrawOn(IChequeBank.Deposit memory d, uint64 time) public {
        vm.assume(time >= d.drawTime);
        vm.warp(time);
        bank.set(d.payer, d.token, 0, 1 << 200);
        vm.prank(d.payer);
        (bool done,) = address(bank).call(abi.encodeCall(bank.open, (d)));
        assert(!done);
    }

    /// A redemption leaves money in the purse, the amount less the payout.
    function check_ARedeemedDepositLeavesMoney(IChequeBank.Deposit memory d, bytes32 id, uint128 payout) public {
        vm.assume(d.lane > 0 && payout <= d.amount);
        IChequeBank.Redemption memory r;
        (r.deposit, r.signature) = (d, new bytes(65));
        bank.settle(Packing.pack(r), Claim(d.token, address(1), 0, id, d.amount, 1, 0), payout);
        (uint256 idle, bytes32 still) = bank.purse(d.payer, d.token, d.lane);
        assert(idle == d.amount - payout && still == 0);
    }
}
