// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Rows} from "./Rows.sol";
import {Status, StoredRound} from "./Rounds.sol";

/// @notice What a settled round leaves to whom: a pure function of the rows, the exclusions and what the round stores.
/// @dev A *tally* is what the rows say of one participant, in a word that can be added to: income (bits 0 to 95), number of
///      its buyers' ratings (96 to 111), their sum (112 to 143), whether it bought (144), what it spent (160 to 255).
///      None overflows into the next: prices that count are covered by deposits, and their sum is below 2**96.
library Payouts {
    uint256 private constant ONE_RATING = 1 << 96;
    uint256 private constant RATING_SUM = 112; // bit
    uint256 private constant BOUGHT = 1 << 144;
    uint256 private constant MISSING = 1 << 255;
    uint256 private constant AMOUNT = 160; // bit, of an amount in a word

    /// @notice What `derive` is given and finds.
    struct Batch {
        uint256 from;
        uint256 to;
        // of all participants, by index
        uint256[] participants; // account | deposit << 160
        uint256[] statuses; // 32 to a word; those of the batch are marked as paid
        uint256[] tallies;
        // of the batch
        uint256[] credits; // account | amount << 160
        uint256[] outcomes; // as the reputation wants them
        uint256 paid; // how many participants, without those that were paid before
        uint256 credited; // sum of `credits`
        uint256 burn;
    }

    /// @notice The credits of participants `from` ... `to` - 1 that were not paid yet.
    /// @param rows Settled, and so well-formed.
    function derive(
        StoredRound storage round,
        bytes calldata rows,
        uint256[] calldata excluded,
        uint256 from,
        uint256 to
    ) internal view returns (Batch memory batch) {
        batch.from = from;
        batch.to = to;
        _load(round, batch);
        _tally(round, batch, rows, excluded);
        _credit(round, batch, excluded);
    }

    function _load(StoredRound storage round, Batch memory batch) private view {
        uint256 n = round.participants;
        batch.participants = new uint256[](n);
        for (uint256 i = 0; i < n; ++i) batch.participants[i] = round.participantAt[i];
        batch.statuses = new uint256[]((n + 31) / 32);
        for (uint256 i = 0; i < batch.statuses.length; ++i) batch.statuses[i] = round.statuses[i];
    }

    /// @dev All rows, whatever the batch: any of them can hold an income of its participants.
    function _tally(StoredRound storage round, Batch memory batch, bytes calldata rows, uint256[] calldata excluded)
        private
        view
    {
        uint256 n = batch.participants.length;
        uint256 reserved = uint256(round.fee) + round.revealBond;
        uint256[] memory tallies = new uint256[](n);
        batch.tallies = tallies;
        uint256 start;
        uint256 end = 0;
        for (uint256 i = 0; i < n; ++i) {
            start = end;
            (uint256 count, uint256 spent, uint256 last) = Rows.sum(rows, start);
            end = start + 1 + count * Rows.PURCHASE;

            // A row that no honest settlement holds counts as empty, so that a wrong one which nobody challenged cannot
            // touch other money than its buyer's.
            uint256 status = _status(batch.statuses, i);
            if (count == 0 || status == 0 || isExcluded(excluded, i)) continue;
            if (last >= n || spent > (batch.participants[i] >> AMOUNT) - reserved) continue;

            tallies[i] += BOUGHT | (spent << AMOUNT);
            if (status == Status.REJECTED) continue;
            uint256 mark = status < Status.RATED ? 0 : ONE_RATING + ((status - Status.RATED) << RATING_SUM);
            Rows.spread(rows, start, tallies, mark);
        }
    }

    function _credit(StoredRound storage round, Batch memory batch, uint256[] calldata excluded) private view {
        uint256 fee = round.fee;
        uint256 revealBond = round.revealBond;
        uint256 revealed = round.revealed;
        uint256 share = (revealBond * (batch.participants.length - revealed)) / revealed;
        uint256[] memory credits = new uint256[](batch.to - batch.from + 1); // one more, for the aggregator
        uint256[] memory outcomes = new uint256[](batch.to - batch.from);
        uint256 outcomeCount = 0;

        for (uint256 i = batch.from; i < batch.to; ++i) {
            uint256 status = _status(batch.statuses, i);
            if (status & Status.PAID != 0) continue;
            batch.statuses[i / 32] |= Status.PAID << (8 * (i % 32));

            uint256 account = uint160(batch.participants[i]);
            uint256 tally = batch.tallies[i];
            uint256 amount = (batch.participants[i] >> AMOUNT) + uint96(tally);
            bool missing = true;
            if (status == 0) {
                amount -= revealBond;
            } else if (isExcluded(excluded, i)) {
                amount = amount + share - revealBond;
                batch.burn += revealBond;
            } else {
                missing = false;
                uint256 spent = fee + (tally >> AMOUNT);
                if (status == Status.REJECTED && tally & BOUGHT != 0) {
                    spent += revealBond;
                    batch.burn += spent;
                }
                amount = amount + share - spent;
            }
            credits[batch.paid++] = account | (amount << AMOUNT);
            batch.credited += amount;

            uint256 ratings = uint48(tally >> 96);
            if (missing) outcomes[outcomeCount++] = account | MISSING;
            else if (ratings != 0) outcomes[outcomeCount++] = account | (ratings << 160);
        }
        batch.credits = credits;
        batch.outcomes = cut(outcomes, outcomeCount);
    }

    /// @return The first `length` words, in place.
    function cut(uint256[] memory words, uint256 length) internal pure returns (uint256[] memory) {
        assembly ("memory-safe") {
            mstore(words, length)
        }
        return words;
    }

    function isExcluded(uint256[] calldata excluded, uint256 index) internal pure returns (bool) {
        return (excluded[index / 256] >> (index % 256)) & 1 != 0;
    }

    function _status(uint256[] memory statuses, uint256 index) private pure returns (uint256) {
        return (statuses[index / 32] >> (8 * (index % 32))) & 0xff;
    }
}
