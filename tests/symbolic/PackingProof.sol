// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Seats, Statuses, StoredRound} from "../../contracts/libraries/Rounds.sol";
import {vm} from "../contracts/Vm.sol";

/// @notice What is stored several to a word: a write at one index changes what is read there, and nowhere else.
/// @dev For any words, any two indices below 1,024, any seat and any status. No other bounds.
contract PackingProof {
    using Seats for uint256;

    StoredRound private round;

    /// @dev As `reveal` writes a seat.
    function take(uint256 index, uint256 seat) private {
        round.seats[index / 16] = Seats.take(round.seats[index / 16], index, seat);
    }

    function read(uint256 index) private view returns (uint256) {
        return Seats.read(round.seats[index / 16], index);
    }

    function assume(uint256 index, uint256 other, uint256 word, uint256 otherWord) private pure {
        vm.assume(index < 1024 && other < 1024 && index != other);
        vm.assume(index / 16 != other / 16 || word == otherWord);
        vm.assume(index / 32 != other / 32 || word == otherWord);
    }

    /// @notice Who takes a seat where none was is known to have revealed, and its seat is known if it has 15 bits.
    function check_a_seat_is_read_as_taken(uint256 index, uint256 word, uint256 seat) public {
        vm.assume(index < 1024);
        round.seats[index / 16] = word;
        vm.assume(read(index) == 0);
        take(index, seat);
        assert(Seats.hasRevealed(round, index));
        assert(read(index) == (seat == 0 || seat > 0x7fff ? 0x7fff : seat));
    }

    function check_a_seat_changes_no_other(
        uint256 index,
        uint256 other,
        uint256 word,
        uint256 otherWord,
        uint256 seat
    ) public {
        assume(index, other, word, otherWord);
        round.seats[other / 16] = otherWord;
        round.seats[index / 16] = word;
        uint256 before = read(other);
        take(index, seat);
        assert(read(other) == before);
    }

    /// @notice A status is added to a byte that says nothing, and PAID to one that is not paid.
    function check_a_status_is_read_as_added(uint256 index, uint256 word, uint8 status) public {
        vm.assume(index < 1024);
        round.statuses[index / 32] = word;
        uint256 before = Statuses.read(round, index);
        vm.assume(before & status == 0);
        Statuses.add(round, index, status);
        assert(Statuses.read(round, index) == before + status);
    }

    function check_a_status_changes_no_other(
        uint256 index,
        uint256 other,
        uint256 word,
        uint256 otherWord,
        uint8 status
    ) public {
        assume(index, other, word, otherWord);
        round.statuses[other / 32] = otherWord;
        round.statuses[index / 32] = word;
        uint256 before = Statuses.read(round, other);
        Statuses.add(round, index, status);
        assert(Statuses.read(round, other) == before);
    }

    /// @notice Neither word reaches the other's.
    function check_a_status_changes_no_seat(uint256 index, uint256 other, uint256 word, uint8 status) public {
        vm.assume(index < 1024 && other < 1024);
        round.seats[other / 16] = word;
        Statuses.add(round, index, status);
        assert(round.seats[other / 16] == word && round.participants == 0);
    }
}
