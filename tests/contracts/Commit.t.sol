// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEscrow} from "../../contracts/IEscrow.sol";
import {Bid, IMarket, Model, Phase, Terms} from "../../contracts/IMarket.sol";
import {MarketBase} from "./MarketBase.sol";
import {vm} from "./Vm.sol";

/// @notice `commit`.
contract CommitTest is MarketBase {
    bytes32 private constant SEALED = keccak256("sealed bid");

    function commitCall(uint256 round, uint256 deposit) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.commit, (round, SEALED, someModel(alice), uint96(deposit)));
    }

    function test_indices_follow_the_order_of_commits() public {
        uint256 round = open();
        checkEq(enter(round, bob), 0, "bob's");
        checkEq(enter(round, alice), 1, "alice's");
        (, uint16 index) = market.recordOf(round, alice);
        checkEq(index, 1, "alice's, as stored");
        checkEq(market.roundOf(round).participants, 2, "participants");
    }

    function test_a_commit_is_stored_as_account_deposit_and_hash() public {
        uint256 round = open();
        prepare(alice, 20 * ONE);
        vm.prank(alice);
        market.commit(round, SEALED, someModel(alice), uint96(13 * ONE));
        (address account, uint96 deposit) = market.participantOf(round, 0);
        checkEq(account, alice, "account");
        checkEq(deposit, 13 * ONE, "deposit");
        (bytes30 hash, ) = market.recordOf(round, alice);
        checkEq(bytes32(hash), bytes32(bytes30(keccak256(abi.encode(SEALED, someModel(alice))))), "hash");
        check(!market.hasRevealed(round, 0), "nothing is revealed");
    }

    function test_a_commit_is_logged_with_the_key_in_force() public {
        uint256 round = open();
        uint96 deposit = uint96(13 * ONE);
        prepare(alice, deposit);
        expects(address(market));
        emit IMarket.Committed(round, alice, 0, deposit, SEALED, someModel(alice), keyOf(alice));
        vm.prank(alice);
        market.commit(round, SEALED, someModel(alice), deposit);
    }

    function test_a_commit_locks_the_deposit() public {
        uint256 round = open();
        uint256 before = escrow.pot(round);
        prepare(alice, 20 * ONE);
        does(alice, commitCall(round, 13 * ONE));
        checkEq(escrow.available(alice), 7 * ONE, "available");
        checkEq(escrow.pot(round), before + 13 * ONE, "pot");
    }

    function test_a_commit_needs_the_deposit() public {
        uint256 round = open();
        prepare(alice, 13 * ONE - 1);
        refuses(
            alice,
            commitCall(round, 13 * ONE),
            abi.encodeWithSelector(IEscrow.NotEnoughAvailable.selector, alice, 13 * ONE - 1, 13 * ONE)
        );
    }

    function test_a_commit_needs_a_key() public {
        uint256 round = open();
        fund(alice, 13 * ONE);
        refuses(alice, commitCall(round, 13 * ONE), abi.encodeWithSelector(IMarket.NoEncryptionKey.selector, alice));
    }

    function test_an_account_commits_once() public {
        uint256 round = open();
        enter(round, alice);
        prepare(alice, 13 * ONE);
        refuses(
            alice,
            commitCall(round, 13 * ONE),
            abi.encodeWithSelector(IMarket.AlreadyCommitted.selector, round, alice)
        );
    }

    function test_an_account_commits_to_two_rounds_at_once() public {
        uint256 first = open();
        uint256 second = open();
        enter(first, bob);
        checkEq(enter(first, alice), 1, "in the first");
        checkEq(enter(second, alice), 0, "in the second");
    }

    function test_the_aggregator_may_take_part() public {
        uint256 round = open();
        enter(round, aggregator);
        (address account, ) = market.participantOf(round, 0);
        checkEq(account, aggregator, "account");
    }

    function test_a_deposit_is_within_its_range() public {
        uint256 round = open();
        Terms memory terms = market.roundOf(round).terms;
        uint256 least = uint256(terms.fee) + terms.revealBond + terms.maxSellers;
        uint256 most = 16 * uint256(terms.revealBond);
        prepare(alice, most + 1);
        bytes4 selector = IMarket.DepositOutOfRange.selector;
        refuses(alice, commitCall(round, least - 1), abi.encodeWithSelector(selector, least - 1, least, most));
        refuses(alice, commitCall(round, most + 1), abi.encodeWithSelector(selector, most + 1, least, most));
        does(alice, commitCall(round, most));
        prepare(bob, least);
        does(bob, commitCall(round, least));
        (, uint96 deposit) = market.participantOf(round, 1);
        checkEq(deposit, least, "the least, as stored");
    }

    function test_a_full_round_takes_nobody() public {
        Terms memory terms = someTerms();
        terms.maxParticipants = 2;
        uint256 round = open(terms);
        enter(round, several(bob, carol));
        prepare(alice, 13 * ONE);
        refuses(alice, commitCall(round, 13 * ONE), abi.encodeWithSelector(IMarket.RoundFull.selector, round, 2));
    }

    function test_commits_end_with_commit() public {
        uint256 round = open();
        enter(round, several(bob, carol));
        prepare(alice, 13 * ONE);
        closeCommits(round);
        refuses(alice, commitCall(round, 13 * ONE), wrongPhase(round, Phase.Draw));
        vm.warp(time() - 1);
        does(alice, commitCall(round, 13 * ONE));
    }

    function test_nobody_commits_to_a_round_that_is_not() public {
        open();
        prepare(alice, 13 * ONE);
        refuses(alice, commitCall(2, 13 * ONE), unknown(2));
    }

    function test_what_nobody_committed_reads_as_zero() public {
        uint256 round = open();
        enter(round, alice);
        uint256[3] memory indices = [uint256(1), 1023, type(uint256).max];
        for (uint256 i = 0; i < 3; ++i) {
            (address account, uint96 deposit) = market.participantOf(round, indices[i]);
            checkEq(account, address(0), "account");
            checkEq(deposit, 0, "deposit");
            (bool rated, bool rejected, uint256 rating) = market.ratingOf(round, indices[i]);
            check(!rated && !rejected && rating == 0, "rating");
            check(!market.hasRevealed(round, indices[i]) && !market.isPaid(round, indices[i]), "flags");
        }
        (bytes30 hash, uint16 index) = market.recordOf(round, bob);
        checkEq(bytes32(hash), 0, "hash");
        checkEq(index, 0, "index");
    }
}
