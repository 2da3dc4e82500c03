// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {console} from "hardhat/console.sol";
import {Phase} from "../../../contracts/IMarket.sol";
import {IEscrow} from "../../../contracts/IEscrow.sol";
import {MarketHarness} from "../../../contracts/test/MarketHarness.sol";
import {Checks} from "../Checks.sol";
import {Crowd} from "./Crowd.sol";
import {Sight} from "./Ghost.sol";
import {vm} from "../Vm.sol";

/// @dev Here, since the fuzzer knows the contracts of test files alone.
contract Everybody is Crowd {}

/// @notice README.md says in words what is checked here, after every step of a crowd.
contract MarketInvariants is Checks {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    uint256 private constant RUNS = 64;
    uint256 private constant DEPTH = 64;

    Crowd private crowd;

    function setUp() public {
        vm.warp(1_800_000_000);
        vm.roll(1_000);
        crowd = new Everybody();
    }

    // --- what the fuzzer may call ---

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(crowd);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(crowd), steps());
    }

    function steps() private view returns (bytes4[] memory selectors) {
        selectors = new bytes4[](14);
        selectors[0] = crowd.fundOrWithdraw.selector;
        selectors[1] = crowd.open.selector;
        selectors[2] = crowd.commit.selector;
        selectors[3] = crowd.drawSeed.selector;
        selectors[4] = crowd.reveal.selector;
        selectors[5] = crowd.settle.selector;
        selectors[6] = crowd.rateOrReject.selector;
        selectors[7] = crowd.challenge.selector;
        selectors[8] = crowd.refute.selector;
        selectors[9] = crowd.payOut.selector;
        selectors[10] = crowd.refund.selector;
        selectors[11] = crowd.wait.selector;
        selectors[12] = crowd.moveOn.selector;
        selectors[13] = crowd.trespass.selector;
    }

    // --- the claims ---

    function checkTokensCoverAllThatIsHeld() private view {
        IEscrow escrow = crowd.escrow();
        uint256 sum = escrow.burnt();
        for (uint256 i = 0; i < crowd.actorCount(); ++i) sum += escrow.available(crowd.actors(i));
        for (uint256 round = crowd.market().roundCount(); round > 0; --round) sum += escrow.pot(round);
        checkEq(escrow.held(), sum, "available, pots and burnt");
        checkEq(crowd.token().balanceOf(address(escrow)), sum + crowd.donated(), "tokens");
    }

    function checkNoRoundPaysMoreThanItsPot() private view {
        for (uint256 round = crowd.market().roundCount(); round > 0; --round) {
            checkEq(crowd.spent(round) + crowd.escrow().pot(round), crowd.locked(round), "paid and still in the pot");
        }
    }

    function checkOnlyTheRulesMoveBalances() private view {
        IEscrow escrow = crowd.escrow();
        for (uint256 i = 0; i < crowd.actorCount(); ++i) {
            checkEq(escrow.available(crowd.actors(i)), crowd.availableOf(crowd.actors(i)), "available");
        }
        checkEq(escrow.burnt(), crowd.burnt(), "burnt");
    }

    function checkEachIsPaidOnce() private view {
        MarketHarness market = crowd.market();
        for (uint256 round = market.roundCount(); round > 0; --round) {
            uint256 n = market.roundOf(round).participants;
            for (uint256 i = 0; i < n; ++i) {
                check(market.isPaid(round, i) == crowd.paid(round, i), "marked as paid");
            }
        }
    }

    function checkReputations() private view {
        for (uint256 i = 0; i < crowd.actorCount(); ++i) {
            for (uint256 j = 0; j < crowd.actorCount(); ++j) {
                uint256 r = crowd.reputation().reputationOf(crowd.actors(i), crowd.actors(j));
                check(r >= 2048 && r <= 65_536, "reputation out of its range");
                checkEq(r, crowd.reputationOf(crowd.actors(i), crowd.actors(j)), "reputation");
            }
        }
    }

    /// hardhat-config: invariant.failOnRevert = true
    function invariant_money_phases_and_reputations() public view {
        checkAll();
    }

    function checkAll() private view {
        checkTokensCoverAllThatIsHeld();
        checkNoRoundPaysMoreThanItsPot();
        checkOnlyTheRulesMoveBalances();
        checkEachIsPaidOnce();
        checkReputations();
    }

    /// @notice At the end of every run: no path leaves money locked.
    function afterInvariant() public {
        crowd.finish();
        checkAll();
        for (uint256 round = crowd.market().roundCount(); round > 0; --round) {
            checkEq(crowd.escrow().pot(round), 0, "left in a pot");
        }
    }

    // --- how far campaigns get ---

    /// @dev The fuzzer keeps nothing from one run to the next, so this plays runs as it would: any steps, any seeds.
    function test_runs_reach_every_state() public {
        bytes4[] memory selectors = steps();
        uint256[] memory seen = new uint256[](uint256(type(Sight).max) + 1);
        for (uint256 run = 0; run < RUNS; ++run) {
            setUp();
            for (uint256 i = 0; i < DEPTH; ++i) {
                uint256 seed = uint256(keccak256(abi.encode(run, i)));
                play(abi.encodeWithSelector(selectors[seed % selectors.length], seed));
            }
            for (uint256 i = 0; i < seen.length; ++i) seen[i] += crowd.seen(Sight(i));
            checkAll(); // and once more than the fuzzer does
        }
        report(seen);
        for (uint256 i = 0; i < seen.length; ++i) check(seen[i] >= RUNS / 32, "a state that hardly any run reaches");
    }

    function play(bytes memory call) private {
        (bool done, bytes memory reason) = address(crowd).call(call);
        if (done) return;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }

    function report(uint256[] memory seen) private pure {
        string[20] memory names = [
            "rounds opened",
            "commits",
            "seeds drawn",
            "seed blocks forgotten",
            "reveals",
            "settlements",
            "exclusions",
            "rows that do not count",
            "ratings",
            "rejections",
            "challenges",
            "refutations",
            "rounds paid out",
            "void with fault: no settlement",
            "void with fault: a challenge stood",
            "void without fault: no seed",
            "void without fault: one revealed",
            "void without fault: nobody revealed",
            "void without fault: fewer than two committed",
            "trespasses"
        ];
        console.log("In %s runs of %s steps:", RUNS, DEPTH);
        for (uint256 i = 0; i < names.length; ++i) console.log("  %s %s", seen[i], names[i]);
    }
}
