// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMarket, Phase, Round} from "../../contracts/IMarket.sol";
import {MarketBase} from "./MarketBase.sol";
import {vm} from "./Vm.sol";

/// @notice `settle`.
contract SettleTest is MarketBase {
    uint256 private round;

    function setUp() public override {
        super.setUp();
        round = revealed(several(alice, bob, carol));
    }

    function someRows() private pure returns (bytes memory) {
        return bytes.concat(row(1, ONE, 2, 3 * ONE), row(), row(0, 7));
    }

    function malformedRows(bytes memory rows) private {
        bytes memory reason = abi.encodeWithSelector(IMarket.MalformedRows.selector, round);
        refuses(aggregator, settleCall(round, noneExcluded(), rows), reason);
    }

    function malformedExclusions(uint256[] memory excluded) private {
        bytes memory reason = abi.encodeWithSelector(IMarket.MalformedExclusions.selector, round);
        refuses(aggregator, settleCall(round, excluded, someRows()), reason);
    }

    function test_a_settlement_leaves_one_word() public {
        settle(round, excluding(2), someRows());
        bytes32 rowsHash = keccak256(
            abi.encodePacked(keccak256(row(1, ONE, 2, 3 * ONE)), keccak256(row()), keccak256(row(0, 7)))
        );
        Round memory r = market.roundOf(round);
        checkEq(r.settlement, keccak256(abi.encode(excluding(2), rowsHash)), "word");
        checkEq(r.settleTime, time(), "time");
    }

    function test_a_settlement_is_logged_in_full() public {
        bytes memory question = settleCall(round, excluding(2), someRows());
        expects(address(market));
        emit IMarket.RoundSettled(round, excluding(2), someRows(), keccak256("deliveries"));
        does(aggregator, question);
    }

    function test_only_the_aggregator_settles() public {
        bytes memory reason = abi.encodeWithSelector(IMarket.NotTheAggregator.selector, round, aggregator);
        refuses(mallory, settleCall(round, noneExcluded(), someRows()), reason);
        refuses(alice, settleCall(round, noneExcluded(), someRows()), reason);
    }

    function test_another_history_of_reveals_is_refused() public {
        bytes30 actual = market.roundOf(round).revealsHash;
        refuses(
            aggregator,
            abi.encodeCall(IMarket.settle, (round, ~actual, noneExcluded(), someRows(), 0)),
            abi.encodeWithSelector(IMarket.WrongRevealsHash.selector, round, actual)
        );
    }

    function test_exclusions_have_as_many_words_as_the_round_needs() public {
        malformedExclusions(new uint256[](0));
        malformedExclusions(new uint256[](2));
    }

    function test_exclusions_name_participants_only() public {
        malformedExclusions(excluding(3));
        malformedExclusions(excluding(255));
        settle(round, excluding(2), someRows());
    }

    function test_there_is_a_row_for_each_participant() public {
        malformedRows("");
        malformedRows(bytes.concat(row(1, ONE), row()));
        malformedRows(bytes.concat(row(1, ONE), row(), row(), row()));
    }

    function test_no_byte_is_left_over() public {
        malformedRows(bytes.concat(someRows(), hex"00"));
        malformedRows(bytes.concat(someRows(), hex"ff"));
    }

    function test_no_byte_is_missing() public {
        bytes memory rows = someRows();
        assembly ("memory-safe") {
            mstore(rows, sub(mload(rows), 1))
        }
        malformedRows(rows);
    }

    function test_a_row_is_no_longer_than_the_terms_allow() public {
        bytes memory purchases = new bytes(9 * 14);
        malformedRows(bytes.concat(hex"09", purchases, row(), row()));
        malformedRows(bytes.concat(hex"ff", new bytes(255 * 14), row(), row()));
        settle(round, noneExcluded(), bytes.concat(hex"08", new bytes(8 * 14), row(), row()));
    }

    /// @dev Form is all that is checked here: prices and sellers are the challenge phase's.
    function test_foreign_sellers_and_impossible_prices_can_be_posted() public {
        settle(round, noneExcluded(), bytes.concat(row(60_000, 1), row(0, type(uint96).max), row()));
        checkPhase(round, Phase.Challenge, "settled");
    }

    function test_a_round_is_settled_once() public {
        settle(round, noneExcluded(), someRows());
        refuses(aggregator, settleCall(round, noneExcluded(), someRows()), wrongPhase(round, Phase.Challenge));
    }

    function test_nothing_is_settled_before_reveals_are_closed() public {
        vm.warp(time() - 1);
        refuses(aggregator, settleCall(round, noneExcluded(), someRows()), wrongPhase(round, Phase.Reveal));
    }

    function test_a_settlement_comes_in_time() public {
        closeSettlement(round);
        refuses(aggregator, settleCall(round, noneExcluded(), someRows()), wrongPhase(round, Phase.Void));
        vm.warp(time() - 1);
        settle(round, noneExcluded(), someRows());
    }

    function test_nothing_is_settled_in_a_round_that_is_not() public {
        uint256[] memory excluded = noneExcluded();
        refuses(aggregator, abi.encodeCall(IMarket.settle, (9, 0, excluded, someRows(), 0)), unknown(9));
    }
}
