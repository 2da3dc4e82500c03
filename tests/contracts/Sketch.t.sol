// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Lanes, Sketch} from "../../contracts/libraries/Sketch.sol";
import {Checks} from "./Checks.sol";

contract SketchTest is Checks {
    uint256 private constant SIZE = 1024;
    uint256 private constant ONE = 1 << 16;

    // --- sketches to try ---

    /// @dev Any bytes, -128 too.
    function anySketch(bytes32 seed) private pure returns (bytes memory sketch) {
        for (uint256 i = 0; i < SIZE / 32; ++i) sketch = bytes.concat(sketch, keccak256(abi.encode(seed, i)));
    }

    function filled(int8 bucket) private pure returns (bytes memory sketch) {
        sketch = new bytes(SIZE);
        for (uint256 i = 0; i < SIZE; ++i) sketch[i] = bytes1(uint8(bucket));
    }

    /// @dev Zeros but for one bucket.
    function single(uint256 i, int8 bucket) private pure returns (bytes memory sketch) {
        sketch = new bytes(SIZE);
        sketch[i] = bytes1(uint8(bucket));
    }

    /// @dev `b`, or in `share` of 2**8 buckets `a`: what two models that learnt like things have.
    function mixed(bytes memory a, bytes memory b, uint256 share) private pure returns (bytes memory sketch) {
        sketch = new bytes(SIZE);
        for (uint256 i = 0; i < SIZE; ++i) sketch[i] = uint8(keccak256(abi.encode(i))[0]) < share ? a[i] : b[i];
    }

    // --- products ---

    /// @notice The oracle.
    function slowDot(bytes memory a, bytes memory b) private pure returns (int256 dot) {
        for (uint256 i = 0; i < SIZE; ++i) dot += int256(int8(uint8(a[i]))) * int8(uint8(b[i]));
    }

    function checkProducts(bytes memory a, bytes memory b) private pure {
        Lanes memory lanes = Sketch.spread(a);
        (int256 dot, uint256 norm) = Sketch.products(lanes, b);
        check(dot == slowDot(a, b), "dot product");
        check(int256(norm) == slowDot(b, b), "norm of the other");
        check(int256(lanes.norm) == slowDot(a, a), "norm of the one made ready");
    }

    function test_fuzz_products_are_those_of_the_plain_loop(bytes32 seed, bytes32 other) public pure {
        checkProducts(anySketch(seed), anySketch(other));
    }

    function test_products_at_the_ends_of_the_range() public pure {
        int8[5] memory ends = [int8(-128), -127, 0, 1, 127];
        for (uint256 i = 0; i < ends.length; ++i) {
            for (uint256 j = 0; j < ends.length; ++j) checkProducts(filled(ends[i]), filled(ends[j]));
            checkProducts(filled(ends[i]), anySketch("any"));
            checkProducts(anySketch("any"), filled(ends[i]));
        }
    }

    function test_every_bucket_meets_its_own() public pure {
        bytes memory numbered = new bytes(SIZE); // neighbours, and buckets a lane or word away, differ
        for (uint256 i = 0; i < SIZE; ++i) numbered[i] = keccak256(abi.encode(i))[0];
        Lanes memory lanes = Sketch.spread(numbered);
        for (uint256 i = 0; i < SIZE; ++i) {
            (int256 dot, uint256 norm) = Sketch.products(lanes, single(i, -128));
            check(dot == -128 * int256(int8(uint8(numbered[i]))), "dot product");
            checkEq(norm, 1 << 14, "norm");
        }
    }

    // --- cosine and similarity ---

    function cosine(bytes memory a, bytes memory b) private pure returns (uint256) {
        return Sketch.cosine(Sketch.spread(a), b);
    }

    function test_fuzz_cosine_is_symmetric_and_at_most_1(bytes32 seed, bytes32 other, uint8 share) public pure {
        bytes memory a = anySketch(seed);
        bytes memory b = mixed(a, anySketch(other), share);
        uint256 cos = cosine(a, b);
        checkEq(cosine(b, a), cos, "the other way round");
        checkAtMost(cos, ONE, "cosine");
    }

    function test_fuzz_cosine_is_the_defined_integer(bytes32 seed, bytes32 other, uint8 share) public pure {
        bytes memory a = anySketch(seed);
        bytes memory b = mixed(a, anySketch(other), share);
        uint256 cos = cosine(a, b);
        int256 dot = slowDot(a, b);
        uint256 square = (uint256(dot > 0 ? dot * dot : int256(0)) << 32) / uint256(slowDot(a, a) * slowDot(b, b));
        check(cos * cos <= square && square < (cos + 1) * (cos + 1), "not the root");
    }

    function test_a_sketch_is_its_own_likeness_and_its_opposite_has_none() public pure {
        bytes memory sketch = anySketch("sketch");
        bytes memory opposite = new bytes(SIZE);
        for (uint256 i = 0; i < SIZE; ++i) {
            if (sketch[i] == 0x80) sketch[i] = 0x81;
            opposite[i] = bytes1(uint8(-int8(uint8(sketch[i]))));
        }
        checkEq(cosine(sketch, sketch), ONE, "itself");
        checkEq(cosine(sketch, opposite), 0, "its opposite");
    }

    function test_the_sketch_of_a_zero_update_is_like_nothing() public pure {
        checkEq(cosine(filled(0), filled(0)), 0, "itself");
        checkEq(cosine(filled(0), filled(1)), 0, "another");
        checkEq(cosine(filled(1), filled(0)), 0, "another one's likeness");
    }

    function test_fuzz_similarity_is_the_part_above_the_floor(uint256 cos, uint256 floor) public pure {
        cos = between(cos, 0, ONE);
        floor = between(floor, 0, ONE - 1);
        uint256 similarity = Sketch.similarity(cos, floor);
        checkAtMost(similarity, ONE, "similarity");
        checkEq(similarity, cos <= floor ? 0 : ((cos - floor) * ONE) / (ONE - floor), "similarity");
        checkAtMost(similarity, Sketch.similarity(cos == ONE ? ONE : cos + 1, floor), "of the next larger cosine");
    }

    function test_similarity_is_0_up_to_the_floor_and_1_at_1() public pure {
        checkEq(Sketch.similarity(6_553, 6_553), 0, "at the floor");
        checkEq(Sketch.similarity(6_554, 6_553), 1, "just above");
        checkEq(Sketch.similarity(ONE, 6_553), ONE, "cosine 1");
        checkEq(Sketch.similarity(ONE, ONE - 1), ONE, "above the highest floor");
    }
}
