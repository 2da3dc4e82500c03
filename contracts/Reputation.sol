// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IReputation} from "./IReputation.sol";

/// @title Reputation: what rounds have shown of accounts. The promise is in `IReputation`.
contract Reputation is IReputation {
    uint256 private constant MOST = 1 << 16;
    uint256 private constant LEAST = MOST / 32;

    /// @inheritdoc IReputation
    address public immutable market;

    /// @dev r − LEAST, so that zero is where everybody starts.
    mapping(address aggregator => mapping(address account => uint256)) private _earned;

    /// @dev The market is whoever creates this contract.
    constructor() {
        market = msg.sender;
    }

    /// @inheritdoc IReputation
    function update(address aggregator, uint256[] calldata outcomes) external {
        if (msg.sender != market) revert NotTheMarket(msg.sender);
        mapping(address => uint256) storage earned = _earned[aggregator];
        uint256[] memory changes = new uint256[](outcomes.length);
        for (uint256 i = 0; i < outcomes.length; ++i) {
            address account = address(uint160(outcomes[i]));
            uint256 r = _next(LEAST + earned[account], outcomes[i]);
            earned[account] = r - LEAST;
            changes[i] = uint160(account) | (r << 160);
        }
        emit ReputationsChanged(aggregator, changes);
    }

    /// @inheritdoc IReputation
    function reputationOf(address aggregator, address account) external view returns (uint24) {
        return uint24(LEAST + _earned[aggregator][account]);
    }

    /// @dev Reputation after a round, given that before it; `outcome` as in `update`.
    function _next(uint256 r, uint256 outcome) private pure returns (uint256) {
        uint256 k = uint16(outcome >> 160);
        uint256 sum = uint32(outcome >> 176);
        if (outcome >> 255 != 0) r = r / 2;
        else if (k >= 3) r = (r * (50 * k + sum)) / (100 * k);
        else if (k > 0) r = (r * (150 * k + sum)) / (200 * k);
        return r < LEAST ? LEAST : r > MOST ? MOST : r;
    }
}
