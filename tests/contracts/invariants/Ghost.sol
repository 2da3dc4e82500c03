// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bid, Claim, IMarket, Model, Phase, Round} from "../../../contracts/IMarket.sol";
import {IEscrow} from "../../../contracts/IEscrow.sol";
import {IReputation} from "../../../contracts/IReputation.sol";
import {Checks} from "../Checks.sol";
import {Deploy, IPlayMoney} from "../Deploy.sol";
import {Dice} from "../Dice.sol";
import {Books, SlowPayouts} from "../SlowPayouts.sol";
import {vm} from "../Vm.sol";

/// @notice What has come to pass in a campaign, for its report.
enum Sight {
    Opened,
    Committed,
    Drawn,
    Forgotten, // the seed's block, for 256 others had passed
    Revealed,
    Settled,
    Excluded,
    Traded, // a right row with a purchase
    Uncounted, // a wrong row that does not count
    Rated,
    Rejected,
    Challenged, // a wrong row, by the true list
    ChallengedFalsely,
    Vindicated, // a row, against a list from which it follows
    Refuted,
    PaidOut, // to the last participant
    VoidUnsettled, // with fault: no settlement in time
    VoidWrong, // with fault: a true challenge stands
    VoidUnwatched, // with fault: a false challenge stands, for nobody cared
    VoidUndrawn, // without: no seed in time
    VoidSolitary, // without: one revealed
    VoidSilent, // without: a seed, and nobody revealed
    VoidEmpty, // without: fewer than two committed
    Trespass
}

/// @notice What accounts own and rounds hold, kept beside the market by the slow rules, and what was seen on the way.
/// @dev A base of `Crowd`, which acts. Every amount here is what it has to be; the invariants compare it with what is.
abstract contract Ghost is Checks, Dice {
    using SlowPayouts for Books;

    /// @notice What an account put into its sealed bid.
    struct Secret {
        Bid bid;
        bytes32 salt;
        Model model;
        uint256 kind; // of its sketch: see `Docket`
    }

    IMarket internal immutable market;
    IEscrow internal immutable escrow;
    IReputation internal immutable reputation;
    IPlayMoney internal immutable token;
    address internal immutable stranger = actorNamed("stranger");

    address[] internal actors;
    mapping(address account => uint256) internal availableOf;
    mapping(address aggregator => mapping(address account => uint256)) private _reputationOf; // 0 where it never changed
    mapping(uint256 round => uint256) internal locked; // all that ever went into its pot
    mapping(uint256 round => uint256) internal spent; // all that ever left it, as measured: see `measured`
    mapping(uint256 round => mapping(uint256 index => bool)) internal paid;
    mapping(uint256 round => uint256) internal payments;
    mapping(uint256 round => bool) internal aggregatorPaid;
    uint256 internal burnt;
    uint256 internal donated;

    mapping(uint256 round => Books) internal books;
    mapping(uint256 round => address[]) internal accounts; // by index
    mapping(uint256 round => mapping(address account => Secret)) internal secrets;
    mapping(uint256 round => mapping(uint256 index => uint256)) internal believed; // the reputation when it revealed
    mapping(uint256 round => address[]) internal challengers; // by number; zero where refuted or refunded
    mapping(uint256 round => Claim[]) internal claims; // by number
    mapping(uint256 round => mapping(uint256 number => bool)) internal truthful; // whether its list was the true one

    mapping(uint256 round => Phase) internal lastPhase;
    mapping(Sight sight => uint256) public seen;
    mapping(uint256 round => bool) private _seenVoid;

    constructor() {
        token = Deploy.token();
        market = Deploy.market(token, 60);
        escrow = market.escrow();
        reputation = market.reputation();
        string[6] memory names = ["alice", "bob", "carol", "dave", "erin", "frank"];
        for (uint256 i = 0; i < names.length; ++i) actors.push(actorNamed(names[i]));
    }

    function actorNamed(string memory name) private returns (address actor) {
        actor = address(uint160(uint256(keccak256(bytes(name)))));
        vm.label(actor, name);
    }

    function reputationOf(address aggregator, address account) internal view returns (uint256) {
        uint256 r = _reputationOf[aggregator][account];
        return r == 0 ? 2048 : r;
    }

    // --- what goes into a pot ---

    function noteLocked(uint256 round, address account, uint256 amount) internal {
        availableOf[account] -= amount;
        locked[round] += amount;
    }

    // --- what leaves it ---

    /// @dev Adds to `spent` what the accounts have and what is burnt has grown by, whatever the rules say.
    modifier measured(uint256 round) {
        uint256 before = wealth();
        _;
        spent[round] += wealth() - before;
    }

    function wealth() private view returns (uint256 sum) {
        sum = escrow.burnt() + escrow.available(stranger);
        for (uint256 i = 0; i < actors.length; ++i) sum += escrow.available(actors[i]);
    }

    function notePayOut(uint256 round, uint256 from, uint256 to) internal {
        Books memory b = books[round];
        for (uint256 i = from; i < to; ++i) {
            if (!pays(round, i)) continue;
            (uint256 credit, uint256 lost) = b.creditOf(i);
            availableOf[accounts[round][i]] += credit;
            burnt += lost;
            noteReputation(round, b, i);
        }
        if (payments[round] == b.entries.length && !aggregatorPaid[round]) {
            aggregatorPaid[round] = true;
            availableOf[aggregatorOf(round)] += b.aggregatorCredit();
            seen[Sight.PaidOut] += 1;
        }
    }

    function noteRefund(uint256 round, uint256 from, uint256 to) internal {
        Books memory b = books[round];
        for (uint256 i = from; i < to; ++i) if (pays(round, i)) availableOf[accounts[round][i]] += b.refundOf(i);
        if (aggregatorPaid[round]) return;
        aggregatorPaid[round] = true;
        availableOf[aggregatorOf(round)] += b.aggregatorRefund();
        burnt += b.voidBurnt();
    }

    function challengeBondOf(uint256 round) internal view returns (uint256) {
        return SlowPayouts.challengeBond(books[round].bond, books[round].revealBond);
    }

    function noteChallengeRefund(uint256 round, uint256 challenge) internal {
        Books memory b = books[round];
        availableOf[challengers[round][challenge]] += challengeBondOf(round) + b.reward();
        challengers[round][challenge] = address(0);
    }

    /// @return Whether participant `index` is still to be paid; never again after this.
    function pays(uint256 round, uint256 index) private returns (bool) {
        if (paid[round][index]) return false;
        paid[round][index] = true;
        payments[round] += 1;
        return true;
    }

    function noteReputation(uint256 round, Books memory b, uint256 i) private {
        address aggregator = aggregatorOf(round);
        address account = accounts[round][i];
        _reputationOf[aggregator][account] = b.reputationAfter(i, reputationOf(aggregator, account));
    }

    function aggregatorOf(uint256 round) internal view returns (address) {
        return market.roundOf(round).aggregator;
    }

    // --- phases ---

    /// @dev After every step: no round has gone back, and what is over stays as it ended.
    function notePhases() internal {
        for (uint256 round = market.roundCount(); round > 0; --round) {
            Phase last = lastPhase[round];
            Phase phase = market.phaseOf(round);
            check(phase >= last, "a phase went back");
            check(last != Phase.Payout || phase == Phase.Payout, "a payout was undone");
            lastPhase[round] = phase;
            if (phase == Phase.Void && !_seenVoid[round]) {
                _seenVoid[round] = true;
                noteVoid(round);
            }
        }
    }

    function noteVoid(uint256 round) private {
        Round memory r = market.roundOf(round);
        Sight sight = Sight.VoidUnsettled;
        if (r.participants < 2) sight = Sight.VoidEmpty;
        else if (r.seedTime == 0) sight = Sight.VoidUndrawn;
        else if (r.revealed == 0) sight = Sight.VoidSilent;
        else if (r.revealed == 1) sight = Sight.VoidSolitary;
        else if (r.settleTime != 0) sight = _checkChallenged(round);
        seen[sight] += 1;
    }

    /// @dev A challenge that stands is true, or one that nobody cared to refute; a true one means a wrong row.
    function _checkChallenged(uint256 round) private view returns (Sight) {
        for (uint256 number = 0; number < challengers[round].length; ++number) {
            if (challengers[round][number] == address(0) || !truthful[round][number]) continue;
            check(hasWrongRow(round), "a settlement without a wrong row was proven wrong");
            return Sight.VoidWrong;
        }
        check(!isWatched(round), "a false challenge stood though somebody cared");
        return Sight.VoidUnwatched;
    }

    /// @return Whether somebody refutes its false challenges before time passes.
    function isWatched(uint256 round) internal pure returns (bool) {
        return round % 2 == 0;
    }

    function hasWrongRow(uint256 round) internal view virtual returns (bool);
}
