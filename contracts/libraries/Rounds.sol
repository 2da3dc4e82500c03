// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Phase, Round, Terms} from "../IMarket.sol";

/// @notice A challenge as the market stores it.
struct Challenge {
    address challenger; // zero once it is refuted or refunded
    bytes32 claimHash; // keccak256(abi.encode(claim))
}

/// @notice A round as the market stores it. Words are cut so that a commit reads one of the fixed ones, a reveal three.
struct StoredRound {
    // a commit's
    uint96 leastDeposit; // fee + revealBond + maxSellers
    uint88 revealBond;
    uint16 participants;
    uint16 maxParticipants;
    uint40 commitDeadline;
    // a reveal's
    address aggregator;
    uint40 seedTime;
    uint32 revealTime;
    uint16 similarityFloor;
    uint8 maxSellers;
    //
    bytes30 revealsHash;
    uint16 revealed;
    //
    bytes32 seed;
    // what comes after the settlement
    uint96 bond;
    uint40 settledAt;
    uint24 challengeTime;
    uint24 refuteTime;
    uint24 challengeCount; // ever opened
    uint24 openChallenges; // not refuted
    uint16 paid; // how many participants
    bool aggregatorPaid;
    // what is asked once
    uint40 seedBlock;
    uint32 drawTime;
    uint32 settleTime;
    uint64 maxSamples;
    //
    bytes32 task;
    bytes32 settlement;
    mapping(uint256 number => Challenge) challenges;
    // by account: bytes30 hash | index; zero where it did not commit
    mapping(address account => bytes32) records;
    // by index: account | what its deposit holds beyond `leastDeposit` << 160
    uint256[1024] participantAt;
    // by index, 16 to a word: see `Seats`
    uint256[64] seats;
    // by index, 32 to a word: see `Statuses`
    uint256[32] statuses;
}

/// @notice Whether a participant revealed, in 15 bits: 0, it did not; else its seat in the aggregator's ledger of
///         reputations, which saves the payout a look-up; NONE, if it has no seat, or one beyond.
library Seats {
    uint256 internal constant NONE = 0x7fff;
    uint256 private constant LAID_OUT = 1 << 255;

    /// @dev Makes the words non-zero, once and for all, so that no reveal pays for a fresh one.
    function layOut(uint256[64] storage seats, uint256 participants) internal {
        for (uint256 i = 0; i < (participants + 15) / 16; ++i) seats[i] = LAID_OUT;
    }

    /// @param word The one that holds `index`.
    /// @return With the seat of who has just revealed.
    function take(uint256 word, uint256 index, uint256 seat) internal pure returns (uint256) {
        return word | ((seat == 0 || seat > NONE ? NONE : seat) << (15 * (index % 16)));
    }

    function read(uint256 word, uint256 index) internal pure returns (uint256) {
        return (word >> (15 * (index % 16))) & NONE;
    }

    function hasRevealed(StoredRound storage round, uint256 index) internal view returns (bool) {
        return read(round.seats[index / 16], index) != 0;
    }
}

/// @notice What followed a delivery, in one byte: whether the participant was paid (bit 7), and in the other bits 0, it said
///         nothing; 1 ... 101, it gave a rating of 0 ... 100; 102, it rejected the delivery.
/// @dev Once all are paid, `paid` says so, and bits are not set any more.
library Statuses {
    uint256 internal constant RATED = 1;
    uint256 internal constant REJECTED = 102;
    uint256 internal constant PAID = 128;

    function read(StoredRound storage round, uint256 index) internal view returns (uint256) {
        return (round.statuses[index / 32] >> _shift(index)) & 0xff;
    }

    function add(StoredRound storage round, uint256 index, uint256 status) internal {
        round.statuses[index / 32] |= status << _shift(index);
    }

    /// @dev The first byte is the first participant's.
    function _shift(uint256 index) private pure returns (uint256) {
        return 248 - 8 * (index % 32);
    }
}

/// @notice Reading a stored round.
library Rounds {
    /// @dev What the clock says, whoever calls or does not.
    function phase(StoredRound storage self) internal view returns (Phase) {
        uint256 end = self.commitDeadline;
        if (block.timestamp < end) return Phase.Commit;
        if (self.participants < 2) return Phase.Void;

        if (self.seedTime == 0) return block.timestamp < end + self.drawTime ? Phase.Draw : Phase.Void;
        if (isRevealing(self)) return Phase.Reveal;
        if (self.revealed < 2) return Phase.Void;

        end = uint256(self.seedTime) + self.revealTime + self.settleTime;
        if (self.settledAt == 0) return block.timestamp < end ? Phase.Settle : Phase.Void;
        end = uint256(self.settledAt) + self.challengeTime;
        if (block.timestamp < end) return Phase.Challenge;
        if (self.openChallenges == 0) return Phase.Payout;
        return block.timestamp < end + self.refuteTime ? Phase.Refute : Phase.Void;
    }

    /// @dev Whether the phase is Reveal, from one word.
    function isRevealing(StoredRound storage self) internal view returns (bool) {
        return self.seedTime != 0 && block.timestamp < uint256(self.seedTime) + self.revealTime;
    }

    /// @dev In a round that is void: whether its aggregator is at fault, which had something to settle.
    function isFaulty(StoredRound storage self) internal view returns (bool) {
        return self.revealed >= 2;
    }

    function fee(StoredRound storage self) internal view returns (uint96) {
        return self.leastDeposit - self.revealBond - self.maxSellers;
    }

    function participant(
        StoredRound storage self,
        uint256 index
    ) internal view returns (address account, uint96 deposit) {
        uint256 word = self.participantAt[index];
        if (word != 0) (account, deposit) = (address(uint160(word)), uint96(word >> 160) + self.leastDeposit);
    }

    function toRound(StoredRound storage self) internal view returns (Round memory) {
        return
            Round({
                aggregator: self.aggregator,
                terms: Terms({
                    task: self.task,
                    fee: fee(self),
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
