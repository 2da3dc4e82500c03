// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMarket, Phase, Round} from "../../contracts/IMarket.sol";
import {MarketBase} from "./MarketBase.sol";
import {vm} from "./Vm.sol";

/// @notice `drawSeed`.
contract DrawSeedTest is MarketBase {
    uint256 private round;

    function setUp() public override {
        super.setUp();
        round = open();
        enter(round, several(alice, bob));
        closeCommits(round);
    }

    function drawCall() private view returns (bytes memory) {
        return abi.encodeCall(IMarket.drawSeed, (round));
    }

    function test_the_first_call_chooses_the_block_it_is_in() public {
        expects(address(market));
        emit IMarket.SeedBlockChosen(round, vm.getBlockNumber());
        market.drawSeed(round);
        checkEq(market.roundOf(round).seedBlock, vm.getBlockNumber(), "block");
        checkEq(market.roundOf(round).seed, 0, "no seed");
    }

    function test_in_the_same_block_there_is_no_hash_yet() public {
        market.drawSeed(round);
        bytes memory reason = abi.encodeWithSelector(IMarket.SeedBlockTooRecent.selector, round, vm.getBlockNumber());
        refuses(anyone, drawCall(), reason);
    }

    function test_a_later_call_makes_its_hash_the_seed() public {
        market.drawSeed(round);
        uint256 chosen = vm.getBlockNumber();
        vm.roll(chosen + 1);
        vm.setBlockhash(chosen, "hash");
        bytes32 seed = keccak256(abi.encode(bytes32("hash"), round));
        expects(address(market));
        emit IMarket.SeedDrawn(round, seed);
        vm.prank(anyone);
        market.drawSeed(round);
        Round memory r = market.roundOf(round);
        checkEq(r.seed, seed, "seed");
        checkEq(r.seedTime, time(), "time");
    }

    function test_two_rounds_of_one_block_have_two_seeds() public {
        uint256 second = open();
        enter(second, several(alice, bob));
        closeCommits(second);
        vm.warp(market.roundOf(round).terms.commitDeadline + 1 minutes);
        if (market.phaseOf(second) != Phase.Draw) vm.warp(market.roundOf(second).terms.commitDeadline);
        market.drawSeed(second);
        uint256 chosen = vm.getBlockNumber();
        vm.warp(market.roundOf(round).terms.commitDeadline);
        market.drawSeed(round);
        vm.roll(chosen + 1);
        vm.setBlockhash(chosen, "hash");
        market.drawSeed(round);
        vm.warp(market.roundOf(second).terms.commitDeadline);
        market.drawSeed(second);
        check(market.roundOf(round).seed != market.roundOf(second).seed, "two seeds");
    }

    function test_the_hash_of_256_blocks_ago_is_still_known() public {
        market.drawSeed(round);
        uint256 chosen = vm.getBlockNumber();
        vm.roll(chosen + 256);
        vm.setBlockhash(chosen, "hash");
        market.drawSeed(round);
        checkEq(market.roundOf(round).seed, keccak256(abi.encode(bytes32("hash"), round)), "seed");
    }

    function test_once_the_chain_has_forgotten_the_hash_a_block_is_chosen_anew() public {
        market.drawSeed(round);
        vm.roll(vm.getBlockNumber() + 257);
        expects(address(market));
        emit IMarket.SeedBlockChosen(round, vm.getBlockNumber());
        market.drawSeed(round);
        checkEq(market.roundOf(round).seedBlock, vm.getBlockNumber(), "block");
        checkPhase(round, Phase.Draw, "still");
    }

    function test_a_seed_is_drawn_once() public {
        draw(round);
        refuses(anyone, drawCall(), abi.encodeWithSelector(IMarket.SeedAlreadyDrawn.selector, round));
    }

    function test_nothing_is_drawn_before_commits_are_closed() public {
        vm.warp(time() - 1);
        refuses(anyone, drawCall(), wrongPhase(round, Phase.Commit));
    }

    function test_nothing_is_drawn_after_draw() public {
        market.drawSeed(round);
        vm.roll(vm.getBlockNumber() + 1);
        vm.warp(time() + market.roundOf(round).terms.drawTime);
        refuses(anyone, drawCall(), wrongPhase(round, Phase.Void));
    }

    function test_nothing_is_drawn_for_one_participant() public {
        uint256 lonely = open();
        enter(lonely, alice);
        closeCommits(lonely);
        refuses(anyone, abi.encodeCall(IMarket.drawSeed, (lonely)), wrongPhase(lonely, Phase.Void));
    }

    function test_nothing_is_drawn_for_a_round_that_is_not() public {
        refuses(anyone, abi.encodeCall(IMarket.drawSeed, (9)), unknown(9));
    }
}
