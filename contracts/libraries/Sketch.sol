// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {isqrt} from "./isqrt.sol";

/// @notice A sketch made ready to be compared with many.
struct Lanes {
    uint256[128] words; // its bytes in signed lanes of 32 bits, eight to a word, four words to 32 bytes
    uint256 start; // where a dot product starts, so that the other sketch's bytes may be 128 too large
    uint256 norm; // its dot product with itself
}

/// @notice Angles between sketches, 1,024 signed bytes each.
/// @dev Warning: that they have this length is for the caller to check; more is not looked at.
/// @dev How eight products cost one `mul`: a word holds eight lanes of 32 bits, a polynomial in 2**32. Times a word
///      with its lanes in reverse, it has in its top lane the sum of the eight products lane by lane; what lies above
///      falls off, and what lies below does not matter. 1,024 products of two bytes fit a lane, so sums stay there to
///      the end. No sign needs extending, because one factor is taken 128 too large: (b + 128) * a = b * a + 128 * a,
///      and (b + 128) * (b + 128 - 256) = b * b - 2**14. A constant for each sketch and the sum of its bytes take
///      that back. Lanes below the top one can be negative and then borrow from it: adding half of its unit, 2**223,
///      makes up for that.
library Sketch {
    /// @notice Bytes of a sketch.
    uint256 internal constant SIZE = 1024;

    /// @notice A cosine or a similarity of 1.
    uint256 internal constant ONE = 1 << 16;

    uint256 private constant EACH_LANE = 0x0000000100000001000000010000000100000001000000010000000100000001;
    uint256 private constant SIGNS = 0x8080808080808080808080808080808080808080808080808080808080808080;

    /// @notice Makes `sketch` ready to be compared with many.
    function spread(bytes memory sketch) internal pure returns (Lanes memory lanes) {
        uint256[128] memory words = lanes.words;
        uint256 start;
        assembly ("memory-safe") {
            let sum := 0
            let at := words
            for {
                let from := add(sketch, 32)
                let end := add(from, 1024)
            } lt(from, end) {
                from := add(from, 32)
            } {
                let word := xor(mload(from), SIGNS) // bytes, 128 too large
                for {
                    let next := add(at, 128)
                } lt(at, next) {
                    at := add(at, 32)
                } {
                    let lane := sub(and(word, mul(EACH_LANE, 0xff)), shl(7, EACH_LANE)) // every fourth, not too large
                    mstore(at, lane)
                    sum := add(sum, lane)
                    word := shr(8, word)
                }
            }
            // Minus 128 * (the sum of all bytes) in the top lane: `EACH_LANE` adds lanes up. Plus what lanes borrow.
            start := sub(shl(223, 1), shl(7, mul(sum, EACH_LANE)))
        }
        lanes.start = start;
        (, lanes.norm) = products(lanes, sketch);
    }

    /// @notice The dot product a * b, and b * b.
    /// @dev Assembly, because half of a challenge's gas goes here: 16k, where two plain loops take 870k.
    function products(Lanes memory a, bytes memory b) internal pure returns (int256 dot, uint256 norm) {
        uint256[128] memory words = a.words;
        uint256 start = a.start;
        assembly ("memory-safe") {
            // Masks, from a word of ones. Written as constants, the optimiser would build them anew at each use
            // inside the loop, at half as much gas again; what it cannot know is that nothing in memory stands at 0.
            let all := not(iszero(b))
            let ones := div(all, 0xffffffff) // 1 in each lane
            let low := mul(ones, 0xff) // the last byte of each lane
            let signs := mul(ones, 0x80808080) // the top bit of each byte
            let low32 := div(all, 0x100000001) // every second 32 bits
            let low64 := div(all, 0x10000000000000001) // every second 64 bits
            let at := words
            let sum := 0
            dot := start
            for {
                let from := add(b, 32)
                let end := add(from, 1024)
            } lt(from, end) {
                from := add(from, 32)
            } {
                let word := xor(mload(from), signs) // bytes, 128 too large
                let back := or(shl(128, word), shr(128, word)) // the same, its eight lanes in reverse: halves,
                back := or(shl(64, and(back, low64)), and(shr(64, back), low64)) // quarters,
                back := or(shl(32, and(back, low32)), and(shr(32, back), low32)) // eighths

                let lane := and(back, low) // the last byte of each lane
                dot := add(dot, mul(lane, mload(at)))
                norm := add(norm, mul(lane, and(word, low)))
                sum := add(sum, lane)

                lane := and(shr(8, back), low) // the one before it
                dot := add(dot, mul(lane, mload(add(at, 32))))
                norm := add(norm, mul(lane, and(shr(8, word), low)))
                sum := add(sum, lane)

                lane := and(shr(16, back), low)
                dot := add(dot, mul(lane, mload(add(at, 64))))
                norm := add(norm, mul(lane, and(shr(16, word), low)))
                sum := add(sum, lane)

                lane := and(shr(24, back), low)
                dot := add(dot, mul(lane, mload(add(at, 96))))
                norm := add(norm, mul(lane, and(shr(24, word), low)))
                sum := add(sum, lane)

                at := add(at, 128)
            }
            dot := sar(224, dot) // the top lane
            // Minus 256 * (the sum of all bytes, each 128 too large), plus 1,024 * 2**14, plus what lanes borrow.
            norm := shr(224, add(sub(norm, shl(8, mul(sum, ones))), or(shl(248, 1), shl(223, 1))))
        }
    }

    /// @notice Cosine of two sketches, 2**16 = 1, in 0 ... 2**16; 0 where it is negative or a norm is 0.
    function cosine(Lanes memory a, bytes memory b) internal pure returns (uint256) {
        (int256 dot, uint256 norm) = products(a, b);
        if (dot <= 0) return 0; // also where a norm is 0
        unchecked {
            // A dot product or norm is at most 2**24.
            return isqrt((uint256(dot * dot) << 32) / (a.norm * norm));
        }
    }

    /// @notice How much of a model counts for a buyer: the part of its cosine above the floor, 2**16 = 1.
    /// @param floor The cosine that counts as none, below 2**16.
    function similarity(uint256 cosine_, uint256 floor) internal pure returns (uint256) {
        if (cosine_ <= floor) return 0;
        unchecked {
            return ((cosine_ - floor) << 16) / (ONE - floor);
        }
    }
}
