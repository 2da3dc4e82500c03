// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Mechanism, Offer} from "../../contracts/libraries/Mechanism.sol";
import {Checks} from "./Checks.sol";
import {Buyer, SlowMechanism} from "./SlowMechanism.sol";
import {vm} from "./Vm.sol";

/// @notice The vectors that Python reads too, for the libraries as they are compiled here.
contract VectorsTest is Checks {
    using SlowMechanism for Buyer;

    struct Gain {
        uint256 value;
        uint256 samples;
        uint256 imported;
        uint256 gain;
    }

    struct Claim {
        uint256 samples;
        uint256 reputation;
        uint256 maxSamples;
        uint256 similarity;
        uint256 effectiveSamples;
    }

    struct Bidder {
        uint256 seller;
        uint256 cost;
        uint256 size;
    }

    struct Purchase {
        uint256 seller;
        uint256 price;
    }

    struct Row {
        uint256 value;
        uint256 samples;
        uint256 maxSellers;
        Bidder[] offers;
        Purchase[] purchases;
    }

    string private constant GAIN = "Gain(uint256 value,uint256 samples,uint256 imported,uint256 gain)";
    string private constant CLAIM =
        "Claim(uint256 samples,uint256 reputation,uint256 maxSamples,uint256 similarity,uint256 effectiveSamples)";
    string private constant ROW =
        "Row(uint256 value,uint256 samples,uint256 maxSellers,Bidder[] offers,Purchase[] purchases)"
        "Bidder(uint256 seller,uint256 cost,uint256 size)Purchase(uint256 seller,uint256 price)";

    string private json = vm.readFile("tests/vectors/mechanism.json");

    function test_gains() public view {
        Gain[] memory cases = abi.decode(vm.parseJsonTypeArray(json, ".gain", GAIN), (Gain[]));
        check(cases.length >= 100, "enough cases to mean anything");
        for (uint256 i = 0; i < cases.length; ++i) {
            Gain memory c = cases[i];
            checkEq(Mechanism.gain(c.value, c.samples, c.imported), c.gain, "gain");
        }
    }

    function test_effective_samples() public view {
        Claim[] memory cases = abi.decode(vm.parseJsonTypeArray(json, ".effectiveSamples", CLAIM), (Claim[]));
        check(cases.length >= 50, "enough cases to mean anything");
        for (uint256 i = 0; i < cases.length; ++i) {
            Claim memory c = cases[i];
            uint256 computed = Mechanism.effectiveSamples(c.samples, c.reputation, c.maxSamples, c.similarity);
            checkEq(computed, c.effectiveSamples, "effective samples");
        }
    }

    function test_rows() public view {
        Row[] memory rows = abi.decode(vm.parseJsonTypeArray(json, ".rows", ROW), (Row[]));
        uint256 purchases = 0;
        for (uint256 i = 0; i < rows.length; ++i) {
            Row memory r = rows[i];
            Buyer memory buyer = Buyer(r.value, r.samples, offersOf(r), r.maxSellers);
            bytes memory computed = Mechanism.row(r.value, r.samples, buyer.ranked(), r.maxSellers);
            checkEq(keccak256(computed), keccak256(bytesOf(r)), string.concat("row ", vm.toString(i)));
            purchases += r.purchases.length;
        }
        check(purchases >= 200, "enough purchases to mean anything");
    }

    function offersOf(Row memory r) private pure returns (Offer[] memory offers) {
        offers = new Offer[](r.offers.length);
        for (uint256 i = 0; i < offers.length; ++i) {
            offers[i] = Offer(r.offers[i].seller, r.offers[i].cost, r.offers[i].size, 0);
        }
    }

    function bytesOf(Row memory r) private pure returns (bytes memory row) {
        row = abi.encodePacked(uint8(r.purchases.length));
        for (uint256 i = 0; i < r.purchases.length; ++i) {
            row = abi.encodePacked(row, uint16(r.purchases[i].seller), uint96(r.purchases[i].price));
        }
    }
}
