// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BidRecord, Claim, IMarket, Phase} from "../../../contracts/IMarket.sol";
import {Offer} from "../../../contracts/libraries/Mechanism.sol";
import {Case, SlowJudge} from "../SlowJudge.sol";
import {Buyer, SlowMechanism} from "../SlowMechanism.sol";
import {vm} from "../Vm.sol";
import {Sight} from "./Ghost.sol";
import {Moves} from "./Moves.sol";

/// @notice Challenges, true and false, and what becomes of them.
abstract contract Disputes is Moves {
    using SlowJudge for Case;
    using SlowMechanism for Buyer;

    error Undone(bool passed);

    // --- challenges ---

    /// @dev Of a buyer that trades, with the true list or another one.
    function _challenge(uint256 round) internal returns (bool) {
        Case memory c = caseOf(round);
        (bool found, uint256 buyer) = _anyBuyer(c, round);
        if (!found) return false;

        Buyer memory offered = offersTo(c, round, buyer);
        Offer[] memory list = oneIn(2) ? offered.ranked() : _anyList(offered);
        address challenger = anyActor();
        _afford(challenger, challengeBondOf(round));
        bytes memory call = _challengeCall(c, round, buyer, list);
        if (keccak256(rowFrom(offered, list)) == keccak256(c.rows[buyer])) {
            _mustFail(challenger, address(market), call);
            seen[Sight.Vindicated] += 1;
        } else {
            vm.prank(challenger);
            _mustSucceed(address(market), call);
            _noteChallenge(round, challenger, SlowJudge.claimOf(buyer, list), offered);
        }
        return true;
    }

    /// @dev Mostly one that has something to choose from, if there is one.
    function _anyBuyer(Case memory c, uint256 round) private returns (bool found, uint256 buyer) {
        uint256 n = c.records.length;
        uint256 first = any(0, n - 1);
        bool easy = oneIn(4);
        for (uint256 i = 0; i < n; ++i) {
            uint256 candidate = (first + i) % n;
            if (!c.trades(candidate)) continue;
            (found, buyer) = (true, candidate);
            if (easy || offersTo(c, round, candidate).ranked().length > 0) break;
        }
    }

    /// @return In order, with some offers left out; now and then cut short.
    function _anyList(Buyer memory offered) private returns (Offer[] memory) {
        for (uint256 k = offered.offers.length; k > 0; --k) {
            if (oneIn(3)) offered = SlowJudge.without(offered, offered.offers[k - 1].seller);
        }
        Offer[] memory list = offered.ranked();
        if (list.length > 0 && oneIn(4)) {
            uint256 length = any(0, list.length - 1);
            assembly ("memory-safe") {
                mstore(list, length)
            }
        }
        return list;
    }

    function _noteChallenge(uint256 round, address challenger, Claim memory claim, Buyer memory offered) private {
        uint256 number = challengers[round].length;
        challengers[round].push(challenger);
        claims[round].push(claim);
        books[round].standing += 1;
        noteLocked(round, challenger, challengeBondOf(round));
        Claim memory truth = SlowJudge.claimOf(claim.buyer, offered.ranked());
        truthful[round][number] = keccak256(claim.listed) == keccak256(truth.listed);
        seen[truthful[round][number] ? Sight.Challenged : Sight.ChallengedFalsely] += 1;
        _checkRefutations(round, number);
    }

    /// @dev Nobody can refute a true challenge, and a false one falls by exactly those whom it left out.
    function _checkRefutations(uint256 round, uint256 number) private {
        Case memory c = caseOf(round);
        bool any_ = false;
        for (uint256 seller = 0; seller < c.records.length; ++seller) {
            bool leftOut = isLeftOut(c, round, number, seller);
            any_ = any_ || leftOut;
            check(_wouldPass(_refuteCall(c, round, number, seller)) == leftOut, "who can refute");
        }
        check(any_ != truthful[round][number], "false challenges, and no others, can be refuted");
    }

    /// @return Whether `seller` belongs into the list of a challenge and is not there.
    function isLeftOut(Case memory c, uint256 round, uint256 number, uint256 seller) private view returns (bool) {
        Claim memory claim = claims[round][number];
        Buyer memory offered = offersTo(c, round, claim.buyer);
        uint256 length = claim.listed.length / 2;
        uint256 last = 0;
        for (uint256 k = 0; k < length; ++k) {
            last = uint256(uint8(claim.listed[2 * k])) * 256 + uint8(claim.listed[2 * k + 1]);
            if (last == seller) return false;
        }
        offered.maxSellers = 32; // all that are eligible
        Offer[] memory eligible = offered.ranked();
        for (uint256 k = 0; k < eligible.length; ++k) {
            if (length > c.terms.maxSellers && eligible[k].seller == last) return false; // it comes after the last one
            if (eligible[k].seller == seller) return true;
        }
        return false;
    }

    // --- refutations ---

    /// @dev Of any false challenge.
    function _refute(uint256 round) internal returns (bool) {
        (bool found, uint256 number) = _anyStanding(round);
        uint256 count = challengers[round].length;
        for (uint256 i = 0; i < count && !_isFalse(round, number); ++i) number = (number + 1) % count;
        if (!found || !_isFalse(round, number)) return false;
        _refute(round, number);
        return true;
    }

    function _isFalse(uint256 round, uint256 number) private view returns (bool) {
        return challengers[round][number] != address(0) && !truthful[round][number];
    }

    function _refute(uint256 round, uint256 number) private {
        Case memory c = caseOf(round);
        uint256 seller = any(0, c.records.length - 1);
        while (!isLeftOut(c, round, number, seller)) seller = (seller + 1) % c.records.length;
        address refuter = anyActor();
        _submit(round, refuter, _refuteCall(c, round, number, seller));
        availableOf[refuter] += challengeBondOf(round);
        challengers[round][number] = address(0);
        books[round].standing -= 1;
        seen[Sight.Refuted] += 1;
    }

    function _submit(uint256 round, address refuter, bytes memory call) private measured(round) {
        vm.prank(refuter);
        _mustSucceed(address(market), call);
    }

    /// @dev Time passes. Before it does, whoever watches a round has refuted what is false there.
    function _pass(uint256 time) internal {
        for (uint256 round = market.roundCount(); round > 0; --round) {
            if (!isWatched(round)) continue;
            Phase phase = market.phaseOf(round);
            if (phase != Phase.Challenge && phase != Phase.Refute) continue;
            for (uint256 number = 0; number < challengers[round].length; ++number) {
                if (_isFalse(round, number)) _refute(round, number);
            }
        }
        vm.warp(vm.getBlockTimestamp() + time);
    }

    // --- calls ---

    function _challengeCall(
        Case memory c,
        uint256 round,
        uint256 buyer,
        Offer[] memory list
    ) internal pure returns (bytes memory) {
        BidRecord[] memory listed = c.recordsOf(list);
        return abi.encodeCall(IMarket.challenge, (round, c.records[buyer], c.rowHashes(), c.excluded, listed));
    }

    function _refuteCall(
        Case memory c,
        uint256 round,
        uint256 number,
        uint256 seller
    ) internal view returns (bytes memory) {
        Claim memory claim = claims[round][number];
        BidRecord memory buyer = c.records[claim.buyer];
        bytes32 rowsHash = c.rowsHash();
        return abi.encodeCall(IMarket.refute, (round, number, claim, buyer, c.records[seller], c.excluded, rowsHash));
    }

    function _wouldPass(bytes memory call) private returns (bool passed) {
        try this.undo(call) {} catch (bytes memory reason) {
            assembly ("memory-safe") {
                passed := mload(add(reason, 0x24))
            }
        }
    }

    /// @notice Calls the market, says whether that passed, and leaves nothing of it.
    function undo(bytes calldata call) external {
        (bool passed, ) = address(market).call(call);
        revert Undone(passed);
    }
}
