// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BidRecord, Claim, Terms} from "../../contracts/IMarket.sol";
import {Offer} from "../../contracts/libraries/Mechanism.sol";
import {Buyer, SlowMechanism} from "./SlowMechanism.sol";

/// @notice A settled round as everybody can see it: all that a proof is made from.
struct Case {
    Terms terms;
    BidRecord[] records; // by index; without a sketch where it did not reveal
    uint256[] excluded;
    bytes[] rows; // by index, as they were settled
}

/// @notice Who offers a buyer what, and what follows for its row, written down as plainly as it is defined. Never fast,
///         never clever.
library SlowJudge {
    using SlowMechanism for Buyer;

    uint256 private constant ONE = 1 << 16;

    /// @return 2**16 = 1; 0 where it is negative or a norm is 0.
    function cosine(bytes memory a, bytes memory b) internal pure returns (uint256) {
        int256 dot = 0;
        int256 normA = 0;
        int256 normB = 0;
        for (uint256 k = 0; k < a.length; ++k) {
            int256 x = int8(uint8(a[k]));
            int256 y = int8(uint8(b[k]));
            dot += x * y;
            normA += x * x;
            normB += y * y;
        }
        return dot <= 0 ? 0 : Math.sqrt((uint256(dot * dot) << 32) / uint256(normA * normB));
    }

    function cosines(Case memory c, uint256 buyer) internal pure returns (uint256[] memory each) {
        each = new uint256[](c.records.length);
        for (uint256 j = 0; j < each.length; ++j) {
            if (trades(c, j)) each[j] = cosine(c.records[buyer].sketch, c.records[j].sketch);
        }
    }

    function effectiveSamples(
        Terms memory terms,
        BidRecord memory seller,
        uint256 cosine_
    ) internal pure returns (uint256) {
        if (cosine_ <= terms.similarityFloor) return 0;
        uint256 similarity = ((cosine_ - terms.similarityFloor) * ONE) / (ONE - terms.similarityFloor);
        uint256 believed = Math.min(seller.bid.samples, (uint256(seller.reputation) * terms.maxSamples) / ONE);
        return (believed * similarity) / ONE;
    }

    /// @return Whether participant `i` revealed and was not excluded.
    function trades(Case memory c, uint256 i) internal pure returns (bool) {
        return c.records[i].sketch.length != 0 && (c.excluded[i / 256] >> (i % 256)) % 2 == 0;
    }

    /// @return A buyer that trades, with what is offered by those from whom it would buy. Whether an offer is worth its
    ///         cost is for `ranked`.
    function offersTo(Case memory c, uint256 buyer, uint256[] memory cosines_) internal pure returns (Buyer memory) {
        BidRecord memory own = c.records[buyer];
        Offer[] memory offers = new Offer[](c.records.length);
        uint256 count = 0;
        for (uint256 j = 0; j < offers.length; ++j) {
            BidRecord memory seller = c.records[j];
            if (j == buyer || !trades(c, j) || own.bid.value == 0) continue;
            if (seller.bid.cost == type(uint96).max || seller.reputation < own.bid.minReputation) continue;
            uint256 size = effectiveSamples(c.terms, seller, cosines_[j]);
            if (size > 0) offers[count++] = Offer(j, seller.bid.cost, size, 0);
        }
        return Buyer(own.bid.value, own.bid.samples, first(offers, count), c.terms.maxSellers);
    }

    function offersTo(Case memory c, uint256 buyer) internal pure returns (Buyer memory) {
        return offersTo(c, buyer, cosines(c, buyer));
    }

    /// @return The same buyer, had `seller` offered nothing.
    function without(Buyer memory buyer, uint256 seller) internal pure returns (Buyer memory) {
        Offer[] memory offers = new Offer[](buyer.offers.length);
        uint256 count = 0;
        for (uint256 k = 0; k < offers.length; ++k) {
            if (buyer.offers[k].seller != seller) offers[count++] = buyer.offers[k];
        }
        return Buyer(buyer.value, buyer.samples, first(offers, count), buyer.maxSellers);
    }

    /// @return row What the buyer buys, each seller at the highest cost at which it would still be taken.
    function rowOf(Buyer memory buyer) internal pure returns (bytes memory row) {
        Offer[] memory chosen = buyer.choose();
        row = abi.encodePacked(uint8(chosen.length));
        for (uint256 k = 0; k < chosen.length; ++k) {
            uint256 i = 0;
            while (buyer.offers[i].seller != chosen[k].seller) ++i;
            row = abi.encodePacked(row, uint16(chosen[k].seller), uint96(buyer.highestCost(i)));
        }
    }

    /// @return The records behind a list.
    function recordsOf(Case memory c, Offer[] memory list) internal pure returns (BidRecord[] memory) {
        BidRecord[] memory records = new BidRecord[](list.length);
        for (uint256 k = 0; k < list.length; ++k) records[k] = c.records[list[k].seller];
        return records;
    }

    /// @return What a challenge with this list says.
    function claimOf(uint256 buyer, Offer[] memory list) internal pure returns (Claim memory) {
        bytes memory listed;
        for (uint256 k = 0; k < list.length; ++k) listed = abi.encodePacked(listed, uint16(list[k].seller));
        return Claim(buyer, listed, list.length == 0 ? 0 : list[list.length - 1].merit);
    }

    function rowHashes(Case memory c) internal pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](c.rows.length);
        for (uint256 i = 0; i < hashes.length; ++i) hashes[i] = keccak256(c.rows[i]);
    }

    function rowsHash(Case memory c) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(rowHashes(c)));
    }

    /// @dev Cuts rows apart.
    function split(bytes memory rows, uint256 n) internal pure returns (bytes[] memory each) {
        each = new bytes[](n);
        uint256 next = 0;
        for (uint256 i = 0; i < n; ++i) {
            each[i] = new bytes(1 + 14 * uint256(uint8(rows[next])));
            for (uint256 k = 0; k < each[i].length; ++k) each[i][k] = rows[next++];
        }
    }

    function first(Offer[] memory offers, uint256 count) private pure returns (Offer[] memory some) {
        some = new Offer[](count);
        for (uint256 k = 0; k < count; ++k) some[k] = offers[k];
    }
}
