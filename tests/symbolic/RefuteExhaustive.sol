// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bid, BidRecord, Claim, Model} from "../../contracts/IMarket.sol";
import {BidRecords} from "../../contracts/libraries/BidRecords.sol";
import {Judge} from "../../contracts/libraries/Judge.sol";
import {Mechanism} from "../../contracts/libraries/Mechanism.sol";
import {StoredRound} from "../../contracts/libraries/Rounds.sol";

/// @notice An eligible seller refutes a claim if and only if the claim leaves it out: it is not listed, and there was room
///         for it or it comes before the last one listed.
/// @dev Exhaustive over claims about rounds of eight: every list of none to three of them, repetitions too, where three is a
///      full one; each of three sellers; a last merit that is 1 less than the seller's, the same and 1 more. Bounds: one
///      buyer's bid, one seller's, one sketch.
contract RefuteExhaustive {
    uint256 private constant PARTICIPANTS = 8;
    uint256 private constant BUYER = 7;
    uint96 private constant VALUE = 1 << 40;
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    StoredRound private round;
    BidRecord private buyer;

    function setUp() public {
        (round.participants, round.maxSellers, round.maxSamples) = (uint16(PARTICIPANTS), 2, 1 << 20);
        buyer = stored(BUYER, ALICE, Bid(VALUE, type(uint96).max, 100, 0));
    }

    function test_who_is_left_out_of_any_list_refutes() public {
        for (uint256 seller = 0; seller < 7; seller += 3) {
            BidRecord memory record = stored(seller, BOB, Bid(0, 0, 50, 0));
            for (uint256 length = 0; length <= 3; ++length) {
                for (uint256 list = 0; list < PARTICIPANTS ** length; ++list) this.verify(record, list, length);
            }
        }
    }

    /// @param list Its indices, one after the other, as digits of base `PARTICIPANTS`.
    function verify(BidRecord memory seller, uint256 list, uint256 length) external view {
        bytes memory listed;
        bool leftOut = true;
        uint256 last = 0;
        for (uint256 i = 0; i < length; ++i) {
            last = list % PARTICIPANTS;
            list /= PARTICIPANTS;
            listed = bytes.concat(listed, bytes2(uint16(last)));
            if (last == seller.index) leftOut = false;
        }
        for (uint256 more = 0; more < 3; ++more) {
            uint256 lastMerit = merit() + more - 1;
            bool belongs = length < 3 || Mechanism.comesBefore(merit(), seller.index, lastMerit, last);
            assert(refutes(Claim(BUYER, listed, lastMerit), seller) == (leftOut && belongs));
        }
    }

    function refutes(Claim memory claim, BidRecord memory seller) private view returns (bool) {
        try this.refute(claim, buyer, new uint256[](1), seller) {
            return true;
        } catch {
            return false;
        }
    }

    function refute(
        Claim calldata claim,
        BidRecord calldata record,
        uint256[] calldata excluded,
        BidRecord calldata seller
    ) external view {
        Judge.refute(round, claim, record, excluded, seller);
    }

    /// @dev Their sketches are the same, so all of the seller's samples count.
    function merit() private pure returns (uint256) {
        return Mechanism.merit(Mechanism.gain(VALUE, 100, 50), 0);
    }

    function stored(uint256 index, address account, Bid memory bid) private returns (BidRecord memory record) {
        bytes memory sketch = new bytes(1024);
        sketch[0] = 0x7f;
        record = BidRecord(index, bid, 1 << 16, Model(bytes32(0), bytes32(0)), sketch);
        round.participantAt[index] = uint160(account);
        round.records[account] = BidRecords.word(this.hash(record), index);
    }

    function hash(BidRecord calldata record) external pure returns (bytes30) {
        return BidRecords.hash(record.index, record.bid, record.reputation, keccak256(record.sketch), record.model);
    }
}
