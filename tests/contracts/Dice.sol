// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Terms} from "../../contracts/IMarket.sol";
import {Purchase} from "./SlowPayouts.sol";
import {vm} from "./Vm.sol";

/// @notice Random choices that one seed decides, so that a fuzzer which finds a fault can show it again.
abstract contract Dice {
    uint256 private _state;

    function shake(uint256 seed) internal {
        _state = uint256(keccak256(abi.encode(_state, seed)));
    }

    /// @return One of `least` ... `most`, all alike.
    function any(uint256 least, uint256 most) internal returns (uint256) {
        _state = uint256(keccak256(abi.encode(_state)));
        return least + (_state % (most - least + 1));
    }

    function oneIn(uint256 k) internal returns (bool) {
        return any(1, k) == 1;
    }

    /// @dev Amounts of a few units, where every remainder shows, or of many.
    function anyTerms(uint256 mostParticipants, uint256 mostSellers) internal returns (Terms memory terms) {
        terms.task = keccak256("task");
        terms.maxSellers = uint8(any(1, mostSellers));
        terms.maxParticipants = uint16(any(2, mostParticipants));
        terms.revealBond = uint96(oneIn(3) ? any(3, 100) : any(2 ** 20, 10 ether));
        terms.fee = uint96(any(0, oneIn(4) ? 15 * terms.revealBond - terms.maxSellers : terms.revealBond));
        // Of more than 32 reveal bonds, a challenger does not lock its part.
        terms.bond = uint96(16 * uint256(terms.revealBond) + any(0, (oneIn(4) ? 100 : 10) * uint256(terms.revealBond)));
        terms.maxSamples = 100_000;
        terms.similarityFloor = 6554;
        terms.commitDeadline = uint40(vm.getBlockTimestamp() + any(60, 1 hours));
        terms.drawTime = uint32(any(60, 1 hours));
        terms.revealTime = uint32(any(60, 1 hours));
        terms.settleTime = uint32(any(60, 1 hours));
        terms.challengeTime = uint32(any(60, 1 hours));
        terms.refuteTime = uint32(any(60, 1 hours));
    }

    function anyDeposit(Terms memory terms) internal returns (uint96) {
        uint256 least = uint256(terms.fee) + terms.revealBond + terms.maxSellers;
        return uint96(oneIn(8) ? least : any(least, 16 * uint256(terms.revealBond)));
    }

    /// @dev A row of the right form, true or not, of a buyer that can spend `budget` among `n`.
    function anyRow(uint256 budget, uint256 n, uint256 most) internal returns (Purchase[] memory row) {
        row = new Purchase[](any(0, most));
        uint256 kind = any(0, 11);
        uint256 left = budget;
        for (uint256 k = 0; k < row.length; ++k) {
            row[k] = Purchase(any(0, n - 1), any(0, left));
            left -= row[k].price;
        }
        if (row.length == 0) return row;
        Purchase memory last = row[row.length - 1];
        if (kind == 0) last.price += left; // all that it can
        if (kind == 1) last.price += left + 1; // a unit more
        if (kind == 2) last.seller = oneIn(2) ? n : any(n, type(uint16).max); // nobody
        if (kind == 3) row[any(0, row.length - 1)].price = oneIn(2) ? type(uint96).max : any(budget, type(uint96).max);
    }
}
