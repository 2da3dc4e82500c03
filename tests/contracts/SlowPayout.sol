// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice One purchase of a row.
struct Sale {
    uint256 seller;
    uint256 price;
}

/// @notice What a payout depends on, one value at a time.
struct Case {
    uint256 fee;
    uint256 revealBond;
    uint256 bond;
    uint256[] deposits;
    bool[] revealed;
    bool[] excluded;
    bool[] rated;
    bool[] rejected;
    uint256[] ratings; // hundredths
    uint256[] reputations; // before
    Sale[][] rows;
}

/// @notice What it leaves.
struct Result {
    uint256[] credits;
    uint256[] reputations;
    uint256 burnt;
    uint256 aggregator;
}

/// @notice The section "Credit" of docs/protocol.md, read aloud: no packing, no arrays of words, every sum anew.
library SlowPayout {
    /// @return Whether the row of `buyer` is one that is paid for.
    function counts(Case memory c, uint256 buyer) internal pure returns (bool) {
        if (!c.revealed[buyer] || c.excluded[buyer] || c.rows[buyer].length == 0) return false;
        for (uint256 k = 0; k < c.rows[buyer].length; ++k) {
            if (c.rows[buyer][k].seller >= c.deposits.length) return false;
        }
        return spent(c, buyer) <= c.deposits[buyer] - c.fee - c.revealBond;
    }

    function spent(Case memory c, uint256 buyer) internal pure returns (uint256 sum) {
        for (uint256 k = 0; k < c.rows[buyer].length; ++k) sum += c.rows[buyer][k].price;
    }

    function income(Case memory c, uint256 seller) internal pure returns (uint256 sum) {
        for (uint256 buyer = 0; buyer < c.rows.length; ++buyer) {
            if (!counts(c, buyer) || c.rejected[buyer]) continue;
            for (uint256 k = 0; k < c.rows[buyer].length; ++k) {
                if (c.rows[buyer][k].seller == seller) sum += c.rows[buyer][k].price;
            }
        }
    }

    function reputation(Case memory c, uint256 seller) internal pure returns (uint256 r) {
        uint256 k = 0;
        uint256 sum = 0;
        for (uint256 buyer = 0; buyer < c.rows.length; ++buyer) {
            if (!counts(c, buyer) || !c.rated[buyer]) continue;
            for (uint256 p = 0; p < c.rows[buyer].length; ++p) {
                if (c.rows[buyer][p].seller != seller) continue;
                k += 1;
                sum += c.ratings[buyer];
            }
        }
        r = c.reputations[seller];
        if (!c.revealed[seller] || c.excluded[seller]) r = r / 2;
        else if (k >= 3) r = (r * (50 * k + sum)) / (100 * k);
        else if (k > 0) r = (r * (150 * k + sum)) / (200 * k);
        if (r < 2048) r = 2048;
        if (r > 65536) r = 65536;
    }

    function pay(Case memory c) internal pure returns (Result memory result) {
        uint256 n = c.deposits.length;
        uint256 m = 0;
        for (uint256 i = 0; i < n; ++i) if (c.revealed[i]) m += 1;
        uint256 share = (c.revealBond * (n - m)) / m;

        result.credits = new uint256[](n);
        result.reputations = new uint256[](n);
        result.aggregator = c.bond;
        for (uint256 i = 0; i < n; ++i) {
            uint256 credit = c.deposits[i] + income(c, i);
            if (!c.revealed[i]) {
                credit -= c.revealBond;
            } else if (c.excluded[i]) {
                credit = credit + share - c.revealBond;
                result.burnt += c.revealBond;
            } else {
                credit = credit + share - c.fee;
                uint256 price = counts(c, i) ? spent(c, i) : 0;
                credit -= price;
                if (c.rejected[i] && counts(c, i)) {
                    credit -= c.revealBond;
                    result.burnt += price + c.fee + c.revealBond;
                } else {
                    result.aggregator += c.fee;
                }
            }
            result.credits[i] = credit;
            result.reputations[i] = reputation(c, i);
        }
        result.aggregator += c.revealBond * (n - m) - share * m;
    }
}
