// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Arrays of words without bound checks, which would cost as much as what a payout does between them.
/// @dev Warning: the caller sees to it that `index` is below the length.
library Words {
    function get(uint256[] memory words, uint256 index) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(words, 0x20), shl(5, index)))
        }
    }

    function put(uint256[] memory words, uint256 index, uint256 word) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(words, 0x20), shl(5, index)), word)
        }
    }

    /// @return byte_ Byte `index` of the words, the first being byte 0 of word 0.
    function getByte(uint256[] memory words, uint256 index) internal pure returns (uint256 byte_) {
        assembly ("memory-safe") {
            byte_ := byte(0, mload(add(add(words, 0x20), index)))
        }
    }

    function putByte(uint256[] memory words, uint256 index, uint256 byte_) internal pure {
        assembly ("memory-safe") {
            mstore8(add(add(words, 0x20), index), byte_)
        }
    }

    function read(uint256[] calldata words, uint256 index) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(words.offset, shl(5, index)))
        }
    }

    function load(uint256[1024] storage words, uint256 index) internal view returns (uint256 word) {
        assembly ("memory-safe") {
            word := sload(add(words.slot, index))
        }
    }

    /// @notice Shortens an array in place.
    function cut(uint256[] memory words, uint256 length) internal pure {
        assembly ("memory-safe") {
            mstore(words, length)
        }
    }

    /// @notice Calls `target` with (`first`, `words`), copying the words at once and not one by one.
    /// @param selector Of a function that takes (uint256 or address, uint256[]) and returns nothing.
    function send(address target, bytes4 selector, uint256 first, uint256[] memory words) internal {
        assembly ("memory-safe") {
            let message := mload(0x40) // beyond the free memory pointer: nothing of it outlives this block
            let size := shl(5, add(mload(words), 1)) // with its length
            mstore(message, selector)
            mstore(add(message, 0x04), first)
            mstore(add(message, 0x24), 0x40) // where the array begins
            mcopy(add(message, 0x44), words, size)
            if iszero(call(gas(), target, 0, message, add(0x44, size), 0, 0)) {
                returndatacopy(message, 0, returndatasize())
                revert(message, returndatasize()) // what the target says
            }
        }
    }
}
