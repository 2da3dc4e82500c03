// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Payouts} from "../../contracts/libraries/Payouts.sol";
import {Seats, Statuses, StoredRound} from "../../contracts/libraries/Rounds.sol";
import {Books, Entry, Purchase, SlowPayouts} from "../contracts/SlowPayouts.sol";

/// @notice Credits sum up: Σ credits + burnt + what is the aggregator's = Σ deposits + bond, and each is what the slow
///         version says, to the unit.
/// @dev Exhaustive over shapes: two participants that revealed, or with a third that did not; every row of nothing, of one
///      purchase from anybody there or from somebody who is not, and of two purchases; each participant silent, rating,
///      rejecting or excluded. Bounds: three participants, two purchases in a row, and of amounts the corners: prices of
///      nothing, just covered and 1 too much; with and without a fee; small and the largest bonds.
contract PayoutsExhaustive {
    using SlowPayouts for Books;

    uint256 private constant MAX_SELLERS = 2;

    StoredRound private round;

    /// @dev The amounts of a round, base units.
    struct Amounts {
        uint96 fee;
        uint88 revealBond;
        uint96 bond;
        uint96[3] deposits;
        uint96[3] prices;
        uint8 rating; // everybody's that gives one
    }

    function derive(
        bytes calldata rows,
        uint256[] calldata excluded,
        uint256 n
    ) external view returns (uint256[] memory credits, uint256 credited, uint256 burn) {
        Payouts.Batch memory batch = Payouts.derive(round, rows, excluded, 0, n);
        return (batch.credits, batch.credited, batch.burn);
    }

    // --- the claims ---

    function test_two_participants() public {
        for (uint256 rows = 0; rows < 25; ++rows) forAllAmounts([rows / 5, rows % 5, 0], 2);
    }

    /// @notice And one that did not reveal, whose row counts as empty whatever it says.
    function test_one_that_did_not_reveal() public {
        for (uint256 rows = 0; rows < 25; ++rows) forAllAmounts([rows / 5, rows % 5, rows % 2], 3);
    }

    // --- what they share ---

    function forAllAmounts(uint256[3] memory rows, uint256 n) private {
        for (uint256 answers = 0; answers < 16; ++answers) {
            for (uint256 corner = 0; corner < 36; ++corner) {
                // Each in a call of its own, which forgets its memory.
                this.verify(amountsOf(corner), rows, [answers / 4, answers % 4, 0], n);
            }
        }
    }

    /// @dev Deposits of all sizes that the market lets in; a price that takes all that a deposit covers, or 1 more.
    function amountsOf(uint256 corner) private pure returns (Amounts memory a) {
        a.revealBond = corner % 2 == 0 ? 1001 : type(uint88).max;
        a.bond = uint96(16 * uint256(a.revealBond) + (corner % 3));
        a.fee =
            (corner / 2) % 3 == 0
                ? 0
                : (corner / 2) % 3 == 1
                    ? 3
                    : uint96(15 * uint256(a.revealBond) - MAX_SELLERS);
        uint256 least = uint256(a.fee) + a.revealBond + MAX_SELLERS;
        uint256 most = 16 * uint256(a.revealBond);
        a.deposits = [uint96(least), uint96((least + most) / 2), uint96(most)];
        a.rating = uint8(50 * (corner % 3));
        for (uint256 i = 0; i < 3; ++i) {
            // By seller, and what the one before it in the circle can pay.
            uint256 cover = a.deposits[(i + 2) % 3] - a.fee - a.revealBond;
            uint256 price = (corner / 6 + i) % 6;
            a.prices[i] = uint96(
                price == 0
                    ? 0
                    : price == 1
                        ? cover
                        : price == 2
                            ? cover + 1
                            : price == 3
                                ? cover / 2
                                : price
            );
        }
    }

    function booksOf(Amounts memory a, uint256 n) private pure returns (Books memory books) {
        (books.fee, books.revealBond, books.bond) = (a.fee, a.revealBond, a.bond);
        books.entries = new Entry[](n);
        for (uint256 i = 0; i < n; ++i) (books.entries[i].deposit, books.entries[i].revealed) = (a.deposits[i], i != 2);
    }

    /// @dev 0: nothing; 1 ... 3: of seller 0, 1, 2; 4: of sellers 1 and 0.
    function rowOf(Amounts memory a, uint256 shape) private pure returns (Purchase[] memory row) {
        row = new Purchase[](
            shape == 0
                ? 0
                : shape == 4
                    ? 2
                    : 1
        );
        if (shape == 4) (row[0], row[1]) = (Purchase(1, a.prices[1]), Purchase(0, a.prices[2]));
        else if (shape != 0) row[0] = Purchase(shape - 1, a.prices[shape - 1]);
    }

    function answer(Entry memory entry, Amounts memory a, uint256 what) private pure {
        entry.rated = what == 1;
        entry.rating = a.rating;
        entry.rejected = what == 2;
        entry.excluded = what == 3;
    }

    function verify(Amounts memory a, uint256[3] memory rows, uint256[3] memory answers, uint256 n) external {
        Books memory books = booksOf(a, n);
        for (uint256 i = 0; i < n; ++i) {
            books.entries[i].row = rowOf(a, rows[i]);
            answer(books.entries[i], a, answers[i]);
        }
        store(a, books);
        (uint256[] memory credits, uint256 credited, uint256 burn) = this.derive(
            books.encodeRows(),
            books.encodeExcluded(),
            n
        );
        assert(credits.length == n);
        uint256 pot = a.bond;
        uint256 paid = 0;
        uint256 burnt = 0;
        for (uint256 i = 0; i < n; ++i) {
            (uint256 credit, uint256 burntHere) = books.creditOf(i);
            assert(credits[i] == (uint160(account(i)) | (credit << 160)));
            pot += books.entries[i].deposit;
            paid += credit;
            burnt += burntHere;
        }
        assert(credited == paid && burn == burnt);
        assert(pot - paid - burnt == books.aggregatorCredit());
    }

    function account(uint256 i) private pure returns (address) {
        return address(uint160(0xa11ce + i));
    }

    function store(Amounts memory a, Books memory books) private {
        uint256 n = books.entries.length;
        uint256 least = uint256(a.fee) + a.revealBond + MAX_SELLERS;
        (round.leastDeposit, round.revealBond, round.bond) = (uint96(least), a.revealBond, a.bond);
        round.maxSellers = uint8(MAX_SELLERS);
        round.participants = uint16(n);
        round.revealed = uint16(books.revealed());
        uint256 seats = 0;
        uint256 statuses = 0;
        for (uint256 i = 0; i < n; ++i) {
            Entry memory entry = books.entries[i];
            round.participantAt[i] = uint160(account(i)) | ((entry.deposit - least) << 160);
            if (entry.revealed) seats = Seats.take(seats, i, i + 1);
            uint256 status =
                entry.rated
                    ? Statuses.RATED + entry.rating
                    : entry.rejected
                        ? Statuses.REJECTED
                        : 0;
            statuses |= status << (248 - 8 * i);
        }
        (round.seats[0], round.statuses[0]) = (seats, statuses);
    }
}
