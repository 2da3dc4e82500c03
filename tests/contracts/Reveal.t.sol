// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bid, IMarket, Model, Phase} from "../../contracts/IMarket.sol";
import {MarketBase} from "./MarketBase.sol";
import {vm} from "./Vm.sol";

/// @notice `reveal`.
contract RevealTest is MarketBase {
    uint256 private round;

    /// @notice A reveal's arguments; each test spoils one of Alice's.
    struct Opening {
        uint256 round;
        uint256 index;
        bytes32 seed;
        Bid bid;
        bytes32 salt;
        Model model;
        bytes sketch;
        bytes sealedKey;
    }

    function setUp() public override {
        super.setUp();
        round = drawn(several(bob, alice));
    }

    function opening(uint256 round_, address account) private view returns (Opening memory) {
        (, uint16 index) = market.recordOf(round_, account);
        Secret memory secret = secrets[round_][account];
        bytes32 seed = market.roundOf(round_).seed;
        return
            Opening(
                round_,
                index,
                seed,
                secret.bid,
                secret.salt,
                secret.model,
                someSketch(account),
                someSealedKey(account)
            );
    }

    function asCall(Opening memory o) private pure returns (bytes memory) {
        return
            abi.encodeCall(IMarket.reveal, (o.round, o.index, o.seed, o.bid, o.salt, o.model, o.sketch, o.sealedKey));
    }

    function recordHash(uint256 index, address account, uint24 believed) private view returns (bytes30) {
        Secret memory secret = secrets[round][account];
        bytes32 sketchHash = keccak256(someSketch(account));
        return bytes30(keccak256(abi.encode(index, secret.bid, believed, sketchHash, secret.model)));
    }

    function wrongSeal() private view returns (bytes memory) {
        return abi.encodeWithSelector(IMarket.WrongSeal.selector, round, 1);
    }

    function test_a_reveal_is_marked_and_counted() public {
        reveal(round, alice);
        check(market.hasRevealed(round, 1), "Alice's");
        check(!market.hasRevealed(round, 0), "not Bob's");
        checkEq(market.roundOf(round).revealed, 1, "count");
    }

    function test_a_reveal_leaves_the_hash_of_its_record() public {
        reveal(round, alice);
        (bytes30 hash, uint16 index) = market.recordOf(round, alice);
        checkEq(bytes32(hash), bytes32(recordHash(1, alice, 2048)), "hash");
        checkEq(index, 1, "index");
    }

    function test_reveals_extend_the_running_hash_in_their_order() public {
        reveal(round, several(alice, bob));
        bytes30 first = bytes30(keccak256(abi.encode(bytes30(0), uint256(1), recordHash(1, alice, 2048))));
        bytes30 second = bytes30(keccak256(abi.encode(first, uint256(0), recordHash(0, bob, 2048))));
        checkEq(bytes32(market.roundOf(round).revealsHash), bytes32(second), "running hash");
    }

    function test_a_reveal_is_logged_in_full() public {
        Opening memory o = opening(round, alice);
        expects(address(market));
        emit IMarket.BidRevealed(round, 1, alice, o.bid, 2048, o.model, o.sketch, o.sealedKey);
        does(alice, asCall(o));
    }

    function test_a_reveal_carries_the_reputation_that_was_earned() public {
        reveal(round, several(bob, alice));
        closeReveals(round);
        settle(round, noneExcluded(), bytes.concat(row(1, ONE), row()));
        vm.prank(bob);
        market.rate(round, 0, 100);
        bytes memory rows = bytes.concat(row(1, ONE), row());
        closeChallenges(round);
        market.payOut(round, rows, noneExcluded(), 0, 2);
        uint256 next = drawn(several(alice, bob));
        Opening memory o = opening(next, alice);
        expects(address(market));
        emit IMarket.BidRevealed(next, 0, alice, o.bid, 2560, o.model, o.sketch, o.sealedKey);
        does(alice, asCall(o));
    }

    function test_the_model_key_can_have_any_length() public {
        Opening memory o = opening(round, alice);
        o.sealedKey = "";
        does(alice, asCall(o));
        o = opening(round, bob);
        o.sealedKey = new bytes(1088);
        does(bob, asCall(o));
    }

    function test_nobody_reveals_for_another() public {
        bytes memory reason = abi.encodeWithSelector(IMarket.NotTheParticipant.selector, round, 1, alice);
        refuses(mallory, revealCall(round, alice), reason);
        refuses(bob, revealCall(round, alice), reason);
    }

    function test_nobody_reveals_at_an_index_that_is_not() public {
        uint256[4] memory indices = [uint256(2), 1023, 1024, type(uint256).max];
        for (uint256 i = 0; i < indices.length; ++i) {
            Opening memory o = opening(round, alice);
            o.index = indices[i];
            refuses(
                alice,
                asCall(o),
                abi.encodeWithSelector(IMarket.NotTheParticipant.selector, round, indices[i], address(0))
            );
        }
    }

    function test_a_bid_is_revealed_once() public {
        reveal(round, alice);
        refuses(alice, revealCall(round, alice), abi.encodeWithSelector(IMarket.AlreadyRevealed.selector, round, 1));
    }

    function test_another_seed_than_the_drawn_one_is_refused() public {
        Opening memory o = opening(round, alice);
        o.seed = "of another branch";
        bytes32 drawnSeed = market.roundOf(round).seed;
        refuses(alice, asCall(o), abi.encodeWithSelector(IMarket.WrongSeed.selector, round, drawnSeed));
    }

    function test_another_bid_than_the_sealed_one_is_refused() public {
        Opening memory o = opening(round, alice);
        o.bid.value -= 1;
        refuses(alice, asCall(o), wrongSeal());
        o = opening(round, alice);
        o.bid.cost += 1;
        refuses(alice, asCall(o), wrongSeal());
        o = opening(round, alice);
        o.bid.samples += 1;
        refuses(alice, asCall(o), wrongSeal());
        o = opening(round, alice);
        o.bid.minReputation += 1;
        refuses(alice, asCall(o), wrongSeal());
        o = opening(round, alice);
        o.salt = "another";
        refuses(alice, asCall(o), wrongSeal());
    }

    function test_another_model_than_the_committed_one_is_refused() public {
        Opening memory o = opening(round, alice);
        o.model.cid = "another";
        refuses(alice, asCall(o), wrongSeal());
        o = opening(round, alice);
        o.model.root = "another";
        refuses(alice, asCall(o), wrongSeal());
    }

    function test_a_seal_names_its_round_and_account() public {
        uint256 other = drawn(several(alice, mallory));
        Opening memory o = opening(other, mallory);
        Secret memory alices = secrets[other][alice];
        // Mallory copied Alice's sealed bid, and now tries to open it.
        (o.bid, o.salt, o.model) = (alices.bid, alices.salt, alices.model);
        refuses(mallory, asCall(o), abi.encodeWithSelector(IMarket.WrongSeal.selector, other, 1));
        o = opening(other, alice);
        o.salt = secrets[round][alice].salt;
        refuses(alice, asCall(o), abi.encodeWithSelector(IMarket.WrongSeal.selector, other, 0));
    }

    function test_a_sketch_has_1024_bytes() public {
        uint256[3] memory sizes = [uint256(0), 1023, 1025];
        for (uint256 i = 0; i < 3; ++i) {
            Opening memory o = opening(round, alice);
            o.sketch = new bytes(sizes[i]);
            refuses(alice, asCall(o), abi.encodeWithSelector(IMarket.InvalidSketch.selector, sizes[i]));
        }
    }

    // --- bids at the borders of what they may be ---

    /// @return round_ In Reveal, where Alice's sealed bid is `bid` under `deposit`.
    function withBid(Bid memory bid, uint96 deposit) private returns (uint256 round_) {
        round_ = open();
        prepare(alice, deposit);
        commit(round_, alice, bid, deposit);
        enter(round_, bob);
        closeCommits(round_);
        draw(round_);
    }

    function test_a_value_is_zero_or_at_least_two_to_the_20() public {
        Bid memory bid = someBid();
        bid.value = (1 << 20) - 1;
        uint256 wrong = withBid(bid, uint96(13 * ONE));
        refuses(alice, revealCall(wrong, alice), abi.encodeWithSelector(IMarket.InvalidBid.selector, "value"));
        bid.value = 1 << 20;
        reveal(withBid(bid, uint96(13 * ONE)), alice);
        bid.value = 0;
        reveal(withBid(bid, uint96(13 * ONE)), alice);
    }

    function test_somebody_trained_on_something() public {
        Bid memory bid = someBid();
        bid.samples = 0;
        uint256 wrong = withBid(bid, uint96(13 * ONE));
        refuses(alice, revealCall(wrong, alice), abi.encodeWithSelector(IMarket.InvalidBid.selector, "samples"));
        bid.samples = 1;
        reveal(withBid(bid, uint96(13 * ONE)), alice);
    }

    function test_cost_and_reputation_can_be_anything() public {
        Bid memory bid = someBid();
        (bid.cost, bid.minReputation, bid.samples) = (NOT_SELLING, type(uint24).max, type(uint64).max);
        reveal(withBid(bid, uint96(13 * ONE)), alice);
    }

    function test_a_deposit_covers_the_bid() public {
        uint96 needed = depositFor(round, someBid().value);
        uint256 wrong = withBid(someBid(), needed - 1);
        refuses(
            alice,
            revealCall(wrong, alice),
            abi.encodeWithSelector(IMarket.DepositTooSmall.selector, needed - 1, needed)
        );
        reveal(withBid(someBid(), needed), alice);
    }

    // --- when ---

    function test_reveals_come_within_reveal() public {
        uint256 start = time();
        closeReveals(round);
        vm.warp(time() - 1);
        reveal(round, several(alice, bob));
        vm.warp(start);
        uint256 second = drawn(several(alice, bob));
        closeReveals(second);
        refuses(alice, revealCall(second, alice), wrongPhase(second, Phase.Void));
    }

    function test_nothing_is_revealed_before_the_seed() public {
        uint256 early = open();
        enter(early, several(alice, bob));
        refuses(alice, revealCall(early, alice), wrongPhase(early, Phase.Commit));
        closeCommits(early);
        refuses(alice, revealCall(early, alice), wrongPhase(early, Phase.Draw));
    }

    function test_nothing_is_revealed_in_a_round_that_is_not() public {
        Opening memory o = opening(round, alice);
        o.round = 9;
        refuses(alice, asCall(o), unknown(9));
    }

    /// @dev Sixteen marks share a word.
    /// hardhat-config: fuzz.runs = 16
    function test_each_reveal_marks_itself_alone(uint256 who) public {
        uint256 many = open();
        for (uint256 i = 0; i < 20; ++i) enter(many, address(uint160(0xa000 + i)));
        closeCommits(many);
        draw(many);
        who %= 1 << 20;
        for (uint256 i = 0; i < 20; ++i) if ((who >> i) & 1 != 0) reveal(many, address(uint160(0xa000 + i)));
        for (uint256 i = 0; i < 20; ++i) check(market.hasRevealed(many, i) == ((who >> i) & 1 != 0), "mark");
    }
}
