// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bid, Model} from "../IMarket.sol";

/// @notice What an account leaves in a round: 30 bytes of a hash, and its index.
library BidRecords {
    /// @return Of a commit. Of 96 bytes, so that it is never the hash of a bid record.
    function commitHash(bytes32 sealedBid, Model calldata model) internal pure returns (bytes30) {
        return bytes30(keccak256(abi.encode(sealedBid, model)));
    }

    /// @return Of a bid record, 288 bytes.
    function hash(
        uint256 index,
        Bid calldata bid,
        uint24 reputation,
        bytes32 sketchHash,
        Model calldata model
    ) internal pure returns (bytes30) {
        return bytes30(keccak256(abi.encode(index, bid, reputation, sketchHash, model)));
    }

    function word(bytes30 hash_, uint256 index) internal pure returns (bytes32) {
        return bytes32(hash_) | bytes32(index);
    }
}
