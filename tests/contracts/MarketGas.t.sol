// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {console} from "hardhat/console.sol";
import {Bid, Model, Terms} from "../../contracts/IMarket.sol";
import {MarketBase} from "./MarketBase.sol";
import {vm} from "./Vm.sol";

/// @notice What transactions cost, under Prague's rules. Every call is a transaction of its own; a figure is what its sender
///         pays, base and calldata included, and with the floor that EIP-7623 puts under it.
/// @dev Everybody rates, and reputations and balances go from one non-zero number to another, as after the first round.
contract MarketGasTest is MarketBase {
    uint256 private constant TRANSACTION_LIMIT = 1 << 24; // EIP-7825

    struct Costs {
        uint256 commit;
        uint256 reveal;
        uint256 draw;
        uint256 rate;
        uint256 settle;
        uint256 payOut; // all batches
        uint256 batch; // the dearest
    }

    uint256 private commitCost;
    uint256 private revealCost;

    function participant(uint256 i) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("participant", i)))));
    }

    /// @dev `n` rows of `count` purchases each, at one to two tokens of 18 decimals.
    function rowsOf(uint256 n, uint256 count) private pure returns (bytes memory rows) {
        rows = new bytes(n * (1 + 14 * count));
        uint256 end = 0;
        for (uint256 i = 0; i < n; ++i) {
            rows[end++] = bytes1(uint8(count));
            for (uint256 k = 1; k <= count; ++k) {
                uint256 price = ONE + (uint256(keccak256(abi.encode(i, k))) % ONE);
                bytes14 purchase = bytes14(abi.encodePacked(uint16((i + k * 7) % n), uint96(price)));
                for (uint256 b = 0; b < 14; ++b) rows[end++] = purchase[b];
            }
        }
    }

    /// @return What the last call cost `data`'s sender.
    function cost(bytes memory data) private view returns (uint256) {
        uint256 tokens = 0;
        for (uint256 i = 0; i < data.length; ++i) tokens += data[i] == 0 ? 1 : 4;
        uint256 floor = 21_000 + 10 * tokens;
        uint256 used = vm.lastCallGas().gasTotalUsed;
        return used > floor ? used : floor;
    }

    function asks(address account, bytes memory question) private returns (uint256) {
        does(account, question);
        return cost(question);
    }

    /// @return round In Settle.
    function opened(uint256 n, Costs memory costs) private returns (uint256 round) {
        Terms memory terms = someTerms();
        terms.maxParticipants = uint16(n);
        round = open(terms);
        uint96 deposit = depositFor(round, 10 * ONE + 8 * ONE);
        for (uint256 i = 0; i < n; ++i) {
            prepare(participant(i), uint256(deposit) + 1);
            Secret memory secret = Secret(someBid(), keccak256(abi.encode("salt", i)), someModel(participant(i)));
            secrets[round][participant(i)] = secret;
            bytes32 sealedBid = seal(round, participant(i), secret.bid, secret.salt);
            costs.commit = asks(
                participant(i),
                abi.encodeCall(market.commit, (round, sealedBid, secret.model, deposit))
            );
        }
        closeCommits(round);
        draw(round);
        costs.draw = vm.lastCallGas().gasTotalUsed;
        for (uint256 i = 0; i < n; ++i) {
            costs.reveal = asks(participant(i), revealCall(round, participant(i)));
        }
        closeReveals(round);
    }

    function run(uint256 n, uint256 count, uint256 rating, uint256 batch) private returns (Costs memory costs) {
        uint256 round = opened(n, costs);
        uint256[] memory excluded = new uint256[]((n + 255) / 256);
        bytes memory rows = rowsOf(n, count);
        costs.settle = asks(aggregator, settleCall(round, excluded, rows));
        for (uint256 i = 0; i < n; ++i) {
            costs.rate = asks(participant(i), abi.encodeCall(market.rate, (round, i, rating)));
        }
        closeChallenges(round);
        for (uint256 i = 0; i < n; i += batch) {
            uint256 end = i + batch < n ? i + batch : n;
            uint256 gas = asks(anyone, abi.encodeCall(market.payOut, (round, rows, excluded, i, end)));
            costs.payOut += gas;
            if (gas > costs.batch) costs.batch = gas;
        }
        checkEq(escrow.pot(round), 0, "all is paid");
    }

    function report(uint256 n, Costs memory costs) private pure {
        console.log("participants:", n);
        console.log("  commit + reveal =", costs.commit, costs.reveal, costs.commit + costs.reveal);
        console.log("  draw, rate", costs.draw, costs.rate);
        console.log("  settle + payOut =", costs.settle, costs.payOut, costs.settle + costs.payOut);
        console.log("  a participant:", costs.settle / n, costs.payOut / n, (costs.settle + costs.payOut) / n);
        console.log("  the dearest batch", costs.batch);
    }

    /// hardhat-config: isolate = true
    function test_a_round_of_100() public {
        run(100, 4, 100, 100);
        Costs memory costs = run(100, 4, 90, 100);
        report(100, costs);
        checkAtMost(costs.commit + costs.reveal, 185_000, "commit and reveal");
        checkAtMost((costs.settle + costs.payOut) / 100, 15_000, "settle and payOut, a participant");
    }

    /// hardhat-config: isolate = true
    function test_a_round_of_500() public {
        run(500, 4, 100, 250);
        Costs memory costs = run(500, 4, 90, 500);
        report(500, costs);
        checkAtMost((costs.settle + costs.payOut) / 500, 15_000, "settle and payOut, a participant");
        checkAtMost(costs.settle, TRANSACTION_LIMIT, "settle");
        checkAtMost(costs.payOut, TRANSACTION_LIMIT, "payOut");
    }

    /// @dev The largest round there can be, and with first payments at that: every balance and reputation is new.
    /// hardhat-config: isolate = true
    function test_the_largest_round() public {
        Costs memory costs = run(1024, 8, 100, 256);
        report(1024, costs);
        checkAtMost(costs.settle, TRANSACTION_LIMIT, "settle");
        checkAtMost(costs.batch, TRANSACTION_LIMIT, "a batch");
        checkAtMost(costs.draw, TRANSACTION_LIMIT, "draw");
    }

    function test_the_contracts_fit() public view {
        console.log("bytes left in Market (with the harness)", 24_576 - address(market).code.length);
        checkAtMost(address(market).code.length, 24_576, "Market");
        checkAtMost(address(escrow).code.length, 3_072, "Escrow, to be read in one sitting");
    }
}
