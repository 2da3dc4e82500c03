// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMarket, Phase} from "../../contracts/IMarket.sol";
import {ChallengeBase} from "./ChallengeBase.sol";
import {vm} from "./Vm.sol";

/// @notice `refund` and `refundChallenge`: how a round ends in Void.
contract RefundTest is ChallengeBase {
    uint256 private constant REVEAL_BOND = 2 * ONE;
    uint256 private constant BOND = 32 * ONE;
    uint256 private constant DEPOSIT = 10 * ONE + ONE / 10 + REVEAL_BOND + 8; // of everybody

    uint256 private round;

    function checkCredits(
        uint256 alices,
        uint256 bobs,
        uint256 carols,
        uint256 aggregators,
        uint256 burnt
    ) private view {
        checkEq(escrow.available(alice), alices, "Alice's");
        checkEq(escrow.available(bob), bobs, "Bob's");
        checkEq(escrow.available(carol), carols, "Carol's");
        checkEq(escrow.available(aggregator), aggregators, "the aggregator's");
        checkEq(escrow.burnt(), burnt, "burnt");
        checkEq(escrow.pot(round), 0, "the pot is empty");
    }

    // --- without fault ---

    function test_with_nobody_the_bond_returns() public {
        round = open();
        closeCommits(round);
        market.refund(round, 0, 0);
        checkCredits(0, 0, 0, BOND, 0);
    }

    function test_with_one_participant_all_returns() public {
        round = open();
        enter(round, alice);
        closeCommits(round);
        market.refund(round, 0, 1);
        checkCredits(DEPOSIT, 0, 0, BOND, 0);
    }

    function test_without_a_seed_all_returns() public {
        round = open();
        enter(round, several(alice, bob, carol));
        vm.warp(market.roundOf(round).terms.commitDeadline + market.roundOf(round).terms.drawTime);
        market.refund(round, 0, 3);
        checkCredits(DEPOSIT, DEPOSIT, DEPOSIT, BOND, 0);
    }

    function test_without_a_reveal_all_returns() public {
        round = drawn(several(alice, bob, carol));
        closeReveals(round);
        market.refund(round, 0, 3);
        checkCredits(DEPOSIT, DEPOSIT, DEPOSIT, BOND, 0);
    }

    function test_the_only_one_that_revealed_gets_the_lost_bonds() public {
        round = drawn(several(alice, bob, carol));
        reveal(round, bob);
        closeReveals(round);
        market.refund(round, 0, 3);
        checkCredits(DEPOSIT - REVEAL_BOND, DEPOSIT + 2 * REVEAL_BOND, DEPOSIT - REVEAL_BOND, BOND, 0);
    }

    function test_there_is_no_challenger_to_pay_without_fault() public {
        round = drawn(several(alice, bob, carol));
        reveal(round, bob);
        closeReveals(round);
        refuses(
            anyone,
            abi.encodeCall(IMarket.refundChallenge, (round, 0)),
            abi.encodeWithSelector(IMarket.WithoutFault.selector, round)
        );
    }

    // --- with fault: no settlement ---

    function test_silence_costs_the_bond() public {
        round = revealed(several(alice, bob));
        closeSettlement(round);
        market.refund(round, 0, 2);
        // A quarter goes to those who revealed; there is no challenger, so the rest is burnt.
        checkCredits(DEPOSIT + BOND / 8, DEPOSIT + BOND / 8, 0, 0, (3 * BOND) / 4);
    }

    function test_lost_reveal_bonds_go_the_same_way() public {
        round = drawn(several(alice, bob, carol));
        reveal(round, several(alice, bob));
        closeReveals(round);
        closeSettlement(round);
        market.refund(round, 0, 3);
        uint256 share = (BOND / 4 + REVEAL_BOND) / 2;
        checkCredits(DEPOSIT + share, DEPOSIT + share, DEPOSIT - REVEAL_BOND, 0, (3 * BOND) / 4);
    }

    function test_what_cannot_be_shared_is_burnt() public {
        round = revealed(several(alice, bob, carol));
        closeSettlement(round);
        market.refund(round, 0, 3);
        uint256 share = BOND / 4 / 3;
        check(3 * share != BOND / 4, "there is a remainder");
        checkCredits(DEPOSIT + share, DEPOSIT + share, DEPOSIT + share, 0, BOND - 3 * share);
    }

    function test_no_reputation_changes_in_void() public {
        bytes memory rows = bytes.concat(row(2, ONE), row(2, ONE), row());
        round = revealed(several(alice, bob, carol));
        settle(round, noneExcluded(), rows);
        vm.prank(alice);
        market.rate(round, 0, 100);
        closeChallenges(round);
        market.payOut(round, rows, noneExcluded(), 0, 3);
        uint256 earned = reputation.reputationOf(aggregator, carol);
        check(earned > LEAST, "there is something to lose");

        round = drawn(several(alice, bob, carol));
        reveal(round, several(alice, bob));
        closeReveals(round);
        closeSettlement(round);
        market.refund(round, 0, 3);
        checkEq(reputation.reputationOf(aggregator, carol), earned, "Carol's, who did not reveal");
    }

    // --- with fault: a challenge that stands ---

    /// @dev Settled with a wrong price for Alice, who rates: neither matters in the end.
    function settledWrongly(uint256[] memory excluded) private {
        round = revealed(several(alice, bob));
        settle(round, excluded, bytes.concat(row(1, ONE), row()));
        vm.prank(alice);
        market.rate(round, 0, 100);
        fund(mallory, BOND);
        fund(dave, BOND);
    }

    function challenged(uint256 count) private {
        settledWrongly(noneExcluded());
        for (uint256 i = 0; i < count; ++i) challenge(i % 2 == 0 ? mallory : dave, round, 0);
    }

    function refundChallengeCall(uint256 challenge) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.refundChallenge, (round, challenge));
    }

    function notOpen(uint256 challenge) private view returns (bytes memory) {
        return abi.encodeWithSelector(IMarket.ChallengeNotOpen.selector, round, challenge);
    }

    function test_a_challenger_that_stands_gets_its_bond_and_a_quarter() public {
        settledWrongly(excluding(1));
        challenge(mallory, round, 0);
        closeRefutations(round);
        expects(address(market));
        emit IMarket.ChallengeRefunded(round, 0, mallory, BOND / 32 + BOND / 4);
        market.refundChallenge(round, 0);
        market.refund(round, 0, 2);
        checkEq(escrow.available(mallory), BOND + BOND / 4, "Mallory's");
        // The exclusion lapses: Bob has his share, and keeps his reveal bond.
        checkCredits(DEPOSIT + BOND / 8, DEPOSIT + BOND / 8, 0, 0, BOND / 2);
        checkEq(reputation.reputationOf(aggregator, bob), LEAST, "no rating counts");
    }

    function test_three_challengers_that_stand_share_the_quarter() public {
        challenged(3);
        closeRefutations(round);
        market.refund(round, 0, 2);
        for (uint256 i = 0; i < 3; ++i) market.refundChallenge(round, i);
        uint256 part = BOND / 4 / 3;
        checkEq(escrow.available(mallory), BOND + 2 * part, "Mallory's");
        checkEq(escrow.available(dave), BOND + part, "Dave's");
        checkCredits(DEPOSIT + BOND / 8, DEPOSIT + BOND / 8, 0, 0, BOND - BOND / 4 - 3 * part);
    }

    function test_a_refuted_challenger_shares_nothing() public {
        challenged(1);
        challengeFalsely(dave, round, 0, 1);
        refute(anyone, round, 1, 0, 1);
        closeRefutations(round);
        refuses(anyone, refundChallengeCall(1), notOpen(1));
        market.refundChallenge(round, 0);
        market.refund(round, 0, 2);
        checkEq(escrow.available(mallory), BOND + BOND / 4, "Mallory's");
        checkEq(escrow.available(dave), BOND - BOND / 32, "Dave's");
        checkCredits(DEPOSIT + BOND / 8, DEPOSIT + BOND / 8, 0, 0, BOND / 2);
    }

    function test_a_challenger_is_paid_once() public {
        challenged(2);
        closeRefutations(round);
        market.refundChallenge(round, 0);
        refuses(anyone, refundChallengeCall(0), notOpen(0));
        refuses(anyone, refundChallengeCall(2), notOpen(2));
        market.refundChallenge(round, 1);
        market.refund(round, 0, 2);
        checkCredits(DEPOSIT + BOND / 8, DEPOSIT + BOND / 8, 0, 0, BOND / 2);
    }

    function test_no_challenger_is_paid_before_void() public {
        challenged(1);
        refuses(anyone, refundChallengeCall(0), wrongPhase(round, Phase.Challenge));
        closeRefutations(round);
        vm.warp(time() - 1);
        refuses(anyone, refundChallengeCall(0), wrongPhase(round, Phase.Refute));
    }

    function test_without_a_settlement_there_is_no_challenger() public {
        round = revealed(several(alice, bob));
        closeSettlement(round);
        refuses(anyone, refundChallengeCall(0), notOpen(0));
    }

    // --- batches ---

    function test_an_empty_first_batch_settles_the_aggregators_side() public {
        round = drawn(several(alice, bob, carol));
        closeReveals(round);
        expects(address(market));
        emit IMarket.AggregatorPaid(round, aggregator, BOND);
        market.refund(round, 2, 2);
        checkEq(escrow.available(aggregator), BOND, "the aggregator's");
        market.refund(round, 0, 3);
        checkCredits(DEPOSIT, DEPOSIT, DEPOSIT, BOND, 0);
    }

    function test_the_aggregators_side_is_settled_once() public {
        round = revealed(several(alice, bob));
        closeSettlement(round);
        expects(address(market));
        emit IMarket.AggregatorPaid(round, aggregator, 0);
        market.refund(round, 0, 0);
        checkEq(escrow.burnt(), (3 * BOND) / 4, "burnt");
        market.refund(round, 0, 0);
        market.refund(round, 1, 2);
        checkEq(escrow.burnt(), (3 * BOND) / 4, "burnt once");
    }

    function test_batches_in_any_order_refund_each_once() public {
        round = drawn(several(alice, bob, carol));
        closeReveals(round);
        expects(address(market));
        emit IMarket.Refunded(round, 1, 2);
        market.refund(round, 1, 2);
        check(market.isPaid(round, 1) && !market.isPaid(round, 0), "Bob is paid");
        market.refund(round, 1, 3);
        market.refund(round, 0, 3);
        market.refund(round, 0, 3);
        for (uint256 i = 0; i < 3; ++i) check(market.isPaid(round, i), "all are paid");
        checkCredits(DEPOSIT, DEPOSIT, DEPOSIT, BOND, 0);
    }

    function test_batches_lie_within_the_participants() public {
        round = drawn(several(alice, bob));
        closeReveals(round);
        uint256[2][3] memory wrong = [[uint256(1), 0], [uint256(0), 3], [uint256(3), 3]];
        for (uint256 i = 0; i < wrong.length; ++i) {
            (uint256 from, uint256 to) = (wrong[i][0], wrong[i][1]);
            refuses(
                anyone,
                abi.encodeCall(IMarket.refund, (round, from, to)),
                abi.encodeWithSelector(IMarket.WrongRange.selector, from, to, 2)
            );
        }
    }

    function test_nothing_is_refunded_while_a_round_goes_on() public {
        round = open();
        enter(round, several(alice, bob));
        bytes memory question = abi.encodeCall(IMarket.refund, (round, 0, 2));
        refuses(anyone, question, wrongPhase(round, Phase.Commit));
        closeCommits(round);
        refuses(anyone, question, wrongPhase(round, Phase.Draw));
        draw(round);
        refuses(anyone, question, wrongPhase(round, Phase.Reveal));
        reveal(round, several(alice, bob));
        closeReveals(round);
        refuses(anyone, question, wrongPhase(round, Phase.Settle));
        settle(round, noneExcluded(), bytes.concat(row(), row()));
        refuses(anyone, question, wrongPhase(round, Phase.Challenge));
        closeChallenges(round);
        refuses(anyone, question, wrongPhase(round, Phase.Payout));
        refuses(anyone, abi.encodeCall(IMarket.refund, (9, 0, 0)), unknown(9));
        refuses(anyone, abi.encodeCall(IMarket.refundChallenge, (9, 0)), unknown(9));
    }
}
