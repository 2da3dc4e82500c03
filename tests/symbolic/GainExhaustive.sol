// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Mechanism} from "../../contracts/libraries/Mechanism.sol";
import {isqrt} from "../../contracts/libraries/isqrt.sol";

/// @notice The root and the gain of the contracts themselves, on every number there is room for: `gain_lemmas.py` proves the
///         formulas for all others.
/// @dev Bounds: roots of all numbers below 2**20, and next to 9,900 squares of all lengths up to 256 bits. Gains for all
///      own samples and imports up to 16, and for all powers of two and their neighbours up to 2**63 and 2**71, of values
///      from 1 to 2**96 - 1.
contract GainExhaustive {
    function test_the_root_of_every_number_below_2_to_the_20() public pure {
        unchecked {
            uint256 root = 0;
            uint256 square = 1; // of root + 1
            for (uint256 x = 0; x < 1 << 20; ++x) {
                if (x == square) {
                    ++root;
                    square += 2 * root + 1;
                }
                assert(isqrt(x) == root);
            }
        }
    }

    function test_the_roots_next_to_squares_of_every_length() public pure {
        unchecked {
            for (uint256 bits = 4; bits < 128; ++bits) {
                uint256 size = 1 << bits;
                for (uint256 i = 0; i < 80; ++i) {
                    // The ends of the length, the numbers after them, and some in between.
                    uint256 root =
                        i < 8
                            ? size + i
                            : i < 16
                                ? 2 * size + 7 - i
                                : size + (uint256(keccak256(abi.encode(bits, i))) % size);
                    assert(isqrt(root * root - 1) == root - 1);
                    assert(isqrt(root * root) == root);
                    assert(isqrt(root * root + 2 * root) == root); // the last one before the next square
                }
            }
            assert(isqrt(type(uint256).max) == type(uint128).max);
        }
    }

    function test_gains_of_all_few_samples() public pure {
        for (uint256 value = 1; value < 1 << 96; value = value * 7 + 3) {
            for (uint256 samples = 1; samples <= 16; ++samples) {
                for (uint256 x = 0; x <= 16; ++x) {
                    for (uint256 y = x; y <= 16; ++y) claim(value, samples, x, y);
                }
            }
        }
    }

    function test_gains_near_powers_of_two() public pure {
        for (uint256 k = 0; k < 96; k += 19) {
            for (uint256 samples = 0; samples < 64; samples += 9) {
                for (uint256 x = 0; x < 72; x += 3) {
                    for (uint256 y = x; y < 72; y += 7) {
                        for (uint256 near = 0; near < 8; ++near) {
                            claim(
                                (2 << k) - 1,
                                (1 << samples) + (near & 1),
                                (1 << x) - (near >> 2),
                                (1 << y) - ((near >> 1) & 1)
                            );
                        }
                    }
                }
            }
        }
    }

    function claim(uint256 value, uint256 samples, uint256 x, uint256 y) private pure {
        uint256 gain = Mechanism.gain(value, samples, x);
        uint256 more = Mechanism.gain(value, samples, y);
        assert(Mechanism.gain(value, samples, 0) == 0);
        assert(more <= value);
        assert(x > y || gain <= more);
        assert(Mechanism.gain(value, samples, x + y) <= gain + more);
    }
}
