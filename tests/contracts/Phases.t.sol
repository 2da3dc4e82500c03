// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Phase, Round, Terms} from "../../contracts/IMarket.sol";
import {ChallengeBase} from "./ChallengeBase.sol";
import {vm} from "./Vm.sol";

/// @notice The phase is what the clock says: each border is tried one second before and on the second.
contract PhasesTest is ChallengeBase {
    /// @dev `before` until the second before `time`, `then` from it.
    function checkBorder(uint256 round, uint256 time, Phase before, Phase then) private {
        vm.warp(time - 1);
        checkPhase(round, before, "a second before");
        vm.warp(time);
        checkPhase(round, then, "on the second");
        vm.warp(time + 1000 days);
        if (then == Phase.Payout || then == Phase.Void) checkPhase(round, then, "for ever");
        vm.warp(time);
    }

    function test_an_unknown_round_has_no_phase() public {
        refuses(anyone, abi.encodeCall(market.phaseOf, (1)), unknown(1));
        open();
        refuses(anyone, abi.encodeCall(market.phaseOf, (0)), unknown(0));
        refuses(anyone, abi.encodeCall(market.phaseOf, (2)), unknown(2));
    }

    function test_a_round_begins_in_commit() public {
        checkPhase(open(), Phase.Commit, "at once");
    }

    function test_commit_ends_at_its_deadline() public {
        uint256 round = open();
        enter(round, several(alice, bob));
        checkBorder(round, market.roundOf(round).terms.commitDeadline, Phase.Commit, Phase.Draw);
    }

    function test_a_round_with_nobody_is_void_at_the_deadline() public {
        uint256 round = open();
        checkBorder(round, market.roundOf(round).terms.commitDeadline, Phase.Commit, Phase.Void);
    }

    function test_a_round_with_one_participant_is_void_at_the_deadline() public {
        uint256 round = open();
        enter(round, alice);
        checkBorder(round, market.roundOf(round).terms.commitDeadline, Phase.Commit, Phase.Void);
    }

    function test_without_a_seed_draw_ends_in_void() public {
        uint256 round = open();
        enter(round, several(alice, bob));
        Terms memory terms = market.roundOf(round).terms;
        checkBorder(round, uint256(terms.commitDeadline) + terms.drawTime, Phase.Draw, Phase.Void);
    }

    function test_a_chosen_block_is_not_yet_a_seed() public {
        uint256 round = open();
        enter(round, several(alice, bob));
        closeCommits(round);
        market.drawSeed(round);
        checkPhase(round, Phase.Draw, "after the first call");
        Terms memory terms = market.roundOf(round).terms;
        checkBorder(round, uint256(terms.commitDeadline) + terms.drawTime, Phase.Draw, Phase.Void);
    }

    function test_reveal_runs_from_the_seed() public {
        uint256 round = open();
        enter(round, several(alice, bob));
        Terms memory terms = market.roundOf(round).terms;
        vm.warp(uint256(terms.commitDeadline) + terms.drawTime - 1); // the last second of Draw
        draw(round);
        checkPhase(round, Phase.Reveal, "with the seed");
        reveal(round, several(alice, bob));
        checkBorder(round, time() + terms.revealTime, Phase.Reveal, Phase.Settle);
    }

    function test_reveal_lasts_though_all_have_revealed() public {
        uint256 round = drawn(several(alice, bob));
        reveal(round, several(alice, bob));
        checkPhase(round, Phase.Reveal, "still");
    }

    function test_with_one_reveal_a_round_is_void() public {
        uint256 round = drawn(several(alice, bob, carol));
        reveal(round, bob);
        checkBorder(round, time() + market.roundOf(round).terms.revealTime, Phase.Reveal, Phase.Void);
    }

    function test_with_no_reveal_a_round_is_void() public {
        uint256 round = drawn(several(alice, bob, carol));
        checkBorder(round, time() + market.roundOf(round).terms.revealTime, Phase.Reveal, Phase.Void);
    }

    function test_with_two_reveals_of_three_a_round_can_be_settled() public {
        uint256 round = drawn(several(alice, bob, carol));
        reveal(round, several(carol, alice));
        checkBorder(round, time() + market.roundOf(round).terms.revealTime, Phase.Reveal, Phase.Settle);
    }

    function test_without_a_settlement_settle_ends_in_void() public {
        uint256 round = revealed(several(alice, bob));
        checkBorder(round, time() + market.roundOf(round).terms.settleTime, Phase.Settle, Phase.Void);
    }

    function settledAtLast() private returns (uint256 round) {
        round = revealed(several(alice, bob));
        vm.warp(time() + market.roundOf(round).terms.settleTime - 1); // the last second of Settle
        settle(round, noneExcluded(), bytes.concat(row(1, ONE), row()));
        checkPhase(round, Phase.Challenge, "with the settlement");
    }

    function test_challenge_runs_from_the_settlement_and_ends_in_payout() public {
        uint256 round = settledAtLast();
        checkBorder(round, time() + market.roundOf(round).terms.challengeTime, Phase.Challenge, Phase.Payout);
    }

    /// @dev A false one, which Bob's record refutes.
    function openedChallenge() private returns (uint256 round) {
        round = settledAtLast();
        fund(mallory, 10 * ONE);
        challengeFalsely(mallory, round, 0, 1);
        checkPhase(round, Phase.Challenge, "with a challenge");
    }

    function test_an_open_challenge_is_followed_by_refute() public {
        uint256 round = openedChallenge();
        checkBorder(round, time() + market.roundOf(round).terms.challengeTime, Phase.Challenge, Phase.Refute);
    }

    function test_a_challenge_that_stands_voids_the_round() public {
        uint256 round = openedChallenge();
        closeChallenges(round);
        checkBorder(round, time() + market.roundOf(round).terms.refuteTime, Phase.Refute, Phase.Void);
    }

    function test_payout_follows_at_once_when_the_last_challenge_is_refuted() public {
        uint256 round = openedChallenge();
        challengeFalsely(mallory, round, 0, 1);
        closeChallenges(round);
        refute(anyone, round, 1, 0, 1);
        checkPhase(round, Phase.Refute, "one is open");
        refute(anyone, round, 0, 0, 1);
        checkPhase(round, Phase.Payout, "none is open");
        vm.warp(time() + 1000 days);
        checkPhase(round, Phase.Payout, "for ever");
    }

    function test_a_challenge_refuted_in_time_leaves_no_refute() public {
        uint256 round = openedChallenge();
        refute(anyone, round, 0, 0, 1);
        checkBorder(round, time() + market.roundOf(round).terms.challengeTime, Phase.Challenge, Phase.Payout);
    }

    function test_every_border_lies_where_the_terms_put_it(
        uint32 a,
        uint32 b,
        uint32 c,
        uint32 d,
        uint32 e,
        uint32 f
    ) public {
        Terms memory terms = someTerms();
        terms.commitDeadline = uint40(time() + between(a, MIN_PHASE, 30 days));
        terms.drawTime = uint32(between(b, MIN_PHASE, 30 days));
        terms.revealTime = uint32(between(c, MIN_PHASE, 30 days));
        terms.settleTime = uint32(between(d, MIN_PHASE, 30 days));
        terms.challengeTime = uint32(between(e, MIN_PHASE, 30 days));
        terms.refuteTime = uint32(between(f, MIN_PHASE, 30 days));
        uint256 round = open(terms);
        enter(round, several(alice, bob));
        checkBorder(round, terms.commitDeadline, Phase.Commit, Phase.Draw);
        draw(round);
        reveal(round, several(alice, bob));
        checkBorder(round, time() + terms.revealTime, Phase.Reveal, Phase.Settle);
        settle(round, noneExcluded(), bytes.concat(row(), row()));
        fund(mallory, 10 * ONE);
        challenge(mallory, round, 0);
        checkBorder(round, time() + terms.challengeTime, Phase.Challenge, Phase.Refute);
        checkBorder(round, time() + terms.refuteTime, Phase.Refute, Phase.Void);
    }
}
