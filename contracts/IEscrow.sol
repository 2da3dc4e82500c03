// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Holds a market's money: what each account has `available`, and one pot per round.
/// @dev Invariant: token.balanceOf(escrow) >= Σ available + Σ pot + burnt = held, and equal until somebody transfers to it
///      directly. `held` stays below 2**96, so no sum of amounts in the market ever leaves a uint96.
/// @dev A credit is one word: account | amount << 160.
interface IEscrow {
    event Funded(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);
    /// @notice The pot of `round` paid these credits, in this order. What goes into a pot is in the market's events:
    ///         `RoundOpened` (bond), `Committed` (deposit) and `ChallengeOpened` (bond).
    event Credited(uint256 indexed round, uint256[] credits);
    /// @notice `amount` of the pot of `round` stays in the escrow for ever.
    event Burnt(uint256 indexed round, uint256 amount);

    error NotTheMarket(address caller);
    error NotEnoughAvailable(address account, uint256 available, uint256 asked);
    error NotEnoughInPot(uint256 round, uint256 pot, uint256 asked);
    /// @notice The token moved another amount than it was asked to: it takes a fee, or lies.
    error WrongAmountMoved(uint256 asked, uint256 moved);
    /// @notice More than 2**96 - 1 base units would be held.
    error TooMuchHeld(uint256 held);

    // --- accounts ---

    /// @notice Moves `amount` of the caller's tokens into its available balance. The caller has approved them before.
    function fund(uint96 amount) external;

    /// @notice `fund` with the token's EIP-2612 permit instead of an approval.
    /// @dev A permit that somebody else has already used does no harm: the approval it gave is there.
    function fundWithPermit(uint96 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Moves `amount` of the caller's available balance back to it, as tokens.
    function withdraw(uint96 amount) external;

    // --- the market ---

    /// @notice Moves `amount` from what `account` has available into the pot of `round`. Only the market.
    function lock(uint256 round, address account, uint96 amount) external;

    /// @notice Pays `credits` out of the pot of `round`. Only the market.
    /// @dev No round can spend another's: everything is subtracted from its own pot.
    function credit(uint256 round, uint256[] calldata credits) external;

    /// @notice Burns `amount` of the pot of `round`. Only the market.
    function burn(uint256 round, uint256 amount) external;

    // --- reads ---

    function token() external view returns (IERC20);
    function market() external view returns (address);
    /// @notice What `account` can withdraw, or lock in a round, base units.
    function available(address account) external view returns (uint256);
    /// @notice What is locked in `round`, base units.
    function pot(uint256 round) external view returns (uint256);
    /// @notice What nobody can ever have again, base units.
    function burnt() external view returns (uint256);
    /// @notice Σ available + Σ pot + burnt, base units.
    function held() external view returns (uint256);
}
