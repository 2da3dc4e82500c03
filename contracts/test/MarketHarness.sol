// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Market} from "../Market.sol";

/// @notice A market whose judge believes everybody: tests open and close challenges at will.
contract MarketHarness is Market {
    constructor(IERC20 token, uint32 minPhase) Market(token, minPhase) {}

    function openChallenge(uint256 round) external returns (uint256 challenge) {
        return _openChallenge(round, msg.sender);
    }

    function closeChallenge(uint256 round, uint256 challenge) external {
        _closeChallenge(round, challenge, msg.sender);
    }
}
