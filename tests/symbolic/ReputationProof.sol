// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Reputation} from "../../contracts/Reputation.sol";
import {vm} from "../contracts/Vm.sol";

/// @notice A reputation stays within [1/32, 1], and a round's outcomes change those that they name alone.
/// @dev For any two accounts of any aggregators, any reputations, any ratings and any bits in the outcomes. Bounds: the
///      aggregator's ledger holds two accounts, in one word of sixteen; both reputations are what an `update` made them.
contract ReputationProof {
    Reputation private reputation;

    address private constant OPAL = address(0x0a1);
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    function setUp() public {
        reputation = new Reputation(); // so this contract is the market
        update(ALICE, 1 << 255); // they have seats now, 1 and 2
        update(BOB, 1 << 255);
    }

    function update(address account, uint256 outcome) private {
        uint256[] memory outcomes = new uint256[](1);
        outcomes[0] = uint160(account) | ((outcome >> 160) << 160);
        reputation.update(OPAL, outcomes);
    }

    /// @dev The ledger's word: `words` is the third member of OPAL's ledger, and both seats are in word 0.
    function assume(uint16 alices, uint16 bobs) private {
        bytes32 ledger = keccak256(abi.encode(OPAL, 0));
        bytes32 words = bytes32(uint256(ledger) + 2);
        vm.assume(alices <= 65_536 - 2048 && bobs <= 65_536 - 2048);
        vm.store(
            address(reputation),
            keccak256(abi.encode(0, words)),
            bytes32((uint256(alices) << 16) | (uint256(bobs) << 32))
        );
        assert(reputation.reputationOf(OPAL, ALICE) == 2048 + uint256(alices));
        assert(reputation.reputationOf(OPAL, BOB) == 2048 + uint256(bobs));
    }

    function assertWithin(address account) private view {
        uint256 r = reputation.reputationOf(OPAL, account);
        assert(r >= 2048 && r <= 65_536);
    }

    function check_a_reputation_stays_within(uint16 alices, uint16 bobs, uint256 outcome) public {
        assume(alices, bobs);
        vm.assume((outcome >> 208) & 0x7fff == 1); // her seat
        update(ALICE, outcome);
        assertWithin(ALICE);
        assert(reputation.reputationOf(OPAL, BOB) == 2048 + uint256(bobs));
    }

    /// @notice The same where the outcome does not know her seat.
    function check_a_seat_that_is_not_known_is_looked_up(uint16 alices, uint16 bobs, uint256 outcome) public {
        assume(alices, bobs);
        vm.assume((outcome >> 208) & 0x7fff == 0);
        update(ALICE, outcome);
        assertWithin(ALICE);
        assert(reputation.reputationOf(OPAL, BOB) == 2048 + uint256(bobs));
    }

    function check_missing_halves(uint16 alices, uint16 bobs, uint256 outcome) public {
        assume(alices, bobs);
        vm.assume((outcome >> 208) & 0x7fff == 1 && outcome >> 255 == 1);
        update(ALICE, outcome);
        uint256 half = (2048 + uint256(alices)) / 2;
        assert(reputation.reputationOf(OPAL, ALICE) == (half < 2048 ? 2048 : half));
    }

    /// @notice Nor does one aggregator's round change what another's rounds believe, or anybody but the market.
    function check_only_the_market_and_only_its_ledger(address other, address stranger, uint256 outcome) public {
        vm.assume(other != OPAL && stranger != address(this));
        assume(100, 200);
        uint256[] memory outcomes = new uint256[](1);
        outcomes[0] = outcome;
        reputation.update(other, outcomes);
        vm.prank(stranger);
        (bool done, ) = address(reputation).call(abi.encodeCall(reputation.update, (OPAL, outcomes)));
        assert(!done);
        assert(reputation.reputationOf(OPAL, ALICE) == 2148 && reputation.reputationOf(OPAL, BOB) == 2248);
    }
}
