// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bid, BidRecord, IMarket, Terms} from "../../contracts/IMarket.sol";
import {Offer} from "../../contracts/libraries/Mechanism.sol";
import {ChallengeBase} from "./ChallengeBase.sol";

/// @notice Alice, who buys from two at most, and Bob, Carol, Dave and Erin, all of whom she would like to buy from. Her list
///         is three of the four; the last of the three bounds what the other two can ask.
abstract contract Traders is ChallengeBase {
    uint256 internal constant BOND = 32 * ONE;
    uint256 internal constant PART = ONE; // what a challenger locks
    uint256 internal constant ALICE = 0; // indices
    uint256 internal constant BOB = 1;
    uint256 internal constant CAROL = 2;
    uint256 internal constant DAVE = 3;
    uint256 internal constant ERIN = 4;

    address internal erin = makeActor("erin");
    uint256 internal round;
    address[5] internal traders = [alice, bob, carol, dave, erin];
    Bid[5] internal bids; // a test changes them before it plays
    bool[5] internal silent; // does not reveal

    function setUp() public virtual override {
        super.setUp();
        for (uint256 i = 0; i < 5; ++i) {
            bids[i] = someBid();
            bids[i].cost += uint96((i * ONE) / 10);
        }
    }

    /// @dev To Settle.
    function play() internal {
        Terms memory terms = someTerms();
        terms.maxSellers = 2;
        round = open(terms);
        for (uint256 i = 0; i < 5; ++i) enter(round, traders[i], bids[i]);
        closeCommits(round);
        draw(round);
        for (uint256 i = 0; i < 5; ++i) if (!silent[i]) reveal(round, traders[i]);
        closeReveals(round);
    }

    /// @dev Only Alice's row matters. The others' are empty, and nobody cares.
    function settleWith(bytes memory alices) internal {
        settleWith(alices, noneExcluded());
    }

    function settleWith(bytes memory alices, uint256[] memory excluded) internal {
        settle(round, excluded, bytes.concat(alices, row(), row(), row(), row()));
        fund(mallory, BOND);
    }

    /// @return Who is in Alice's true list, in order.
    function listed() internal view returns (uint256[3] memory) {
        Offer[] memory list = trueList(round, ALICE);
        checkEq(list.length, 3, "two candidates and one left out");
        return [list[0].seller, list[1].seller, list[2].seller];
    }

    /// @return Whom Alice would like to buy from and does not even look at.
    function unlisted() internal view returns (uint256) {
        uint256[3] memory list = listed();
        return BOB + CAROL + DAVE + ERIN - list[0] - list[1] - list[2];
    }

    /// @return a Alice's list, with the record of `i` in place of whoever is at `place`.
    function listWith(uint256 i, uint256 place) internal view returns (Accusation memory a) {
        a = accusation(round, ALICE);
        a.list[place] = caseOf(round).records[i];
    }

    // --- reasons ---

    function because(bytes4 error_) internal view returns (bytes memory) {
        return abi.encodeWithSelector(error_, round);
    }

    function because(bytes4 error_, uint256 index) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(error_, index);
    }

    function rowIsRight() internal view returns (bytes memory) {
        return abi.encodeWithSelector(IMarket.RowIsRight.selector, round, ALICE);
    }

    // --- records that are not what a reveal has left ---

    uint256 internal constant SPOILT = 11;

    /// @dev One thing in it is another than it was.
    function spoil(BidRecord memory record, uint256 kind) internal pure {
        if (kind == 0) record.bid.value += 1;
        if (kind == 1) record.bid.cost -= 1;
        if (kind == 2) record.bid.samples += 1;
        if (kind == 3) record.bid.minReputation += 1;
        if (kind == 4) record.reputation += 1;
        if (kind == 5) record.model.cid = "another";
        if (kind == 6) record.model.root = "another";
        if (kind == 7) record.sketch[1023] ^= 0x01;
        if (kind == 8) record.sketch = bytes.concat(record.sketch, hex"00");
        if (kind == 9) record.sketch = new bytes(1023);
        if (kind == 10) record.sketch = "";
    }
}
