// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bid, IMarket, Model, Phase, Round, Terms} from "../../contracts/IMarket.sol";
import {IEscrow} from "../../contracts/IEscrow.sol";
import {IReputation} from "../../contracts/IReputation.sol";
import {Checks} from "./Checks.sol";
import {Deploy, IPlayMoney} from "./Deploy.sol";
import {vm} from "./Vm.sol";

/// @notice A market, its actors and the steps of a round, so that a test says only what matters to it.
abstract contract MarketBase is Checks {
    uint32 internal constant MIN_PHASE = 60;
    uint96 internal constant NOT_SELLING = type(uint96).max;
    uint256 internal constant ONE = 1e18; // a token, base units
    uint256 internal constant FULL = 1 << 16; // a reputation of 1
    uint256 internal constant LEAST = FULL / 32;

    IPlayMoney internal token;
    IMarket internal market;
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

    /// @notice What an aggregator posted.
    struct Posted {
        uint256[] excluded;
        bytes rows;
    }

    mapping(uint256 round => mapping(address account => Secret)) internal secrets;
    mapping(uint256 round => Posted) internal posted;
    mapping(address account => bytes) internal ownSketch; // where `someSketch` will not do
    uint256 private _salts;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        vm.roll(1_000);
        token = Deploy.token();
        market = Deploy.market(token, MIN_PHASE);
        escrow = market.escrow();
        reputation = market.reputation();
    }

    /// @dev Not `block.timestamp`, which the compiler may read when it pleases: it does not change during a transaction.
    function time() internal view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    // --- claims ---

    /// @dev The market refuses what `caller` asks, and says `reason`.
    function refuses(address caller, bytes memory question, bytes memory reason) internal {
        vm.prank(caller);
        (bool done, bytes memory answer) = address(market).call(question);
        check(!done, "the call is refused");
        checkEq(keccak256(answer), keccak256(reason), "the reason given");
    }

    /// @dev The next call makes `emitter` log exactly what the test emits in between.
    function expects(address emitter) internal {
        vm.expectEmit(true, true, true, true, emitter);
    }

    function wrongPhase(uint256 round, Phase actual) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IMarket.WrongPhase.selector, round, actual);
    }

    function unknown(uint256 round) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IMarket.UnknownRound.selector, round);
    }

    function checkPhase(uint256 round, Phase expected, string memory what) internal view {
        checkEq(uint256(market.phaseOf(round)), uint256(expected), what);
    }

    // --- actors ---

    function makeActor(string memory name) internal returns (address actor) {
        actor = address(uint160(uint256(keccak256(bytes(name)))));
        vm.label(actor, name);
    }

    function several(address a, address b) internal pure returns (address[] memory actors) {
        actors = new address[](2);
        (actors[0], actors[1]) = (a, b);
    }

    function several(address a, address b, address c) internal pure returns (address[] memory actors) {
        actors = new address[](3);
        (actors[0], actors[1], actors[2]) = (a, b, c);
    }

    /// @dev Gives an account what it needs before a round: an available balance and an encryption key.
    function prepare(address account, uint256 amount) internal {
        fund(account, amount);
        setKey(account);
    }

    function setKey(address account) internal {
        vm.prank(account);
        market.setEncryptionKey(keyOf(account));
    }

    function keyOf(address account) internal pure returns (bytes32) {
        return keccak256(abi.encode("key", account));
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
        return
            Terms({
                task: keccak256("task"),
                fee: uint96(ONE / 10),
                revealBond: uint96(2 * ONE),
                bond: uint96(32 * ONE),
                maxSamples: 100_000,
                similarityFloor: 6554,
                maxSellers: 8,
                maxParticipants: 100,
                commitDeadline: uint40(time() + 1 hours),
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

    /// @return Enough for a bid of `value`.
    function depositFor(uint256 round, uint256 value) internal view returns (uint96) {
        Terms memory terms = market.roundOf(round).terms;
        return uint96(value + terms.fee + terms.revealBond + terms.maxSellers);
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

    /// @dev Prepares an account and commits with it.
    function enter(uint256 round, address account, Bid memory bid) internal returns (uint256 index) {
        uint96 deposit = depositFor(round, bid.value);
        prepare(account, deposit);
        return commit(round, account, bid, deposit);
    }

    function enter(uint256 round, address account) internal returns (uint256 index) {
        return enter(round, account, someBid());
    }

    function enter(uint256 round, address[] memory accounts) internal {
        for (uint256 i = 0; i < accounts.length; ++i) enter(round, accounts[i]);
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

    /// @dev Half of it is everybody's, so that any two accounts are similar enough to trade.
    function someSketch(address account) internal pure returns (bytes memory sketch) {
        sketch = new bytes(1024);
        for (uint256 i = 0; i < 1024; i += 32) {
            bytes32 word = keccak256(abi.encode("sketch", i < 512 ? address(0) : account, i));
            assembly ("memory-safe") {
                mstore(add(add(sketch, 32), i), word)
            }
        }
    }

    function sketchOf(address account) internal view returns (bytes memory) {
        return ownSketch[account].length == 0 ? someSketch(account) : ownSketch[account];
    }

    /// @return 80 bytes, as an X25519 HPKE wraps a key.
    function someSealedKey(address account) internal pure returns (bytes memory) {
        bytes32 word = keccak256(abi.encode("sealed key", account));
        return abi.encodePacked(word, keccak256(abi.encode(word)), bytes16(word));
    }

    /// @return What `account` sends to reveal.
    function revealCall(uint256 round, address account) internal view returns (bytes memory) {
        (, uint16 index) = market.recordOf(round, account);
        Secret memory secret = secrets[round][account];
        bytes32 seed = market.roundOf(round).seed;
        bytes memory sketch = sketchOf(account);
        bytes memory sealedKey = someSealedKey(account);
        return
            abi.encodeCall(
                IMarket.reveal,
                (round, index, seed, secret.bid, secret.salt, secret.model, sketch, sealedKey)
            );
    }

    function reveal(uint256 round, address account) internal {
        does(account, revealCall(round, account));
    }

    /// @dev Lets `account` call the market.
    function does(address account, bytes memory question) internal {
        vm.prank(account);
        (bool done, bytes memory answer) = address(market).call(question);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }

    function reveal(uint256 round, address[] memory accounts) internal {
        for (uint256 i = 0; i < accounts.length; ++i) reveal(round, accounts[i]);
    }

    function closeReveals(uint256 round) internal {
        Round memory r = market.roundOf(round);
        vm.warp(uint256(r.seedTime) + r.terms.revealTime);
    }

    /// @return What the aggregator sends to settle.
    function settleCall(
        uint256 round,
        uint256[] memory excluded,
        bytes memory rows
    ) internal view returns (bytes memory) {
        bytes30 revealsHash = market.roundOf(round).revealsHash;
        return abi.encodeCall(IMarket.settle, (round, revealsHash, excluded, rows, keccak256("deliveries")));
    }

    function settle(uint256 round, uint256[] memory excluded, bytes memory rows) internal {
        does(aggregator, settleCall(round, excluded, rows));
        posted[round] = Posted(excluded, rows);
    }

    function closeSettlement(uint256 round) internal {
        Round memory r = market.roundOf(round);
        vm.warp(uint256(r.seedTime) + r.terms.revealTime + r.terms.settleTime);
    }

    function closeChallenges(uint256 round) internal {
        Round memory r = market.roundOf(round);
        vm.warp(uint256(r.settleTime) + r.terms.challengeTime);
    }

    function closeRefutations(uint256 round) internal {
        Round memory r = market.roundOf(round);
        vm.warp(uint256(r.settleTime) + r.terms.challengeTime + r.terms.refuteTime);
    }

    // --- whole stretches ---

    /// @return round In Reveal, with these participants.
    function drawn(address[] memory accounts) internal returns (uint256 round) {
        round = open();
        enter(round, accounts);
        closeCommits(round);
        draw(round);
    }

    /// @return round In Settle, with these participants, of whom all revealed.
    function revealed(address[] memory accounts) internal returns (uint256 round) {
        round = drawn(accounts);
        reveal(round, accounts);
        closeReveals(round);
    }

    // --- rows ---

    function noneExcluded() internal pure returns (uint256[] memory) {
        return new uint256[](1);
    }

    function excluding(uint256 index) internal pure returns (uint256[] memory excluded) {
        excluded = new uint256[](1);
        excluded[0] = 1 << index;
    }

    /// @return A row without a purchase.
    function row() internal pure returns (bytes memory) {
        return hex"00";
    }

    function row(uint256 seller, uint256 price) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), uint16(seller), uint96(price));
    }

    function row(uint256 seller, uint256 price, uint256 seller2, uint256 price2) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(2), uint16(seller), uint96(price), uint16(seller2), uint96(price2));
    }
}
