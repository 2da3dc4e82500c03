// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {vm} from "./Vm.sol";

/// @notice What a test claims.
abstract contract Checks {
    error NotEqual(string what, bytes32 actual, bytes32 expected);
    error NotAtMost(string what, uint256 actual, uint256 most);
    error NotTrue(string what);

    function check(bool claim, string memory what) internal pure {
        if (!claim) revert NotTrue(what);
    }

    function checkEq(uint256 actual, uint256 expected, string memory what) internal pure {
        if (actual != expected)
            revert NotTrue(string.concat(what, ": ", vm.toString(actual), " is not ", vm.toString(expected)));
    }

    function checkEq(address actual, address expected, string memory what) internal pure {
        if (actual != expected)
            revert NotEqual(what, bytes32(uint256(uint160(actual))), bytes32(uint256(uint160(expected))));
    }

    function checkEq(bytes32 actual, bytes32 expected, string memory what) internal pure {
        if (actual != expected) revert NotEqual(what, actual, expected);
    }

    function checkAtMost(uint256 actual, uint256 most, string memory what) internal pure {
        if (actual > most)
            revert NotTrue(string.concat(what, ": ", vm.toString(actual), " is over ", vm.toString(most)));
    }

    /// @return `x` brought into [least, most].
    function between(uint256 x, uint256 least, uint256 most) internal pure returns (uint256) {
        if (x >= least && x <= most) return x;
        uint256 size = most - least + 1;
        return size == 0 ? x : least + (x % size);
    }
}
