// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BidRecord, Claim, IMarket, Phase} from "../../contracts/IMarket.sol";
import {Offer} from "../../contracts/libraries/Mechanism.sol";
import {SlowJudge} from "./SlowJudge.sol";
import {Buyer, SlowMechanism} from "./SlowMechanism.sol";
import {Traders} from "./Traders.sol";
import {vm} from "./Vm.sol";

/// @notice `refute`: who belongs into a list and is not there.
contract RefuteTest is Traders {
    function refusesObjection(Objection memory o, bytes memory reason) private {
        refuses(anyone, asCall(o), reason);
    }

    /// @dev Alice's row is right. Mallory says otherwise, with a list that lacks `seller`.
    function accused(uint256 seller) private {
        settleWith(trueRow(round, ALICE));
        challengeFalsely(mallory, round, ALICE, seller);
    }

    function accused() private returns (uint256 seller) {
        play();
        seller = listed()[0];
        accused(seller);
    }

    // --- what a refutation does ---

    function test_a_refuter_earns_the_challengers_bond() public {
        uint256 seller = accused();
        Objection memory o = objection(round, 0, ALICE, seller);
        expects(address(market));
        emit IMarket.ChallengeRefuted(round, 0, anyone);
        refute(anyone, o);
        checkEq(escrow.available(anyone), PART, "the refuter's");
        checkEq(escrow.available(mallory), BOND - PART, "Mallory's");
        checkEq(market.roundOf(round).openChallenges, 0, "open");
    }

    function test_a_refuted_challenge_leaves_the_payments_as_they_were() public {
        uint256 seller = accused();
        refute(anyone, objection(round, 0, ALICE, seller));
        closeChallenges(round);
        checkPhase(round, Phase.Payout, "the round");
        market.payOut(round, posted[round].rows, posted[round].excluded, 0, 5);
        uint256 received = 5 * (ONE / 10) + BOND;
        checkEq(escrow.available(aggregator), received, "the aggregator's: its bond and five fees");
        checkEq(escrow.pot(round), 0, "left in the pot");
    }

    function test_the_challenger_itself_or_the_seller_can_refute() public {
        play();
        uint256 seller = listed()[0];
        accused(seller);
        challengeFalsely(mallory, round, ALICE, seller);
        refute(mallory, objection(round, 0, ALICE, seller));
        checkEq(escrow.available(mallory), BOND - PART, "Mallory's: one bond has come back");
        refute(traders[seller], objection(round, 1, ALICE, seller));
        checkEq(escrow.available(traders[seller]), PART, "the seller's");
    }

    // --- who was left out ---

    function test_each_of_a_list_is_missed() public {
        play();
        uint256[3] memory list = listed();
        settleWith(trueRow(round, ALICE));
        for (uint256 k = 0; k < 3; ++k) {
            challengeFalsely(mallory, round, ALICE, list[k]);
            refute(anyone, objection(round, k, ALICE, list[k]));
        }
        checkEq(market.roundOf(round).openChallenges, 0, "open");
    }

    function test_anybody_eligible_is_missed_in_a_list_that_is_not_full() public {
        play();
        settleWith(trueRow(round, ALICE));
        Offer[] memory short = new Offer[](1);
        short[0] = trueList(round, ALICE)[1];
        for (uint256 seller = BOB; seller <= ERIN; ++seller) {
            if (seller == short[0].seller) continue;
            uint256 number = submit(mallory, accusation(round, ALICE, short));
            refute(anyone, objection(round, number, ALICE, short, seller));
        }
        checkEq(market.roundOf(round).openChallenges, 0, "open");
    }

    /// @dev As many as can be bought: there is room for the first one left out.
    function test_whoever_comes_last_is_missed_in_a_list_of_candidates_alone() public {
        play();
        settleWith(row());
        Offer[] memory all = trueList(round, ALICE);
        Offer[] memory candidates = new Offer[](2);
        (candidates[0], candidates[1]) = (all[0], all[1]);
        submit(mallory, accusation(round, ALICE, candidates));
        refute(anyone, objection(round, 0, ALICE, candidates, all[2].seller));
    }

    function test_anybody_eligible_is_missed_in_an_empty_list() public {
        play();
        settleWith(trueRow(round, ALICE));
        Offer[] memory none = new Offer[](0);
        submit(mallory, accusation(round, ALICE, none));
        refute(anyone, objection(round, 0, ALICE, none, unlisted()));
    }

    function test_nobody_is_missed_that_comes_after_a_full_list() public {
        play();
        settleWith(row());
        challenge(mallory, round, ALICE);
        uint256 fourth = unlisted();
        refusesObjection(
            objection(round, 0, ALICE, trueList(round, ALICE), fourth),
            because(IMarket.NotLeftOut.selector, fourth)
        );
    }

    function test_nobody_is_missed_that_is_listed() public {
        play();
        settleWith(row());
        challenge(mallory, round, ALICE);
        uint256[3] memory list = listed();
        for (uint256 k = 0; k < 3; ++k) {
            refusesObjection(
                objection(round, 0, ALICE, trueList(round, ALICE), list[k]),
                because(IMarket.NotLeftOut.selector, list[k])
            );
        }
    }

    /// @dev Dave and Erin are alike, and one of them is the last whom Alice looks at.
    function alikeAtTheEnd() private {
        ownSketch[erin] = someSketch(dave);
        (bids[BOB].cost, bids[CAROL].cost) = (0, 0);
        bids[DAVE].cost = bids[ERIN].cost = uint96(ONE);
        play();
        settleWith(row(BOB, 1));
        checkEq(listed()[2], DAVE, "the last");
        checkEq(unlisted(), ERIN, "who comes after her");
    }

    function test_of_two_alike_at_the_end_the_higher_index_is_not_missed() public {
        alikeAtTheEnd();
        challenge(mallory, round, ALICE);
        refusesObjection(
            objection(round, 0, ALICE, trueList(round, ALICE), ERIN),
            because(IMarket.NotLeftOut.selector, ERIN)
        );
    }

    function test_of_two_alike_at_the_end_the_lower_index_is_missed() public {
        alikeAtTheEnd();
        challengeFalsely(mallory, round, ALICE, DAVE);
        refute(anyone, objection(round, 0, ALICE, DAVE));
    }

    // --- who may be named ---

    /// @dev Bob is named, of whom something keeps Alice, against a list that has room for him.
    function checkNotEligible(uint256[] memory excluded) private {
        play();
        settleWith(row(BOB, ONE), excluded);
        Offer[] memory none = new Offer[](0);
        submit(mallory, accusation(round, ALICE, none));
        refusesObjection(objection(round, 0, ALICE, none, BOB), because(IMarket.NotEligible.selector, BOB));
    }

    function test_nobody_is_missed_that_is_excluded() public {
        checkNotEligible(excluding(BOB));
    }

    function test_nobody_is_missed_that_does_not_sell() public {
        bids[BOB].cost = NOT_SELLING;
        checkNotEligible(noneExcluded());
    }

    function test_nobody_is_missed_whose_reputation_is_too_low() public {
        bids[ALICE].minReputation = uint24(LEAST + 1);
        checkNotEligible(noneExcluded());
    }

    function test_nobody_is_missed_whose_model_is_not_similar() public {
        ownSketch[bob] = new bytes(1024);
        checkNotEligible(noneExcluded());
    }

    function test_nobody_is_missed_that_is_not_worth_its_cost() public {
        bids[BOB].cost = uint96(5 * ONE);
        checkNotEligible(noneExcluded());
    }

    function test_who_is_just_worth_its_cost_is_missed() public {
        play();
        Buyer memory buyer = SlowJudge.offersTo(caseOf(round), ALICE);
        bids[BOB].cost = uint96(SlowMechanism.gain(buyer.value, buyer.samples, buyer.offers[0].size));
        play();
        settleWith(row(BOB, ONE));
        Offer[] memory none = new Offer[](0);
        submit(mallory, accusation(round, ALICE, none));
        refute(anyone, objection(round, 0, ALICE, none, BOB));
    }

    function test_nobody_is_missed_by_a_buyer_of_value_0() public {
        bids[ALICE].value = 0;
        bids[BOB].cost = 0;
        checkNotEligible(noneExcluded());
    }

    function test_a_buyer_does_not_miss_itself() public {
        bids[ALICE].cost = 0;
        play();
        settleWith(trueRow(round, ALICE));
        Offer[] memory none = new Offer[](0);
        submit(mallory, accusation(round, ALICE, none));
        refusesObjection(objection(round, 0, ALICE, none, ALICE), because(IMarket.NotEligible.selector, ALICE));
    }

    // --- records ---

    function test_a_sellers_record_is_what_its_reveal_has_left() public {
        uint256 seller = accused();
        for (uint256 kind = 0; kind < SPOILT; ++kind) {
            Objection memory o = objection(round, 0, ALICE, seller);
            spoil(o.seller, kind);
            refusesObjection(o, because(IMarket.WrongRecord.selector, seller));
        }
    }

    function test_a_buyers_record_is_what_its_reveal_has_left() public {
        uint256 seller = accused();
        for (uint256 kind = 0; kind < SPOILT; ++kind) {
            Objection memory o = objection(round, 0, ALICE, seller);
            spoil(o.buyer, kind);
            refusesObjection(o, because(IMarket.WrongRecord.selector, ALICE));
        }
    }

    function test_the_buyer_is_the_one_that_was_challenged() public {
        play();
        uint256[3] memory list = listed();
        accused(list[0]);
        Objection memory o = objection(round, 0, ALICE, list[0]);
        o.buyer = caseOf(round).records[list[1]];
        refusesObjection(o, because(IMarket.WrongRecord.selector, list[1]));
    }

    function test_nobody_is_missed_at_an_index_that_is_not() public {
        uint256 seller = accused();
        uint256[5] memory indices = [uint256(5), 1023, 1024, uint256(1) << 16, type(uint256).max];
        for (uint256 i = 0; i < 5; ++i) {
            Objection memory o = objection(round, 0, ALICE, seller);
            o.seller.index = indices[i];
            refusesObjection(o, because(IMarket.WrongRecord.selector, indices[i]));
        }
    }

    function test_nobody_is_missed_that_did_not_reveal() public {
        silent[CAROL] = true;
        play();
        settleWith(trueRow(round, ALICE));
        Offer[] memory none = new Offer[](0);
        submit(mallory, accusation(round, ALICE, none));
        Objection memory o = objection(round, 0, ALICE, none, BOB);
        o.seller = BidRecord(CAROL, bids[CAROL], uint24(LEAST), someModel(carol), someSketch(carol));
        refusesObjection(o, because(IMarket.WrongRecord.selector, CAROL));
    }

    // --- what was claimed and settled ---

    function test_another_claim_than_the_challenges_is_refused() public {
        uint256 seller = accused();
        bytes memory reason = abi.encodeWithSelector(IMarket.WrongClaim.selector, round, 0);
        Objection memory o = objection(round, 0, ALICE, seller);
        o.claim.buyer = BOB;
        refusesObjection(o, reason);
        o = objection(round, 0, ALICE, seller);
        o.claim.lastMerit -= 1;
        refusesObjection(o, reason);
        o = objection(round, 0, ALICE, seller);
        o.claim.listed = bytes.concat(o.claim.listed, hex"0000");
        refusesObjection(o, reason);
        o.claim = Claim(ALICE, "", 0);
        refusesObjection(o, reason);
    }

    function test_a_claim_is_its_own_challenges() public {
        play();
        uint256[3] memory list = listed();
        accused(list[0]);
        challengeFalsely(mallory, round, ALICE, list[1]);
        Objection memory o = objection(round, 0, ALICE, list[0]);
        o.number = 1;
        refusesObjection(o, abi.encodeWithSelector(IMarket.WrongClaim.selector, round, 1));
    }

    function test_another_settlement_than_the_rounds_is_refused() public {
        uint256 seller = accused();
        bytes memory reason = because(IMarket.WrongSettlement.selector);
        Objection memory o = objection(round, 0, ALICE, seller);
        o.rowsHash = ~o.rowsHash;
        refusesObjection(o, reason);
        o = objection(round, 0, ALICE, seller);
        o.excluded = excluding(unlisted());
        refusesObjection(o, reason);
        o.excluded = new uint256[](2);
        refusesObjection(o, reason);
        o.excluded = new uint256[](0);
        refusesObjection(o, reason);
    }

    // --- which, and when ---

    function notOpen(uint256 number) private view returns (bytes memory) {
        return abi.encodeWithSelector(IMarket.ChallengeNotOpen.selector, round, number);
    }

    function test_a_challenge_is_refuted_once() public {
        uint256 seller = accused();
        Objection memory o = objection(round, 0, ALICE, seller);
        refute(anyone, o);
        refusesObjection(o, notOpen(0));
    }

    function test_only_what_was_opened_is_refuted() public {
        uint256 seller = accused();
        refusesObjection(objection(round, 1, ALICE, seller), notOpen(1));
        refusesObjection(objection(round, type(uint256).max, ALICE, seller), notOpen(type(uint256).max));
    }

    function test_several_challenges_are_refuted_in_any_order() public {
        play();
        uint256[3] memory list = listed();
        accused(list[0]);
        challengeFalsely(mallory, round, ALICE, list[1]);
        challengeFalsely(mallory, round, ALICE, list[0]);
        refute(anyone, objection(round, 2, ALICE, list[0]));
        refute(anyone, objection(round, 0, ALICE, list[0]));
        checkEq(market.roundOf(round).openChallenges, 1, "open");
        closeChallenges(round);
        checkPhase(round, Phase.Refute, "one is open");
        refute(anyone, objection(round, 1, ALICE, list[1]));
        checkPhase(round, Phase.Payout, "none is open");
    }

    /// @dev A challenge in the last second leaves all of Refute.
    function test_refutations_come_until_refute_ends() public {
        play();
        uint256 seller = listed()[0];
        settleWith(trueRow(round, ALICE));
        closeChallenges(round);
        vm.warp(time() - 1);
        challengeFalsely(mallory, round, ALICE, seller);
        Objection memory o = objection(round, 0, ALICE, seller);
        closeRefutations(round);
        refusesObjection(o, wrongPhase(round, Phase.Void));
        vm.warp(time() - 1);
        checkPhase(round, Phase.Refute, "a second before");
        refute(anyone, o);
    }

    function test_nothing_is_refuted_in_payout() public {
        uint256 seller = accused();
        Objection memory o = objection(round, 0, ALICE, seller);
        refute(anyone, o);
        closeChallenges(round);
        refusesObjection(o, wrongPhase(round, Phase.Payout));
    }

    function test_nothing_is_refuted_before_the_settlement() public {
        play();
        Objection memory o;
        o.round = round;
        refusesObjection(o, wrongPhase(round, Phase.Settle));
        o.round = 9;
        refusesObjection(o, unknown(9));
    }
}
