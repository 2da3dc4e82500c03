// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {IEscrow} from "./IEscrow.sol";
import {Words} from "./libraries/Words.sol";

/// @title Escrow: a market's money. The promise is in `IEscrow`.
/// @dev No owner, no upgrade, no pause.
contract Escrow is IEscrow, ReentrancyGuard {
    using SafeERC20 for IERC20;
    using Words for uint256[];

    /// @inheritdoc IEscrow
    IERC20 public immutable token;
    /// @inheritdoc IEscrow
    address public immutable market;

    /// @inheritdoc IEscrow
    mapping(address account => uint256) public available;
    /// @inheritdoc IEscrow
    mapping(uint256 round => uint256) public pot;
    /// @inheritdoc IEscrow
    uint256 public burnt;
    /// @inheritdoc IEscrow
    uint256 public held;

    modifier onlyMarket() {
        if (msg.sender != market) revert NotTheMarket(msg.sender);
        _;
    }

    /// @dev The market is whoever creates the escrow.
    constructor(IERC20 token_) {
        token = token_;
        market = msg.sender;
    }

    /// @inheritdoc IEscrow
    function fund(uint96 amount) external nonReentrant {
        _fund(amount);
    }

    /// @inheritdoc IEscrow
    function fundWithPermit(uint96 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external nonReentrant {
        // Anyone can send a permit first, and that must not stop its owner: if the approval is missing, the transfer says so.
        try IERC20Permit(address(token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _fund(amount);
    }

    /// @inheritdoc IEscrow
    function withdraw(uint96 amount) external nonReentrant {
        _take(msg.sender, amount);
        held -= amount;
        emit Withdrawn(msg.sender, amount);

        uint256 before = token.balanceOf(address(this));
        token.safeTransfer(msg.sender, amount);
        _checkMoved(amount, before - token.balanceOf(address(this)));
    }

    /// @inheritdoc IEscrow
    function lock(uint256 round, address account, uint96 amount) external onlyMarket {
        _take(account, amount);
        pot[round] += amount;
    }

    /// @inheritdoc IEscrow
    function credit(uint256 round, uint256[] calldata credits) external onlyMarket {
        uint256 spent = 0;
        // Cannot overflow: an amount here has 96 bits, and the sum of all balances is at most `held`, which has too.
        unchecked {
            for (uint256 i = 0; i < credits.length; ++i) {
                uint256 word = credits.read(i);
                spent += word >> 160;
                available[address(uint160(word))] += word >> 160;
            }
        }
        _spend(round, spent);
        emit Credited(round, credits);
    }

    /// @inheritdoc IEscrow
    function burn(uint256 round, uint256 amount) external onlyMarket {
        _spend(round, amount);
        burnt += amount;
        emit Burnt(round, amount);
    }

    function _fund(uint96 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        _checkMoved(amount, token.balanceOf(address(this)) - before);

        uint256 total = held + amount;
        if (total > type(uint96).max) revert TooMuchHeld(total);
        held = total;
        // Counted after the transfer, since a token that calls back must find nothing to spend yet.
        available[msg.sender] += amount;
        emit Funded(msg.sender, amount);
    }

    function _take(address account, uint256 amount) private {
        uint256 balance = available[account];
        if (amount > balance) revert NotEnoughAvailable(account, balance, amount);
        available[account] = balance - amount;
    }

    function _spend(uint256 round, uint256 amount) private {
        uint256 left = pot[round];
        if (amount > left) revert NotEnoughInPot(round, left, amount);
        pot[round] = left - amount;
    }

    function _checkMoved(uint256 asked, uint256 moved) private pure {
        if (moved != asked) revert WrongAmountMoved(asked, moved);
    }
}
