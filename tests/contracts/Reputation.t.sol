// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IReputation} from "../../contracts/IReputation.sol";
import {Checks} from "./Checks.sol";
import {Deploy} from "./Deploy.sol";
import {vm} from "./Vm.sol";

/// @notice Reputations alone. The test is their market.
contract ReputationTest is Checks {
    uint256 private constant ONE = 1 << 16;
    uint256 private constant LEAST = ONE / 32;

    IReputation private reputation = IReputation(Deploy.built("Reputation.sol:Reputation", ""));
    address private aggregator = address(0xa99);
    address private alice = address(0xa11ce);

    /// @dev What one round shows of one account.
    struct Outcome {
        address account;
        uint256 ratings;
        uint256 sum;
        bool missing;
    }

    function word(Outcome memory o, uint256 seat) private pure returns (uint256) {
        return uint160(o.account) | (o.ratings << 160) | (o.sum << 176) | (seat << 208) | (o.missing ? 1 << 255 : 0);
    }

    function update(Outcome memory o) private returns (uint256) {
        uint256[] memory words = new uint256[](1);
        words[0] = word(o, 0);
        reputation.update(aggregator, words);
        return reputation.reputationOf(aggregator, o.account);
    }

    function rated(uint256 ratings, uint256 sum) private returns (uint256) {
        return update(Outcome(alice, ratings, sum, false));
    }

    function missed() private returns (uint256) {
        return update(Outcome(alice, 0, 0, true));
    }

    /// @dev The rule as docs/protocol.md says it.
    function slow(uint256 r, Outcome memory o) private pure returns (uint256) {
        if (o.missing) r = r / 2;
        else if (o.ratings >= 3) r = (r * (50 * o.ratings + o.sum)) / (100 * o.ratings);
        else if (o.ratings > 0) r = (r * (150 * o.ratings + o.sum)) / (200 * o.ratings);
        if (r < LEAST) r = LEAST;
        if (r > ONE) r = ONE;
        return r;
    }

    function test_everybody_starts_at_a_thirty_second() public view {
        checkEq(reputation.reputationOf(aggregator, alice), LEAST, "at first");
    }

    function test_only_the_market_changes_it() public {
        vm.prank(alice);
        (bool done, bytes memory answer) = address(reputation).call(
            abi.encodeCall(reputation.update, (aggregator, new uint256[](0)))
        );
        check(!done, "refused");
        checkEq(
            keccak256(answer),
            keccak256(abi.encodeWithSelector(IReputation.NotTheMarket.selector, alice)),
            "reason"
        );
        checkEq(reputation.market(), address(this), "the market");
    }

    function test_three_of_the_best_ratings_add_a_half() public {
        checkEq(rated(3, 300), (LEAST * 3) / 2, "after 100, 100, 100");
    }

    function test_one_or_two_of_the_best_ratings_add_a_quarter() public {
        checkEq(rated(1, 100), (LEAST * 5) / 4, "after 100");
        checkEq(rated(2, 200), (((LEAST * 5) / 4) * 5) / 4, "after 100, 100");
    }

    function test_ratings_of_75_let_it_grow_slowly() public {
        checkEq(rated(4, 300), (LEAST * 5) / 4, "after four");
        checkEq(rated(1, 75), (((LEAST * 5) / 4) * 225) / 200, "after one");
    }

    function test_the_worst_ratings_halve_it() public {
        rated(3, 300);
        rated(3, 300);
        uint256 before = reputation.reputationOf(aggregator, alice);
        checkEq(rated(3, 0), before / 2, "after 0, 0, 0");
    }

    function test_one_bad_rating_takes_a_quarter() public {
        rated(3, 300);
        rated(3, 300);
        uint256 before = reputation.reputationOf(aggregator, alice);
        checkEq(rated(1, 0), (before * 3) / 4, "after 0");
    }

    function test_who_was_missing_is_halved_whatever_its_ratings() public {
        for (uint256 i = 0; i < 6; ++i) rated(3, 300);
        uint256 before = reputation.reputationOf(aggregator, alice);
        checkEq(missed(), before / 2, "without ratings");
        checkEq(update(Outcome(alice, 3, 300, true)), before / 4, "with ratings");
    }

    function test_it_never_falls_below_its_start() public {
        checkEq(missed(), LEAST, "missing at the start");
        checkEq(rated(3, 0), LEAST, "rated badly at the start");
    }

    function test_it_never_exceeds_one() public {
        for (uint256 i = 0; i < 9; ++i) rated(3, 300);
        checkEq(reputation.reputationOf(aggregator, alice), ONE, "after nine rounds");
        checkEq(rated(30, 3000), ONE, "after ten");
    }

    function test_an_aggregator_speaks_for_itself() public {
        rated(3, 300);
        checkEq(reputation.reputationOf(address(0xa98), alice), LEAST, "another's");
    }

    function test_every_change_follows_the_rule(uint16[12] memory counts, uint16[12] memory sums) public {
        uint256 expected = LEAST;
        for (uint256 i = 0; i < 12; ++i) {
            Outcome memory o = Outcome(alice, counts[i] % 40, 0, counts[i] > 60_000);
            o.sum = o.ratings == 0 ? 0 : between(sums[i], 60 * o.ratings, 100 * o.ratings);
            expected = slow(expected, o);
            checkEq(update(o), expected, "reputation");
        }
    }

    // --- sixteen to a word ---

    function test_a_seat_is_given_once_and_in_order() public {
        (, uint256 seat) = reputation.standingOf(aggregator, alice);
        checkEq(seat, 0, "none at first");
        rated(1, 100);
        update(Outcome(address(0xb0b), 1, 100, false));
        rated(1, 100);
        uint256 r;
        (r, seat) = reputation.standingOf(aggregator, alice);
        checkEq(seat, 1, "Alice's");
        checkEq(r, reputation.reputationOf(aggregator, alice), "the same number");
        (, seat) = reputation.standingOf(aggregator, address(0xb0b));
        checkEq(seat, 2, "Bob's");
        (, seat) = reputation.standingOf(address(0xa98), alice);
        checkEq(seat, 0, "none with another");
    }

    /// @dev A seat that no longer fits into an outcome is looked up.
    function test_the_forty_thousandth_account_is_as_good_as_the_first() public {
        vm.store(address(reputation), keccak256(abi.encode(aggregator, uint256(0))), bytes32(uint256(40_000)));
        rated(3, 300);
        (, uint256 seat) = reputation.standingOf(aggregator, alice);
        checkEq(seat, 40_001, "seat");
        uint256[] memory words = new uint256[](1);
        words[0] = word(Outcome(alice, 3, 300, false), 0x7fff);
        reputation.update(aggregator, words);
        checkEq(reputation.reputationOf(aggregator, alice), (LEAST * 9) / 4, "after two rounds");
    }

    /// @dev Forty accounts share three words; each number changes as if it stood alone, whether the seat was known or not.
    function test_neighbours_do_not_touch_each_other(uint256 seed) public {
        uint256[40] memory expected;
        for (uint256 i = 0; i < 40; ++i) expected[i] = LEAST;
        for (uint256 batch = 0; batch < 6; ++batch) {
            uint256[] memory words = new uint256[](30);
            for (uint256 i = 0; i < 30; ++i) {
                seed = uint256(keccak256(abi.encode(seed)));
                uint256 who = (seed >> 8) % 40;
                Outcome memory o = Outcome(address(uint160(1 + who)), (seed >> 16) % 5, 0, seed % 16 == 0);
                o.sum = o.ratings * ((seed >> 24) % 101);
                (, uint256 seat) = reputation.standingOf(aggregator, o.account);
                words[i] = word(
                    o,
                    (seed >> 32) % 2 == 0
                        ? seat
                        : (seed >> 33) % 2 == 0
                            ? 0
                            : 0x7fff
                );
                expected[who] = slow(expected[who], o);
            }
            reputation.update(aggregator, words);
            for (uint256 i = 0; i < 40; ++i) {
                checkEq(reputation.reputationOf(aggregator, address(uint160(1 + i))), expected[i], "reputation");
            }
        }
    }
}
