// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Rows as bytes: for each participant, in order of index, a count (uint8) and that many purchases
///         (seller uint16, price uint96), big-endian, packed.
library Rows {
    uint256 internal constant PURCHASE = 14; // bytes

    /// @param n How many rows there must be.
    /// @param most How many purchases a row may have.
    /// @return wellFormed Whether there are exactly `n` rows of at most `most` purchases each, and no byte is left over.
    /// @return hash Of the concatenated hashes of the rows.
    function hash(bytes calldata rows, uint256 n, uint256 most) internal pure returns (bool wellFormed, bytes32) {
        bytes32[] memory hashes = new bytes32[](n);
        uint256 start = 0;
        for (uint256 i = 0; i < n; ++i) {
            if (start >= rows.length) return (false, 0);
            uint256 count = uint8(rows[start]);
            uint256 end = start + 1 + count * PURCHASE;
            if (count > most || end > rows.length) return (false, 0);
            hashes[i] = keccak256(rows[start:end]);
            start = end;
        }
        return (start == rows.length, keccak256(abi.encodePacked(hashes)));
    }

    /// @notice Sums up one row.
    /// @param start Where its count stands in `rows`, bytes.
    /// @return count Its purchases.
    /// @return spent The sum of their prices.
    /// @return last The largest seller they name.
    function sum(bytes calldata rows, uint256 start) internal pure returns (uint256 count, uint256 spent, uint256 last) {
        // 56 gas a purchase, where calldata slices take 400: a round can have 8,192 of them.
        assembly ("memory-safe") {
            let at := add(rows.offset, start)
            count := byte(0, calldataload(at)) // the row's first byte
            at := add(at, 1)
            for { let end := add(at, mul(count, 14)) } lt(at, end) { at := add(at, 14) } {
                let purchase := calldataload(at) // seller, price and 18 bytes of what follows
                let seller := shr(240, purchase)
                if gt(seller, last) { last := seller }
                spent := add(spent, and(shr(144, purchase), 0xffffffffffffffffffffffff))
            }
        }
    }

    /// @notice Adds, for every purchase of the row at `start`, its price and `mark` to its seller's word.
    /// @param words One per participant; the row names no seller beyond them, which `sum` tells.
    function spread(bytes calldata rows, uint256 start, uint256[] memory words, uint256 mark) internal pure {
        assembly ("memory-safe") {
            let at := add(rows.offset, start)
            let count := byte(0, calldataload(at))
            at := add(at, 1)
            for { let end := add(at, mul(count, 14)) } lt(at, end) { at := add(at, 14) } {
                let purchase := calldataload(at)
                let word := add(add(words, 0x20), shl(5, shr(240, purchase))) // where the seller's word stands in memory
                let price := and(shr(144, purchase), 0xffffffffffffffffffffffff)
                mstore(word, add(mload(word), add(price, mark)))
            }
        }
    }
}
