// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Rows} from "../../contracts/libraries/Rows.sol";
import {Checks} from "./Checks.sol";

/// @notice Rows as bytes, against plain Solidity.
contract RowsTest is Checks {
    function hash(bytes calldata rows, uint256 n, uint256 most) external pure returns (bool, bytes32) {
        return Rows.hash(rows, n, most);
    }

    /// @dev Anything may follow the rows in the calldata, and must not be read as part of them.
    function hashBefore(bytes calldata rows, bytes calldata, uint256 n, uint256 most) external pure returns (bool) {
        (bool wellFormed, ) = Rows.hash(rows, n, most);
        return wellFormed;
    }

    function spread(
        bytes calldata rows,
        uint256 n,
        uint256 mark
    ) external pure returns (uint256[] memory words, uint256 spent) {
        words = new uint256[](n);
        uint256 start = Rows.first(rows);
        spent = Rows.spread(start, Rows.endOf(start), words, mark);
    }

    function spreadAndBack(
        bytes calldata rows,
        uint256[] memory words,
        uint256 mark
    ) external pure returns (uint256[] memory) {
        uint256 start = Rows.first(rows);
        Rows.spread(start, Rows.endOf(start), words, mark);
        Rows.unspread(start, Rows.endOf(start), words, mark);
        return words;
    }

    function sum(bytes calldata rows, uint256 n) external pure returns (uint256) {
        return Rows.sum(Rows.first(rows), n);
    }

    /// @dev The same, byte by byte.
    function slowHash(bytes memory rows, uint256 n, uint256 most) private pure returns (bool, bytes32) {
        bytes memory hashes;
        uint256 next = 0;
        for (uint256 i = 0; i < n; ++i) {
            if (next >= rows.length) return (false, 0);
            uint256 count = uint8(rows[next]);
            uint256 size = 1 + 14 * count;
            if (count > most || next + size > rows.length) return (false, 0);
            bytes memory one = new bytes(size);
            for (uint256 b = 0; b < size; ++b) one[b] = rows[next + b];
            hashes = bytes.concat(hashes, keccak256(one));
            next += size;
        }
        return (next == rows.length, keccak256(hashes));
    }

    function check(bytes memory rows, uint256 n, uint256 most) private view {
        (bool expected, bytes32 expectedHash) = slowHash(rows, n, most);
        (bool actual, bytes32 actualHash) = this.hash(rows, n, most);
        check(actual == expected, "well-formed");
        if (expected) checkEq(actualHash, expectedHash, "hash");
    }

    /// @return rows Well-formed.
    function someRows(uint256 seed, uint256 n, uint256 most) private pure returns (bytes memory rows) {
        for (uint256 i = 0; i < n; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 count = seed % (most + 1);
            rows = bytes.concat(rows, bytes1(uint8(count)), new bytes(14 * count));
            for (uint256 b = rows.length - 14 * count; b < rows.length; ++b) rows[b] = bytes1(uint8(seed >> (b % 248)));
        }
    }

    function test_well_formed_rows_are_hashed_one_by_one(uint256 seed, uint256 n, uint256 most) public view {
        (n, most) = (between(n, 1, 12), between(most, 1, 32));
        bytes memory rows = someRows(seed, n, most);
        (bool wellFormed, ) = this.hash(rows, n, most);
        check(wellFormed, "well-formed");
        check(rows, n, most);
    }

    function test_no_other_bytes_pass(uint256 seed, uint256 n, uint256 most, uint256 place) public view {
        (n, most) = (between(n, 1, 12), between(most, 1, 32));
        bytes memory rows = someRows(seed, n, most);
        rows[place % rows.length] = bytes1(uint8(seed));
        check(rows, n, most);
        check(bytes.concat(rows, bytes1(uint8(seed))), n, most);
        check(rows, n + 1, most);
        check(rows, n - 1, most);
        check(rows, n, most - 1);
    }

    function test_arbitrary_bytes_pass_only_if_they_are_rows(bytes memory rows, uint256 n) public view {
        check(rows, between(n, 1, 8), 32);
    }

    function test_what_follows_in_the_calldata_is_no_row() public view {
        bytes memory purchase = new bytes(14);
        check(!this.hashBefore(hex"01", purchase, 1, 8), "a row whose purchase lies beyond the end");
        check(!this.hashBefore("", purchase, 1, 8), "no row");
        check(this.hashBefore(bytes.concat(hex"01", purchase), purchase, 1, 8), "a row");
    }

    function test_prices_and_marks_go_to_their_sellers() public view {
        bytes memory rows = abi.encodePacked(
            uint8(3),
            uint16(2),
            uint96(10),
            uint16(0),
            type(uint96).max,
            uint16(2),
            uint96(5),
            hex"ffff"
        );
        (uint256[] memory words, uint256 spent) = this.spread(rows, 3, 1 << 200);
        checkEq(words[0], uint256(type(uint96).max) + (1 << 200), "seller 0");
        checkEq(words[1], 0, "seller 1");
        checkEq(words[2], 15 + (2 << 200), "seller 2");
        checkEq(spent, uint256(type(uint96).max) + 15, "spent");
        checkEq(this.sum(rows, 3), spent, "sum");
    }

    function test_a_foreign_seller_costs_more_than_anybody_has() public view {
        bytes memory rows = abi.encodePacked(uint8(2), uint16(1), uint96(10), uint16(2), uint96(5));
        (, uint256 spent) = this.spread(rows, 2, 0);
        checkEq(spent, type(uint256).max, "spread");
        checkEq(this.sum(rows, 2), type(uint256).max, "sum");
        checkEq(this.sum(rows, 3), 15, "known to three");
    }

    function test_what_was_added_can_be_taken_back_to_the_bit(
        uint256 seed,
        uint256[5] memory words,
        uint256 mark
    ) public view {
        bytes memory rows = someRows(seed, 1, 32);
        for (uint256 p = 1; p < rows.length; p += 14) {
            rows[p] = 0;
            rows[p + 1] = bytes1(uint8(rows[p + 1]) % 6); // now and then a foreign one
        }
        uint256[] memory before = new uint256[](5);
        for (uint256 i = 0; i < 5; ++i) before[i] = words[i];
        uint256[] memory afterwards = this.spreadAndBack(rows, before, mark);
        for (uint256 i = 0; i < 5; ++i) checkEq(afterwards[i], words[i], "word");
    }
}
