// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMarket, Phase} from "../../contracts/IMarket.sol";
import {ChallengeBase} from "./ChallengeBase.sol";
import {vm} from "./Vm.sol";

/// @notice `rate` and `reject`.
contract RateTest is ChallengeBase {
    uint256 private round;

    /// @dev Settled; Carol did not reveal.
    function setUp() public override {
        super.setUp();
        round = drawn(several(alice, bob, carol));
        reveal(round, several(alice, bob));
        closeReveals(round);
        settle(round, noneExcluded(), bytes.concat(row(1, ONE), row(0, ONE), row()));
    }

    function rateCall(uint256 index, uint256 rating) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.rate, (round, index, rating));
    }

    function rejectCall(uint256 index) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.reject, (round, index));
    }

    function checkRating(uint256 index, bool rated, bool rejected, uint256 rating) private view {
        (bool rated_, bool rejected_, uint256 rating_) = market.ratingOf(round, index);
        check(rated_ == rated, "rated");
        check(rejected_ == rejected, "rejected");
        checkEq(rating_, rating, "rating");
    }

    function test_a_rating_is_stored_and_logged() public {
        expects(address(market));
        emit IMarket.DeliveryRated(round, 1, 75);
        does(bob, rateCall(1, 75));
        checkRating(1, true, false, 75);
        checkRating(0, false, false, 0);
    }

    function test_a_rejection_is_stored_and_logged() public {
        expects(address(market));
        emit IMarket.DeliveryRejected(round, 1);
        does(bob, rejectCall(1));
        checkRating(1, false, true, 0);
        checkRating(0, false, false, 0);
    }

    function test_ratings_are_zero_to_a_hundred() public {
        does(alice, rateCall(0, 0));
        checkRating(0, true, false, 0);
        refuses(bob, rateCall(1, 101), abi.encodeWithSelector(IMarket.InvalidRating.selector, 101));
        refuses(
            bob,
            rateCall(1, type(uint256).max),
            abi.encodeWithSelector(IMarket.InvalidRating.selector, type(uint256).max)
        );
        does(bob, rateCall(1, 100));
        checkRating(1, true, false, 100);
    }

    function test_a_buyer_speaks_once() public {
        does(alice, rateCall(0, 0));
        does(bob, rejectCall(1));
        bytes memory reason = abi.encodeWithSelector(IMarket.AlreadyRated.selector, round, 0);
        refuses(alice, rateCall(0, 100), reason);
        refuses(alice, rejectCall(0), reason);
        reason = abi.encodeWithSelector(IMarket.AlreadyRated.selector, round, 1);
        refuses(bob, rateCall(1, 0), reason);
        refuses(bob, rejectCall(1), reason);
    }

    function test_nobody_speaks_for_another() public {
        bytes memory reason = abi.encodeWithSelector(IMarket.NotTheParticipant.selector, round, 0, alice);
        refuses(bob, rateCall(0, 100), reason);
        refuses(mallory, rejectCall(0), reason);
        refuses(mallory, rejectCall(1024), abi.encodeWithSelector(IMarket.NotTheParticipant.selector, round, 1024, 0));
    }

    function test_who_did_not_reveal_has_no_say() public {
        bytes memory reason = abi.encodeWithSelector(IMarket.NotRevealed.selector, round, 2);
        refuses(carol, rateCall(2, 100), reason);
        refuses(carol, rejectCall(2), reason);
    }

    function test_ratings_come_during_the_challenge_phase() public {
        closeChallenges(round);
        refuses(alice, rateCall(0, 100), wrongPhase(round, Phase.Payout));
        refuses(bob, rejectCall(1), wrongPhase(round, Phase.Payout));
        vm.warp(time() - 1);
        does(alice, rateCall(0, 100));
        does(bob, rejectCall(1));
    }

    function test_nothing_is_rated_while_a_challenge_is_refuted() public {
        fund(mallory, 10 * ONE);
        challenge(mallory, round, 0);
        closeChallenges(round);
        refuses(alice, rateCall(0, 100), wrongPhase(round, Phase.Refute));
    }

    function test_nothing_is_rated_before_the_settlement() public {
        round = revealed(several(alice, bob));
        refuses(alice, rateCall(0, 100), wrongPhase(round, Phase.Settle));
        round = 9;
        refuses(alice, rateCall(0, 100), unknown(9));
    }

    /// @dev Thirty-two ratings share a word.
    /// hardhat-config: fuzz.runs = 8
    function test_each_rating_is_its_own(uint256 seed) public {
        address[] memory many = new address[](34);
        bytes memory rows = new bytes(34);
        for (uint256 i = 0; i < 34; ++i) many[i] = address(uint160(0xa000 + i));
        round = revealed(many);
        settle(round, noneExcluded(), rows);
        for (uint256 i = 0; i < 34; ++i) {
            uint256 said = uint256(keccak256(abi.encode(seed, i))) % 103;
            if (said == 101) does(many[i], rejectCall(i));
            else if (said < 101) does(many[i], rateCall(i, said));
        }
        for (uint256 i = 0; i < 34; ++i) {
            uint256 said = uint256(keccak256(abi.encode(seed, i))) % 103;
            checkRating(i, said < 101, said == 101, said < 101 ? said : 0);
        }
    }
}
