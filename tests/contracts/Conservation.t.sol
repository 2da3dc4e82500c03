// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bid, IMarket, Phase, Terms} from "../../contracts/IMarket.sol";
import {Offer} from "../../contracts/libraries/Mechanism.sol";
import {ChallengeBase} from "./ChallengeBase.sol";
import {Dice} from "./Dice.sol";
import {Case, SlowJudge} from "./SlowJudge.sol";
import {Buyer, SlowMechanism} from "./SlowMechanism.sol";
import {Books, Entry, SlowPayouts} from "./SlowPayouts.sol";
import {vm} from "./Vm.sol";

/// @notice Whole random rounds, with missing reveals, exclusions, rejections and wrong rows: where every unit goes, next to
///         the slow rules. Nobody has anything but what it locks, so that its balance at the end is its credit.
contract ConservationTest is ChallengeBase, Dice {
    using SlowJudge for Buyer;
    using SlowJudge for Case;
    using SlowMechanism for Buyer;
    using SlowPayouts for Books;

    uint256 private constant MOST = 12;

    Books private books; // of the round at hand
    Terms private terms;
    uint256 private round;
    address[] private accounts; // by index
    address[] private challengers; // of the challenges that stand
    uint256 private received; // challenge bonds that went to `anyone`, which refutes
    mapping(address account => uint256) private expected;

    // --- a round ---

    function participant(uint256 i) private returns (address) {
        return makeActor(string.concat("participant ", vm.toString(i)));
    }

    function openAndCommit(uint256 n) private {
        terms = anyTerms(MOST, 8);
        terms.maxParticipants = uint16(MOST);
        round = open(terms);
        books.fee = terms.fee;
        books.revealBond = terms.revealBond;
        books.bond = terms.bond;
        bool aggregatorToo = oneIn(4);
        for (uint256 i = 0; i < n; ++i) {
            address account = i == n / 2 && aggregatorToo ? aggregator : participant(i);
            accounts.push(account);
            books.entries.push().deposit = anyDeposit(terms);
            prepare(account, books.entries[i].deposit);
            commit(round, account, anyBid(i), uint96(books.entries[i].deposit));
        }
        closeCommits(round);
    }

    /// @dev Of any value that the deposit covers.
    function anyBid(uint256 i) private returns (Bid memory) {
        uint256 most = books.entries[i].deposit - terms.fee - terms.revealBond - terms.maxSellers;
        uint256 value = most < 2 ** 20 ? 0 : any(2 ** 20, most);
        uint256 cost = oneIn(4) ? any(0, NOT_SELLING) : any(0, most / 32);
        return Bid({value: uint96(value), cost: uint96(cost), samples: 1_000, minReputation: 0});
    }

    /// @dev Mostly all or nearly all.
    function revealSome() private {
        draw(round);
        uint256 kind = any(0, 7);
        for (uint256 i = 0; i < accounts.length; ++i) {
            if (kind < 4 && oneIn(8 >> kind)) continue; // an eighth, a quarter, half, or all are missing
            reveal(round, accounts[i]);
            books.entries[i].revealed = true;
        }
        closeReveals(round);
    }

    function settleAny() private {
        uint256 n = accounts.length;
        bool excluding = oneIn(2);
        for (uint256 i = 0; i < n; ++i) {
            Entry storage entry = books.entries[i];
            entry.excluded = excluding && oneIn(4); // also who did not reveal
            SlowPayouts.post(entry, anyRow(entry.deposit - terms.fee - terms.revealBond, n, terms.maxSellers));
        }
        settle(round, books.encodeExcluded(), books.encodeRows());
    }

    function answerAny() private {
        bool rejecting = oneIn(2);
        for (uint256 i = 0; i < accounts.length; ++i) {
            Entry storage entry = books.entries[i];
            if (!entry.revealed || oneIn(4)) continue;
            vm.prank(accounts[i]);
            if (rejecting && oneIn(2)) {
                entry.rejected = true;
                market.reject(round, i);
            } else {
                entry.rated = true;
                entry.rating = any(0, 100);
                market.rate(round, i, entry.rating);
            }
        }
    }

    /// @dev Rarely. Nobody cares to refute some of the false ones.
    function challengeAny() private {
        if (!oneIn(6)) return;
        Case memory c = caseOf(round);
        uint256 buyer = any(0, accounts.length - 1);
        if (!c.trades(buyer)) return;
        Buyer memory offered = c.offersTo(buyer);
        Offer[] memory truth = offered.ranked();
        bool cared = oneIn(2);
        for (uint256 number = any(1, 4); number > 0; --number) {
            address challenger = makeActor(string.concat("challenger ", vm.toString(number)));
            if (cared && truth.length == 0) continue;
            if (!cared && oneIn(2)) accuse(challenger, c, buyer, truth);
            else if (truth.length > 0) accuseFalsely(challenger, c, buyer, offered, cared || oneIn(2));
        }
    }

    /// @dev Opens a challenge, unless the posted row is what follows from the list.
    function accuse(
        address challenger,
        Case memory c,
        uint256 buyer,
        Offer[] memory list
    ) private returns (bool opened, uint256 number) {
        uint256 part = SlowPayouts.challengeBond(terms.bond, terms.revealBond);
        Accusation memory a = Accusation(round, c.records[buyer], c.rowHashes(), c.excluded, c.recordsOf(list));
        fund(challenger, part);
        vm.prank(challenger);
        bytes memory answer;
        (opened, answer) = address(market).call(asCall(a));
        if (!opened) {
            checkEq(bytes4(answer), IMarket.RowIsRight.selector, "why a challenge is refused");
            vm.prank(challenger);
            escrow.withdraw(uint96(part));
            return (false, 0);
        }
        challengers.push(challenger);
        books.standing += 1;
        number = abi.decode(answer, (uint256));
    }

    function accuseFalsely(
        address challenger,
        Case memory c,
        uint256 buyer,
        Buyer memory offered,
        bool refuted
    ) private {
        Offer[] memory truth = offered.ranked();
        uint256 missing = truth[any(0, truth.length - 1)].seller;
        Offer[] memory list = offered.without(missing).ranked();
        (bool opened, uint256 number) = accuse(challenger, c, buyer, list);
        if (!opened || !refuted) return;
        refute(anyone, objection(round, number, buyer, list, missing));
        challengers.pop();
        books.standing -= 1;
        received += SlowPayouts.challengeBond(terms.bond, terms.revealBond);
    }

    function playToTheEnd(uint256 seed) private {
        shake(seed);
        openAndCommit(any(0, MOST));
        if (accounts.length >= 2 && !oneIn(16)) revealSome();
        if (market.phaseOf(round) == Phase.Settle && !oneIn(8)) {
            settleAny();
            answerAny();
            challengeAny();
        }
        vm.warp(time() + 1 days);
    }

    // --- what it should come to ---

    function expectAll(bool paidOut) private returns (uint256 burnt) {
        Books memory all = books;
        for (uint256 i = 0; i < accounts.length; ++i) {
            (uint256 credit, uint256 lost) = paidOut ? all.creditOf(i) : (all.refundOf(i), 0);
            expected[accounts[i]] += credit;
            burnt += lost;
        }
        expected[aggregator] += paidOut ? all.aggregatorCredit() : all.aggregatorRefund();
        if (!paidOut) burnt = all.voidBurnt();
        for (uint256 c = 0; c < challengers.length; ++c)
            expected[challengers[c]] += SlowPayouts.challengeBond(terms.bond, terms.revealBond) + all.reward();
        expected[anyone] += received;
    }

    /// @dev In batches that overlap, until all are paid and a few times more.
    function payAll(bool paidOut) private {
        uint256 n = accounts.length;
        bytes memory rows = SlowPayouts.encodeRows(books);
        uint256[] memory excluded = SlowPayouts.encodeExcluded(books);
        for (uint256 from = 0; from < n;) {
            uint256 to = any(from + 1, n);
            pay(paidOut, rows, excluded, any(0, from), to);
            from = to;
        }
        for (uint256 again = 0; again < 2 && n > 0; ++again) {
            uint256 from = any(0, n - 1);
            pay(paidOut, rows, excluded, from, any(from + 1, n));
        }
    }

    function pay(bool paidOut, bytes memory rows, uint256[] memory excluded, uint256 from, uint256 to) private {
        vm.prank(mallory); // anyone may, and gains nothing
        if (paidOut) market.payOut(round, rows, excluded, from, to);
        else market.refund(round, from, to);
    }

    function checkBalances(uint256 burnt) private view {
        for (uint256 i = 0; i < accounts.length; ++i) {
            checkEq(escrow.available(accounts[i]), expected[accounts[i]], "a participant's credit");
            check(market.isPaid(round, i), "not marked as paid");
        }
        for (uint256 c = 0; c < challengers.length; ++c) {
            checkEq(escrow.available(challengers[c]), expected[challengers[c]], "a challenger's credit");
        }
        checkEq(escrow.available(aggregator), expected[aggregator], "the aggregator's credit");
        checkEq(escrow.available(anyone), expected[anyone], "the refuter's credit");
        checkEq(escrow.available(mallory), 0, "the caller's credit");
        checkEq(escrow.burnt(), burnt, "burnt");
        checkEq(escrow.pot(round), 0, "left in the pot");
        checkEq(escrow.held(), token.balanceOf(address(escrow)), "held");
    }

    /// @return each By index.
    function reputations() private view returns (uint256[] memory each) {
        each = new uint256[](accounts.length);
        for (uint256 i = 0; i < each.length; ++i) each[i] = reputation.reputationOf(aggregator, accounts[i]);
    }

    // --- the claims ---

    function test_fuzz_every_account_ends_with_what_the_rules_say(uint256 seed) public {
        playToTheEnd(seed);
        bool paidOut = market.phaseOf(round) == Phase.Payout;
        uint256 burnt = expectAll(paidOut);

        if (!paidOut) market.refund(round, 0, 0); // where nobody committed too
        payAll(paidOut);
        if (!paidOut) for (uint256 c = 0; c < 4; ++c) tryRefundChallenge(c);
        checkBalances(burnt);
        payAll(paidOut); // the second time nothing moves
        checkBalances(burnt);
    }

    function tryRefundChallenge(uint256 challenge) private {
        try market.refundChallenge(round, challenge) {} catch {} // refuted, or never opened
    }

    function test_fuzz_reputations_follow_the_ratings(uint256 seed) public {
        for (uint256 played = 0; played < 3; ++played) {
            delete books;
            delete accounts;
            delete challengers;
            playToTheEnd(seed);
            if (market.phaseOf(round) != Phase.Payout) continue;
            uint256[] memory before = reputations();
            payAll(true);
            uint256[] memory afterwards = reputations();
            for (uint256 i = 0; i < before.length; ++i) {
                checkEq(afterwards[i], SlowPayouts.reputationAfter(books, i, before[i]), "reputation");
            }
        }
    }

    /// @dev So that the claims above are made about rounds of every kind. Few, for a failure is replayed in memory.
    function test_the_rounds_played_are_of_every_kind() public {
        uint256[5] memory seen;
        for (uint256 seed = 0; seed < 32; ++seed) {
            delete books;
            delete accounts;
            delete challengers;
            playToTheEnd(seed);
            if (market.phaseOf(round) == Phase.Payout) {
                seen[0] += 1;
                for (uint256 i = 0; i < accounts.length; ++i) {
                    if (SlowPayouts.rejects(books, i)) seen[3] += 1;
                    if (books.entries[i].row.length > 0 && !SlowPayouts.counts(books, i)) seen[4] += 1;
                }
            } else if (SlowPayouts.faulty(books)) {
                seen[1] += 1;
            } else {
                seen[2] += 1;
            }
        }
        check(seen[0] > 10, "paid out");
        check(seen[1] > 1, "void with fault");
        check(seen[2] > 2, "void without fault");
        check(seen[3] > 5, "rejections");
        check(seen[4] > 5, "rows that do not count");
    }
}
