// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {console} from "hardhat/console.sol";
import {Mechanism, Offer} from "../../contracts/libraries/Mechanism.sol";
import {Checks} from "./Checks.sol";
import {Deploy} from "./Deploy.sol";
import {Buyer, SlowMechanism} from "./SlowMechanism.sol";
import {vm} from "./Vm.sol";

/// @notice `MechanismHarness`, as far as it is measured here.
interface IMechanism {
    function similarity(
        bytes memory a,
        bytes[] memory others,
        uint256 floor
    ) external pure returns (uint256[] memory each);

    function row(
        uint256 value,
        uint256 samples,
        Offer[] memory offers,
        uint256 maxSellers
    ) external pure returns (bytes memory);
}

/// @notice What the mechanism costs a challenge: reading the sketches from calldata, comparing them, and computing
///         the row.
contract MechanismGasTest is Checks {
    using SlowMechanism for Buyer;

    IMechanism private harness = IMechanism(Deploy.built("MechanismHarness.sol:MechanismHarness", ""));

    function sketches(uint256 n) private pure returns (bytes[] memory each) {
        each = new bytes[](n);
        for (uint256 i = 0; i < n; ++i) {
            for (uint256 k = 0; k < 32; ++k) each[i] = bytes.concat(each[i], keccak256(abi.encode(i, k)));
        }
    }

    /// @dev `n` sellers of unlike sizes, all of which are bought because each costs just less than it adds as the
    ///      last one: the dearest row that a search over sizes and costs found.
    function buyerOf(uint256 n) private pure returns (Buyer memory buyer) {
        buyer = Buyer(100e18, 3_000, new Offer[](n), n - 1);
        uint256 all = 0;
        for (uint256 i = 0; i < n; ++i) {
            buyer.offers[i] = Offer(i, 0, 50 + (uint256(keccak256(abi.encode(i))) % 3_000), 0);
            all += buyer.offers[i].size;
        }
        for (uint256 i = 0; i < n; ++i) {
            uint256 added =
                Mechanism.gain(buyer.value, 3_000, all) -
                    Mechanism.gain(buyer.value, 3_000, all - buyer.offers[i].size);
            buyer.offers[i].cost = (added * 99) / 100;
        }
    }

    function spent(uint256 n) private view returns (uint256 total) {
        bytes memory own = sketches(n + 1)[n];
        bytes[] memory others = sketches(n);
        harness.similarity(own, others, 6_553);
        uint256 compared = vm.lastCallGas().gasTotalUsed;

        Buyer memory buyer = buyerOf(n);
        Offer[] memory offers = buyer.ranked();
        bytes memory row = harness.row(buyer.value, buyer.samples, offers, buyer.maxSellers);
        uint256 priced = vm.lastCallGas().gasTotalUsed;
        checkEq(uint8(row[0]), n - 1, "all but the one left out are bought");

        console.log("listed, sketches, row  ", n, compared, priced);
        return compared + priced;
    }

    function test_33_listed_sellers() public view {
        checkAtMost(spent(33), 1_200_000, "gas");
    }

    function test_10_listed_sellers() public view {
        checkAtMost(spent(10), 350_000, "gas");
    }
}
