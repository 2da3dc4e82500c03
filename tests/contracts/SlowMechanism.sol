// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Offer} from "../../contracts/libraries/Mechanism.sol";

/// @notice A buyer and all that it is offered, in any order; the offers' merit is not used.
struct Buyer {
    uint256 value; // base units
    uint256 samples;
    Offer[] offers;
    uint256 maxSellers;
}

/// @notice The mechanism written down as plainly as it is defined, checked arithmetic and all. Never fast, never
///         clever.
library SlowMechanism {
    function gain(uint256 value, uint256 samples, uint256 imported) internal pure returns (uint256) {
        return value - ((value * Math.sqrt((samples << 192) / (samples + imported))) >> 96);
    }

    /// @return offers The candidates by merit, and the first one left out where there is one.
    function ranked(Buyer memory buyer) internal pure returns (Offer[] memory offers) {
        Offer[] memory eligible = new Offer[](buyer.offers.length);
        uint256 count = 0;
        for (uint256 i = 0; i < buyer.offers.length; ++i) {
            Offer memory offer = buyer.offers[i];
            uint256 alone = gain(buyer.value, buyer.samples, offer.size);
            if (alone < offer.cost) continue;
            eligible[count++] = Offer(
                offer.seller,
                offer.cost,
                offer.size,
                Math.sqrt(alone << 96) - Math.sqrt(offer.cost << 96)
            );
        }
        offers = new Offer[](count <= buyer.maxSellers ? count : buyer.maxSellers + 1);
        for (uint256 i = 0; i < offers.length; ++i) {
            for (uint256 j = i + 1; j < count; ++j) {
                bool larger = eligible[j].merit > eligible[i].merit;
                bool tie = eligible[j].merit == eligible[i].merit && eligible[j].seller < eligible[i].seller;
                if (larger || tie) (eligible[i], eligible[j]) = (eligible[j], eligible[i]);
            }
            offers[i] = eligible[i];
        }
    }

    /// @return chosen The sellers that the buyer takes, in order.
    function choose(Buyer memory buyer) internal pure returns (Offer[] memory chosen) {
        Offer[] memory offers = ranked(buyer);
        uint256 count = offers.length <= buyer.maxSellers ? offers.length : buyer.maxSellers;
        for (uint256 i = 0; i < count; ++i) {
            for (uint256 j = i + 1; j < count; ++j) {
                uint256 first = offers[i].cost * offers[j].size;
                uint256 second = offers[j].cost * offers[i].size;
                bool tie = second == first && offers[j].seller < offers[i].seller;
                if (second < first || tie) (offers[i], offers[j]) = (offers[j], offers[i]);
            }
        }
        uint256 taken = 0;
        for (uint256 imported = 0; taken < count; imported += offers[taken++].size) {
            uint256 more = gain(buyer.value, buyer.samples, imported + offers[taken].size);
            if (more - gain(buyer.value, buyer.samples, imported) < offers[taken].cost) break;
        }
        chosen = new Offer[](taken);
        for (uint256 i = 0; i < taken; ++i) chosen[i] = offers[i];
    }

    /// @return The same buyer, had its offer `i` another cost.
    function withCost(Buyer memory buyer, uint256 i, uint256 cost) internal pure returns (Buyer memory) {
        Offer[] memory offers = new Offer[](buyer.offers.length);
        for (uint256 j = 0; j < offers.length; ++j) offers[j] = buyer.offers[j];
        offers[i] = Offer(offers[i].seller, cost, offers[i].size, 0);
        return Buyer(buyer.value, buyer.samples, offers, buyer.maxSellers);
    }

    /// @return Whether the buyer would take its offer `i` at this cost.
    function takesAt(Buyer memory buyer, uint256 i, uint256 cost) internal pure returns (bool) {
        Offer[] memory chosen = choose(withCost(buyer, i, cost));
        for (uint256 k = 0; k < chosen.length; ++k) {
            if (chosen[k].seller == buyer.offers[i].seller) return true;
        }
        return false;
    }

    /// @return The highest cost at which the buyer takes its offer `i`, which it does at cost 0: by bisection, the
    ///         whole row chosen anew at every step.
    function highestCost(Buyer memory buyer, uint256 i) internal pure returns (uint256) {
        uint256 taken = 0;
        uint256 refused = buyer.value + 1;
        while (refused - taken > 1) {
            uint256 cost = (taken + refused) / 2;
            if (takesAt(buyer, i, cost)) taken = cost;
            else refused = cost;
        }
        return taken;
    }
}
