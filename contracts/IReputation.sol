// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What an aggregator's rounds believe of an account: a share of their `maxSamples`, 2**16 = 1.
/// @dev One number for each aggregator and account. It starts at its floor, 1/32, so that a fresh identity is never worth
///      more than a bad name. Trust grows slowly with rounds survived without harm, and halves on harm.
/// @dev No event says a reputation: each is a function of the market's events, and `BidRevealed` carries the one it used.
interface IReputation {
    error NotTheMarket(address caller);

    /// @notice Applies what a round has shown of accounts. Only the market.
    /// @dev With Σ the sum of a seller's k ratings: r · (50k + Σ) / (100k) for k >= 3, r · (150k + Σ) / (200k) for k = 1
    ///      or 2, r / 2 for who was missing, whatever its ratings; rounded down and kept within [1/32, 1].
    /// @param outcomes Words of account | k (16 bits) << 160 | Σ in hundredths (32 bits) << 176 | seat (15 bits) << 208 |
    ///        missing (1 bit) << 255. A seat is as `standingOf` has said, or 0 or 2**15 - 1 where that is not known.
    function update(address aggregator, uint256[] calldata outcomes) external;

    function market() external view returns (address);
    /// @return Reputation of `account` in the rounds of `aggregator`, 2**16 = 1, at least 2**11.
    function reputationOf(address aggregator, address account) external view returns (uint24);
    /// @return reputation See `reputationOf`.
    /// @return seat Where it is stored, for good: an account's number in the aggregator's ledger, from 1; 0 for none.
    function standingOf(address aggregator, address account) external view returns (uint24 reputation, uint256 seat);
}
