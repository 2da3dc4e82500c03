// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Phase, Round} from "../../../contracts/IMarket.sol";
import {Books, SlowPayouts} from "../SlowPayouts.sol";
import {vm} from "../Vm.sol";
import {Sight} from "./Ghost.sol";
import {Trespasses} from "./Trespasses.sol";

/// @notice Six accounts that do everything a market and its escrow offer, in the order in which the fuzzer calls this. Each is
///         an aggregator of some rounds and a participant of others.
/// @dev A step does what its name says where some round is in the phase for it. Where none is, it moves a round on, so
///      that few calls are idle and rounds get to their end. What a step does has to succeed: campaigns fail on a revert.
abstract contract Crowd is Trespasses {
    using SlowPayouts for Books;

    uint256 private constant OVER = type(uint128).max; // the end of a phase that has none

    uint256 internal steps;

    modifier step(uint256 seed) {
        steps += 1;
        shake(seed);
        vm.roll(vm.getBlockNumber() + 1);
        _;
        notePhases();
    }

    // --- steps: accounts ---

    function fundOrWithdraw(uint256 seed) external step(seed) {
        if (oneIn(3)) _donate();
        else if (oneIn(2)) _fund(anyActor(), any(0, 100 ether));
        else _withdraw();
    }

    // --- steps: a round, in its order ---

    function open(uint256 seed) external step(seed) {
        if (!oneIn(2) || !_open()) _moveOn();
    }

    function commit(uint256 seed) external step(seed) {
        uint256 round = anyIn(Phase.Commit);
        if (round == 0 || !_commit(round)) _moveOn();
    }

    function drawSeed(uint256 seed) external step(seed) {
        uint256 round = anyIn(Phase.Draw);
        if (round == 0) _moveOn();
        else _drawSeed(round);
    }

    function reveal(uint256 seed) external step(seed) {
        uint256 round = anyIn(Phase.Reveal);
        if (round == 0 || !_reveal(round)) _moveOn();
    }

    function settle(uint256 seed) external step(seed) {
        uint256 round = anyIn(Phase.Settle);
        if (round == 0) _moveOn();
        else _settle(round);
    }

    function rateOrReject(uint256 seed) external step(seed) {
        uint256 round = anyIn(Phase.Challenge);
        if (round == 0 || !_rateOrReject(round)) _moveOn();
    }

    function challenge(uint256 seed) external step(seed) {
        uint256 round = anyIn(Phase.Challenge);
        if (round == 0 || !_challenge(round)) _moveOn();
    }

    function refute(uint256 seed) external step(seed) {
        uint256 round = anyIn(oneIn(2) ? Phase.Challenge : Phase.Refute);
        if (round == 0 || !_refute(round)) _moveOn();
    }

    function payOut(uint256 seed) external step(seed) {
        uint256 round = anyIn(Phase.Payout);
        if (round == 0) _moveOn();
        else _payOut(round);
    }

    function refund(uint256 seed) external step(seed) {
        uint256 round = anyIn(Phase.Void);
        if (round == 0) _moveOn();
        else _refund(round);
    }

    // --- steps: time, and what nobody may ---

    function wait(uint256 seed) external step(seed) {
        _pass(any(1, 3 minutes));
    }

    function moveOn(uint256 seed) external step(seed) {
        _moveOn();
    }

    function trespass(uint256 seed) external step(seed) {
        uint256 round = any(0, market.roundCount());
        if (round == 0) _steal();
        else if (oneIn(2)) _outOfPhase(round);
        else _forge(round);
        seen[Sight.Trespass] += 1;
    }

    // --- the end ---

    /// @notice Long after everything, one that has no part in it pays all rounds out, or back.
    function finish() external {
        _pass(365 days);
        notePhases();
        for (uint256 round = market.roundCount(); round > 0; --round) {
            uint256 n = accounts[round].length;
            if (lastPhase[round] == Phase.Payout) {
                for (uint256 i = 0; i < n; ++i) _payOut(round, i, i + 1);
            } else {
                check(lastPhase[round] == Phase.Void, "not over");
                _refund(round, 0, 0);
                for (uint256 i = 0; i < n; ++i) _refund(round, i, i + 1);
                if (!books[round].faulty()) continue;
                for (uint256 c = 0; c < challengers[round].length; ++c) {
                    if (challengers[round][c] != address(0)) _refundChallenge(round, c);
                }
            }
        }
        notePhases();
    }

    // --- choosing ---

    /// @return A round in `phase`, 0 where none is. Of those that are over, one that is not yet paid, if any.
    function anyIn(Phase phase) private returns (uint256) {
        uint256 count = market.roundCount();
        if (count == 0) return 0;
        uint256 first = any(0, count - 1);
        uint256 found = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 round = 1 + ((first + i) % count);
            if (market.phaseOf(round) != phase) continue;
            if (!isOver(round)) return round;
            found = round;
        }
        return found;
    }

    /// @return Whether all are paid.
    function isOver(uint256 round) internal view returns (bool) {
        return aggregatorPaid[round] && payments[round] == accounts[round].length;
    }

    /// @dev Mostly the round whose phase ends first, so that no other misses a deadline by it; one that is over before
    ///      that, in half of the cases.
    function _moveOn() private {
        uint256 chosen = 0;
        uint256 first = type(uint256).max;
        bool hurried = oneIn(8);
        bool cleaning = oneIn(2);
        for (uint256 round = market.roundCount(); round > 0; --round) {
            if (isOver(round)) continue;
            uint256 end = phaseEnd(round);
            if (end == OVER && cleaning) end = 0;
            if (hurried) end = any(0, OVER);
            if (end < first) (first, chosen) = (end, round);
        }
        if (chosen != 0) _moveOn(chosen);
        else _open();
    }

    /// @dev What a round needs next, or the end of its phase with part of it undone.
    function _moveOn(uint256 round) private {
        Phase phase = market.phaseOf(round);
        bool done = false;
        if (phase == Phase.Commit && !oneIn(accounts[round].length < 3 ? 24 : 2)) done = _commit(round);
        if (phase == Phase.Draw && !oneIn(16)) done = _drawSeed(round);
        if (phase == Phase.Reveal && !oneIn(16)) done = _reveal(round);
        if (phase == Phase.Settle && !oneIn(8)) done = _settle(round);
        if (phase == Phase.Challenge && !oneIn(4)) done = oneIn(2) ? _challenge(round) : _rateOrReject(round);
        if (phase == Phase.Refute && oneIn(2)) done = _refute(round);
        if (phase == Phase.Payout) done = _payOut(round);
        if (phase == Phase.Void) done = _refund(round);
        if (!done) _pass(phaseEnd(round) - vm.getBlockTimestamp());
    }

    function phaseEnd(uint256 round) private view returns (uint256) {
        Phase phase = market.phaseOf(round);
        Round memory r = market.roundOf(round);
        if (phase == Phase.Commit) return r.terms.commitDeadline;
        if (phase == Phase.Draw) return uint256(r.terms.commitDeadline) + r.terms.drawTime;
        if (phase == Phase.Reveal) return uint256(r.seedTime) + r.terms.revealTime;
        if (phase == Phase.Settle) return uint256(r.seedTime) + r.terms.revealTime + r.terms.settleTime;
        if (phase == Phase.Challenge) return uint256(r.settleTime) + r.terms.challengeTime;
        if (phase == Phase.Refute) return uint256(r.settleTime) + r.terms.challengeTime + r.terms.refuteTime;
        return OVER;
    }
}
