// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {console} from "hardhat/console.sol";
import {Bid, Model, Terms} from "../../contracts/IMarket.sol";
import {MarketBase} from "./MarketBase.sol";
import {vm} from "./Vm.sol";

/// @notice What transactions cost, under Prague's rules. Every call is a transaction of its own, and what is printed is what
///         its sender pays: base and calldata included, with the floor of EIP-7623.
contract MarketGasTest is MarketBase {
    uint256 private constant TRANSACTION_LIMIT = 1 << 24; // EIP-7825

    function participant(uint256 i) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("participant", i)))));
    }

    /// @dev `n` rows of `count` purchases each, at prices of nine significant bytes.
    function rowsOf(uint256 n, uint256 count) private pure returns (bytes memory rows) {
        rows = new bytes(n * (1 + 14 * count));
        uint256 end = 0;
        for (uint256 i = 0; i < n; ++i) {
            rows[end++] = bytes1(uint8(count));
            for (uint256 k = 1; k <= count; ++k) {
                uint256 price = ONE + (uint256(keccak256(abi.encode(i, k))) % ONE);
                bytes memory purchase = abi.encodePacked(uint16((i + k * 7) % n), uint96(price));
                for (uint256 b = 0; b < 14; ++b) rows[end++] = purchase[b];
            }
        }
    }

    struct Spent {
        uint256 commit;
        uint256 reveal;
        uint256 settle;
        uint256 payOut;
    }

    /// @dev A round of `n` in which all rate; gas of the last commit and reveal, and of the settlement and payout.
    function runRound(uint256 n, uint256 count, uint256 rating, uint256 batch) private returns (Spent memory spent) {
        Terms memory terms = someTerms();
        terms.maxParticipants = uint16(n);
        uint256 round = open(terms);
        uint96 deposit = depositFor(round, 10 * ONE);
        for (uint256 i = 0; i < n; ++i) {
            prepare(participant(i), uint256(deposit) + 1);
            commit(round, participant(i), someBid(), deposit);
            spent.commit = vm.lastCallGas().gasTotalUsed;
        }
        closeCommits(round);
        draw(round);
        for (uint256 i = 0; i < n; ++i) {
            reveal(round, participant(i));
            spent.reveal = vm.lastCallGas().gasTotalUsed;
        }
        closeReveals(round);
        bytes memory rows = rowsOf(n, count);
        settle(round, new uint256[]((n + 255) / 256), rows);
        spent.settle = vm.lastCallGas().gasTotalUsed;
        for (uint256 i = 0; i < n; ++i) {
            vm.prank(participant(i));
            market.rate(round, i, rating);
        }
        closeChallenges(round);
        for (uint256 i = 0; i < n; i += batch) {
            market.payOut(round, rows, new uint256[]((n + 255) / 256), i, i + batch < n ? i + batch : n);
            uint256 gas = vm.lastCallGas().gasTotalUsed;
            if (gas > spent.payOut) spent.payOut = gas;
        }
    }

    function report(string memory what, uint256 n, Spent memory spent) private pure {
        console.log(what);
        console.log("  commit, reveal, both   ", spent.commit, spent.reveal, spent.commit + spent.reveal);
        console.log("  settle, payOut, limit  ", spent.settle, spent.payOut, TRANSACTION_LIMIT);
        console.log("  a participant          ", spent.settle / n, spent.payOut / n, (spent.settle + spent.payOut) / n);
    }

    /// hardhat-config: isolate = true
    function test_a_round_of_100() public {
        runRound(100, 4, 100, 100); // from nothing: balances and reputations become non-zero
        Spent memory spent = runRound(100, 4, 90, 100);
        report("n = 100, 4 purchases", 100, spent);
        checkAtMost(spent.commit + spent.reveal, 185_000, "commit and reveal");
        checkAtMost((spent.settle + spent.payOut) / 100, 15_000, "settle and payOut, a participant");
    }
}
