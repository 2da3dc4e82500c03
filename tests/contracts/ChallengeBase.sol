// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BidRecord, Claim, IMarket, Round} from "../../contracts/IMarket.sol";
import {Offer} from "../../contracts/libraries/Mechanism.sol";
import {MarketBase} from "./MarketBase.sol";
import {Case, SlowJudge} from "./SlowJudge.sol";
import {Buyer, SlowMechanism} from "./SlowMechanism.sol";
import {vm} from "./Vm.sol";

/// @notice Challenges and refutations, made by the slow rules from what a test's actors revealed and settled.
abstract contract ChallengeBase is MarketBase {
    using SlowJudge for Buyer;
    using SlowJudge for Case;
    using SlowMechanism for Buyer;

    /// @notice What `challenge` is told.
    struct Accusation {
        uint256 round;
        BidRecord buyer;
        bytes32[] rowHashes;
        uint256[] excluded;
        BidRecord[] list;
    }

    /// @notice What `refute` is told.
    struct Objection {
        uint256 round;
        uint256 number;
        Claim claim;
        BidRecord buyer;
        BidRecord seller;
        uint256[] excluded;
        bytes32 rowsHash;
    }

    // --- the case ---

    /// @dev Before the settlement, nobody is excluded. Reputations as they are now: no test lets them change between a round's reveals and its challenges.
    function caseOf(uint256 round) internal view returns (Case memory c) {
        Round memory r = market.roundOf(round);
        c.terms = r.terms;
        c.records = new BidRecord[](r.participants);
        for (uint256 i = 0; i < r.participants; ++i) {
            (address account, ) = market.participantOf(round, i);
            c.records[i] = recordOf(round, i, account, r.aggregator);
            if (!market.hasRevealed(round, i)) c.records[i].sketch = "";
        }
        bool settled = r.settleTime != 0;
        c.excluded = settled ? posted[round].excluded : new uint256[]((r.participants + 255) / 256);
        if (settled) c.rows = SlowJudge.split(posted[round].rows, r.participants);
    }

    function recordOf(
        uint256 round,
        uint256 index,
        address account,
        address aggregator_
    ) private view returns (BidRecord memory) {
        Secret memory secret = secrets[round][account];
        uint24 believed = reputation.reputationOf(aggregator_, account);
        return BidRecord(index, secret.bid, believed, secret.model, sketchOf(account));
    }

    /// @return The row that the rules give a buyer that trades.
    function trueRow(uint256 round, uint256 buyer) internal view returns (bytes memory) {
        return caseOf(round).offersTo(buyer).rowOf();
    }

    function trueList(uint256 round, uint256 buyer) internal view returns (Offer[] memory) {
        return caseOf(round).offersTo(buyer).ranked();
    }

    /// @return The list, had `seller` not been there.
    function listWithout(uint256 round, uint256 buyer, uint256 seller) internal view returns (Offer[] memory) {
        return caseOf(round).offersTo(buyer).without(seller).ranked();
    }

    // --- challenges ---

    function accusation(uint256 round, uint256 buyer, Offer[] memory list) internal view returns (Accusation memory) {
        Case memory c = caseOf(round);
        return Accusation(round, c.records[buyer], c.rowHashes(), c.excluded, c.recordsOf(list));
    }

    function accusation(uint256 round, uint256 buyer) internal view returns (Accusation memory) {
        return accusation(round, buyer, trueList(round, buyer));
    }

    function asCall(Accusation memory a) internal pure returns (bytes memory) {
        return abi.encodeCall(IMarket.challenge, (a.round, a.buyer, a.rowHashes, a.excluded, a.list));
    }

    function submit(address challenger, Accusation memory a) internal returns (uint256 number) {
        vm.prank(challenger);
        return market.challenge(a.round, a.buyer, a.rowHashes, a.excluded, a.list);
    }

    /// @dev Says with the true list that a buyer's row is wrong.
    function challenge(address challenger, uint256 round, uint256 buyer) internal returns (uint256 number) {
        return submit(challenger, accusation(round, buyer));
    }

    /// @dev The same with a list that lacks `seller`.
    function challengeFalsely(
        address challenger,
        uint256 round,
        uint256 buyer,
        uint256 seller
    ) internal returns (uint256 number) {
        return submit(challenger, accusation(round, buyer, listWithout(round, buyer, seller)));
    }

    // --- refutations ---

    /// @return What shows that a list is false which lacks `seller`.
    function objection(
        uint256 round,
        uint256 number,
        uint256 buyer,
        Offer[] memory list,
        uint256 seller
    ) internal view returns (Objection memory) {
        Case memory c = caseOf(round);
        Claim memory claim = SlowJudge.claimOf(buyer, list);
        return Objection(round, number, claim, c.records[buyer], c.records[seller], c.excluded, c.rowsHash());
    }

    /// @return What refutes `challengeFalsely`.
    function objection(
        uint256 round,
        uint256 number,
        uint256 buyer,
        uint256 seller
    ) internal view returns (Objection memory) {
        return objection(round, number, buyer, listWithout(round, buyer, seller), seller);
    }

    function asCall(Objection memory o) internal pure returns (bytes memory) {
        return abi.encodeCall(IMarket.refute, (o.round, o.number, o.claim, o.buyer, o.seller, o.excluded, o.rowsHash));
    }

    function refute(address refuter, Objection memory o) internal {
        does(refuter, asCall(o));
    }

    /// @dev Refutes `challengeFalsely`.
    function refute(address refuter, uint256 round, uint256 number, uint256 buyer, uint256 seller) internal {
        refute(refuter, objection(round, number, buyer, seller));
    }
}
