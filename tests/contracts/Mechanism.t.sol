// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Mechanism, Offer, Place} from "../../contracts/libraries/Mechanism.sol";
import {Checks} from "./Checks.sol";
import {Buyer, SlowMechanism} from "./SlowMechanism.sol";

/// @notice One buyer's row: its parts against the slow version, and the guarantees of docs/protocol.md on integers.
contract MechanismTest is Checks {
    using SlowMechanism for Buyer;

    uint256 private constant ONE = 1 << 16;
    uint256 private constant LEAST = 1 << 20; // the smallest value above 0, base units
    uint256 private constant MOST = type(uint96).max; // base units
    uint256 private constant TOKEN = 1e18;

    // --- buyers to try ---

    struct Dice {
        uint256 state;
    }

    /// @return x From `least` to `most`, all alike.
    function roll(Dice memory dice, uint256 least, uint256 most) private pure returns (uint256 x) {
        dice.state = uint256(keccak256(abi.encode(dice.state)));
        return between(dice.state, least, most);
    }

    /// @return x Of at most `bits` bits, all lengths alike, at least 1.
    function rollLength(Dice memory dice, uint256 bits) private pure returns (uint256 x) {
        return roll(dice, 1, (1 << roll(dice, 1, bits)) - 1);
    }

    /// @dev What makes `offers` of a buyer: half of them on a lattice, with ties in density and in merit.
    function offered(Dice memory dice, Buyer memory buyer, uint256 unit) private pure {
        buyer.offers = new Offer[](roll(dice, 1, 8));
        bool lattice = roll(dice, 0, 1) == 0;
        uint256 first = roll(dice, 0, 1_000);
        uint256 step = Mechanism.gain(buyer.value, buyer.samples, unit) / roll(dice, 3, 8);
        for (uint256 i = 0; i < buyer.offers.length; ++i) {
            Offer memory offer = buyer.offers[i];
            offer.seller = first + ((5 * i) % 8); // all different, and in no order
            offer.size = lattice ? unit * roll(dice, 1, 4) : roll(dice, 1, 4 * unit);
            offer.cost =
                lattice
                    ? step * roll(dice, 0, 6)
                    : (Mechanism.gain(buyer.value, buyer.samples, offer.size) * roll(dice, 0, 120)) / 100;
            if (offer.cost > MOST) offer.cost = MOST;
        }
        buyer.maxSellers = roll(dice, 0, 1) == 0 ? 32 : roll(dice, 1, 4);
    }

    /// @notice A buyer to which one unit more or less is no difference between two offers.
    function everyday(uint256 seed) private pure returns (Buyer memory buyer, Dice memory dice) {
        dice = Dice(seed);
        buyer.value = roll(dice, 1 << 60, (1 << roll(dice, 61, 95)) - 1);
        buyer.samples = rollLength(dice, 16);
        offered(dice, buyer, rollLength(dice, 12));
    }

    /// @notice Any buyer at all: values to 2**96 - 1, samples to 2**64 - 1, offers that are worth a few units.
    function extreme(uint256 seed) private pure returns (Buyer memory buyer, Dice memory dice) {
        dice = Dice(seed);
        buyer.value = roll(dice, 0, 3) == 0 ? MOST : roll(dice, LEAST, (1 << roll(dice, 21, 96)) - 1);
        buyer.samples = roll(dice, 0, 3) == 0 ? type(uint64).max : rollLength(dice, 64);
        offered(dice, buyer, rollLength(dice, 62));
    }

    struct Purchase {
        uint256 seller;
        uint256 price; // base units
    }

    function rowOf(Buyer memory buyer) private pure returns (Purchase[] memory purchases) {
        bytes memory row = Mechanism.row(buyer.value, buyer.samples, buyer.ranked(), buyer.maxSellers);
        purchases = new Purchase[](uint8(row[0]));
        checkEq(row.length, 1 + 14 * purchases.length, "bytes of the row");
        for (uint256 k = 0; k < purchases.length; ++k) {
            for (uint256 b = 0; b < 2; ++b)
                purchases[k].seller = (purchases[k].seller << 8) | uint8(row[1 + 14 * k + b]);
            for (uint256 b = 2; b < 14; ++b)
                purchases[k].price = (purchases[k].price << 8) | uint8(row[1 + 14 * k + b]);
        }
    }

    /// @return i Which of the buyer's offers is this seller's.
    function offerOf(Buyer memory buyer, uint256 seller) private pure returns (uint256 i) {
        while (buyer.offers[i].seller != seller) ++i;
    }

    /// @return What the buyer's offer `i` earns its seller, who claims `claimed` for what costs it the offer's cost.
    function utility(Buyer memory buyer, uint256 i, uint256 claimed) private pure returns (int256) {
        Purchase[] memory purchases = rowOf(buyer.withCost(i, claimed));
        for (uint256 k = 0; k < purchases.length; ++k) {
            if (purchases[k].seller == buyer.offers[i].seller) {
                return int256(purchases[k].price) - int256(buyer.offers[i].cost);
            }
        }
        return 0;
    }

    // --- gain ---

    function test_fuzz_gain_is_the_slow_one(uint96 value, uint64 samples, uint72 imported) public pure {
        uint256 n = samples == 0 ? 1 : samples;
        checkEq(Mechanism.gain(value, n, imported), SlowMechanism.gain(value, n, imported), "gain");
    }

    function test_fuzz_gain_grows_up_to_the_value(uint96 value, uint256 seed) public pure {
        Dice memory dice = Dice(seed);
        uint256 samples = rollLength(dice, 64);
        uint256 imported = rollLength(dice, 70);
        uint256 gain = Mechanism.gain(value, samples, imported);
        checkEq(Mechanism.gain(value, samples, 0), 0, "of nothing");
        checkAtMost(gain, Mechanism.gain(value, samples, imported + rollLength(dice, 70)), "of more");
        checkAtMost(gain, value, "value");
    }

    function test_fuzz_a_seller_never_adds_more_than_it_brings_alone(uint96 value, uint256 seed) public pure {
        Dice memory dice = Dice(seed);
        uint256 samples = rollLength(dice, 64);
        uint256 imported = rollLength(dice, 69);
        uint256 size = rollLength(dice, 64);
        uint256 added = Mechanism.gain(value, samples, imported + size) - Mechanism.gain(value, samples, imported);
        checkAtMost(added, Mechanism.gain(value, samples, size), "alone");
    }

    function test_gain_at_known_points() public pure {
        checkEq(Mechanism.gain(TOKEN, 100, 300), TOKEN / 2, "three times as much again");
        checkEq(Mechanism.gain(TOKEN, 1, 3), TOKEN / 2, "of one sample");
        checkEq(Mechanism.gain(MOST, type(uint64).max, 3 * uint256(type(uint64).max)), (MOST + 1) / 2, "at the ends");
        checkEq(Mechanism.gain(LEAST, type(uint64).max, 1), 1, "rounded up");
        checkEq(Mechanism.gain(0, 1, type(uint64).max), 0, "without a value");
    }

    // --- effective samples, merit ---

    function test_fuzz_a_claim_is_believed_up_to_what_is_earned(
        uint64 samples,
        uint256 reputation,
        uint64 maxSamples,
        uint256 similarity
    ) public pure {
        reputation = between(reputation, 0, ONE);
        similarity = between(similarity, 0, ONE);
        uint256 earned = (reputation * maxSamples) / ONE;
        uint256 believed = samples < earned ? samples : earned;
        uint256 size = Mechanism.effectiveSamples(samples, reputation, maxSamples, similarity);
        checkEq(size, (believed * similarity) / ONE, "effective samples");
        checkAtMost(size, samples, "claim");
    }

    function test_fuzz_merit_is_the_root_of_the_gain_less_that_of_the_cost(uint96 worth, uint96 cost) public pure {
        if (cost > worth) (worth, cost) = (cost, worth); // who costs more than it brings is not eligible
        uint256 roots = Math.sqrt(uint256(worth) << 96) - Math.sqrt(uint256(cost) << 96);
        checkEq(Mechanism.merit(worth, cost), roots, "merit");
    }

    function test_merit_has_48_fractional_bits() public pure {
        checkEq(Mechanism.merit(9, 4), 1 << 48, "3 - 2");
        checkEq(Mechanism.merit(MOST, MOST), 0, "what costs all that it brings");
        checkEq(Mechanism.merit(1 << 94, 0), 1 << 95, "the largest");
    }

    function test_sellers_come_by_merit_then_by_index() public pure {
        check(Mechanism.comesBefore(8, 2, 7, 1), "larger merit");
        check(!Mechanism.comesBefore(7, 1, 8, 2), "smaller merit");
        check(Mechanism.comesBefore(7, 1, 7, 2), "tie, lower index");
        check(!Mechanism.comesBefore(7, 2, 7, 1), "tie, higher index");
        check(!Mechanism.comesBefore(7, 1, 7, 1), "itself");
    }

    // --- choice ---

    /// @dev Two offers in the order of density.
    function denser(Offer memory a, Offer memory b) private pure returns (Offer memory) {
        Offer[] memory offers = new Offer[](2);
        (offers[0], offers[1]) = (a, b);
        return Mechanism.byDensity(offers, 2)[0].seller == a.seller ? a : b;
    }

    function test_fuzz_densities_compare_like_products(uint256 seed) public pure {
        Dice memory dice = Dice(seed);
        Offer memory ada = Offer(1, rollLength(dice, 96), rollLength(dice, 64), 0);
        Offer memory ben = Offer(2, rollLength(dice, 96), rollLength(dice, 64), 0);
        // Or next to her density: as near as a cost of whole units can come.
        if (roll(dice, 0, 1) == 0) ben.cost = (ada.cost * ben.size) / ada.size + roll(dice, 0, 1);
        if (ben.cost > MOST) ben.cost = MOST;
        bool adaFirst = ada.cost * ben.size <= ben.cost * ada.size;
        checkEq(denser(ada, ben).seller, adaFirst ? 1 : 2, "first");
        checkEq(denser(ben, ada).seller, adaFirst ? 1 : 2, "first, the other way round");
    }

    function test_densities_next_to_each_other_at_the_ends_of_the_range() public pure {
        uint256 most = type(uint64).max;
        // 1 / (2**64 - 2) and 1 / (2**64 - 1) differ by 2**-128.
        checkEq(denser(Offer(1, 1, most - 1, 0), Offer(2, 1, most, 0)).seller, 2, "small");
        // (2**96 - 1) / (2**64 - 1) and (2**96 - 2) / (2**64 - 1).
        checkEq(denser(Offer(1, MOST, most, 0), Offer(2, MOST - 1, most, 0)).seller, 2, "large sizes");
        checkEq(denser(Offer(1, MOST, 1, 0), Offer(2, MOST - 1, 1, 0)).seller, 2, "large densities");
        checkEq(denser(Offer(2, MOST, 1, 0), Offer(1, MOST, 1, 0)).seller, 1, "a tie");
        checkEq(denser(Offer(2, 0, 1, 0), Offer(1, 0, most, 0)).seller, 1, "a tie at no cost");
    }

    function checkChoice(Buyer memory buyer) private pure {
        Offer[] memory expected = buyer.choose();
        Place[] memory places = Mechanism.byDensity(buyer.ranked(), buyer.maxSellers);
        checkEq(Mechanism.choose(buyer.value, buyer.samples, places), expected.length, "count");
        Purchase[] memory purchases = rowOf(buyer);
        checkEq(purchases.length, expected.length, "purchases");
        for (uint256 p = 0; p < expected.length; ++p) {
            checkEq(places[p].seller, expected[p].seller, "chosen");
            checkEq(purchases[p].seller, expected[p].seller, "bought");
        }
    }

    function test_fuzz_the_choice_is_the_slow_one(uint256 seed) public pure {
        (Buyer memory buyer, ) = everyday(seed);
        checkChoice(buyer);
    }

    function test_fuzz_the_choice_is_the_slow_one_at_the_extremes(uint256 seed) public pure {
        (Buyer memory buyer, ) = extreme(seed);
        checkChoice(buyer);
    }

    // --- price ---

    function test_fuzz_a_price_is_the_highest_cost_at_which_the_buyer_still_buys(uint256 seed) public pure {
        (Buyer memory buyer, ) = everyday(seed);
        Purchase[] memory purchases = rowOf(buyer);
        for (uint256 k = 0; k < purchases.length; ++k) {
            uint256 i = offerOf(buyer, purchases[k].seller);
            check(buyer.takesAt(i, purchases[k].price), "not bought at its price");
            check(!buyer.takesAt(i, purchases[k].price + 1), "still bought above its price");
        }
    }

    /// hardhat-config: fuzz.runs = 32
    function test_fuzz_bisection_over_costs_finds_the_price(uint256 seed) public pure {
        (Buyer memory buyer, ) = everyday(seed);
        Purchase[] memory purchases = rowOf(buyer);
        for (uint256 k = 0; k < purchases.length; ++k) {
            uint256 highest = buyer.highestCost(offerOf(buyer, purchases[k].seller));
            checkEq(purchases[k].price, highest, "price");
        }
    }

    function test_fuzz_who_is_bought_at_a_cost_is_bought_at_every_lower_one(uint256 seed) public pure {
        (Buyer memory buyer, Dice memory dice) = everyday(seed);
        uint256 i = roll(dice, 0, buyer.offers.length - 1);
        uint256 cost = roll(dice, 0, Mechanism.gain(buyer.value, buyer.samples, buyer.offers[i].size));
        if (buyer.takesAt(i, cost)) check(buyer.takesAt(i, roll(dice, 0, cost)), "not bought at the lower cost");
    }

    // --- guarantee 1: truthful in cost ---

    function test_fuzz_no_seller_gains_by_a_false_cost(uint256 seed) public pure {
        (Buyer memory buyer, Dice memory dice) = everyday(seed);
        uint256 i = roll(dice, 0, buyer.offers.length - 1);
        Offer memory seller = buyer.offers[i];
        int256 truth = utility(buyer, i, seller.cost);
        check(truth >= 0, "the truth costs");
        for (uint256 k = 0; k < buyer.offers.length; ++k) {
            // A tie with another in density, or one unit to either side of it, or of its own cost.
            uint256 lie = (buyer.offers[k].cost * seller.size) / buyer.offers[k].size + roll(dice, 0, 2);
            if (lie > 0) --lie;
            check(utility(buyer, i, lie < MOST ? lie : MOST) <= truth, "a lie near a tie pays");
            check(utility(buyer, i, roll(dice, 0, buyer.value)) <= truth, "a lie pays");
        }
    }

    /// @dev The paper's example: K = 5e5, three sellers of 3,000 samples at 0.5, 1.0 and 1.2.
    function paper() private pure returns (Buyer memory buyer) {
        buyer = Buyer(12_909_944_487_358_056_283, 3_000, new Offer[](3), 32);
        buyer.offers[0] = Offer(0, TOKEN / 2, 3_000, 0);
        buyer.offers[1] = Offer(1, TOKEN, 3_000, 0);
        buyer.offers[2] = Offer(2, (12 * TOKEN) / 10, 3_000, 0);
    }

    /// @dev What the offer at position `p` of the choice adds to those before and behind it.
    function marginalPayment(Buyer memory buyer, uint256 seller) private pure returns (uint256) {
        Offer[] memory chosen = buyer.choose();
        uint256 imported = 0;
        uint256 own = 0;
        for (uint256 p = 0; p < chosen.length; ++p) {
            imported += chosen[p].size;
            if (chosen[p].seller == seller) own = chosen[p].size;
        }
        return
            SlowMechanism.gain(buyer.value, buyer.samples, imported) -
            SlowMechanism.gain(buyer.value, buyer.samples, imported - own);
    }

    function test_marginal_payments_reward_a_seller_that_claims_less() public pure {
        Buyer memory buyer = paper();
        check(!buyer.takesAt(2, buyer.offers[2].cost), "bought at its cost");
        uint256 lie = (6 * TOKEN) / 10;
        check(buyer.takesAt(2, lie), "not bought at the lie");
        uint256 paid = marginalPayment(buyer.withCost(2, lie), 2);
        checkEq((paid - buyer.offers[2].cost) / (TOKEN / 1_000), 475, "thousandths of a token earned");
    }

    function test_critical_prices_do_not() public pure {
        Buyer memory buyer = paper();
        check(utility(buyer, 2, buyer.offers[2].cost) == 0, "the truth");
        check(utility(buyer, 2, (6 * TOKEN) / 10) == -int256(TOKEN / 5) - 1, "paid the second's cost, less a tie");
        for (uint256 lie = 0; lie <= 4 * TOKEN; lie += TOKEN / 20) check(utility(buyer, 2, lie) <= 0, "a lie pays");
    }

    // --- guarantees 2 and 3: nobody loses ---

    function checkNobodyLoses(Buyer memory buyer) private pure {
        Purchase[] memory purchases = rowOf(buyer);
        uint256 paid = 0;
        uint256 imported = 0;
        for (uint256 k = 0; k < purchases.length; ++k) {
            Offer memory offer = buyer.offers[offerOf(buyer, purchases[k].seller)];
            checkAtMost(offer.cost, purchases[k].price, "price of what costs");
            paid += purchases[k].price;
            imported += offer.size;
        }
        uint256 gain = Mechanism.gain(buyer.value, buyer.samples, imported);
        uint256 units = buyer.value < 1 << 95 ? 1 : 2; // a root of 96 bits times a value of 96: `gain` rounds twice
        checkAtMost(paid, gain + purchases.length, "the gain and a unit per seller");
        checkAtMost(paid, buyer.value + buyer.maxSellers, "what the deposit has room for");
        for (uint256 k = 0; k < purchases.length; ++k) {
            uint256 size = buyer.offers[offerOf(buyer, purchases[k].seller)].size;
            checkAtMost(purchases[k].price, (gain * size) / imported + units, "its share of the gain and a unit");
        }
    }

    function test_fuzz_nobody_loses(uint256 seed) public pure {
        (Buyer memory buyer, ) = everyday(seed);
        checkNobodyLoses(buyer);
    }

    function test_fuzz_nobody_loses_at_the_extremes(uint256 seed) public pure {
        (Buyer memory buyer, ) = extreme(seed);
        checkNobodyLoses(buyer);
    }

    // --- corners ---

    function only(Offer memory a) private pure returns (Offer[] memory offers) {
        offers = new Offer[](1);
        offers[0] = a;
    }

    function both(Offer memory a, Offer memory b) private pure returns (Offer[] memory offers) {
        offers = new Offer[](2);
        (offers[0], offers[1]) = (a, b);
    }

    function checkRow(Buyer memory buyer, bytes memory expected) private pure {
        bytes memory row = Mechanism.row(buyer.value, buyer.samples, buyer.ranked(), buyer.maxSellers);
        check(keccak256(row) == keccak256(expected), "row");
    }

    function test_a_buyer_without_offers_or_value_buys_nothing() public pure {
        checkRow(Buyer(TOKEN, 100, new Offer[](0), 32), hex"00");
        checkRow(Buyer(0, 100, only(Offer(3, 0, 100, 0)), 32), hex"00");
        checkRow(Buyer(TOKEN, 100, only(Offer(3, TOKEN, 100, 0)), 32), hex"00");
    }

    function test_alone_a_seller_is_paid_all_that_it_brings() public pure {
        bytes memory expected = abi.encodePacked(uint8(1), uint16(65_535), uint96(TOKEN / 2));
        checkRow(Buyer(TOKEN, 300, only(Offer(65_535, 17, 900, 0)), 8), expected);
        checkRow(Buyer(TOKEN, 300, only(Offer(65_535, TOKEN / 2, 900, 0)), 8), expected);
        uint64 most = type(uint64).max;
        uint96 all = uint96(Mechanism.gain(MOST, 1, most));
        checkRow(Buyer(MOST, 1, only(Offer(0, 0, most, 0)), 1), abi.encodePacked(uint8(1), uint16(0), all));
    }

    function test_a_tie_in_density_is_lost_to_the_lower_index() public pure {
        // Once Ada is taken, Ben adds less than she costs: his price is the most at which he comes first.
        uint256 cost = Mechanism.gain(TOKEN, 100, 100) - 1;
        Offer memory ada = Offer(1, cost, 100, 0);
        checkRow(
            Buyer(TOKEN, 100, both(ada, Offer(2, 0, 100, 0)), 8),
            abi.encodePacked(uint8(1), uint16(2), uint96(cost - 1))
        );
        checkRow(
            Buyer(TOKEN, 100, both(ada, Offer(0, 0, 100, 0)), 8),
            abi.encodePacked(uint8(1), uint16(0), uint96(cost))
        );
    }

    function test_a_tie_with_the_one_left_out_is_lost_to_the_lower_index() public pure {
        Offer memory ben = Offer(5, 10, 300, 0);
        checkRow(
            Buyer(LEAST, 300, both(ben, Offer(6, 50, 300, 0)), 1),
            abi.encodePacked(uint8(1), uint16(5), uint96(50))
        );
        checkRow(
            Buyer(LEAST, 300, both(ben, Offer(4, 50, 300, 0)), 1),
            abi.encodePacked(uint8(1), uint16(5), uint96(49))
        );
    }

    function test_the_free_are_paid_too() public pure {
        // Each gets what it adds to the other.
        uint96 added = uint96(Mechanism.gain(TOKEN, 100, 200) - Mechanism.gain(TOKEN, 100, 100));
        checkRow(
            Buyer(TOKEN, 100, both(Offer(9, 0, 100, 0), Offer(7, 0, 100, 0)), 8),
            abi.encodePacked(uint8(2), uint16(7), added, uint16(9), added)
        );
    }

    function test_a_row_of_32_has_449_bytes() public pure {
        Buyer memory buyer = Buyer(100 * TOKEN, 3_000, new Offer[](40), 32);
        for (uint256 i = 0; i < 40; ++i) buyer.offers[i] = Offer(i, 0, 500 + 10 * i, 0);
        Purchase[] memory purchases = rowOf(buyer);
        checkEq(purchases.length, 32, "purchases");
        for (uint256 k = 0; k < 32; ++k) {
            checkEq(purchases[k].seller, 8 + k, "the largest, by index: all cost the same per sample");
            // 8 ... 39 are candidates and 7 the first one left out, whose merit is the root of all that it brings.
            uint256 root = Math.sqrt(Mechanism.gain(buyer.value, 3_000, buyer.offers[8 + k].size) << 96);
            root -= Math.sqrt(Mechanism.gain(buyer.value, 3_000, buyer.offers[7].size) << 96);
            checkAtMost(Math.sqrt(purchases[k].price << 96), root, "what keeps it a candidate");
        }
    }
}
