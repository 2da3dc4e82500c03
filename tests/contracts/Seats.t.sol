// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Seats} from "../../contracts/libraries/Rounds.sol";
import {Checks} from "./Checks.sol";

/// @notice Sixteen seats to a word.
contract SeatsTest is Checks {
    function test_a_seat_is_read_as_it_was_taken() public pure {
        uint256[4] memory seats = [uint256(1), 2, 0x7ffd, 0x7ffe];
        for (uint256 i = 0; i < 4; ++i) checkEq(Seats.read(Seats.take(0, i, seats[i]), i), seats[i], "seat");
    }

    /// @dev Zero would say that nobody revealed here, and the bits above would be the neighbour's.
    function test_who_has_no_seat_or_one_too_high_is_still_marked() public pure {
        uint256[5] memory seats = [uint256(0), 0x7fff, 0x8000, 40_001, type(uint256).max];
        for (uint256 i = 0; i < 5; ++i) checkEq(Seats.read(Seats.take(0, i, seats[i]), i), Seats.NONE, "seat");
    }

    function test_neighbours_do_not_touch_each_other(uint256[16] memory seats, uint256 who) public pure {
        uint256 word = 1 << 255;
        for (uint256 i = 0; i < 16; ++i) {
            if ((who >> i) & 1 != 0) word = Seats.take(word, i, seats[i] % 0x8002);
        }
        for (uint256 i = 0; i < 16; ++i) {
            uint256 seat = seats[i] % 0x8002;
            uint256 expected = seat == 0 || seat > 0x7fff ? 0x7fff : seat;
            checkEq(Seats.read(word, i), (who >> i) & 1 != 0 ? expected : 0, "seat");
        }
    }
}
