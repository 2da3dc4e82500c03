// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Phase, Round, Terms} from "../IMarket.sol";

/// @notice A round as the market stores it. Fields that are used together share a word.
struct StoredRound {
    // what a commit and a reveal are asked
    uint96 fee;
    uint96 revealBond;
    uint8 maxSellers;
    // the clock until the settlement
    uint40 commitDeadline;
    uint40 seedBlock;
    uint40 seedTime;
    uint32 drawTime;
    uint32 revealTime;
    uint32 settleTime;
    uint16 maxParticipants;
    uint16 participants;
    // what every reveal changes
    bytes30 revealsHash;
    uint16 revealed;
    bytes32 seed;
    // the clock after the settlement, and the aggregator's side
    uint96 bond;
    uint40 settledAt;
    uint32 challengeTime;
    uint32 refuteTime;
    uint32 openChallenges;
    uint16 paid; // how many participants
    bool aggregatorPaid;
    // what only a judge asks
    address aggregator;
    uint64 maxSamples;
    uint16 similarityFloor;
    bytes32 task;
    bytes32 settlement;
    // by challenge; zero once it is refuted or refunded
    address[] challengers;
    // by account: bytes30 hash | index; zero where it did not commit
    mapping(address account => bytes32) records;
    // by index: account | deposit << 160
    uint256[1024] participantAt;
    // 32 to a word: see `Status`
    uint256[32] statuses;
}

/// @notice What became of a participant, in one byte: whether it was paid (bit 7), and in the other bits
///         0, it did not reveal; 1, it did; 2 ... 102, it gave a rating of 0 ... 100; 103, it rejected its delivery.
library Status {
    uint256 internal constant REVEALED = 1;
    uint256 internal constant RATED = 2;
    uint256 internal constant REJECTED = 103;
    uint256 internal constant PAID = 128;
}

/// @notice Reading a stored round.
library Rounds {
    using Rounds for StoredRound;

    /// @dev What the clock says, whoever calls or does not.
    function phase(StoredRound storage self) internal view returns (Phase) {
        uint256 end = self.commitDeadline;
        if (block.timestamp < end) return Phase.Commit;
        if (self.participants < 2) return Phase.Void;

        if (self.seedTime == 0) return block.timestamp < end + self.drawTime ? Phase.Draw : Phase.Void;
        end = uint256(self.seedTime) + self.revealTime;
        if (block.timestamp < end) return Phase.Reveal;
        if (self.revealed < 2) return Phase.Void;

        if (self.settledAt == 0) return block.timestamp < end + self.settleTime ? Phase.Settle : Phase.Void;
        end = uint256(self.settledAt) + self.challengeTime;
        if (block.timestamp < end) return Phase.Challenge;
        if (self.openChallenges == 0) return Phase.Payout;
        return block.timestamp < end + self.refuteTime ? Phase.Refute : Phase.Void;
    }

    /// @dev In a round that is void: whether the aggregator had something to settle.
    function faulty(StoredRound storage self) internal view returns (bool) {
        return self.revealed >= 2;
    }

    /// @return The byte of participant `index`.
    function statusOf(StoredRound storage self, uint256 index) internal view returns (uint256) {
        return (self.statuses[index / 32] >> (8 * (index % 32))) & 0xff;
    }

    /// @dev Adds `step` to the byte of participant `index`, which has room for it.
    function raiseStatus(StoredRound storage self, uint256 index, uint256 step) internal {
        self.statuses[index / 32] += step << (8 * (index % 32));
    }

    function toRound(StoredRound storage self) internal view returns (Round memory) {
        return Round({
            aggregator: self.aggregator,
            terms: Terms({
                task: self.task,
                fee: self.fee,
                revealBond: self.revealBond,
                bond: self.bond,
                maxSamples: self.maxSamples,
                similarityFloor: self.similarityFloor,
                maxSellers: self.maxSellers,
                maxParticipants: self.maxParticipants,
                commitDeadline: self.commitDeadline,
                drawTime: self.drawTime,
                revealTime: self.revealTime,
                settleTime: self.settleTime,
                challengeTime: self.challengeTime,
                refuteTime: self.refuteTime
            }),
            participants: self.participants,
            revealed: self.revealed,
            seedBlock: self.seedBlock,
            seedTime: self.seedTime,
            settleTime: self.settledAt,
            openChallenges: self.openChallenges,
            seed: self.seed,
            revealsHash: self.revealsHash,
            settlement: self.settlement
        });
    }
}
