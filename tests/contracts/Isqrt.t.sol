// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {isqrt} from "../../contracts/libraries/isqrt.sol";
import {Checks} from "./Checks.sol";

contract IsqrtTest is Checks {
    uint256 private constant MOST = type(uint128).max; // the root of 2**256 - 1

    function checkRoot(uint256 x) private pure {
        uint256 root = isqrt(x);
        check(root <= MOST && root * root <= x, "too large");
        check(root == MOST || (root + 1) * (root + 1) > x, "too small");
    }

    function test_fuzz_the_root_is_the_largest_whose_square_is_not_above(uint256 x, uint256 bits) public pure {
        checkRoot(x >> (bits % 256)); // all lengths alike
    }

    function test_fuzz_next_to_squares(uint256 root, uint256 bits) public pure {
        root = (root & MOST) >> (bits % 128);
        uint256 square = root * root;
        checkEq(isqrt(square), root, "a square");
        checkEq(isqrt(square + 2 * root), root, "just below the next square"); // at most 2**256 - 1
        if (root > 0) checkEq(isqrt(square - 1), root - 1, "just below a square");
    }

    function test_small_numbers_and_every_power_of_two() public pure {
        for (uint256 x = 0; x < 3_000; ++x) checkRoot(x);
        for (uint256 bit = 0; bit < 256; ++bit) {
            checkRoot((1 << bit) - 1);
            checkRoot(1 << bit);
            checkRoot((1 << bit) + 1);
            checkRoot((1 << bit) + ((1 << bit) >> 1));
        }
        checkRoot(type(uint256).max);
        checkRoot(MOST * MOST);
        checkRoot(MOST * MOST - 1);
    }
}
