// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMarket, Terms} from "../../contracts/IMarket.sol";
import {MarketBase} from "./MarketBase.sol";
import {Case, Result, Sale, SlowPayout} from "./SlowPayout.sol";

/// @notice Random rounds, right and wrong, against the slow version: to the unit, in batches of any order.
contract RandomRoundsTest is MarketBase {
    uint256 private constant MOST = 9; // participants, as a rule

    uint256 private dice;
    uint256 private round;
    Terms private terms;

    /// @return x From `least` to `most`, all alike.
    function roll(uint256 least, uint256 most) private returns (uint256 x) {
        dice = uint256(keccak256(abi.encode(dice)));
        return between(dice, least, most);
    }

    function chance(uint256 percent) private returns (bool) {
        return roll(1, 100) <= percent;
    }

    function account(uint256 i) private pure returns (address) {
        return address(uint160(0xa000 + i));
    }

    function someCase(uint256 n) private view returns (Case memory c) {
        c.deposits = new uint256[](n);
        c.revealed = new bool[](n);
        c.excluded = new bool[](n);
        c.rated = new bool[](n);
        c.rejected = new bool[](n);
        c.ratings = new uint256[](n);
        c.reputations = new uint256[](n);
        c.rows = new Sale[][](n);
        (c.fee, c.revealBond, c.bond) = (terms.fee, terms.revealBond, terms.bond);
    }

    function randomTerms() private {
        Terms memory t = someTerms();
        t.revealBond = uint96(chance(50) ? roll(1 << 20, 1 << 21) : roll(1 << 20, type(uint88).max / 1e6));
        t.maxSellers = uint8(roll(1, 5));
        t.fee = uint96(chance(20) ? 0 : roll(0, 2 * uint256(t.revealBond)));
        t.bond = uint96(16 * uint256(t.revealBond) + roll(0, 1000));
        terms = t;
        round = open(t);
    }

    /// @dev Everybody offers nothing and sells nothing: what counts here are the deposits.
    function commits(Case memory c) private {
        for (uint256 i = 0; i < c.deposits.length; ++i) {
            uint256 least = uint256(terms.fee) + terms.revealBond + terms.maxSellers;
            c.deposits[i] = roll(least, 16 * uint256(terms.revealBond));
            prepare(account(i), c.deposits[i]);
            c.reputations[i] = reputation.reputationOf(aggregator, account(i));
            secrets[round][account(i)].bid = someBid();
            commitValueless(i, uint96(c.deposits[i]));
        }
        closeCommits(round);
        draw(round);
    }

    function commitValueless(uint256 i, uint96 deposit) private {
        Secret storage secret = secrets[round][account(i)];
        secret.bid.value = 0;
        commit(round, account(i), secret.bid, deposit);
    }

    function reveals(Case memory c, uint256 percent) private {
        uint256 offset = roll(0, c.deposits.length - 1);
        for (uint256 k = 0; k < c.deposits.length; ++k) {
            uint256 i = (k + offset) % c.deposits.length;
            c.revealed[i] = k < 2 || chance(percent);
            if (c.revealed[i]) reveal(round, account(i));
        }
        closeReveals(round);
    }

    function randomRow(Case memory c, uint256 buyer) private returns (Sale[] memory sales) {
        sales = new Sale[](chance(20) ? 0 : roll(1, terms.maxSellers));
        uint256 budget = c.deposits[buyer] - c.fee - c.revealBond;
        for (uint256 k = 0; k < sales.length; ++k) {
            bool foreign = chance(4);
            sales[k].seller = foreign ? roll(c.deposits.length, type(uint16).max) : roll(0, c.deposits.length - 1);
            uint256 most = budget / sales.length + (chance(10) ? 1 + budget / 4 : 0);
            sales[k].price = chance(2) ? type(uint96).max : chance(10) ? 0 : roll(0, most);
        }
    }

    function encode(Sale[][] memory rows) private pure returns (bytes memory encoded) {
        for (uint256 i = 0; i < rows.length; ++i) {
            encoded = bytes.concat(encoded, bytes1(uint8(rows[i].length)));
            for (uint256 k = 0; k < rows[i].length; ++k) {
                encoded = abi.encodePacked(encoded, uint16(rows[i][k].seller), uint96(rows[i][k].price));
            }
        }
    }

    function settles(Case memory c) private returns (bytes memory rows, uint256[] memory excluded) {
        excluded = noneExcluded();
        for (uint256 i = 0; i < c.deposits.length; ++i) {
            c.excluded[i] = chance(12);
            if (c.excluded[i]) excluded[0] |= 1 << i;
            c.rows[i] = randomRow(c, i);
        }
        rows = encode(c.rows);
        settle(round, excluded, rows);
        for (uint256 i = 0; i < c.deposits.length; ++i) {
            if (!c.revealed[i]) continue;
            c.rejected[i] = chance(15);
            c.rated[i] = !c.rejected[i] && chance(80);
            c.ratings[i] = roll(0, 100);
            if (c.rejected[i]) does(account(i), abi.encodeCall(IMarket.reject, (round, i)));
            if (c.rated[i]) does(account(i), abi.encodeCall(IMarket.rate, (round, i, c.ratings[i])));
        }
        closeChallenges(round);
    }

    function pays(uint256 n, bytes memory rows, uint256[] memory excluded) private {
        uint256 left = n;
        while (left > 0) {
            uint256 from = roll(0, n - 1);
            uint256 to = roll(from + 1, n);
            for (uint256 i = from; i < to; ++i) if (!market.isPaid(round, i)) left -= 1;
            market.payOut(round, rows, excluded, from, to);
        }
        market.payOut(round, rows, excluded, 0, n);
    }

    /// @dev Three rounds of the same accounts, so that reputations have somewhere to come from.
    function test_every_payout_is_what_the_slow_version_says(uint256 seed) public {
        dice = seed;
        for (uint256 k = 0; k < 3; ++k) {
            uint256 n = chance(5) ? roll(17, 35) : roll(2, MOST); // now and then more than a word holds
            randomTerms();
            Case memory c = someCase(n);
            commits(c);
            reveals(c, 80);
            (bytes memory rows, uint256[] memory excluded) = settles(c);
            uint256[] memory before = new uint256[](n);
            for (uint256 i = 0; i < n; ++i) before[i] = escrow.available(account(i));
            uint256 burnt = escrow.burnt();
            uint256 aggregators = escrow.available(aggregator);
            pays(n, rows, excluded);

            Result memory expected = SlowPayout.pay(c);
            uint256 sum = expected.burnt + expected.aggregator;
            uint256 paidIn = c.bond;
            for (uint256 i = 0; i < n; ++i) {
                checkEq(escrow.available(account(i)) - before[i], expected.credits[i], "credit");
                checkEq(reputation.reputationOf(aggregator, account(i)), expected.reputations[i], "reputation");
                sum += expected.credits[i];
                paidIn += c.deposits[i];
            }
            checkEq(escrow.burnt() - burnt, expected.burnt, "burnt");
            checkEq(escrow.available(aggregator) - aggregators, expected.aggregator, "the aggregator's");
            checkEq(escrow.pot(round), 0, "left in the pot");
            checkEq(sum, paidIn, "all of it");
        }
    }

    /// @dev However a round gets void, and in whatever order it is refunded, the pot is emptied to the unit.
    function test_every_void_round_gives_all_back_or_burns_it(uint256 seed) public {
        dice = seed;
        uint256 n = roll(0, MOST);
        randomTerms();
        Case memory c = someCase(n);
        uint256 revealed = 0;
        uint256 standing = 0;
        if (n < 2) {
            for (uint256 i = 0; i < n; ++i) {
                c.deposits[i] = 16 * uint256(terms.revealBond);
                prepare(account(i), c.deposits[i]);
                secrets[round][account(i)].bid = someBid();
                commitValueless(i, uint96(c.deposits[i]));
            }
            closeCommits(round);
        } else {
            commits(c);
            revealed = chance(30) ? roll(0, 1) : roll(2, n);
            for (uint256 i = 0; i < revealed; ++i) {
                reveal(round, account(i));
                c.revealed[i] = true;
            }
            closeReveals(round);
            if (revealed >= 2 && chance(50)) {
                settle(round, noneExcluded(), new bytes(n));
                standing = roll(1, 5);
                fund(mallory, standing * (uint256(terms.bond) / 32));
                for (uint256 i = 0; i < standing; ++i) does(mallory, abi.encodeCall(market.openChallenge, (round)));
                closeRefutations(round);
            } else if (revealed >= 2) {
                closeSettlement(round);
            }
        }
        uint256 paidIn = escrow.pot(round);
        refundAll(n, standing);

        uint256 quarter = uint256(terms.bond) / 4;
        uint256 lost = revealed == 0 ? 0 : (n - revealed) * terms.revealBond;
        bool fault = revealed >= 2;
        uint256 sum = escrow.available(aggregator) + escrow.available(mallory) + escrow.burnt();
        for (uint256 i = 0; i < n; ++i) {
            uint256 expected = c.deposits[i];
            if (c.revealed[i]) expected += ((fault ? quarter : 0) + lost) / revealed;
            else if (revealed > 0) expected -= terms.revealBond;
            checkEq(escrow.available(account(i)), expected, "credit");
            sum += expected;
        }
        checkEq(escrow.available(aggregator), fault ? 0 : terms.bond, "the aggregator's");
        uint256 part = standing == 0 ? 0 : quarter / standing;
        checkEq(escrow.available(mallory), standing * (uint256(terms.bond) / 32 + part), "the challenger's");
        check(!fault || escrow.burnt() >= uint256(terms.bond) / 2, "half of the bond is burnt");
        checkEq(escrow.pot(round), 0, "left in the pot");
        checkEq(sum, paidIn, "all of it");
    }

    function refundAll(uint256 n, uint256 standing) private {
        bool aggregatorPaid = false;
        uint256 left = n;
        uint256 challenge = 0;
        while (left > 0 || !aggregatorPaid || challenge < standing) {
            if (challenge < standing && chance(50)) {
                market.refundChallenge(round, challenge++);
            } else {
                uint256 from = roll(0, n);
                uint256 to = roll(from, n);
                for (uint256 i = from; i < to; ++i) if (!market.isPaid(round, i)) left -= 1;
                market.refund(round, from, to);
                aggregatorPaid = true;
            }
        }
    }
}
