// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The largest root with root * root <= x.
/// @dev Heron's method with a fixed number of steps and Solady's first estimate (FixedPointMathLib.sqrt). Assembly,
///      because Solidity's `/` tests its divisor at every step: 294 gas instead of 679.
function isqrt(uint256 x) pure returns (uint256 root) {
    assembly ("memory-safe") {
        // Halve the bits while they are too many: an even r, so that y = x >> r is below 2**24 (and at least 2**8
        // unless r = 0).
        let r := shl(7, lt(0xffffffffffffffffffffffffffffffffff, x)) // 128 if x has more than 136 bits
        r := or(r, shl(6, lt(0xffffffffffffffffff, shr(r, x)))) // 64 more if what is left has more than 72
        r := or(r, shl(5, lt(0xffffffffff, shr(r, x)))) // 32 more: 40
        r := or(r, shl(4, lt(0xffffff, shr(r, x)))) // 16 more: 24
        // A line instead of the root of y, 181 * (y + 2**16) / 2**18, at most 2.84 times too large or too small, times
        // 2**(r / 2). (Where y < 2**8 it is further off, but the root is short.)
        root := shr(18, mul(shl(shr(1, r), 181), add(shr(r, x), 65536)))
        // A step makes the relative error e into e * e / (2 + 2 * e): from 1.84, or -0.65, to below 2**-133 in seven.
        root := shr(1, add(root, div(x, root)))
        root := shr(1, add(root, div(x, root)))
        root := shr(1, add(root, div(x, root)))
        root := shr(1, add(root, div(x, root)))
        root := shr(1, add(root, div(x, root)))
        root := shr(1, add(root, div(x, root)))
        root := shr(1, add(root, div(x, root)))
        // What stands there now is the root, or 1 more next to a square. (x = 0 ends at 0: the EVM divides by 0 to 0.)
        root := sub(root, lt(div(x, root), root))
    }
}
