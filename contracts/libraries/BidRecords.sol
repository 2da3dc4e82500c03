// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bid, Model} from "../IMarket.sol";

/// @notice What an account leaves in a round: 30 bytes of a hash, and its index.
library BidRecords {
    /// @return Of a commit. Of 96 bytes, so that it is never the hash of a bid record.
    function commitHash(bytes32 sealedBid, Model calldata model) internal pure returns (bytes30) {
        return bytes30(keccak256(abi.encode(sealedBid, model)));
    }

    /// @return hash_ Of a bid record: of `abi.encode(index, bid, reputation, sketchHash, model)`, 288 bytes.
    /// @dev In assembly for a quarter of the gas: words are copied as they are, where Solidity checks each. One with bits
    ///      where its type has none makes another hash than any that a reveal has left.
    function hash(
        uint256 index,
        Bid calldata bid,
        uint256 reputation,
        bytes32 sketchHash,
        Model calldata model
    ) internal pure returns (bytes30 hash_) {
        assembly ("memory-safe") {
            let words := mload(0x40) // beyond the free memory pointer: nothing of it outlives this block
            mstore(words, index)
            calldatacopy(add(words, 32), bid, 128) // its four words
            mstore(add(words, 160), reputation)
            mstore(add(words, 192), sketchHash)
            calldatacopy(add(words, 224), model, 64) // its two words
            hash_ := and(keccak256(words, 288), not(0xffff)) // the first 30 bytes
        }
    }

    /// @return What is stored by account.
    function word(bytes30 hash_, uint256 index) internal pure returns (bytes32) {
        return bytes32(hash_) | bytes32(index);
    }
}
