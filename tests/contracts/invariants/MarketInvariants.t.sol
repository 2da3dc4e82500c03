// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

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

    uint256 private constant ENOUGH_RUNS = 128; // of 64 steps, to see everything

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
        countSights();
        crowd.finish();
        checkAll();
        for (uint256 round = crowd.market().roundCount(); round > 0; --round) {
            checkEq(crowd.escrow().pot(round), 0, "left in a pot");
        }
    }

    // --- how far the campaign gets ---

    /// @dev A run leaves nothing behind but what it writes to the environment. No other test may use these names.
    function countSights() private {
        uint256 runs = add("CROWD_RUNS", 1);
        for (uint256 i = 0; i <= uint256(type(Sight).max); ++i) {
            uint256 times = add(string.concat("CROWD_SAW_", vm.toString(i)), crowd.seen(Sight(i)));
            check(runs < ENOUGH_RUNS || times > 0, string.concat("never seen: ", nameOf(Sight(i))));
        }
    }

    function add(string memory name, uint256 more) private returns (uint256 sum) {
        sum = vm.envOr(name, uint256(0)) + more;
        vm.setEnv(name, vm.toString(sum));
    }

    function nameOf(Sight sight) private pure returns (string memory) {
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
        return names[uint256(sight)];
    }
}
