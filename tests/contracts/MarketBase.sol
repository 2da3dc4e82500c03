// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bid, IMarket, Model, Phase, Round, Terms} from "../../contracts/IMarket.sol";
import {IEscrow} from "../../contracts/IEscrow.sol";
import {IReputation} from "../../contracts/IReputation.sol";
import {MarketHarness} from "../../contracts/test/MarketHarness.sol";
import {TestToken} from "../../contracts/test/TestToken.sol";
import {Checks} from "./Checks.sol";
import {vm} from "./Vm.sol";

/// @notice A market, its actors and the steps of a round, so that a test says only what matters to it.
abstract contract MarketBase is Checks {
    uint32 internal constant MIN_PHASE = 60;
    uint96 internal constant NOT_SELLING = type(uint96).max;
    uint256 internal constant ONE = 1e18; // a token, base units
    uint256 internal constant LEAST_REPUTATION = 2048;

    TestToken internal token;
    MarketHarness internal market;
    IEscrow internal escrow;
    IReputation internal reputation;

    address internal aggregator = makeActor("aggregator");
    address internal alice = makeActor("alice");
    address internal bob = makeActor("bob");
    address internal carol = makeActor("carol");
    address internal dave = makeActor("dave");
    address internal mallory = makeActor("mallory");
    address internal anyone = makeActor("anyone");

    /// @notice What an account put into its sealed bid, for its reveal.
    struct Secret {
        Bid bid;
        bytes32 salt;
        Model model;
    }

    mapping(uint256 round => mapping(address account => Secret)) internal secrets;
    uint256 private _salts;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        vm.roll(1_000);
        token = new TestToken();
        market = new MarketHarness(token, MIN_PHASE);
        escrow = market.escrow();
        reputation = market.reputation();
    }

    // --- actors ---

    function makeActor(string memory name) internal returns (address actor) {
        actor = address(uint160(uint256(keccak256(bytes(name)))));
        vm.label(actor, name);
    }

    /// @dev Gives an account what it needs before a round: an available balance and an encryption key.
    function prepare(address account, uint256 amount) internal {
        fund(account, amount);
        vm.prank(account);
        market.setEncryptionKey(keccak256(abi.encode("key", account)));
    }

    function fund(address account, uint256 amount) internal {
        token.mint(account, amount);
        vm.startPrank(account);
        token.approve(address(escrow), amount);
        escrow.fund(uint96(amount));
        vm.stopPrank();
    }

    // --- a round, step by step ---

    function someTerms() internal view returns (Terms memory) {
        return Terms({
            task: keccak256("task"),
            fee: uint96(ONE / 10),
            revealBond: uint96(2 * ONE),
            bond: uint96(32 * ONE),
            maxSamples: 100_000,
            similarityFloor: 6554,
            maxSellers: 8,
            maxParticipants: 100,
            commitDeadline: uint40(block.timestamp + 1 hours),
            drawTime: 10 minutes,
            revealTime: 20 minutes,
            settleTime: 30 minutes,
            challengeTime: 40 minutes,
            refuteTime: 50 minutes
        });
    }

    function open() internal returns (uint256 round) {
        return open(someTerms());
    }

    function open(Terms memory terms) internal returns (uint256 round) {
        prepare(aggregator, terms.bond);
        vm.prank(aggregator);
        return market.openRound(terms);
    }

    function someBid() internal pure returns (Bid memory) {
        return Bid({value: uint96(10 * ONE), cost: uint96(ONE / 4), samples: 1_000, minReputation: 0});
    }

    function someModel(address account) internal pure returns (Model memory) {
        return Model({cid: keccak256(abi.encode("cid", account)), root: keccak256(abi.encode("root", account))});
    }

    function someDeposit(uint256 round) internal view returns (uint96) {
        Terms memory terms = market.roundOf(round).terms;
        return uint96(uint256(10 * ONE) + terms.fee + terms.revealBond + terms.maxSellers);
    }

    function seal(uint256 round, address account, Bid memory bid, bytes32 salt) internal view returns (bytes32) {
        return keccak256(abi.encode(address(market), block.chainid, round, account, bid, salt));
    }

    /// @dev Commits with an account that is prepared.
    function commit(uint256 round, address account, Bid memory bid, uint96 deposit) internal returns (uint256 index) {
        Secret memory secret = Secret(bid, keccak256(abi.encode("salt", ++_salts)), someModel(account));
        secrets[round][account] = secret;
        bytes32 sealedBid = seal(round, account, bid, secret.salt);
        vm.prank(account);
        return market.commit(round, sealedBid, secret.model, deposit);
    }

    /// @dev Prepares an account and commits with an ordinary bid.
    function enter(uint256 round, address account) internal returns (uint256 index) {
        uint96 deposit = someDeposit(round);
        prepare(account, deposit);
        return commit(round, account, someBid(), deposit);
    }

    function closeCommits(uint256 round) internal {
        vm.warp(market.roundOf(round).terms.commitDeadline);
    }

    function draw(uint256 round) internal {
        market.drawSeed(round);
        uint256 chosen = market.roundOf(round).seedBlock;
        vm.roll(chosen + 1);
        vm.setBlockhash(chosen, keccak256(abi.encode("hash", chosen)));
        market.drawSeed(round);
    }

    function someSketch(address account) internal pure returns (bytes memory sketch) {
        sketch = new bytes(1024);
        for (uint256 i = 0; i < 1024; i += 32) {
            bytes32 word = keccak256(abi.encode("sketch", account, i));
            assembly ("memory-safe") {
                mstore(add(add(sketch, 32), i), word)
            }
        }
        for (uint256 i = 0; i < 1024; ++i) if (sketch[i] == 0x80) sketch[i] = 0x81;
    }

    function someSealedKey(address account) internal pure returns (bytes memory) {
        return abi.encodePacked(
            keccak256(abi.encode("a", account)), keccak256(abi.encode("b", account)), bytes16(keccak256(abi.encode("c", account)))
        );
    }

    function reveal(uint256 round, address account) internal {
        (, uint16 index) = market.recordOf(round, account);
        bytes32 seed = market.roundOf(round).seed;
        Secret memory secret = secrets[round][account];
        bytes memory sketch = someSketch(account);
        bytes memory sealedKey = someSealedKey(account);
        vm.prank(account);
        market.reveal(round, index, seed, secret.bid, secret.salt, secret.model, sketch, sealedKey);
    }

    function closeReveals(uint256 round) internal {
        Round memory r = market.roundOf(round);
        vm.warp(uint256(r.seedTime) + r.terms.revealTime);
    }

    function settle(uint256 round, uint256[] memory excluded, bytes memory rows) internal {
        bytes30 revealsHash = market.roundOf(round).revealsHash;
        vm.prank(aggregator);
        market.settle(round, revealsHash, excluded, rows, keccak256("deliveries"));
    }

    function closeChallenges(uint256 round) internal {
        Round memory r = market.roundOf(round);
        vm.warp(uint256(r.settleTime) + r.terms.challengeTime);
    }

    // --- rows ---

    function noneExcluded(uint256 n) internal pure returns (uint256[] memory) {
        return new uint256[]((n + 255) / 256);
    }

    /// @return A row without a purchase.
    function emptyRow() internal pure returns (bytes memory) {
        return hex"00";
    }

    function row(uint16 seller, uint96 price) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), seller, price);
    }

    function row(uint16 seller, uint96 price, uint16 seller2, uint96 price2) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(2), seller, price, seller2, price2);
    }
}
