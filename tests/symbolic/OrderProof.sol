// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Mechanism} from "../../contracts/libraries/Mechanism.sol";
import {vm} from "../contracts/Vm.sol";

/// @notice `Mechanism.comesBefore` is a strict total order of sellers: every list has one order, so a challenger has no choice.
/// @dev For any merites and indices of 256 bits; of three sellers, for any merites of 96 bits and indices of 16, which is
///      all that there are.
contract OrderProof {
    function check_no_seller_comes_before_itself(uint256 merit, uint256 seller) public pure {
        assert(!Mechanism.comesBefore(merit, seller, merit, seller));
    }

    function check_of_two_sellers_one_comes_before(uint256 u, uint256 i, uint256 v, uint256 j) public pure {
        vm.assume(i != j);
        assert(Mechanism.comesBefore(u, i, v, j) != Mechanism.comesBefore(v, j, u, i));
    }

    function check_who_comes_before_one_comes_before_those_behind(
        uint96 u,
        uint16 i,
        uint96 v,
        uint16 j,
        uint96 w,
        uint16 k
    ) public pure {
        vm.assume(Mechanism.comesBefore(u, i, v, j) && Mechanism.comesBefore(v, j, w, k));
        assert(Mechanism.comesBefore(u, i, w, k));
    }
}
