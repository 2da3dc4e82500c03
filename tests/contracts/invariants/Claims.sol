// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Crowd} from "./Crowd.sol";

/// @notice What README.md says in words: the market against what `Ghost` keeps beside it.
/// @dev Here, and not in the test, since each look at what the crowd keeps would be a call.
abstract contract Claims is Crowd {
    /// @notice After every step. What cannot have changed for a while, and would stay wrong, has its turn now and then.
    function checkStep() external view {
        _checkMoney();
        _checkReputations(actors[steps % actors.length]);
        for (uint256 round = market.roundCount(); round > 0; --round) if (!isOver(round)) _checkRound(round);
    }

    /// @notice When all is over, and everything: no path leaves money locked.
    function checkEnd() external view {
        _checkMoney();
        for (uint256 i = 0; i < actors.length; ++i) _checkReputations(actors[i]);
        for (uint256 round = market.roundCount(); round > 0; --round) {
            _checkRound(round);
            checkEq(escrow.pot(round), 0, "left in a pot");
        }
    }

    /// @dev Tokens cover all that is held, no round pays more than its pot, and only the rules move balances.
    function _checkMoney() private view {
        uint256 sum = escrow.burnt();
        checkEq(sum, burnt, "burnt");
        for (uint256 i = 0; i < actors.length; ++i) {
            uint256 available = escrow.available(actors[i]);
            checkEq(available, availableOf[actors[i]], "available");
            sum += available;
        }
        for (uint256 round = market.roundCount(); round > 0; --round) {
            uint256 pot = escrow.pot(round);
            checkEq(spent[round] + pot, locked[round], "paid and still in the pot");
            sum += pot;
        }
        checkEq(escrow.held(), sum, "available, pots and burnt");
        checkEq(token.balanceOf(address(escrow)), sum + donated, "tokens");
    }

    /// @dev Each is paid once, and the market knows how many challenges are open.
    function _checkRound(uint256 round) private view {
        for (uint256 i = 0; i < accounts[round].length; ++i) {
            check(market.isPaid(round, i) == paid[round][i], "marked as paid");
        }
        checkEq(market.roundOf(round).openChallenges, books[round].standing, "open challenges");
    }

    function _checkReputations(address aggregator) private view {
        for (uint256 i = 0; i < actors.length; ++i) {
            uint256 r = reputation.reputationOf(aggregator, actors[i]);
            check(r >= 2048 && r <= 65_536, "reputation out of its range");
            checkEq(r, reputationOf(aggregator, actors[i]), "reputation");
        }
    }
}
