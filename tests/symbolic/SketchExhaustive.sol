// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Lanes, Sketch} from "../../contracts/libraries/Sketch.sol";

/// @notice The eight-lane products of two sketches are what a plain loop adds up.
/// @dev Exhaustive over the pairs of bytes at one place, and over places: each of the 65,536 pairs, and each of the 1,024
///      places with 64 of them, among bytes that make the neighbouring lanes as large, or as negative, as they can be.
///      Bounds: all other bytes of a sketch are equal. (What two bytes add to the sum depends on no others but by what a
///      lane borrows or carries, and that is largest here; `Sketch.t.sol` tries random ones.)
contract SketchExhaustive {
    function test_every_pair_of_bytes_and_every_place() public view {
        for (uint256 p = 0; p < 256; ++p) {
            for (uint256 corner = 0; corner < 4; ++corner) this.verify(p, corner);
        }
    }

    /// @dev In a call of its own, which forgets its memory.
    function verify(uint256 p, uint256 corner) external pure {
        int8 others = corner < 2 ? type(int8).min : type(int8).max;
        int8 bothers = corner % 2 == 0 ? type(int8).min : type(int8).max;
        uint256 place = 4 * p + corner;
        bytes memory a = filled(others);
        bytes memory b = filled(bothers);
        a[place] = bytes1(uint8(p));
        Lanes memory lanes = Sketch.spread(a);
        for (uint256 q = corner; q < 256; q += 4) {
            b[place] = bytes1(uint8(q));
            (int256 dot, uint256 norm) = Sketch.products(lanes, b);
            assert(dot == 1023 * int256(others) * bothers + int256(int8(uint8(p))) * int8(uint8(q)));
            assert(norm == uint256(1023 * int256(bothers) * bothers + int256(int8(uint8(q))) * int8(uint8(q))));
        }
        assert(lanes.norm == uint256(1023 * int256(others) * others + int256(int8(uint8(p))) * int8(uint8(p))));
    }

    function filled(int8 value) private pure returns (bytes memory sketch) {
        sketch = new bytes(1024);
        uint256 word = uint256(uint8(value)) * (type(uint256).max / 255);
        assembly ("memory-safe") {
            for {
                let at := 32
            } lt(at, 1056) {
                at := add(at, 32)
            } {
                mstore(add(sketch, at), word)
            }
        }
    }
}
