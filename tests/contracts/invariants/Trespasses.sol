// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Claim, IMarket, Phase, Terms} from "../../../contracts/IMarket.sol";
import {IEscrow} from "../../../contracts/IEscrow.sol";
import {IReputation} from "../../../contracts/IReputation.sol";
import {Offer} from "../../../contracts/libraries/Mechanism.sol";
import {Case, SlowJudge} from "../SlowJudge.sol";
import {Buyer, SlowMechanism} from "../SlowMechanism.sol";
import {Books, Entry, SlowPayouts} from "../SlowPayouts.sol";
import {Disputes} from "./Disputes.sol";

/// @notice What nobody may do: other accounts' money, other phases' calls, other people's names.
abstract contract Trespasses is Disputes {
    using SlowJudge for Case;
    using SlowMechanism for Buyer;
    using SlowPayouts for Books;

    /// @dev From outside any round.
    function _steal() internal {
        address thief = anyActor();
        uint256 round = any(1, market.roundCount() + 1);
        uint256 more = availableOf[thief] + 1;
        uint256[] memory credits = new uint256[](1);
        credits[0] = uint160(thief) | (uint256(1) << 160);
        Terms memory terms = anyTerms(6, 4);
        terms.bond = uint96(more + 16 * uint256(terms.revealBond));

        _mustFail(thief, address(escrow), abi.encodeCall(IEscrow.withdraw, (uint96(more))));
        _mustFail(thief, address(escrow), abi.encodeCall(IEscrow.lock, (round, anyActor(), 1)));
        _mustFail(thief, address(escrow), abi.encodeCall(IEscrow.credit, (round, credits)));
        _mustFail(thief, address(escrow), abi.encodeCall(IEscrow.burn, (round, 1)));
        _mustFail(thief, address(reputation), abi.encodeCall(IReputation.update, (thief, credits)));
        _mustFail(thief, address(token), abi.encodeCall(token.transferFrom, (address(escrow), thief, 1)));
        _mustFail(thief, address(market), abi.encodeCall(IMarket.openRound, (terms)));
    }

    /// @dev Right calls in a phase that is not theirs.
    function _outOfPhase(uint256 round) internal {
        Phase phase = market.phaseOf(round);
        address target = address(market);
        uint256 n = accounts[round].length;
        address first = n == 0 ? anyActor() : accounts[round][0];
        if (phase != Phase.Commit) _mustFail(stranger, target, _commitCall(round));
        if (phase != Phase.Draw) _mustFail(stranger, target, abi.encodeCall(IMarket.drawSeed, (round)));
        if (phase != Phase.Reveal && n > 0) _mustFail(first, target, _revealCall(round, 0));
        if (phase != Phase.Settle) _mustFail(aggregatorOf(round), target, _settleCall(round));
        if (phase != Phase.Challenge) {
            _mustFail(first, target, abi.encodeCall(IMarket.rate, (round, 0, 100)));
            _mustFail(first, target, abi.encodeCall(IMarket.reject, (round, 0)));
            if (n > 0) _challengeOutOfPhase(round, any(0, n - 1));
        }
        if (phase != Phase.Payout) _mustFail(stranger, target, _payOutCall(round, 0, n));
        if (phase != Phase.Void) _mustFail(stranger, target, abi.encodeCall(IMarket.refund, (round, 0, n)));
    }

    /// @dev Whatever was opened, and however true or false.
    function _challengeOutOfPhase(uint256 round, uint256 index) private {
        Case memory c = caseOf(round);
        Offer[] memory list = offersTo(c, round, index).ranked();
        _mustFail(anyActor(), address(market), _challengeCall(c, round, index, list));
        uint256 count = challengers[round].length;
        if (count == 0 || market.phaseOf(round) == Phase.Refute) return;
        _mustFail(anyActor(), address(market), _refuteCall(c, round, any(0, count - 1), index));
    }

    /// @dev Calls in their phase that are false in one point.
    function _forge(uint256 round) internal {
        Phase phase = market.phaseOf(round);
        address target = address(market);
        uint256 n = accounts[round].length;
        if (n == 0) return;
        uint256 index = any(0, n - 1);
        address own = accounts[round][index];
        address other = accounts[round][(index + 1) % n];

        if (phase == Phase.Commit) _mustFail(own, target, _commitCall(round)); // twice
        if (phase == Phase.Reveal) {
            if (other != own) _mustFail(other, target, _revealCall(round, index));
            if (books[round].entries[index].revealed) _mustFail(own, target, _revealCall(round, index));
            bytes32 salt = secrets[round][own].salt;
            secrets[round][own].salt = ~salt;
            _mustFail(own, target, _revealCall(round, index));
            secrets[round][own].salt = salt;
        }
        if (phase == Phase.Settle) {
            if (own != aggregatorOf(round)) _mustFail(own, target, _settleCall(round));
        }
        if (phase == Phase.Challenge) {
            _mustFail(aggregatorOf(round), target, _settleCall(round)); // twice
            _mustFail(other, target, abi.encodeCall(IMarket.reject, (round, index)));
            if (!_mayAnswer(round, index)) _mustFail(own, target, abi.encodeCall(IMarket.rate, (round, index, 100)));
            _forgeChallenge(round, index);
        }
        if (phase == Phase.Challenge || phase == Phase.Refute) _forgeRefutation(round, index);
        if (phase == Phase.Payout) _forgeSettlement(round, n);
        if (phase == Phase.Void) {
            _mustFail(own, target, abi.encodeCall(IMarket.refund, (round, 0, n + 1)));
            _mustFail(own, target, abi.encodeCall(IMarket.refundChallenge, (round, challengers[round].length)));
        }
    }

    /// @dev A challenge in which one thing is not as it was: a record, a row, an exclusion, the order.
    function _forgeChallenge(uint256 round, uint256 buyer) private {
        Case memory c = caseOf(round);
        Offer[] memory list = offersTo(c, round, buyer).ranked();
        uint256 kind = any(0, 4);
        if (kind == 0) c.records[buyer].bid.value ^= 1;
        if (kind == 1) c.records[buyer].reputation ^= 1;
        if (kind == 2) c.rows[buyer] = bytes.concat(c.rows[buyer], hex"00");
        if (kind == 3) c.excluded[0] ^= 1;
        if (kind == 4) {
            if (list.length < 2) return;
            (list[0], list[1]) = (list[1], list[0]);
        }
        _mustFail(anyActor(), address(market), _challengeCall(c, round, buyer, list));
    }

    /// @dev A refutation of what is refuted or true, or with another claim.
    function _forgeRefutation(uint256 round, uint256 seller) private {
        uint256 count = challengers[round].length;
        if (count == 0) return;
        uint256 number = any(0, count - 1);
        Case memory c = caseOf(round);
        if (challengers[round][number] == address(0) || truthful[round][number]) {
            _mustFail(anyActor(), address(market), _refuteCall(c, round, number, seller));
        }
        Claim storage claim = claims[round][number];
        claim.lastMerit += 1;
        _mustFail(anyActor(), address(market), _refuteCall(c, round, number, seller));
        claim.lastMerit -= 1;
    }

    /// @dev Other rows or exclusions than were settled. Once all are paid such a call may pass; there is nothing to take.
    function _forgeSettlement(uint256 round, uint256 n) private {
        if (payments[round] == n) return;
        Books memory b = books[round];
        Entry memory entry = b.entries[any(0, n - 1)];
        if (entry.row.length == 0 || oneIn(2)) entry.excluded = !entry.excluded;
        else entry.row[0].price ^= 1;
        bytes memory rows = b.encodeRows();
        _mustFail(stranger, address(market), abi.encodeCall(IMarket.payOut, (round, rows, b.encodeExcluded(), 0, n)));
    }
}
