// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEscrow} from "../../contracts/IEscrow.sol";
import {IMarket, Phase, Terms} from "../../contracts/IMarket.sol";
import {ChallengeBase} from "./ChallengeBase.sol";
import {vm} from "./Vm.sol";

/// @notice `payOut`, by example: one thing happens in each round. `Conservation.t.sol` mixes them.
contract PayOutTest is ChallengeBase {
    uint256 private constant FEE = ONE / 10;
    uint256 private constant REVEAL_BOND = 2 * ONE;
    uint256 private constant BOND = 32 * ONE;
    uint256 private constant DEPOSIT = 10 * ONE + FEE + REVEAL_BOND + 8; // of everybody

    uint256 private round;
    bytes private rows;
    uint256[] private excluded;

    /// @dev Alice, Bob and Carol commit (0, 1, 2), `who` reveal, and the rows are posted.
    function settled(address[] memory who, uint256[] memory excluded_, bytes memory rows_) private {
        round = drawn(several(alice, bob, carol));
        reveal(round, who);
        closeReveals(round);
        settle(round, excluded_, rows_);
        (rows, excluded) = (rows_, excluded_);
    }

    function settled(bytes memory rows_) private {
        settled(several(alice, bob, carol), noneExcluded(), rows_);
    }

    function payOut(uint256 from, uint256 to) private {
        market.payOut(round, rows, excluded, from, to);
    }

    function payAll() private {
        closeChallenges(round);
        payOut(0, 3);
        checkEq(escrow.pot(round), 0, "the pot is empty");
    }

    function payCall(
        bytes memory rows_,
        uint256[] memory excluded_,
        uint256 from,
        uint256 to
    ) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.payOut, (round, rows_, excluded_, from, to));
    }

    function checkCredits(uint256 alices, uint256 bobs, uint256 carols, uint256 aggregators) private view {
        checkEq(escrow.available(alice), alices, "Alice's");
        checkEq(escrow.available(bob), bobs, "Bob's");
        checkEq(escrow.available(carol), carols, "Carol's");
        checkEq(escrow.available(aggregator), aggregators, "the aggregator's");
        checkEq(alices + bobs + carols + aggregators + escrow.burnt(), 3 * DEPOSIT + BOND, "all of it");
    }

    // --- who gets what ---

    function test_without_trade_everybody_pays_the_fee() public {
        settled(bytes.concat(row(), row(), row()));
        payAll();
        checkCredits(DEPOSIT - FEE, DEPOSIT - FEE, DEPOSIT - FEE, BOND + 3 * FEE);
        checkEq(escrow.burnt(), 0, "burnt");
    }

    function test_a_price_moves_from_buyer_to_seller() public {
        settled(bytes.concat(row(1, 3 * ONE), row(), row()));
        payAll();
        checkCredits(DEPOSIT - FEE - 3 * ONE, DEPOSIT - FEE + 3 * ONE, DEPOSIT - FEE, BOND + 3 * FEE);
    }

    function test_everybody_can_buy_and_sell() public {
        settled(bytes.concat(row(1, 1, 2, 10), row(0, 100, 2, 1_000), row(1, 10_000, 0, 100_000)));
        payAll();
        uint256 all = DEPOSIT - FEE;
        checkCredits(all - 11 + 100_100, all - 1_100 + 10_001, all - 110_000 + 1_010, BOND + 3 * FEE);
    }

    function test_who_did_not_reveal_loses_its_reveal_bond_to_the_others() public {
        settled(several(alice, bob), noneExcluded(), bytes.concat(row(), row(), row()));
        payAll();
        uint256 all = DEPOSIT - FEE + REVEAL_BOND / 2;
        checkCredits(all, all, DEPOSIT - REVEAL_BOND, BOND + 2 * FEE);
    }

    function test_what_cannot_be_shared_of_lost_bonds_is_the_aggregators() public {
        Terms memory terms = someTerms();
        terms.revealBond = uint96(REVEAL_BOND + 1);
        terms.bond = 33 * terms.revealBond;
        round = open(terms);
        enter(round, several(alice, bob, carol));
        closeCommits(round);
        draw(round);
        reveal(round, several(alice, bob));
        closeReveals(round);
        (rows, excluded) = (bytes.concat(row(), row(), row()), noneExcluded());
        settle(round, excluded, rows);
        payAll();
        checkEq(escrow.available(aggregator), terms.bond + 2 * FEE + 1, "the aggregator's");
    }

    function test_an_excluded_account_pays_no_fee_and_its_reveal_bond_is_burnt() public {
        settled(several(alice, bob, carol), excluding(1), bytes.concat(row(), row(), row()));
        payAll();
        checkCredits(DEPOSIT - FEE, DEPOSIT - REVEAL_BOND, DEPOSIT - FEE, BOND + 2 * FEE);
        checkEq(escrow.burnt(), REVEAL_BOND, "burnt");
    }

    function test_an_excluded_account_has_its_share_of_lost_bonds() public {
        settled(several(alice, bob), excluding(1), bytes.concat(row(), row(), row()));
        payAll();
        uint256 share = REVEAL_BOND / 2;
        checkCredits(DEPOSIT - FEE + share, DEPOSIT - REVEAL_BOND + share, DEPOSIT - REVEAL_BOND, BOND + FEE);
    }

    function test_an_exclusion_of_who_did_not_reveal_means_nothing() public {
        settled(several(alice, bob), excluding(2), bytes.concat(row(), row(), row()));
        payAll();
        uint256 all = DEPOSIT - FEE + REVEAL_BOND / 2;
        checkCredits(all, all, DEPOSIT - REVEAL_BOND, BOND + 2 * FEE);
        checkEq(escrow.burnt(), 0, "burnt");
    }

    function test_what_a_rejecting_buyer_would_have_paid_is_burnt_with_its_fee_and_reveal_bond() public {
        settled(bytes.concat(row(1, 3 * ONE, 2, ONE), row(2, ONE), row()));
        vm.prank(alice);
        market.reject(round, 0);
        payAll();
        uint256 all = DEPOSIT - FEE;
        checkCredits(all - 4 * ONE - REVEAL_BOND, all - ONE, all + ONE, BOND + 2 * FEE);
        checkEq(escrow.burnt(), 4 * ONE + FEE + REVEAL_BOND, "burnt");
    }

    function test_a_rejection_of_a_free_delivery_counts() public {
        settled(bytes.concat(row(1, 0), row(), row()));
        vm.prank(alice);
        market.reject(round, 0);
        payAll();
        checkCredits(DEPOSIT - FEE - REVEAL_BOND, DEPOSIT - FEE, DEPOSIT - FEE, BOND + 2 * FEE);
    }

    function test_a_rejection_of_nothing_does_not_count() public {
        settled(bytes.concat(row(), row(0, ONE), row()));
        vm.prank(alice);
        market.reject(round, 0);
        payAll();
        checkCredits(DEPOSIT - FEE + ONE, DEPOSIT - FEE - ONE, DEPOSIT - FEE, BOND + 3 * FEE);
    }

    function test_a_rejection_of_an_excluded_account_does_not_count() public {
        settled(several(alice, bob, carol), excluding(0), bytes.concat(row(1, ONE), row(), row()));
        vm.prank(alice);
        market.reject(round, 0);
        payAll();
        checkCredits(DEPOSIT - REVEAL_BOND, DEPOSIT - FEE, DEPOSIT - FEE, BOND + 2 * FEE);
        checkEq(escrow.burnt(), REVEAL_BOND, "burnt");
    }

    // --- wrong rows that nobody challenged ---

    function checkEmpty(bytes memory wrong) private {
        settled(bytes.concat(wrong, row(0, ONE), row()));
        payAll();
        checkCredits(DEPOSIT - FEE + ONE, DEPOSIT - FEE - ONE, DEPOSIT - FEE, BOND + 3 * FEE);
    }

    function test_a_row_with_a_foreign_seller_counts_as_empty() public {
        checkEmpty(row(3, ONE));
    }

    function test_a_row_with_a_foreign_seller_counts_as_empty_wherever_it_stands() public {
        checkEmpty(row(2, ONE, type(uint16).max, 0));
    }

    function test_a_foreign_seller_counts_as_nothing_before_others() public {
        checkEmpty(row(1024, 0, 2, ONE));
    }

    function test_a_row_that_costs_more_than_the_deposit_leaves_counts_as_empty() public {
        checkEmpty(row(1, 10 * ONE + 9));
    }

    function test_prices_that_add_up_to_too_much_count_as_empty() public {
        checkEmpty(row(1, 5 * ONE, 2, 5 * ONE + 9));
    }

    function test_prices_that_add_up_beyond_a_word_count_as_empty() public {
        checkEmpty(row(1, type(uint96).max, 2, type(uint96).max));
    }

    function test_a_rejection_of_a_row_that_counts_as_empty_does_not_count() public {
        settled(bytes.concat(row(1, 10 * ONE + 9), row(0, ONE), row(3, 1)));
        vm.prank(alice);
        market.reject(round, 0);
        vm.prank(carol);
        market.reject(round, 2);
        payAll();
        checkCredits(DEPOSIT - FEE + ONE, DEPOSIT - FEE - ONE, DEPOSIT - FEE, BOND + 3 * FEE);
    }

    function test_a_row_that_costs_all_that_the_deposit_leaves_counts() public {
        settled(bytes.concat(row(1, 10 * ONE, 2, 8), row(), row()));
        payAll();
        checkCredits(REVEAL_BOND, DEPOSIT - FEE + 10 * ONE, DEPOSIT - FEE + 8, BOND + 3 * FEE);
    }

    function test_rows_of_excluded_accounts_count_as_empty() public {
        settled(several(alice, bob, carol), excluding(0), bytes.concat(row(1, ONE), row(), row()));
        payAll();
        checkCredits(DEPOSIT - REVEAL_BOND, DEPOSIT - FEE, DEPOSIT - FEE, BOND + 2 * FEE);
    }

    function test_rows_of_who_did_not_reveal_count_as_empty() public {
        settled(several(bob, carol), noneExcluded(), bytes.concat(row(1, ONE), row(), row()));
        payAll();
        uint256 all = DEPOSIT - FEE + REVEAL_BOND / 2;
        checkCredits(DEPOSIT - REVEAL_BOND, all, all, BOND + 2 * FEE);
    }

    function test_what_a_wrong_row_gave_to_the_missing_is_theirs() public {
        settled(several(alice, bob), excluding(1), bytes.concat(row(1, ONE, 2, 3 * ONE), row(), row()));
        payAll();
        uint256 share = REVEAL_BOND / 2;
        checkCredits(
            DEPOSIT - FEE + share - 4 * ONE,
            DEPOSIT - REVEAL_BOND + share + ONE,
            DEPOSIT - REVEAL_BOND + 3 * ONE,
            BOND + FEE
        );
    }

    function test_a_seller_named_twice_and_a_buyer_that_buys_from_itself_break_nothing() public {
        settled(bytes.concat(row(1, ONE, 1, ONE), row(1, 5 * ONE), row()));
        payAll();
        checkCredits(DEPOSIT - FEE - 2 * ONE, DEPOSIT - FEE + 2 * ONE, DEPOSIT - FEE, BOND + 3 * FEE);
    }

    // --- what is said and learnt ---

    function test_reputations_learn_from_ratings() public {
        settled(bytes.concat(row(1, ONE), row(0, ONE), row(1, ONE)));
        vm.prank(alice);
        market.rate(round, 0, 100);
        vm.prank(carol);
        market.rate(round, 2, 60);
        payAll();
        checkEq(reputation.reputationOf(aggregator, alice), LEAST, "Alice's: Bob said nothing");
        checkEq(reputation.reputationOf(aggregator, bob), (LEAST * (150 * 2 + 160)) / 400, "Bob's");
        checkEq(reputation.reputationOf(aggregator, carol), LEAST, "Carol's: nobody bought from her");
    }

    function test_a_rejection_is_no_rating() public {
        settled(bytes.concat(row(1, ONE), row(), row(1, ONE)));
        vm.prank(alice);
        market.reject(round, 0);
        vm.prank(carol);
        market.rate(round, 2, 100);
        payAll();
        checkEq(reputation.reputationOf(aggregator, bob), (LEAST * 250) / 200, "Bob's");
    }

    function test_ratings_without_a_purchase_teach_nothing() public {
        settled(bytes.concat(row(), row(3, 1), row(1, 10 * ONE + 9)));
        vm.prank(alice);
        market.rate(round, 0, 100);
        vm.prank(bob);
        market.rate(round, 1, 100);
        vm.prank(carol);
        market.rate(round, 2, 100);
        payAll();
        checkEq(reputation.reputationOf(aggregator, bob), LEAST, "Bob's");
    }

    function test_missing_a_reveal_or_being_excluded_halves_a_reputation() public {
        for (uint256 i = 0; i < 4; ++i) {
            settled(bytes.concat(row(1, ONE, 2, ONE), row(), row()));
            vm.prank(alice);
            market.rate(round, 0, 100);
            payAll();
        }
        uint256 earned = reputation.reputationOf(aggregator, bob);
        check(earned > 2 * LEAST, "there is something to lose");
        settled(several(alice, bob), excluding(1), bytes.concat(row(), row(), row()));
        payAll();
        checkEq(reputation.reputationOf(aggregator, bob), earned / 2, "Bob's: excluded");
        checkEq(reputation.reputationOf(aggregator, carol), earned / 2, "Carol's: did not reveal");
    }

    function test_a_payout_is_logged() public {
        settled(bytes.concat(row(1, 3 * ONE), row(), row()));
        closeChallenges(round);
        uint256[] memory credits = new uint256[](4);
        credits[0] = uint160(alice) | ((DEPOSIT - FEE - 3 * ONE) << 160);
        credits[1] = uint160(bob) | ((DEPOSIT - FEE + 3 * ONE) << 160);
        credits[2] = uint160(carol) | ((DEPOSIT - FEE) << 160);
        credits[3] = uint160(aggregator) | ((BOND + 3 * FEE) << 160);
        expects(address(market));
        emit IMarket.PaidOut(round, 0, 3);
        expects(address(market));
        emit IMarket.AggregatorPaid(round, aggregator, BOND + 3 * FEE);
        expects(address(escrow));
        emit IEscrow.Credited(round, credits);
        payOut(0, 3);
    }

    // --- batches ---

    function test_batches_in_any_order_pay_each_once() public {
        settled(several(alice, carol), noneExcluded(), bytes.concat(row(2, ONE), row(), row(0, 3 * ONE)));
        closeChallenges(round);
        payOut(2, 3);
        check(market.isPaid(round, 2) && !market.isPaid(round, 0) && !market.isPaid(round, 1), "Carol is paid");
        payOut(2, 3);
        payOut(1, 3);
        checkEq(escrow.available(aggregator), 0, "not yet");
        payOut(0, 3);
        for (uint256 i = 0; i < 3; ++i) check(market.isPaid(round, i), "all are paid");
        uint256 all = DEPOSIT - FEE + REVEAL_BOND / 2;
        checkCredits(all + 2 * ONE, DEPOSIT - REVEAL_BOND, all - 2 * ONE, BOND + 2 * FEE);
        payOut(0, 3);
        payOut(0, 1);
        checkCredits(all + 2 * ONE, DEPOSIT - REVEAL_BOND, all - 2 * ONE, BOND + 2 * FEE);
    }

    function test_a_batch_before_another_one_changes_nothing_for_it() public {
        settled(bytes.concat(row(1, ONE), row(2, ONE), row(0, ONE)));
        vm.prank(alice);
        market.rate(round, 0, 100);
        vm.prank(bob);
        market.reject(round, 1);
        closeChallenges(round);
        payOut(0, 1);
        payOut(1, 2);
        payOut(2, 3);
        uint256 all = DEPOSIT - FEE;
        checkCredits(all, all - REVEAL_BOND, all - ONE, BOND + 2 * FEE);
        checkEq(reputation.reputationOf(aggregator, bob), (LEAST * 250) / 200, "Bob's, rated by the first batch");
        (bool rated, , uint256 rating) = market.ratingOf(round, 0);
        check(rated && rating == 100, "the rating can still be read");
    }

    function test_batches_lie_within_the_participants() public {
        settled(bytes.concat(row(), row(), row()));
        closeChallenges(round);
        uint256[2][5] memory wrong = [
            [uint256(0), 0],
            [uint256(2), 1],
            [uint256(0), 4],
            [uint256(3), 4],
            [uint256(0), type(uint256).max]
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            (uint256 from, uint256 to) = (wrong[i][0], wrong[i][1]);
            refuses(
                anyone,
                payCall(rows, excluded, from, to),
                abi.encodeWithSelector(IMarket.WrongRange.selector, from, to, 3)
            );
        }
    }

    // --- only what was settled ---

    function test_other_rows_than_the_settled_ones_are_refused() public {
        settled(bytes.concat(row(1, ONE), row(), row()));
        closeChallenges(round);
        bytes memory reason = abi.encodeWithSelector(IMarket.WrongSettlement.selector, round);
        refuses(mallory, payCall(bytes.concat(row(1, ONE + 1), row(), row()), excluded, 0, 3), reason);
        refuses(mallory, payCall(bytes.concat(row(), row(1, ONE), row()), excluded, 0, 3), reason);
        refuses(mallory, payCall(bytes.concat(rows, hex"00"), excluded, 0, 3), reason);
        refuses(mallory, payCall(bytes.concat(row(1, ONE), row()), excluded, 0, 3), reason);
        refuses(mallory, payCall("", excluded, 0, 3), reason);
    }

    function test_other_exclusions_than_the_settled_ones_are_refused() public {
        settled(several(alice, bob, carol), excluding(1), bytes.concat(row(), row(), row()));
        closeChallenges(round);
        bytes memory reason = abi.encodeWithSelector(IMarket.WrongSettlement.selector, round);
        refuses(mallory, payCall(rows, noneExcluded(), 0, 3), reason);
        refuses(mallory, payCall(rows, new uint256[](0), 0, 3), reason);
        uint256[] memory longer = new uint256[](2);
        longer[0] = excluded[0];
        refuses(mallory, payCall(rows, longer, 0, 3), reason);
    }

    function test_nothing_is_paid_before_challenges_are_closed() public {
        settled(bytes.concat(row(), row(), row()));
        refuses(anyone, payCall(rows, excluded, 0, 3), wrongPhase(round, Phase.Challenge));
        closeChallenges(round);
        vm.warp(time() - 1);
        refuses(anyone, payCall(rows, excluded, 0, 3), wrongPhase(round, Phase.Challenge));
    }

    function test_nothing_is_paid_while_a_challenge_is_open() public {
        settled(bytes.concat(row(1, ONE), row(), row()));
        fund(mallory, ONE);
        challengeFalsely(mallory, round, 0, 1);
        closeChallenges(round);
        refuses(anyone, payCall(rows, excluded, 0, 3), wrongPhase(round, Phase.Refute));
        refute(anyone, round, 0, 0, 1);
        payOut(0, 3);
    }

    function test_nothing_is_paid_of_a_void_round_or_one_that_is_not() public {
        settled(bytes.concat(row(), row(), row()));
        uint256 settledRound = round;
        round = revealed(several(alice, bob, carol));
        closeSettlement(round);
        refuses(anyone, payCall(rows, excluded, 0, 3), wrongPhase(round, Phase.Void));
        round = 9;
        refuses(anyone, payCall(rows, excluded, 0, 3), unknown(9));
        round = settledRound;
        payOut(0, 3);
    }

    function test_two_rounds_do_not_touch_each_other() public {
        settled(bytes.concat(row(1, ONE), row(), row()));
        uint256 other = open();
        enter(other, several(dave, mallory));
        uint256 pot = escrow.pot(other);
        payAll();
        checkEq(escrow.pot(other), pot, "the other pot");
    }
}
