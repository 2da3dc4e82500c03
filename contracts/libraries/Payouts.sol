// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Rounds, Seats, Statuses, StoredRound} from "./Rounds.sol";
import {Rows} from "./Rows.sol";
import {Words} from "./Words.sol";

/// @notice What a settled round leaves to whom: a function of the rows, the exclusions and what the round stores.
/// @dev A *tally* is what the rows say of one seller, in a word that can be added to: income (bits 0 to 95), number of its
///      buyers' ratings (160 to 175), their sum (176 to 207). Nothing flows over into the next: the prices that count are
///      covered by deposits, whose sum is below 2**96, and purchases are at most 8,192.
/// @dev Unchecked throughout: a price that counts is at most deposit − fee − revealBond, a deposit at least fee +
///      revealBond + maxSellers, so no difference is negative.
library Payouts {
    using Words for uint256[];
    using Words for uint256[1024];
    using Rounds for StoredRound;

    uint256 private constant AMOUNT = 160; // bit, of an amount in a word
    uint256 private constant ONE_RATING = 1 << 160;
    uint256 private constant RATING_SUM = 176; // bit
    uint256 private constant SEAT = 208; // bit, in an outcome
    uint256 private constant MISSING = 1 << 255; // in an outcome
    uint256 private constant EXCLUDED = 127; // in place of a status, in memory only

    /// @notice What `derive` finds, and what it needs to know of the round on the way.
    struct Batch {
        uint256[] credits; // account | amount << 160; with room for one more, the aggregator's
        uint256[] outcomes; // see `IReputation.update`
        uint256 credited; // sum of `credits`
        uint256 burn;
        // by index, of all participants
        uint256[] participants; // as stored; a credit without income where the ordinary rule applies
        uint256[] tallies;
        uint256[] seats;
        uint256[] statuses;
        // base units
        uint256 least; // deposit
        uint256 fee;
        uint256 revealBond;
        uint256 reserve; // maxSellers: what a row can cost beyond the value, for rounding
        uint256 share; // of the lost reveal bonds, for each that revealed
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
        _load(round, batch, excluded);
        uint256[] memory starts = _tally(batch, Rows.first(rows));
        _collect(batch, starts, from, to);
    }

    function _load(StoredRound storage round, Batch memory batch, uint256[] calldata excluded) private view {
        unchecked {
            uint256 n = round.participants;
            batch.least = round.leastDeposit;
            batch.fee = round.fee();
            batch.revealBond = round.revealBond;
            batch.reserve = round.maxSellers;
            batch.share = (batch.revealBond * (n - round.revealed)) / round.revealed;

            uint256[] memory words = batch.seats = new uint256[]((n + 15) / 16);
            for (uint256 i = 0; i < words.length; ++i) words.put(i, round.seats[i]);
            words = batch.statuses = new uint256[]((n + 31) / 32);
            for (uint256 i = 0; i < words.length; ++i) words.put(i, round.statuses[i]);
            for (uint256 i = 0; i < n; ++i) {
                if (i % 256 == 0 && excluded.read(i / 256) == 0) {
                    i += 255; // as a rule nobody is
                } else if ((excluded.read(i / 256) >> (i % 256)) & 1 != 0) {
                    words.putByte(i, (words.getByte(i) & Statuses.PAID) | EXCLUDED);
                }
            }
            words = batch.participants = new uint256[](n);
            uint256[1024] storage participantAt = round.participantAt;
            for (uint256 i = 0; i < n; ++i) words.put(i, participantAt.load(i));
            batch.tallies = new uint256[](n);
        }
    }

    /// @dev Adds up all rows, whatever the batch: any of them can hold an income of its participants. Turns the words of
    ///      those to whom the ordinary rule applies into credits, still without income.
    /// @return starts Where the rows of the others begin; 0 for the ordinary.
    function _tally(Batch memory batch, uint256 start) private pure returns (uint256[] memory starts) {
        unchecked {
            uint256[] memory participants = batch.participants;
            uint256[] memory tallies = batch.tallies;
            uint256 ordinary = (batch.least + batch.share - batch.fee) << AMOUNT;
            uint256 reserve = batch.reserve;
            uint256 n = participants.length;
            starts = new uint256[](n);
            for (uint256 i = 0; i < n; ++i) {
                uint256 end = Rows.endOf(start);
                uint256 status = batch.statuses.getByte(i) & ~Statuses.PAID;
                starts.put(i, start);
                if (status < Statuses.REJECTED && Seats.read(batch.seats.get(i / 16), i) != 0) {
                    uint256 participant = participants.get(i);
                    uint256 mark = status == 0 ? 0 : ONE_RATING + ((status - Statuses.RATED) << RATING_SUM);
                    uint256 spent = Rows.spread(start, end, tallies, mark);
                    if (spent <= (participant >> AMOUNT) + reserve) {
                        participants.put(i, participant + ordinary - (spent << AMOUNT));
                        starts.put(i, 0);
                    } else {
                        Rows.unspread(start, end, tallies, mark);
                    }
                }
                start = end;
            }
        }
    }

    function _collect(Batch memory batch, uint256[] memory starts, uint256 from, uint256 to) private pure {
        unchecked {
            uint256[] memory credits = batch.credits = new uint256[](to - from + 1);
            uint256[] memory outcomes = batch.outcomes = new uint256[](to - from);
            uint256 creditCount = 0;
            uint256 outcomeCount = 0;
            uint256 credited = 0;
            for (uint256 i = from; i < to; ++i) {
                if (batch.statuses.getByte(i) & Statuses.PAID != 0) continue;
                uint256 credit = batch.participants.get(i);
                uint256 tally = batch.tallies.get(i);
                uint256 outcome = (tally >> AMOUNT) << AMOUNT;
                if (starts.get(i) != 0) (credit, outcome) = _exception(batch, i, starts.get(i), credit, outcome);
                credit += tally << AMOUNT; // the income; the ratings fall off the word's end
                credits.put(creditCount++, credit);
                credited += credit >> AMOUNT;
                if (outcome != 0) {
                    uint256 seat = Seats.read(batch.seats.get(i / 16), i);
                    outcomes.put(outcomeCount++, uint160(credit) | outcome | (seat << SEAT));
                }
            }
            credits.cut(creditCount);
            outcomes.cut(outcomeCount);
            batch.credited = credited;
        }
    }

    /// @dev Who did not reveal, was excluded, rejected its delivery, or has a row that counts as empty: one that no true
    ///      settlement holds, which must not touch other money than its buyer's though nobody challenged it.
    /// @return The credit without income, and the outcome.
    function _exception(
        Batch memory batch,
        uint256 index,
        uint256 start,
        uint256 participant,
        uint256 outcome
    ) private pure returns (uint256, uint256) {
        unchecked {
            uint256 status = batch.statuses.getByte(index);
            participant += batch.least << AMOUNT; // now its deposit
            if (Seats.read(batch.seats.get(index / 16), index) == 0) {
                return (participant - (batch.revealBond << AMOUNT), MISSING);
            }
            participant += batch.share << AMOUNT;
            if (status == EXCLUDED) {
                batch.burn += batch.revealBond;
                return (participant - (batch.revealBond << AMOUNT), MISSING);
            }
            uint256 loss = batch.fee;
            if (status == Statuses.REJECTED) {
                uint256 spent = Rows.sum(start, batch.tallies.length);
                uint256 cover = (batch.participants.get(index) >> AMOUNT) + batch.reserve;
                if (Rows.endOf(start) - start != 1 && spent <= cover) {
                    loss += spent + batch.revealBond;
                    batch.burn += loss;
                }
            }
            return (participant - (loss << AMOUNT), outcome);
        }
    }
}
