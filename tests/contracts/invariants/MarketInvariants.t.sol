// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Checks} from "../Checks.sol";
import {Deploy} from "../Deploy.sol";
import {Claims} from "./Claims.sol";
import {Sight} from "./Ghost.sol";
import {vm} from "../Vm.sol";

/// @dev Here, since the fuzzer knows the contracts of test files alone.
contract Everybody is Claims {}

/// @notice A fuzzer's way to the crowd: it picks the steps, and after each everything is checked.
contract MarketInvariants is Checks {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    uint256 private constant ENOUGH_RUNS = 128; // of 64 steps, to see everything
    string private constant REPORT = "cache/campaign.json";

    Claims private crowd;

    function setUp() public {
        vm.warp(1_800_000_000);
        vm.roll(1_000);
        crowd = Claims(Deploy.built("MarketInvariants.t.sol:Everybody", ""));
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

    /// hardhat-config: invariant.failOnRevert = true
    function invariant_money_phases_and_reputations() public view {
        crowd.checkStep();
    }

    /// @notice At the end of every run.
    function afterInvariant() public {
        countSights();
        crowd.finish();
        crowd.checkEnd();
    }

    // --- how far the campaign gets ---

    /// @dev A run leaves nothing behind but what it writes to the environment (no other test may use these names) and,
    ///      where CROWD_REPORT is 1, to the report that benchmarks/fuzz.py reads.
    function countSights() private {
        uint256 runs = add("CROWD_RUNS", 1);
        string memory report = string.concat('{"runs": ', vm.toString(runs));
        for (uint256 i = 0; i <= uint256(type(Sight).max); ++i) {
            uint256 times = add(string.concat("CROWD_SAW_", vm.toString(i)), crowd.seen(Sight(i)));
            check(runs < ENOUGH_RUNS || times > 0, string.concat("never seen: ", nameOf(Sight(i))));
            report = string.concat(report, ', "', nameOf(Sight(i)), '": ', vm.toString(times));
        }
        if (vm.envOr("CROWD_REPORT", uint256(0)) == 1) vm.writeFile(REPORT, string.concat(report, "}"));
    }

    function add(string memory name, uint256 more) private returns (uint256 sum) {
        sum = vm.envOr(name, uint256(0)) + more;
        vm.setEnv(name, vm.toString(sum));
    }

    function nameOf(Sight sight) private pure returns (string memory) {
        string[24] memory names = [
            "rounds opened",
            "commits",
            "seeds drawn",
            "seed blocks forgotten",
            "reveals",
            "settlements",
            "exclusions",
            "right rows with a purchase",
            "rows that do not count",
            "ratings",
            "rejections",
            "true challenges",
            "false challenges",
            "challenges refused, for the row is right",
            "refutations",
            "rounds paid out",
            "void with fault: no settlement",
            "void with fault: a true challenge stood",
            "void with fault: a false challenge that nobody refuted",
            "void without fault: no seed",
            "void without fault: one revealed",
            "void without fault: nobody revealed",
            "void without fault: fewer than two committed",
            "trespasses"
        ];
        return names[uint256(sight)];
    }
}
