// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice One entry of a row.
struct Purchase {
    uint256 seller;
    uint256 price; // base units
}

/// @notice What a participant did, and what was posted about it.
struct Entry {
    uint256 deposit; // base units
    bool revealed;
    bool excluded;
    bool rated;
    bool rejected;
    uint256 rating; // hundredths
    Purchase[] row;
}

/// @notice A round's money, and all that decides where it goes.
struct Books {
    uint256 fee; // base units, as all amounts
    uint256 revealBond;
    uint256 bond;
    uint256 standing; // challenges that nobody refuted
    Entry[] entries; // by index
}

/// @notice The rules for a round's money, written down as plainly as the design says them: one participant at a time, every
///         row read again for each. Never fast, never clever.
library SlowPayouts {
    // --- who counts ---

    function revealed(Books memory books) internal pure returns (uint256 m) {
        for (uint256 i = 0; i < books.entries.length; ++i) if (books.entries[i].revealed) ++m;
    }

    function lostBonds(Books memory books) internal pure returns (uint256) {
        return books.revealBond * (books.entries.length - revealed(books));
    }

    function trades(Entry memory entry) internal pure returns (bool) {
        return entry.revealed && !entry.excluded;
    }

    function price(Purchase[] memory row) internal pure returns (uint256 sum) {
        for (uint256 k = 0; k < row.length; ++k) sum += row[k].price;
    }

    /// @notice Whether the posted row of a participant counts; else it is as good as empty.
    function counts(Books memory books, uint256 buyer) internal pure returns (bool) {
        Entry memory entry = books.entries[buyer];
        if (!trades(entry)) return false;
        for (uint256 k = 0; k < entry.row.length; ++k) if (entry.row[k].seller >= books.entries.length) return false;
        return price(entry.row) <= entry.deposit - books.fee - books.revealBond;
    }

    function rejects(Books memory books, uint256 buyer) internal pure returns (bool) {
        Entry memory entry = books.entries[buyer];
        return entry.rejected && counts(books, buyer) && entry.row.length > 0;
    }

    // --- a settled round ---

    /// @return sum What a seller is paid by the buyers that did not reject.
    function income(Books memory books, uint256 seller) internal pure returns (uint256 sum) {
        for (uint256 buyer = 0; buyer < books.entries.length; ++buyer) {
            if (!counts(books, buyer) || rejects(books, buyer)) continue;
            Purchase[] memory row = books.entries[buyer].row;
            for (uint256 k = 0; k < row.length; ++k) if (row[k].seller == seller) sum += row[k].price;
        }
    }

    /// @notice What participant `i` gets, and what is burnt on its account.
    function creditOf(Books memory books, uint256 i) internal pure returns (uint256 credit, uint256 burnt) {
        Entry memory entry = books.entries[i];
        credit = entry.deposit + income(books, i);
        if (!entry.revealed) return (credit - books.revealBond, 0);

        credit += lostBonds(books) / revealed(books);
        if (entry.excluded) return (credit - books.revealBond, books.revealBond);

        credit -= books.fee;
        if (counts(books, i)) credit -= price(entry.row);
        if (rejects(books, i)) {
            credit -= books.revealBond;
            burnt = price(entry.row) + books.fee + books.revealBond;
        }
    }

    /// @notice What the aggregator gets: its bond, the fees that were not burnt, the remainder of the lost reveal bonds.
    function aggregatorCredit(Books memory books) internal pure returns (uint256 credit) {
        credit = books.bond + (lostBonds(books) % revealed(books));
        for (uint256 i = 0; i < books.entries.length; ++i) {
            if (trades(books.entries[i]) && !rejects(books, i)) credit += books.fee;
        }
    }

    // --- a void round ---

    /// @notice With fault there was something to settle.
    function faulty(Books memory books) internal pure returns (bool) {
        return revealed(books) >= 2;
    }

    /// @notice What each that revealed gets beyond its deposit.
    function voidShare(Books memory books) internal pure returns (uint256) {
        if (revealed(books) == 0) return 0;
        uint256 quarter = faulty(books) ? books.bond / 4 : 0;
        return (quarter + lostBonds(books)) / revealed(books);
    }

    function refundOf(Books memory books, uint256 i) internal pure returns (uint256) {
        Entry memory entry = books.entries[i];
        if (entry.revealed) return entry.deposit + voidShare(books);
        return revealed(books) == 0 ? entry.deposit : entry.deposit - books.revealBond;
    }

    function aggregatorRefund(Books memory books) internal pure returns (uint256) {
        return faulty(books) ? 0 : books.bond;
    }

    /// @notice What a challenger locks.
    function challengeBond(uint256 bond, uint256 revealBond) internal pure returns (uint256) {
        return bond / 32 < revealBond ? bond / 32 : revealBond;
    }

    /// @notice What a challenger that stands gets beyond its own bond.
    function reward(Books memory books) internal pure returns (uint256) {
        if (!faulty(books) || books.standing == 0) return 0;
        uint256 quarter = books.bond / 4;
        return (quarter < 8 * books.revealBond ? quarter : 8 * books.revealBond) / books.standing;
    }

    /// @notice What is burnt of a void round: half of the bond, the challengers' quarter where there are none, and whatever
    ///         does not divide.
    function voidBurnt(Books memory books) internal pure returns (uint256 burnt) {
        if (!faulty(books)) return 0;
        uint256 quarter = books.bond / 4;
        burnt = books.bond - quarter - quarter; // half
        burnt += quarter - reward(books) * books.standing;
        burnt += quarter + lostBonds(books) - voidShare(books) * revealed(books);
    }

    // --- reputations ---

    /// @notice A participant's reputation after a payout, given that before it.
    function reputationAfter(Books memory books, uint256 i, uint256 r) internal pure returns (uint256) {
        if (!trades(books.entries[i])) {
            r = r / 2;
        } else {
            (uint256 k, uint256 sum) = ratingsOf(books, i);
            if (k == 1 || k == 2) r = (r * (150 * k + sum)) / (200 * k);
            if (k >= 3) r = (r * (50 * k + sum)) / (100 * k);
        }
        if (r < 2048) return 2048;
        return r > 65_536 ? 65_536 : r;
    }

    /// @return k How many ratings a seller's purchases carry.
    /// @return sum Theirs.
    function ratingsOf(Books memory books, uint256 seller) internal pure returns (uint256 k, uint256 sum) {
        for (uint256 buyer = 0; buyer < books.entries.length; ++buyer) {
            Entry memory entry = books.entries[buyer];
            if (!counts(books, buyer) || !entry.rated) continue;
            for (uint256 p = 0; p < entry.row.length; ++p) {
                if (entry.row[p].seller != seller) continue;
                k += 1;
                sum += entry.rating;
            }
        }
    }

    // --- on the chain ---

    /// @dev One by one, which every compiler pipeline can do.
    function post(Entry storage entry, Purchase[] memory row) internal {
        delete entry.row;
        for (uint256 k = 0; k < row.length; ++k) entry.row.push(row[k]);
    }

    function encodeRows(Books memory books) internal pure returns (bytes memory rows) {
        for (uint256 i = 0; i < books.entries.length; ++i) rows = bytes.concat(rows, encodeRow(books.entries[i].row));
    }

    function encodeRow(Purchase[] memory purchases) internal pure returns (bytes memory row) {
        row = abi.encodePacked(uint8(purchases.length));
        for (uint256 k = 0; k < purchases.length; ++k) {
            row = abi.encodePacked(row, uint16(purchases[k].seller), uint96(purchases[k].price));
        }
    }

    function encodeExcluded(Books memory books) internal pure returns (uint256[] memory excluded) {
        excluded = new uint256[]((books.entries.length + 255) / 256);
        for (uint256 i = 0; i < books.entries.length; ++i) {
            if (books.entries[i].excluded) excluded[i / 256] |= 1 << (i % 256);
        }
    }
}
