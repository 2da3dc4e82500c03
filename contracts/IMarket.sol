// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEscrow} from "./IEscrow.sol";
import {IReputation} from "./IReputation.sol";

/// @notice Where a round stands. Derived from the clock and the round's fields; nobody has to announce a change.
enum Phase {
    Commit, // to the commit deadline: `commit`
    Draw, // for `drawTime`: `drawSeed`, twice
    Reveal, // for `revealTime` from the seed: `reveal`
    Settle, // for `settleTime`: `settle`
    Challenge, // for `challengeTime` from the settlement: `rate`, `reject`, `challenge`, `refute`
    Refute, // for `refuteTime`, while a challenge is open: `refute`
    Payout, // for ever: `payOut`
    Void // for ever: `refund`, `refundChallenge`
}

/// @notice What an aggregator promises when it opens a round, and what it asks. Amounts are base units of the escrow's token.
struct Terms {
    bytes32 task; // CID digest of the task spec
    uint96 fee; // paid to the aggregator by each participant that revealed and was not excluded
    uint96 revealBond; // lost by who does not reveal; 1 ... 2**88 - 1
    uint96 bond; // locked by the aggregator; >= 16 * revealBond
    uint64 maxSamples; // what an account of full reputation is believed, samples
    uint16 similarityFloor; // cosine that counts as none, 2**16 = 1
    uint8 maxSellers; // 1 ... 32
    uint16 maxParticipants; // 2 ... 1,024, and maxParticipants * maxSellers <= 8,192
    uint40 commitDeadline; // seconds since the epoch
    uint32 drawTime; // seconds, as all that follow; each between the market's `minPhase` and 30 days
    uint32 revealTime;
    uint32 settleTime;
    uint32 challengeTime;
    uint32 refuteTime;
}

/// @notice What a participant says in secret at commit and in public at reveal.
struct Bid {
    uint96 value; // what a perfect model would be worth to it; 0 (a pure seller) or at least 2**20, base units
    uint96 cost; // what one copy of its model must bring, base units; the maximum means "I do not sell"
    uint64 samples; // on how many samples it trained, at least 1
    uint24 minReputation; // from whom it is willing to buy, 2**16 = 1
}

/// @notice The model behind a bid.
struct Model {
    bytes32 cid; // CID digest (sha2-256) of the sealed file
    bytes32 root; // Merkle root over the blocks of fixed-point weights inside it
}

/// @notice What a reveal leaves on chain: its participant's record holds the hash of this.
struct BidRecord {
    uint256 index;
    Bid bid;
    uint24 reputation; // as the reveal found it, 2**16 = 1
    Model model;
    bytes sketch; // 1,024 signed bytes
}

/// @notice What a challenger says: that these are the buyer's candidates, with the first seller left out.
struct Claim {
    uint256 buyer; // index
    bytes listed; // their indices (uint16), in order of merit, packed; maxSellers + 1 of them unless there are fewer
    uint256 lastMerit; // of the last one, as Mechanism.sol has it; 0 where none is listed
}

/// @notice A round as stored: its terms and how far it has come. Zero where it has not come that far.
struct Round {
    address aggregator;
    Terms terms;
    uint16 participants; // how many committed
    uint16 revealed; // how many of them revealed
    uint40 seedBlock; // whose hash becomes the seed
    uint40 seedTime; // when the seed was drawn, seconds since the epoch
    uint40 settleTime; // when it was settled, seconds since the epoch
    uint32 openChallenges; // not refuted
    bytes32 seed;
    bytes30 revealsHash; // running hash over the reveals, in their order
    bytes32 settlement; // keccak256(abi.encode(excluded, rowsHash))
}

/// @notice One market: rounds in which participants trade models and an aggregator combines them.
/// @dev Every payment is a function of what this contract emits. docs/protocol.md defines each byte.
interface IMarket {
    // --- events: a round can be rebuilt from them ---

    event EncryptionKeySet(address indexed account, bytes32 key);
    /// @param encryptionKey The aggregator's, to which content keys of this round are wrapped.
    event RoundOpened(uint256 indexed round, address indexed aggregator, Terms terms, bytes32 encryptionKey);
    /// @param encryptionKey The participant's, to which its personal model's key is wrapped.
    event Committed(
        uint256 indexed round,
        address indexed account,
        uint256 index,
        uint256 deposit,
        bytes32 sealedBid,
        Model model,
        bytes32 encryptionKey
    );
    event SeedBlockChosen(uint256 indexed round, uint256 seedBlock);
    event SeedDrawn(uint256 indexed round, bytes32 seed);
    event BidRevealed(
        uint256 indexed round,
        uint256 indexed index,
        address account,
        Bid bid,
        uint24 reputation,
        Model model,
        bytes sketch,
        bytes sealedKey
    );
    /// @param excluded Bitmap over indices, bit i % 256 of word i / 256.
    /// @param rows For each participant a count (uint8) and that many purchases (seller uint16, price uint96), packed.
    /// @param deliveries CID digest of the delivery list.
    event RoundSettled(uint256 indexed round, uint256[] excluded, bytes rows, bytes32 deliveries);
    /// @param rating Hundredths: 100 better than its own model, 0 worse, 75 otherwise.
    event DeliveryRated(uint256 indexed round, uint256 indexed index, uint256 rating);
    event DeliveryRejected(uint256 indexed round, uint256 indexed index);
    /// @notice Participants `from` ... `to` - 1 have been paid; the amounts are in the escrow's `Credited`.
    event PaidOut(uint256 indexed round, uint256 from, uint256 to);
    event Refunded(uint256 indexed round, uint256 from, uint256 to);
    /// @notice The aggregator's side of the round is settled. The escrow's `Credited` holds `amount` too, where it is not 0.
    event AggregatorPaid(uint256 indexed round, address indexed aggregator, uint256 amount);
    /// @notice `challenger` says that a row is wrong, and has locked the lesser of terms.bond / 32 and terms.revealBond.
    ///         With the bid records that reveals have emitted, `claim` is all that it takes to refute it.
    /// @param challenge Its number in the round, from 0.
    event ChallengeOpened(uint256 indexed round, uint256 indexed challenge, address challenger, Claim claim);
    /// @notice The challenge was false: its bond is `refuter`'s.
    event ChallengeRefuted(uint256 indexed round, uint256 indexed challenge, address refuter);
    /// @notice The challenge stood: `amount` is its bond and its part of the aggregator's.
    event ChallengeRefunded(uint256 indexed round, uint256 indexed challenge, address challenger, uint256 amount);

    // --- errors: facts with their evidence ---

    error UnknownRound(uint256 round);
    error WrongPhase(uint256 round, Phase actual);
    /// @param field Which of the terms is out of its range.
    error InvalidTerms(string field);
    /// @notice `account` has to call `setEncryptionKey` first.
    error NoEncryptionKey(address account);
    error NotTheAggregator(uint256 round, address aggregator);
    error AlreadyCommitted(uint256 round, address account);
    error RoundFull(uint256 round, uint256 maxParticipants);
    error DepositOutOfRange(uint256 deposit, uint256 least, uint256 most);
    error SeedBlockTooRecent(uint256 round, uint256 seedBlock);
    error SeedAlreadyDrawn(uint256 round);
    /// @param account Whose index it is; zero where nobody's.
    error NotTheParticipant(uint256 round, uint256 index, address account);
    error AlreadyRevealed(uint256 round, uint256 index);
    error WrongSeed(uint256 round, bytes32 drawn);
    error WrongSeal(uint256 round, uint256 index);
    error InvalidBid(string field);
    /// @notice A sketch is 1,024 bytes. (No model's holds -128: who reveals one that does can be excluded.)
    error InvalidSketch(uint256 length);
    error DepositTooSmall(uint256 deposit, uint256 needed);
    error WrongRevealsHash(uint256 round, bytes30 actual);
    error MalformedRows(uint256 round);
    error MalformedExclusions(uint256 round);
    error NotRevealed(uint256 round, uint256 index);
    error AlreadyRated(uint256 round, uint256 index);
    error InvalidRating(uint256 rating);
    error WrongSettlement(uint256 round);
    error WrongRange(uint256 from, uint256 to, uint256 participants);
    /// @notice It is not what a reveal of this round has left.
    error WrongRecord(uint256 index);
    /// @notice The buyer is excluded: whatever row was posted for it counts as empty.
    error NotTrading(uint256 buyer);
    /// @notice The buyer cannot want this seller.
    error NotEligible(uint256 seller);
    error ListTooLong(uint256 length, uint256 most);
    /// @notice `seller` belongs before the one listed before it, or is listed twice.
    error ListOutOfOrder(uint256 seller);
    /// @notice The list, if it is true, gives the row that was posted.
    error RowIsRight(uint256 round, uint256 buyer);
    error WrongClaim(uint256 round, uint256 challenge);
    /// @notice `seller` is in the list, or comes after all who are, in a list that is full.
    error NotLeftOut(uint256 seller);
    /// @notice It was refuted or refunded, or there never was one.
    error ChallengeNotOpen(uint256 round, uint256 challenge);
    /// @notice The round is void, and not by the aggregator's fault.
    error WithoutFault(uint256 round);

    // --- the round, in its order ---

    /// @notice Publishes the X25519 key to which others wrap content keys for the caller. In force for rounds opened and
    ///         commits made afterwards.
    function setEncryptionKey(bytes32 key) external;

    /// @notice Opens a round under `terms` with the caller as its aggregator and locks `terms.bond` of its balance.
    function openRound(Terms calldata terms) external returns (uint256 round);

    /// @notice Enters a round with a sealed bid and a model, and locks `deposit` of the caller's balance. Once per account.
    /// @param sealedBid keccak256(abi.encode(market, chainid, round, account, bid, salt)).
    /// @param deposit fee + revealBond + maxSellers ... 16 * revealBond. That it covers the bid's value is checked at
    ///        reveal, so that the value stays hidden.
    function commit(
        uint256 round,
        bytes32 sealedBid,
        Model calldata model,
        uint96 deposit
    ) external returns (uint256 index);

    /// @notice The first call chooses a block, a later one makes its hash the seed. Anyone may call.
    /// @dev Warning: a block proposer can grind its own block's hash.
    function drawSeed(uint256 round) external;

    /// @notice Opens the caller's bid.
    /// @param seed The round's, as the caller saw it drawn: after a reorganisation another one reverts.
    /// @param sketch 1,024 signed bytes.
    /// @param sealedKey The model's content key, wrapped to the aggregator's encryption key.
    function reveal(
        uint256 round,
        uint256 index,
        bytes32 seed,
        Bid calldata bid,
        bytes32 salt,
        Model calldata model,
        bytes calldata sketch,
        bytes calldata sealedKey
    ) external;

    /// @notice Posts the round's outcome. Only its aggregator, once.
    /// @param revealsHash The running hash of the reveals that the settlement was computed from.
    /// @param excluded See `RoundSettled`; ceil(participants / 256) words.
    /// @param rows See `RoundSettled`; exactly one row per participant.
    /// @dev Warning: this checks the form, not the prices. That is what the challenge phase is for.
    function settle(
        uint256 round,
        bytes30 revealsHash,
        uint256[] calldata excluded,
        bytes calldata rows,
        bytes32 deliveries
    ) external;

    /// @notice Rates what the caller was delivered, once.
    /// @param rating 0 ... 100.
    function rate(uint256 round, uint256 index, uint256 rating) external;

    /// @notice Says, instead of rating, that nothing usable was delivered: what the caller would have paid, its fee and its
    ///         reveal bond are burnt.
    function reject(uint256 round, uint256 index) external;

    /// @notice Says that a buyer's row is wrong, proves what it must be if `list` is true, and locks the lesser of
    ///         terms.bond / 32 and terms.revealBond of the caller's balance.
    /// @param rowHashes Of the rows as they were settled, each with its count.
    /// @param excluded As it was settled.
    /// @param list The buyer's candidates and the first seller left out: the `maxSellers` + 1 eligible sellers of largest
    ///        merit, or all if there are fewer, in order of merit, ties to the lower index.
    /// @return number Its number in the round, from 0.
    function challenge(
        uint256 round,
        BidRecord calldata buyer,
        bytes32[] calldata rowHashes,
        uint256[] calldata excluded,
        BidRecord[] calldata list
    ) external returns (uint256 number);

    /// @notice Closes a challenge by a seller that belongs into its list and is not there. The challenger's bond is the
    ///         caller's.
    /// @param claim As the challenge emitted it.
    /// @param rowsHash keccak256 of the concatenated hashes of the rows, as they were settled.
    function refute(
        uint256 round,
        uint256 number,
        Claim calldata claim,
        BidRecord calldata buyer,
        BidRecord calldata seller,
        uint256[] calldata excluded,
        bytes32 rowsHash
    ) external;

    /// @notice Credits participants `from` ... `to` - 1 of `round` with what its rows leave them, each once.
    /// @dev Anyone may call; the money can only reach the accounts that committed.
    /// @dev Warning: this checks that the rows were settled, not that they are right. That is what the challenge phase is for.
    function payOut(uint256 round, bytes calldata rows, uint256[] calldata excluded, uint256 from, uint256 to) external;

    /// @notice Gives participants `from` ... `to` - 1 of a void round what is theirs, each once. The first call, also with
    ///         `from` = `to`, settles the aggregator's side.
    function refund(uint256 round, uint256 from, uint256 to) external;

    /// @notice Gives the challenger that stands in a round void with fault its bond and its part of the aggregator's. Anyone
    ///         may call.
    function refundChallenge(uint256 round, uint256 number) external;

    // --- reads ---

    function escrow() external view returns (IEscrow);
    function reputation() external view returns (IReputation);
    /// @notice The least length of a phase, seconds; the most is 30 days.
    function minPhase() external view returns (uint32);
    /// @notice Rounds are numbered 1 ... roundCount.
    function roundCount() external view returns (uint256);
    function roundOf(uint256 round) external view returns (Round memory);
    function phaseOf(uint256 round) external view returns (Phase);
    function encryptionKeyOf(address account) external view returns (bytes32);
    function participantOf(uint256 round, uint256 index) external view returns (address account, uint96 deposit);
    /// @return hash 30 bytes: of the sealed bid and model after commit, of the bid record after reveal; 0 if not committed.
    /// @return index The account's, in order of commit.
    function recordOf(uint256 round, address account) external view returns (bytes30 hash, uint16 index);
    function hasRevealed(uint256 round, uint256 index) external view returns (bool);
    /// @return rated Whether a rating was given.
    /// @return rejected Whether the delivery was rejected instead.
    /// @return rating Hundredths.
    function ratingOf(uint256 round, uint256 index) external view returns (bool rated, bool rejected, uint256 rating);
    function isPaid(uint256 round, uint256 index) external view returns (bool);
}
