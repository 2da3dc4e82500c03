// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {isqrt} from "./isqrt.sol";

/// @notice What one seller offers one buyer.
struct Offer {
    uint256 seller; // index in the round, below 2**16; breaks every tie, lower first
    uint256 cost; // what one copy must bring, base units, below 2**96
    uint256 size; // effective samples for this buyer, 1 ... 2**64 - 1
    uint256 merit; // what a place among the candidates goes by: `Mechanism.merit`, of who is eligible
}

/// @notice An offer in its place in the order of density, and how far a run of the choice had come before it.
struct Place {
    uint256 density; // cost per sample, then the seller: what the order goes by
    uint256 seller;
    uint256 cost; // base units
    uint256 size; // effective samples
    uint256 most; // the highest cost at which it would still be a candidate, base units
    uint256 imported; // X, effective samples taken before it
    uint256 gained; // G(X), base units
}

/// @notice What one buyer buys, and at what prices.
/// @dev A buyer of value v with N samples of its own gains G(x) = v * (1 - sqrt(N / (N + x))) from x effective
///      samples, and seller j brings it s_j of them at cost c_j. Bit for bit what market_node/mechanism.py computes:
///      the vectors in tests/vectors hold the two together. Nothing overflows, hence `unchecked`: v and c are
///      below 2**96, N and s below 2**64 and x, of at most 255 sellers, below 2**72.
library Mechanism {
    /// @notice What `imported` effective samples are worth to a buyer, base units.
    /// @param value What a perfect model would be worth to it, base units.
    /// @param samples Its own, at least 1.
    /// @dev The one rounding rule: up, from a root of 96 fractional bits. So G(0) = 0 <= G(x) <= v, G grows with x, and
    ///      G(x + y) <= G(x) + G(y): rounded up, a sum is at most the sum of what is rounded up.
    function gain(uint256 value, uint256 samples, uint256 imported) internal pure returns (uint256) {
        unchecked {
            return value - ((value * isqrt((samples << 192) / (samples + imported))) >> 96);
        }
    }

    /// @notice What a seller that claims `samples` brings to a buyer to which it has this similarity, samples.
    /// @dev A claim is believed up to the share of `maxSamples` that its account has earned.
    function effectiveSamples(
        uint256 samples,
        uint256 reputation,
        uint256 maxSamples,
        uint256 similarity
    ) internal pure returns (uint256) {
        unchecked {
            uint256 earned = (reputation * maxSamples) >> 16;
            return ((samples < earned ? samples : earned) * similarity) >> 16;
        }
    }

    /// @notice What a place among the candidates goes by: sqrt(G(s)) - sqrt(c), in 2**-48 of the root of a base unit.
    /// @param worth G(s), what the seller would bring alone, base units; at least its cost.
    function merit(uint256 worth, uint256 cost) internal pure returns (uint256) {
        unchecked {
            return isqrt(worth << 96) - isqrt(cost << 96);
        }
    }

    /// @notice Whether a buyer looks at the first seller before the second: by merit, ties to the lower index.
    function comesBefore(
        uint256 merit_,
        uint256 seller,
        uint256 otherMerit,
        uint256 otherSeller
    ) internal pure returns (bool) {
        return merit_ > otherMerit || (merit_ == otherMerit && seller < otherSeller);
    }

    /// @notice A buyer's row: its count (uint8) and that many purchases (seller uint16, price uint96), in the order in
    ///         which the choice took them.
    /// @param offers Of its candidates and of the first seller left out, if there is one, in the order of
    ///        `comesBefore`.
    /// @param maxSellers How many candidates there can be, 1 ... 255: what follows them is left out.
    /// @dev Warning: that all are eligible and in order, and none is missing, is for the caller to check.
    function row(
        uint256 value,
        uint256 samples,
        Offer[] memory offers,
        uint256 maxSellers
    ) internal pure returns (bytes memory purchases) {
        if (value == 0) return hex"00"; // a pure seller would otherwise "buy" whatever costs nothing
        unchecked {
            Place[] memory places = byDensity(offers, maxSellers);
            uint256 count = choose(value, samples, places);
            // From the last to the first, because pricing one writes over what the choice left in the places behind it.
            for (uint256 i = count; i-- > 0;) {
                uint256 price = criticalPrice(value, samples, places, i);
                purchases = bytes.concat(bytes2(uint16(places[i].seller)), bytes12(uint96(price)), purchases);
            }
            purchases = bytes.concat(bytes1(uint8(count)), purchases);
        }
    }

    /// @notice The candidates in order of density, and behind them an offer that nobody takes, where every run ends.
    function byDensity(Offer[] memory offers, uint256 maxSellers) internal pure returns (Place[] memory places) {
        unchecked {
            bool full = offers.length > maxSellers;
            uint256 count = full ? maxSellers : offers.length;
            places = new Place[](count + 1);
            for (uint256 i; i < count; ++i) {
                Offer memory offer = offers[i];
                Place memory place = places[i];
                place.seller = offer.seller;
                place.cost = offer.cost;
                place.size = offer.size;
                place.most = full ? mostOf(offer, offers[count]) : type(uint256).max;
                // c / s with 128 fractional bits, where two that differ, differ: by 1 / (s * s') > 2**-128 at least.
                place.density = (((offer.cost << 128) / offer.size) << 16) | offer.seller;
                insert(places, i);
            }
            // No sample is worth 2**160: here a run has stopped, and a price is bounded by the gain alone.
            places[count] = Place(type(uint256).max, type(uint256).max, 1 << 160, 1, 0, 0, 0);
        }
    }

    /// @notice The highest cost at which a candidate keeps its place before the first seller left out.
    function mostOf(Offer memory offer, Offer memory leftOut) private pure returns (uint256) {
        unchecked {
            // sqrt(c) <= sqrt(G(s)) - m*, or < where the tie is lost: of its own cost it holds, so nothing is below 0.
            uint256 root = offer.merit + isqrt(offer.cost << 96) - leftOut.merit;
            if (leftOut.seller < offer.seller) --root;
            return ((root + 1) * (root + 1) - 1) >> 96; // the highest c with isqrt(c << 96) <= root
        }
    }

    /// @notice Moves the place at `i` to where it belongs among those before it, which are in order.
    /// @dev Assembly for a quarter of the gas: Solidity checks three indices at every step.
    function insert(Place[] memory places, uint256 i) private pure {
        assembly ("memory-safe") {
            let first := add(places, 32)
            let slot := add(first, shl(5, i)) // where the reference to place i stands
            let place := mload(slot)
            let density := mload(place)
            for {} gt(slot, first) {
                slot := sub(slot, 32)
            } {
                let previous := mload(sub(slot, 32))
                if lt(mload(previous), density) {
                    break
                }
                mstore(slot, previous)
            }
            mstore(slot, place)
        }
    }

    /// @notice The choice: how many of the candidates, in order of density, the buyer takes.
    function choose(uint256 value, uint256 samples, Place[] memory places) internal pure returns (uint256 count) {
        return run(value, samples, places, 0, 0, 0);
    }

    /// @notice Takes what stands from place `first` on, in order, while G(X + s) - G(X) >= c, and writes X and G(X)
    ///         into each place.
    /// @param imported X before `first`, and `gained` its G(X).
    /// @return stop The first place that was not taken.
    /// @dev Most of a row's gas goes here. Assembly reads and writes a place in a third of what Solidity takes, which
    ///      checks the index.
    function run(
        uint256 value,
        uint256 samples,
        Place[] memory places,
        uint256 first,
        uint256 imported,
        uint256 gained
    ) internal pure returns (uint256 stop) {
        unchecked {
            uint256 slot;
            assembly ("memory-safe") {
                slot := add(places, shl(5, add(first, 1))) // where the reference to place `first` stands
            }
            for (stop = first; ; ++stop) {
                uint256 cost;
                uint256 size;
                assembly ("memory-safe") {
                    let place := mload(slot)
                    cost := mload(add(place, 0x40)) // place.cost
                    size := mload(add(place, 0x60)) // place.size
                    mstore(add(place, 0xa0), imported) // place.imported
                    mstore(add(place, 0xc0), gained) // place.gained
                    slot := add(slot, 0x20) // of the next one
                }
                imported += size;
                uint256 next = gain(value, samples, imported);
                if (next - gained < cost) break;
                gained = next;
            }
        }
    }

    /// @notice The highest cost at which chosen seller `i` would still have been chosen, all else equal, base units.
    /// @param places As the choice left them up to `i`. Those behind are written over.
    function criticalPrice(
        uint256 value,
        uint256 samples,
        Place[] memory places,
        uint256 i
    ) internal pure returns (uint256 price) {
        unchecked {
            Place memory seller = places[i];
            // The run without it: as the choice was up to its place, then as if it were not there.
            uint256 stop = run(value, samples, places, i + 1, seller.imported, seller.gained);
            // From the back, where the others' costs allow most. The places ahead of its own need no look: they allow less
            // than its own cost, and the place behind it allows that.
            for (uint256 p = stop; p > i; --p) {
                Place memory place = places[p];
                uint256 before = costBefore(seller, place);
                if (before <= price) break; // nor is any earlier one above
                uint256 worth = gain(value, samples, place.imported + seller.size) - place.gained;
                uint256 bound = worth < before ? worth : before; // min(G(X_p + s) - G(X_p), c_p * s / s_p)
                if (bound > price) price = bound;
            }
            if (price > seller.most) price = seller.most;
        }
    }

    /// @notice The highest cost at which `seller` stands before one behind it: c_p * s / s_p, or 1 less where a tie
    ///         is lost.
    function costBefore(Place memory seller, Place memory other) internal pure returns (uint256 cost) {
        unchecked {
            uint256 product = other.cost * seller.size;
            cost = product / other.size;
            if (other.seller < seller.seller && product % other.size == 0) --cost;
        }
    }
}
