// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BidRecord} from "../../../contracts/IMarket.sol";
import {Mechanism, Offer} from "../../../contracts/libraries/Mechanism.sol";
import {Case, SlowJudge} from "../SlowJudge.sol";
import {Buyer, SlowMechanism} from "../SlowMechanism.sol";
import {Books, Entry, Purchase, SlowPayouts} from "../SlowPayouts.sol";
import {Ghost} from "./Ghost.sol";

/// @notice What everybody can work out of a round: who may buy from whom, and what the rows have to be.
/// @dev Sketches are of a few kinds, so that the slow cosines are computed once, before a campaign.
abstract contract Docket is Ghost {
    using SlowJudge for Case;
    using SlowMechanism for Buyer;
    using SlowPayouts for Books;

    uint256 internal constant KINDS = 7;

    uint256[KINDS][KINDS] private _cosines;

    constructor() {
        for (uint256 a = 0; a < KINDS; ++a) {
            for (uint256 b = 0; b <= a; ++b) {
                _cosines[a][b] = _cosines[b][a] = SlowJudge.cosine(sketchOf(a), sketchOf(b));
            }
        }
    }

    /// @return sketch Of kind 0, zeros; of kind k, 6 (k - 1) words that are everybody's, and 32 words in all.
    function sketchOf(uint256 kind) internal pure returns (bytes memory sketch) {
        if (kind == 0) return new bytes(1024);
        for (uint256 i = 0; i < 32; ++i) {
            sketch = bytes.concat(sketch, keccak256(abi.encode(i < 6 * (kind - 1) ? 0 : kind, i)));
        }
    }

    /// @return c The rows in it are right only once they are settled.
    function caseOf(uint256 round) internal view returns (Case memory c) {
        Books memory b = books[round];
        uint256 n = b.entries.length;
        c.terms = market.roundOf(round).terms;
        c.records = new BidRecord[](n);
        c.rows = new bytes[](n);
        for (uint256 i = 0; i < n; ++i) {
            Secret memory s = secrets[round][accounts[round][i]];
            bytes memory sketch = b.entries[i].revealed ? sketchOf(s.kind) : bytes("");
            c.records[i] = BidRecord(i, s.bid, uint24(believed[round][i]), s.model, sketch);
            c.rows[i] = SlowPayouts.encodeRow(b.entries[i].row);
        }
        c.excluded = b.encodeExcluded();
    }

    function offersTo(Case memory c, uint256 round, uint256 buyer) internal view returns (Buyer memory) {
        uint256[] memory cosines = new uint256[](c.records.length);
        uint256 own = secrets[round][accounts[round][buyer]].kind;
        for (uint256 j = 0; j < cosines.length; ++j) {
            cosines[j] = _cosines[own][secrets[round][accounts[round][j]].kind];
        }
        return c.offersTo(buyer, cosines);
    }

    /// @return row What follows from a list. The library that computes it has tests of its own, against the slow rules.
    function rowFrom(Buyer memory buyer, Offer[] memory list) internal pure returns (bytes memory row) {
        return Mechanism.row(buyer.value, buyer.samples, list, buyer.maxSellers);
    }

    /// @return What participant `i` has to buy; nothing, if it does not trade.
    function trueRow(Case memory c, uint256 round, uint256 i) internal view returns (Purchase[] memory) {
        if (!c.trades(i)) return new Purchase[](0);
        Buyer memory buyer = offersTo(c, round, i);
        return purchasesIn(rowFrom(buyer, buyer.ranked()));
    }

    function hasWrongRow(uint256 round) internal view override returns (bool) {
        Case memory c = caseOf(round);
        for (uint256 i = 0; i < c.rows.length; ++i) {
            if (!c.trades(i)) continue;
            if (keccak256(SlowPayouts.encodeRow(trueRow(c, round, i))) != keccak256(c.rows[i])) return true;
        }
        return false;
    }

    function purchasesIn(bytes memory row) private pure returns (Purchase[] memory purchases) {
        purchases = new Purchase[](uint8(row[0]));
        for (uint256 k = 0; k < purchases.length; ++k) {
            uint256 purchase = 0;
            for (uint256 b = 1; b <= 14; ++b) purchase = (purchase << 8) | uint8(row[14 * k + b]);
            purchases[k] = Purchase(purchase >> 96, uint96(purchase));
        }
    }

    /// @return rest The purchases but the one at `k`.
    function without(Purchase[] memory purchases, uint256 k) internal pure returns (Purchase[] memory rest) {
        rest = new Purchase[](purchases.length - 1);
        for (uint256 i = 0; i < rest.length; ++i) rest[i] = purchases[i < k ? i : i + 1];
    }
}
