// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {isqrt} from "../libraries/isqrt.sol";
import {Mechanism, Offer, Place} from "../libraries/Mechanism.sol";
import {Lanes, Sketch} from "../libraries/Sketch.sol";

/// @notice The libraries' functions as a contract's, for tests to call.
contract MechanismHarness {
    function squareRoot(uint256 x) external pure returns (uint256) {
        return isqrt(x);
    }

    function cosine(bytes memory a, bytes memory b) external pure returns (uint256) {
        return Sketch.cosine(Sketch.spread(a), b);
    }

    /// @return each The similarity of `a` to each of `others`, 2**16 = 1.
    function similarity(
        bytes memory a,
        bytes[] memory others,
        uint256 floor
    ) external pure returns (uint256[] memory each) {
        Lanes memory lanes = Sketch.spread(a);
        each = new uint256[](others.length);
        for (uint256 j; j < others.length; ++j) {
            each[j] = Sketch.similarity(Sketch.cosine(lanes, others[j]), floor);
        }
    }

    function gain(uint256 value, uint256 samples, uint256 imported) external pure returns (uint256) {
        return Mechanism.gain(value, samples, imported);
    }

    function effectiveSamples(
        uint256 samples,
        uint256 reputation,
        uint256 maxSamples,
        uint256 similarity_
    ) external pure returns (uint256) {
        return Mechanism.effectiveSamples(samples, reputation, maxSamples, similarity_);
    }

    function merit(uint256 worth, uint256 cost) external pure returns (uint256) {
        return Mechanism.merit(worth, cost);
    }

    function comesBefore(
        uint256 merit_,
        uint256 seller,
        uint256 otherMerit,
        uint256 otherSeller
    ) external pure returns (bool) {
        return Mechanism.comesBefore(merit_, seller, otherMerit, otherSeller);
    }

    /// @return sellers In the order in which the choice took them.
    function choose(
        uint256 value,
        uint256 samples,
        Offer[] memory offers,
        uint256 maxSellers
    ) external pure returns (uint256[] memory sellers) {
        Place[] memory places = Mechanism.byDensity(offers, maxSellers);
        sellers = new uint256[](Mechanism.choose(value, samples, places));
        for (uint256 p; p < sellers.length; ++p) sellers[p] = places[p].seller;
    }

    function row(
        uint256 value,
        uint256 samples,
        Offer[] memory offers,
        uint256 maxSellers
    ) external pure returns (bytes memory) {
        return Mechanism.row(value, samples, offers, maxSellers);
    }
}
