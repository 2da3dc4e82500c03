// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IReputation} from "./IReputation.sol";
import {Words} from "./libraries/Words.sol";

/// @title Reputation: what rounds have shown of accounts. The promise is in `IReputation`.
/// @dev A payout changes all its participants' numbers, so they are stored sixteen to a word, by *seat*: accounts that meet
///      in an aggregator's rounds have come one after the other, and share few words.
contract Reputation is IReputation {
    using Words for uint256[];

    uint256 private constant MOST = 1 << 16;
    uint256 private constant LEAST = MOST / 32;
    uint256 private constant PER_WORD = 16;
    uint256 private constant UNKNOWN = 0x7fff; // a seat in an outcome

    /// @notice One aggregator's view.
    struct Ledger {
        uint256 seats; // the last one given
        mapping(address account => uint256) seatOf; // from 1; 0 where the account is still where it started
        mapping(uint256 index => uint256) words; // seat s: 16 bits of word s / 16, r − LEAST
    }

    /// @inheritdoc IReputation
    address public immutable market;

    mapping(address aggregator => Ledger) private _ledgers;

    /// @dev The market is whoever creates this contract.
    constructor() {
        market = msg.sender;
    }

    /// @inheritdoc IReputation
    function update(address aggregator, uint256[] calldata outcomes) external {
        if (msg.sender != market) revert NotTheMarket(msg.sender);
        Ledger storage ledger = _ledgers[aggregator];
        uint256 index = 0; // of the word at hand
        uint256 word = ledger.words[0];
        unchecked {
            for (uint256 i = 0; i < outcomes.length; ++i) {
                uint256 outcome = outcomes.read(i);
                uint256 seat = (outcome >> 208) & UNKNOWN;
                if (seat == 0 || seat == UNKNOWN) seat = _seat(ledger, address(uint160(outcome)));
                if (seat / PER_WORD != index) {
                    ledger.words[index] = word;
                    index = seat / PER_WORD;
                    word = ledger.words[index];
                }
                uint256 bit = 16 * (seat % PER_WORD);
                uint256 before = uint16(word >> bit);
                word += (_next(LEAST + before, outcome) - LEAST - before) << bit;
            }
        }
        ledger.words[index] = word;
    }

    /// @inheritdoc IReputation
    function reputationOf(address aggregator, address account) external view returns (uint24 reputation) {
        (reputation, ) = standingOf(aggregator, account);
    }

    /// @inheritdoc IReputation
    function standingOf(address aggregator, address account) public view returns (uint24 reputation, uint256 seat) {
        Ledger storage ledger = _ledgers[aggregator];
        reputation = uint24(LEAST);
        seat = ledger.seatOf[account];
        if (seat != 0) reputation += uint16(ledger.words[seat / PER_WORD] >> (16 * (seat % PER_WORD)));
    }

    function _seat(Ledger storage ledger, address account) private returns (uint256 seat) {
        seat = ledger.seatOf[account];
        if (seat == 0) {
            seat = ++ledger.seats;
            ledger.seatOf[account] = seat;
        }
    }

    /// @dev Reputation after a round, given that before it; `outcome` as in `update`.
    function _next(uint256 r, uint256 outcome) private pure returns (uint256) {
        unchecked {
            uint256 k = uint16(outcome >> 160);
            uint256 sum = uint32(outcome >> 176);
            if (outcome >> 255 != 0) {
                r = r / 2;
            } else if (k != 0) {
                // What a few say weighs less.
                uint256 weight = k < 3 ? 150 : 50;
                r = (r * (weight * k + sum)) / ((weight + 50) * k);
            }
            return
                r < LEAST
                    ? LEAST
                    : r > MOST
                        ? MOST
                        : r;
        }
    }
}
