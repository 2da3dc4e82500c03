// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEscrow} from "../../contracts/IEscrow.sol";
import {BidRecord, IMarket, Phase} from "../../contracts/IMarket.sol";
import {Offer} from "../../contracts/libraries/Mechanism.sol";
import {SlowJudge} from "./SlowJudge.sol";
import {Traders} from "./Traders.sol";
import {vm} from "./Vm.sol";

/// @notice `challenge`: what it accepts as a proof, and what follows from one.
contract ChallengeTest is Traders {
    function refusesAccusation(Accusation memory a, bytes memory reason) private {
        refuses(mallory, asCall(a), reason);
    }

    // --- a wrong row ---

    /// @dev Alice's row is proven wrong, nobody can say anything against it, and the aggregator pays for it.
    function checkWrong(bytes memory wrong) private {
        settleWith(wrong);
        challenge(mallory, round, ALICE);
        checkStands();
    }

    function checkStands() private {
        Offer[] memory list = trueList(round, ALICE);
        for (uint256 seller = 0; seller < 5; ++seller) {
            (bool done, ) = address(market).call(asCall(objection(round, 0, ALICE, list, seller)));
            check(!done, "a true challenge was refuted");
        }
        closeRefutations(round);
        checkPhase(round, Phase.Void, "the round");
        market.refundChallenge(round, 0);
        market.refund(round, 0, 5);
        checkEq(escrow.available(mallory), BOND + BOND / 4, "Mallory's: her bond and a quarter of the aggregator's");
        checkEq(escrow.available(aggregator), 0, "the aggregator's");
        checkEq(escrow.pot(round), 0, "left in the pot");
    }

    function test_a_price_one_unit_too_high_is_proven_wrong() public {
        play();
        bytes memory wrong = trueRow(round, ALICE);
        wrong[wrong.length - 1] = bytes1(uint8(wrong[wrong.length - 1]) + 1); // no 0xff here: the check below says so
        check(uint8(wrong[wrong.length - 1]) != 0, "no carry");
        checkWrong(wrong);
    }

    function test_a_price_one_unit_too_low_is_proven_wrong() public {
        play();
        bytes memory wrong = trueRow(round, ALICE);
        check(uint8(wrong[14]) != 0, "no borrow");
        wrong[14] = bytes1(uint8(wrong[14]) - 1);
        checkWrong(wrong);
    }

    function test_a_missing_seller_is_proven_wrong() public {
        play();
        bytes memory right = trueRow(round, ALICE);
        checkEq(right.length, 29, "two purchases");
        bytes memory wrong = new bytes(15);
        wrong[0] = 0x01;
        for (uint256 k = 1; k < 15; ++k) wrong[k] = right[k];
        checkWrong(wrong);
    }

    function test_an_empty_row_of_a_buyer_is_proven_wrong() public {
        play();
        checkWrong(row());
    }

    function test_another_order_is_proven_wrong() public {
        play();
        bytes memory right = trueRow(round, ALICE);
        bytes memory wrong = bytes.concat(right);
        for (uint256 k = 1; k < 15; ++k) (wrong[k], wrong[k + 14]) = (right[k + 14], right[k]);
        checkWrong(wrong);
    }

    function test_another_seller_is_proven_wrong() public {
        play();
        bytes memory wrong = trueRow(round, ALICE);
        wrong[2] = bytes1(uint8(unlisted()));
        checkWrong(wrong);
    }

    function test_an_invented_seller_is_proven_wrong() public {
        play();
        bytes memory wrong = trueRow(round, ALICE);
        wrong[2] = 0x05;
        checkWrong(wrong);
    }

    function test_a_buyer_that_buys_from_itself_is_proven_wrong() public {
        play();
        bytes memory wrong = trueRow(round, ALICE);
        wrong[2] = 0x00;
        checkWrong(wrong);
    }

    function test_a_seller_named_twice_is_proven_wrong() public {
        play();
        bytes memory wrong = trueRow(round, ALICE);
        wrong[16] = wrong[2];
        checkWrong(wrong);
    }

    function test_another_buyers_row_is_proven_wrong() public {
        play();
        bytes memory right = trueRow(round, ALICE);
        bytes memory wrong = trueRow(round, BOB);
        check(keccak256(right) != keccak256(wrong), "it is another");
        checkWrong(wrong);
    }

    function test_a_purchase_from_who_does_not_sell_is_proven_wrong() public {
        bids[BOB].cost = NOT_SELLING;
        play();
        checkWrong(row(BOB, ONE));
    }

    function test_a_purchase_from_who_did_not_reveal_is_proven_wrong() public {
        play();
        bytes memory asIfRevealed = trueRow(round, ALICE);
        silent[listed()[0]] = true;
        play();
        checkWrong(asIfRevealed);
    }

    function test_a_purchase_from_who_is_excluded_is_proven_wrong() public {
        play();
        bytes memory asIfIncluded = trueRow(round, ALICE);
        settleWith(asIfIncluded, excluding(listed()[0]));
        challenge(mallory, round, ALICE);
        checkStands();
    }

    function test_a_purchase_of_a_buyer_of_value_0_is_proven_wrong() public {
        bids[ALICE].value = 0;
        play();
        checkWrong(row(BOB, 0));
    }

    function test_a_purchase_of_a_buyer_that_trusts_nobody_is_proven_wrong() public {
        bids[ALICE].minReputation = uint24(LEAST + 1);
        play();
        checkWrong(row(BOB, bids[BOB].cost));
    }

    function test_the_row_of_any_buyer_can_be_challenged() public {
        play();
        settleWith(trueRow(round, ALICE));
        for (uint256 buyer = BOB; buyer <= ERIN; ++buyer) challenge(mallory, round, buyer);
        checkEq(market.roundOf(round).openChallenges, 4, "open");
    }

    // --- a right row ---

    function test_a_right_row_is_not_proven_wrong() public {
        play();
        settleWith(trueRow(round, ALICE));
        refusesAccusation(accusation(round, ALICE), rowIsRight());
    }

    function test_an_empty_row_can_be_right() public {
        bids[ALICE].value = 0;
        play();
        settleWith(row());
        refusesAccusation(accusation(round, ALICE), rowIsRight());
    }

    /// @dev That is what `refute` is for.
    function test_a_false_list_can_challenge_a_right_row() public {
        play();
        settleWith(trueRow(round, ALICE));
        uint256[3] memory list = listed();
        for (uint256 k = 0; k < 3; ++k) challengeFalsely(mallory, round, ALICE, list[k]);
        checkEq(market.roundOf(round).openChallenges, 3, "open");
    }

    // --- what a challenge leaves ---

    function test_a_challenge_is_logged_with_its_claim() public {
        play();
        settleWith(row());
        Accusation memory a = accusation(round, ALICE);
        Offer[] memory list = trueList(round, ALICE);
        expects(address(market));
        emit IMarket.ChallengeOpened(round, 0, mallory, SlowJudge.claimOf(ALICE, list));
        submit(mallory, a);
    }

    function test_challenges_are_numbered_and_counted() public {
        play();
        settleWith(row());
        checkEq(challenge(mallory, round, ALICE), 0, "the first");
        checkEq(challenge(mallory, round, ALICE), 1, "the same again");
        checkEq(challenge(mallory, round, BOB), 2, "another");
        checkEq(market.roundOf(round).openChallenges, 3, "open");
    }

    function test_a_challenge_locks_a_thirty_second_of_the_bond() public {
        play();
        settleWith(row());
        uint256 pot = escrow.pot(round);
        challenge(mallory, round, ALICE);
        checkEq(escrow.available(mallory), BOND - PART, "Mallory's");
        checkEq(escrow.pot(round), pot + PART, "the pot");
    }

    function test_a_challenger_needs_its_bond() public {
        play();
        settleWith(row());
        vm.prank(mallory);
        escrow.withdraw(uint96(BOND - PART + 1));
        refusesAccusation(
            accusation(round, ALICE),
            abi.encodeWithSelector(IEscrow.NotEnoughAvailable.selector, mallory, PART - 1, PART)
        );
    }

    function test_a_participant_or_the_aggregator_can_challenge() public {
        play();
        settleWith(row());
        address[2] memory challengers = [alice, aggregator];
        for (uint256 i = 0; i < 2; ++i) {
            fund(challengers[i], PART);
            challenge(challengers[i], round, ALICE);
        }
    }

    // --- when ---

    function test_challenges_come_during_the_challenge_phase() public {
        play();
        settleWith(row());
        Accusation memory a = accusation(round, ALICE);
        closeChallenges(round);
        refusesAccusation(a, wrongPhase(round, Phase.Payout));
        vm.warp(time() - 1);
        submit(mallory, a);
        closeChallenges(round);
        refusesAccusation(a, wrongPhase(round, Phase.Refute));
        closeRefutations(round);
        refusesAccusation(a, wrongPhase(round, Phase.Void));
    }

    function test_nothing_is_challenged_before_the_settlement() public {
        play();
        Accusation memory a;
        a.round = round;
        refusesAccusation(a, wrongPhase(round, Phase.Settle));
        a.round = 9;
        refusesAccusation(a, unknown(9));
    }

    // --- what was settled ---

    function test_other_rows_than_the_settled_ones_are_refused() public {
        play();
        settleWith(row());
        bytes memory reason = because(IMarket.WrongSettlement.selector);
        Accusation memory a = accusation(round, ALICE);
        a.rowHashes[ALICE] = keccak256(row(BOB, ONE));
        refusesAccusation(a, reason);
        a = accusation(round, ALICE);
        a.rowHashes[ERIN] = keccak256(row(BOB, ONE));
        refusesAccusation(a, reason);
    }

    function test_more_or_fewer_rows_than_were_settled_are_refused() public {
        play();
        settleWith(row());
        uint256[3] memory counts = [uint256(0), 4, 6];
        for (uint256 i = 0; i < 3; ++i) {
            Accusation memory a = accusation(round, ALICE);
            bytes32[] memory hashes = new bytes32[](counts[i]);
            for (uint256 k = 0; k < counts[i]; ++k) hashes[k] = keccak256(row());
            a.rowHashes = hashes;
            refusesAccusation(a, because(IMarket.WrongSettlement.selector));
        }
    }

    function test_other_exclusions_than_the_settled_ones_are_refused() public {
        play();
        settleWith(row(), excluding(BOB));
        bytes memory reason = because(IMarket.WrongSettlement.selector);
        Accusation memory a = accusation(round, ALICE);
        a.excluded = noneExcluded();
        refusesAccusation(a, reason);
        a.excluded = new uint256[](2);
        a.excluded[0] = 1 << BOB;
        refusesAccusation(a, reason);
        a.excluded = new uint256[](0);
        refusesAccusation(a, reason);
    }

    // --- records ---

    function test_a_buyers_record_is_what_its_reveal_has_left() public {
        play();
        settleWith(row());
        for (uint256 kind = 0; kind < SPOILT; ++kind) {
            Accusation memory a = accusation(round, ALICE);
            spoil(a.buyer, kind);
            refusesAccusation(a, because(IMarket.WrongRecord.selector, ALICE));
        }
    }

    function test_a_listed_sellers_record_is_what_its_reveal_has_left() public {
        play();
        settleWith(row());
        uint256 last = listed()[2];
        for (uint256 kind = 0; kind < SPOILT; ++kind) {
            Accusation memory a = accusation(round, ALICE);
            spoil(a.list[2], kind);
            refusesAccusation(a, because(IMarket.WrongRecord.selector, last));
        }
    }

    function test_a_record_is_at_its_own_index() public {
        play();
        settleWith(row());
        uint256[6] memory indices = [BOB, 5, 1023, 1024, uint256(1) << 16, type(uint256).max];
        for (uint256 i = 0; i < 6; ++i) {
            Accusation memory a = accusation(round, ALICE);
            a.buyer.index = indices[i];
            refusesAccusation(a, because(IMarket.WrongRecord.selector, indices[i]));
            if (indices[i] == listed()[0]) continue;
            a = accusation(round, ALICE);
            a.list[0].index = indices[i];
            refusesAccusation(a, because(IMarket.WrongRecord.selector, indices[i]));
        }
    }

    function test_a_record_of_another_round_is_refused() public {
        play();
        BidRecord memory before = caseOf(round).records[CAROL];
        bids[CAROL].cost += 1;
        play();
        settleWith(row());
        Accusation memory a = accusation(round, ALICE);
        a.list[0] = before;
        refusesAccusation(a, because(IMarket.WrongRecord.selector, CAROL));
    }

    function test_nobody_is_listed_that_did_not_reveal() public {
        silent[CAROL] = true;
        play();
        settleWith(row());
        Accusation memory a = accusation(round, ALICE);
        a.list[0] = BidRecord(CAROL, bids[CAROL], uint24(LEAST), someModel(carol), someSketch(carol));
        refusesAccusation(a, because(IMarket.WrongRecord.selector, CAROL));
    }

    function test_no_buyer_is_challenged_that_did_not_reveal() public {
        silent[ALICE] = true;
        play();
        settleWith(row(BOB, ONE));
        Accusation memory a = accusation(round, BOB);
        a.buyer = BidRecord(ALICE, bids[ALICE], uint24(LEAST), someModel(alice), someSketch(alice));
        a.list = new BidRecord[](0);
        refusesAccusation(a, because(IMarket.WrongRecord.selector, ALICE));
    }

    /// @dev Whatever was posted for it counts as empty.
    function test_an_excluded_buyer_is_not_challenged() public {
        play();
        settleWith(row(BOB, ONE), excluding(ALICE));
        Accusation memory a = accusation(round, ALICE);
        a.list = new BidRecord[](0);
        refusesAccusation(a, because(IMarket.NotTrading.selector, ALICE));
    }

    // --- who may be listed ---

    /// @dev Bob alone is listed, of whom something keeps Alice.
    function checkNotEligible() private {
        Accusation memory a = accusation(round, ALICE);
        a.list = new BidRecord[](1);
        a.list[0] = caseOf(round).records[BOB];
        refusesAccusation(a, because(IMarket.NotEligible.selector, BOB));
    }

    function test_nobody_is_listed_that_is_excluded() public {
        play();
        settleWith(row(CAROL, 1), excluding(BOB));
        checkNotEligible();
    }

    function test_nobody_is_listed_that_does_not_sell() public {
        bids[BOB].cost = NOT_SELLING;
        play();
        settleWith(row(CAROL, 1));
        checkNotEligible();
    }

    function test_nobody_is_listed_whose_reputation_is_too_low() public {
        bids[ALICE].minReputation = uint24(LEAST + 1);
        play();
        settleWith(row(CAROL, 1));
        checkNotEligible();
    }

    function test_who_has_just_the_reputation_is_listed() public {
        bids[ALICE].minReputation = uint24(LEAST);
        play();
        settleWith(row(CAROL, 1));
        checkEq(accusation(round, ALICE).list.length, 3, "listed");
        challenge(mallory, round, ALICE);
    }

    function test_nobody_is_listed_whose_model_is_not_similar() public {
        ownSketch[bob] = new bytes(1024);
        play();
        settleWith(row(CAROL, 1));
        checkNotEligible();
    }

    function test_nobody_is_listed_that_is_not_worth_its_cost() public {
        bids[BOB].cost = uint96(5 * ONE);
        play();
        settleWith(row(CAROL, 1));
        checkNotEligible();
    }

    function test_nobody_is_listed_for_a_buyer_of_value_0() public {
        bids[ALICE].value = 0;
        bids[BOB].cost = 0;
        play();
        settleWith(row(CAROL, 1));
        checkNotEligible();
    }

    function test_a_buyer_is_not_its_own_seller() public {
        bids[ALICE].cost = 0;
        play();
        settleWith(row(CAROL, 1));
        refusesAccusation(listWith(ALICE, 0), because(IMarket.NotEligible.selector, ALICE));
    }

    // --- the list ---

    function test_a_list_has_one_more_than_can_be_bought() public {
        play();
        settleWith(row());
        Accusation memory a = accusation(round, ALICE);
        BidRecord[] memory longer = new BidRecord[](4);
        for (uint256 k = 0; k < 3; ++k) longer[k] = a.list[k];
        longer[3] = caseOf(round).records[unlisted()];
        a.list = longer;
        refusesAccusation(a, abi.encodeWithSelector(IMarket.ListTooLong.selector, 4, 3));
    }

    function test_a_list_is_in_order_of_merit() public {
        play();
        settleWith(row());
        for (uint256 k = 0; k < 2; ++k) {
            Accusation memory a = accusation(round, ALICE);
            (a.list[k], a.list[k + 1]) = (a.list[k + 1], a.list[k]);
            refusesAccusation(a, because(IMarket.ListOutOfOrder.selector, a.list[k + 1].index));
        }
    }

    function test_nobody_is_listed_twice() public {
        play();
        settleWith(row());
        for (uint256 k = 0; k < 2; ++k) {
            Accusation memory a = accusation(round, ALICE);
            a.list[k + 1] = a.list[k];
            refusesAccusation(a, because(IMarket.ListOutOfOrder.selector, a.list[k].index));
        }
    }

    function test_of_two_alike_the_lower_index_comes_first() public {
        ownSketch[carol] = someSketch(dave);
        bids[CAROL].cost = bids[DAVE].cost = 0;
        play();
        settleWith(row());
        checkEq(listed()[0], CAROL, "the first");
        checkEq(listed()[1], DAVE, "the second");
        Accusation memory a = accusation(round, ALICE);
        (a.list[0], a.list[1]) = (a.list[1], a.list[0]);
        refusesAccusation(a, because(IMarket.ListOutOfOrder.selector, CAROL));
        challenge(mallory, round, ALICE);
    }

    function test_a_list_can_be_empty() public {
        play();
        settleWith(row(BOB, ONE));
        Accusation memory a = accusation(round, ALICE);
        a.list = new BidRecord[](0);
        submit(mallory, a);
    }
}
