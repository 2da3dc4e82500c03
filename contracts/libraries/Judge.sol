// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BidRecord, Claim, IMarket} from "../IMarket.sol";
import {BidRecords} from "./BidRecords.sol";
import {Mechanism, Offer} from "./Mechanism.sol";
import {StoredRound} from "./Rounds.sol";
import {Lanes, Sketch} from "./Sketch.sol";
import {Words} from "./Words.sol";

/// @notice A buyer and what its round says of sellers.
struct Buyer {
    uint256 index;
    uint256 value; // base units
    uint256 samples;
    uint256 minReputation; // 2**16 = 1
    uint256 maxSamples;
    uint256 similarityFloor; // 2**16 = 1
    Lanes sketch;
    bytes room; // for one seller's sketch after the other: 33 at once would make memory dear
}

/// @notice What a buyer's row must be, from bid records that anyone may bring: each is compared with the hash that its
///         reveal has left in the round.
/// @dev Warning: that `excluded` is what was settled is for the caller to check.
library Judge {
    using Words for uint256[1024];

    /// @notice Computes a buyer's row from the list of its candidates.
    /// @param list The candidates and the first seller left out, if there is one, in order of merit. Each must be
    ///        eligible; that no other one belongs there is what a refuter would have to contradict.
    /// @return row Its bytes, with its count.
    /// @return claim What the list says, for a refuter.
    function judge(
        StoredRound storage round,
        BidRecord calldata record,
        uint256[] calldata excluded,
        BidRecord[] calldata list
    ) internal view returns (bytes memory row, Claim memory claim) {
        uint256 maxSellers = round.maxSellers;
        if (list.length > maxSellers + 1) revert IMarket.ListTooLong(list.length, maxSellers + 1);
        Buyer memory buyer = _buyer(round, record, excluded);

        Offer[] memory offers = new Offer[](list.length);
        bytes memory listed = new bytes(2 * list.length);
        uint256 last = 0;
        for (uint256 i = 0; i < list.length; ++i) {
            Offer memory offer = _offer(round, buyer, excluded, list[i]);
            if (i != 0 && !_before(offers[i - 1], offer.merit, offer.seller)) {
                revert IMarket.ListOutOfOrder(offer.seller);
            }
            offers[i] = offer;
            last = offer.merit;
            _list(listed, i, offer.seller);
        }
        return (Mechanism.row(buyer.value, buyer.samples, offers, maxSellers), Claim(buyer.index, listed, last));
    }

    /// @notice Checks that `seller` belongs into a claimed list which leaves it out, and reverts if it does not.
    function refute(
        StoredRound storage round,
        Claim calldata claim,
        BidRecord calldata record,
        uint256[] calldata excluded,
        BidRecord calldata seller
    ) internal view {
        if (record.index != claim.buyer) revert IMarket.WrongRecord(record.index);
        bytes calldata listed = claim.listed;
        uint256 index;
        for (uint256 i = 0; i < listed.length; i += 2) {
            index = uint16(bytes2(listed[i:i + 2]));
            if (index == seller.index) revert IMarket.NotLeftOut(index);
        }
        Offer memory offer = _offer(round, _buyer(round, record, excluded), excluded, seller);
        // There was room for it, or it comes before the last one listed, whose index is still in hand.
        bool full = listed.length > 2 * uint256(round.maxSellers);
        if (full && !_before(offer, claim.lastMerit, index)) revert IMarket.NotLeftOut(seller.index);
    }

    /// @return Who the record says it is, which must trade.
    function _buyer(
        StoredRound storage round,
        BidRecord calldata record,
        uint256[] calldata excluded
    ) private view returns (Buyer memory) {
        bytes memory sketch = new bytes(Sketch.SIZE);
        _read(round, record, sketch);
        if (_isExcluded(excluded, record.index)) revert IMarket.NotTrading(record.index);
        return
            Buyer({
                index: record.index,
                value: record.bid.value,
                samples: record.bid.samples,
                minReputation: record.bid.minReputation,
                maxSamples: round.maxSamples,
                similarityFloor: round.similarityFloor,
                sketch: Sketch.spread(sketch),
                room: sketch
            });
    }

    /// @return What a seller, who must be eligible, offers the buyer.
    function _offer(
        StoredRound storage round,
        Buyer memory buyer,
        uint256[] calldata excluded,
        BidRecord calldata seller
    ) private view returns (Offer memory) {
        _read(round, seller, buyer.room);
        uint256 index = seller.index;
        uint256 cost = seller.bid.cost;
        uint256 reputation = seller.reputation;
        bool trades = buyer.value != 0 && cost != type(uint96).max && reputation >= buyer.minReputation;
        if (!trades || index == buyer.index || _isExcluded(excluded, index)) revert IMarket.NotEligible(index);
        uint256 similarity = Sketch.similarity(Sketch.cosine(buyer.sketch, buyer.room), buyer.similarityFloor);
        uint256 size = Mechanism.effectiveSamples(seller.bid.samples, reputation, buyer.maxSamples, similarity);
        uint256 worth = Mechanism.gain(buyer.value, buyer.samples, size);
        if (size == 0 || worth < cost) revert IMarket.NotEligible(index);
        return Offer(index, cost, size, Mechanism.merit(worth, cost));
    }

    /// @dev Checks that a record is what its reveal has left, and copies its sketch.
    function _read(StoredRound storage round, BidRecord calldata record, bytes memory sketch) private view {
        bytes calldata given = record.sketch;
        if (given.length != sketch.length) revert IMarket.WrongRecord(record.index);
        assembly ("memory-safe") {
            calldatacopy(add(sketch, 0x20), given.offset, given.length)
        }
        uint256 index = record.index;
        if (index >= round.participantAt.length) revert IMarket.WrongRecord(index);
        // Where there is no such participant, this is what account 0 has left: nothing. A bid record's hash is there since
        // the reveal; before, it is one of fewer bytes, of a commit.
        bytes32 kept = round.records[address(uint160(round.participantAt.load(index)))];
        bytes30 hash = BidRecords.hash(index, record.bid, record.reputation, keccak256(sketch), record.model);
        if (kept != BidRecords.word(hash, index)) revert IMarket.WrongRecord(index);
    }

    /// @dev Writes the `i`th of a list of sellers, two bytes each.
    function _list(bytes memory listed, uint256 i, uint256 seller) private pure {
        assembly ("memory-safe") {
            let place := add(add(listed, 0x20), shl(1, i))
            mstore8(place, shr(8, seller))
            mstore8(add(place, 1), seller)
        }
    }

    function _isExcluded(uint256[] calldata excluded, uint256 index) private pure returns (bool) {
        return (excluded[index / 256] >> (index % 256)) & 1 != 0;
    }

    function _before(Offer memory offer, uint256 merit, uint256 seller) private pure returns (bool) {
        return Mechanism.comesBefore(offer.merit, offer.seller, merit, seller);
    }
}
