// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Rows as bytes: for each participant, in order of index, a count (uint8) and that many purchases
///         (seller uint16, price uint96), big-endian, packed.
/// @dev In assembly: a purchase takes 200 gas here and twice that with calldata slices, and a round can have 8,192 of them.
/// @dev `start` and `end` are offsets into the calldata, of rows that are known to be well-formed.
library Rows {
    /// @notice Hashes rows.
    /// @param n How many there must be.
    /// @param most How many purchases each may have, at most 32.
    /// @return wellFormed Whether there are exactly `n` rows of at most `most` purchases, and no byte is left over.
    /// @return rowsHash Of the concatenated hashes of the rows, each with its count.
    function hash(
        bytes calldata rows,
        uint256 n,
        uint256 most
    ) internal pure returns (bool wellFormed, bytes32 rowsHash) {
        assembly ("memory-safe") {
            let hashes := mload(0x40) // scratch beyond the free memory pointer: nothing of it outlives this block
            let hashesEnd := add(hashes, shl(5, n)) // and here a row is copied to be hashed
            let start := rows.offset
            wellFormed := 1
            for {
                let next := hashes
            } lt(next, hashesEnd) {
                next := add(next, 0x20)
            } {
                let count := byte(0, calldataload(start)) // reads as 0 beyond the calldata
                if gt(count, most) {
                    wellFormed := 0
                    break
                }
                let size := add(1, mul(count, 14))
                calldatacopy(hashesEnd, start, size)
                mstore(next, keccak256(hashesEnd, size))
                start := add(start, size)
            }
            // A row that ran over the end makes `start` pass it, for good.
            wellFormed := and(wellFormed, eq(start, add(rows.offset, rows.length)))
            rowsHash := keccak256(hashes, shl(5, n))
        }
    }

    /// @notice Hashes rows of which only the hashes are known.
    function hash(bytes32[] calldata rowHashes) internal pure returns (bytes32 rowsHash) {
        assembly ("memory-safe") {
            let hashes := mload(0x40) // beyond the free memory pointer: nothing of it outlives this block
            let size := shl(5, rowHashes.length)
            calldatacopy(hashes, rowHashes.offset, size)
            rowsHash := keccak256(hashes, size)
        }
    }

    /// @return start Where the first row begins.
    function first(bytes calldata rows) internal pure returns (uint256 start) {
        assembly ("memory-safe") {
            start := rows.offset
        }
    }

    /// @return end Where the row that begins at `start` ends, and the next one begins.
    function endOf(uint256 start) internal pure returns (uint256 end) {
        assembly ("memory-safe") {
            end := add(start, add(1, mul(byte(0, calldataload(start)), 14)))
        }
    }

    /// @notice Adds, for every purchase of a row, its price and `mark` to its seller's word.
    /// @param words One per participant.
    /// @return spent The sum of the prices; 2**256 - 1 if the row names a seller that is no participant, and there it stops.
    function spread(
        uint256 start,
        uint256 end,
        uint256[] memory words,
        uint256 mark
    ) internal pure returns (uint256 spent) {
        assembly ("memory-safe") {
            let n := mload(words)
            let ones := shr(160, not(mload(0x60))) // 2**96 - 1; 0x60 holds 0, and hides that it could be built each time
            for {
                let next := add(start, 1)
            } lt(next, end) {
                next := add(next, 14)
            } {
                let purchase := calldataload(next) // seller (16 bits), price (96 bits), what follows
                let seller := shr(240, purchase)
                if iszero(lt(seller, n)) {
                    spent := not(0)
                    break
                }
                let price := and(shr(144, purchase), ones)
                spent := add(spent, price)
                let word := add(add(words, 0x20), shl(5, seller)) // where the seller's word stands in memory
                mstore(word, add(mload(word), add(price, mark)))
            }
        }
    }

    /// @notice Takes back what `spread` has added, to the bit: it stops at the same purchase.
    function unspread(uint256 start, uint256 end, uint256[] memory words, uint256 mark) internal pure {
        assembly ("memory-safe") {
            for {
                let next := add(start, 1)
            } lt(next, end) {
                next := add(next, 14)
            } {
                let purchase := calldataload(next)
                let seller := shr(240, purchase)
                if iszero(lt(seller, mload(words))) {
                    break
                }
                let word := add(add(words, 0x20), shl(5, seller))
                mstore(word, sub(mload(word), add(shr(160, shl(16, purchase)), mark)))
            }
        }
    }

    /// @param n The number of participants.
    /// @return spent As `spread` returns it.
    function sum(uint256 start, uint256 n) internal pure returns (uint256 spent) {
        uint256 end = endOf(start);
        assembly ("memory-safe") {
            for {
                let next := add(start, 1)
            } lt(next, end) {
                next := add(next, 14)
            } {
                let purchase := calldataload(next)
                if iszero(lt(shr(240, purchase), n)) {
                    spent := not(0)
                    break
                }
                spent := add(spent, shr(160, shl(16, purchase)))
            }
        }
    }
}
