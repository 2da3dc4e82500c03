// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEscrow} from "../../contracts/IEscrow.sol";
import {IMarket, Phase, Round, Terms} from "../../contracts/IMarket.sol";
import {MarketBase} from "./MarketBase.sol";
import {vm} from "./Vm.sol";

/// @notice `setEncryptionKey` and `openRound`.
contract OpenRoundTest is MarketBase {
    function test_a_key_is_published() public {
        expects(address(market));
        emit IMarket.EncryptionKeySet(alice, keyOf(alice));
        setKey(alice);
        checkEq(market.encryptionKeyOf(alice), keyOf(alice), "the key");
    }

    function test_a_key_replaces_the_one_before() public {
        setKey(alice);
        vm.prank(alice);
        market.setEncryptionKey("new");
        checkEq(market.encryptionKeyOf(alice), "new", "the key");
    }

    function test_rounds_are_numbered_from_one() public {
        checkEq(market.roundCount(), 0, "before");
        checkEq(open(), 1, "the first");
        checkEq(open(), 2, "the second");
        checkEq(market.roundCount(), 2, "after");
    }

    function test_a_round_is_stored_as_asked() public {
        Terms memory terms = someTerms();
        Round memory round = market.roundOf(open(terms));
        checkEq(keccak256(abi.encode(round.terms)), keccak256(abi.encode(terms)), "terms");
        checkEq(round.aggregator, aggregator, "aggregator");
        checkEq(uint256(round.participants) + round.revealed + round.openChallenges, 0, "counts");
        checkEq(uint256(round.seedBlock) + round.seedTime + round.settleTime, 0, "times");
        checkEq(round.seed | round.settlement | bytes32(round.revealsHash), 0, "hashes");
    }

    function test_an_opening_is_logged_with_the_key_in_force() public {
        Terms memory terms = someTerms();
        prepare(aggregator, terms.bond);
        expects(address(market));
        emit IMarket.RoundOpened(1, aggregator, terms, keyOf(aggregator));
        vm.prank(aggregator);
        market.openRound(terms);
    }

    function test_an_opening_locks_the_bond() public {
        Terms memory terms = someTerms();
        fund(aggregator, 5);
        uint256 round = open(terms);
        checkEq(escrow.available(aggregator), 5, "available");
        checkEq(escrow.pot(round), terms.bond, "pot");
    }

    function test_an_opening_needs_the_bond() public {
        Terms memory terms = someTerms();
        prepare(aggregator, terms.bond - 1);
        refuses(
            aggregator,
            abi.encodeCall(market.openRound, (terms)),
            abi.encodeWithSelector(IEscrow.NotEnoughAvailable.selector, aggregator, terms.bond - 1, terms.bond)
        );
    }

    function test_an_opening_needs_a_key() public {
        Terms memory terms = someTerms();
        fund(aggregator, terms.bond);
        bytes memory reason = abi.encodeWithSelector(IMarket.NoEncryptionKey.selector, aggregator);
        refuses(aggregator, abi.encodeCall(market.openRound, (terms)), reason);
        setKey(aggregator);
        vm.prank(aggregator);
        market.setEncryptionKey(0);
        refuses(aggregator, abi.encodeCall(market.openRound, (terms)), reason);
    }

    // --- terms, at the borders of what they may be ---

    function accepts(Terms memory terms) private {
        open(terms);
    }

    function rejects(Terms memory terms, string memory field) private {
        prepare(aggregator, terms.bond);
        refuses(
            aggregator,
            abi.encodeCall(market.openRound, (terms)),
            abi.encodeWithSelector(IMarket.InvalidTerms.selector, field)
        );
    }

    function test_the_reveal_bond_is_positive_and_below_two_to_the_88() public {
        Terms memory terms = someTerms();
        terms.revealBond = 0;
        rejects(terms, "revealBond");
        terms.revealBond = 1;
        terms.fee = 0;
        accepts(terms);
        terms.revealBond = uint96(1) << 88;
        rejects(terms, "revealBond");
        terms.revealBond -= 1;
        terms.bond = 16 * terms.revealBond;
        accepts(terms);
    }

    function test_the_bond_is_at_least_sixteen_reveal_bonds() public {
        Terms memory terms = someTerms();
        terms.bond = 16 * terms.revealBond;
        accepts(terms);
        terms.bond -= 1;
        rejects(terms, "bond");
    }

    function test_the_fee_leaves_a_deposit_that_is_enough_and_allowed() public {
        Terms memory terms = someTerms();
        terms.fee = 0;
        accepts(terms);
        terms.fee = 15 * terms.revealBond - terms.maxSellers;
        accepts(terms);
        terms.fee += 1;
        rejects(terms, "fee");
        terms.fee = type(uint96).max;
        rejects(terms, "fee");
    }

    function test_sellers_are_one_to_thirty_two() public {
        Terms memory terms = someTerms();
        terms.maxSellers = 0;
        rejects(terms, "maxSellers");
        terms.maxSellers = 1;
        accepts(terms);
        terms.maxSellers = 32;
        accepts(terms);
        terms.maxSellers = 33;
        rejects(terms, "maxSellers");
    }

    function test_participants_are_two_to_1024() public {
        Terms memory terms = someTerms();
        terms.maxParticipants = 1;
        rejects(terms, "maxParticipants");
        terms.maxParticipants = 2;
        accepts(terms);
        terms.maxParticipants = 1024;
        accepts(terms);
        terms.maxSellers = 1;
        terms.maxParticipants = 1025;
        rejects(terms, "maxParticipants");
    }

    function test_purchases_are_at_most_8192() public {
        Terms memory terms = someTerms();
        terms.maxSellers = 32;
        terms.maxParticipants = 256;
        accepts(terms);
        terms.maxParticipants = 257;
        rejects(terms, "maxParticipants");
    }

    function test_commit_lasts_a_minimal_phase_to_thirty_days() public {
        Terms memory terms = someTerms();
        terms.commitDeadline = uint40(time() + MIN_PHASE);
        accepts(terms);
        terms.commitDeadline -= 1;
        rejects(terms, "commitDeadline");
        terms.commitDeadline = uint40(time() - 1);
        rejects(terms, "commitDeadline");
        terms.commitDeadline = uint40(time() + 30 days);
        accepts(terms);
        terms.commitDeadline += 1;
        rejects(terms, "commitDeadline");
    }

    function test_the_other_phases_last_a_minimal_phase_to_thirty_days() public {
        string[5] memory fields = ["drawTime", "revealTime", "settleTime", "challengeTime", "refuteTime"];
        for (uint256 i = 0; i < fields.length; ++i) {
            accepts(withLength(i, MIN_PHASE));
            rejects(withLength(i, MIN_PHASE - 1), fields[i]);
            accepts(withLength(i, 30 days));
            rejects(withLength(i, 30 days + 1), fields[i]);
        }
    }

    function withLength(uint256 phase, uint32 length) private view returns (Terms memory terms) {
        terms = someTerms();
        if (phase == 0) terms.drawTime = length;
        else if (phase == 1) terms.revealTime = length;
        else if (phase == 2) terms.settleTime = length;
        else if (phase == 3) terms.challengeTime = length;
        else terms.refuteTime = length;
    }

    /// @dev Neighbours in a storage word must not lean on each other.
    function test_any_terms_that_are_accepted_are_stored_to_the_bit(Terms memory terms, uint256 seed) public {
        terms.maxSellers = uint8(between(terms.maxSellers, 1, 32));
        terms.maxParticipants = uint16(between(terms.maxParticipants, 2, 8192 / uint256(terms.maxSellers)));
        if (terms.maxParticipants > 1024) terms.maxParticipants = 1024;
        terms.revealBond = uint96(between(terms.revealBond, 3, type(uint88).max));
        terms.bond = uint96(between(terms.bond, 16 * uint256(terms.revealBond), type(uint96).max));
        terms.fee = uint96(between(terms.fee, 0, 15 * uint256(terms.revealBond) - terms.maxSellers));
        terms.commitDeadline = uint40(time() + between(seed, MIN_PHASE, 30 days));
        terms.drawTime = uint32(between(terms.drawTime, MIN_PHASE, 30 days));
        terms.revealTime = uint32(between(terms.revealTime, MIN_PHASE, 30 days));
        terms.settleTime = uint32(between(terms.settleTime, MIN_PHASE, 30 days));
        terms.challengeTime = uint32(between(terms.challengeTime, MIN_PHASE, 30 days));
        terms.refuteTime = uint32(between(terms.refuteTime, MIN_PHASE, 30 days));
        Round memory round = market.roundOf(open(terms));
        checkEq(keccak256(abi.encode(round.terms)), keccak256(abi.encode(terms)), "terms");
        checkEq(round.aggregator, aggregator, "aggregator");
    }
}
