// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Escrow} from "./Escrow.sol";
import {IEscrow} from "./IEscrow.sol";
import {Bid, BidRecord, Claim, IMarket, Model, Phase, Round, Terms} from "./IMarket.sol";
import {IReputation} from "./IReputation.sol";
import {Reputation} from "./Reputation.sol";
import {BidRecords} from "./libraries/BidRecords.sol";
import {Judge} from "./libraries/Judge.sol";
import {Payouts} from "./libraries/Payouts.sol";
import {Challenge, Rounds, Seats, Statuses, StoredRound} from "./libraries/Rounds.sol";
import {Rows} from "./libraries/Rows.sol";
import {Sketch} from "./libraries/Sketch.sol";
import {Words} from "./libraries/Words.sol";

/// @title Market: rounds, from their opening to the last payment. The promise is in `IMarket`.
/// @dev No owner, no upgrade, no pause. The escrow and the reputation call nobody back, so nothing here can be re-entered.
contract Market is IMarket {
    using Rounds for StoredRound;
    using Seats for uint256[64];
    using Words for uint256[];

    uint256 private constant LONGEST_PHASE = 30 days;
    uint256 private constant MOST_SELLERS = 32;
    uint256 private constant MOST_PARTICIPANTS = 1024;
    uint256 private constant MOST_PURCHASES = 8192; // so that a settlement is one transaction
    uint256 private constant BOND_FACTOR = 16; // a bond, or the largest deposit, in reveal bonds
    uint256 private constant CHALLENGE_PART = 32; // of the bond, which a challenger locks
    uint256 private constant MOST_REWARD = 8; // for all challengers that stand, in reveal bonds
    uint256 private constant LEAST_VALUE = 1 << 20; // base units; below it, rounding would matter

    /// @inheritdoc IMarket
    IEscrow public immutable escrow;
    /// @inheritdoc IMarket
    IReputation public immutable reputation;
    /// @inheritdoc IMarket
    uint32 public immutable minPhase;

    /// @inheritdoc IMarket
    uint256 public roundCount;
    /// @inheritdoc IMarket
    mapping(address account => bytes32) public encryptionKeyOf;

    mapping(uint256 round => StoredRound) private _rounds;

    /// @param token What rounds are paid in; it must move exactly what it is asked to.
    /// @param minPhase_ The least length of a phase, seconds.
    constructor(IERC20 token, uint32 minPhase_) {
        escrow = new Escrow(token);
        reputation = new Reputation();
        minPhase = minPhase_;
    }

    // --- the round, in its order ---

    /// @inheritdoc IMarket
    function setEncryptionKey(bytes32 key) external {
        encryptionKeyOf[msg.sender] = key;
        emit EncryptionKeySet(msg.sender, key);
    }

    /// @inheritdoc IMarket
    function openRound(Terms calldata terms) external returns (uint256 round) {
        _checkTerms(terms);
        bytes32 key = _encryptionKey();
        round = ++roundCount;
        StoredRound storage r = _rounds[round];
        // No cast cuts anything off: `_checkTerms` keeps all below.
        r.leastDeposit = uint96(uint256(terms.fee) + terms.revealBond + terms.maxSellers);
        r.revealBond = uint88(terms.revealBond);
        r.maxParticipants = terms.maxParticipants;
        r.commitDeadline = terms.commitDeadline;
        r.aggregator = msg.sender;
        r.revealTime = terms.revealTime;
        r.similarityFloor = terms.similarityFloor;
        r.maxSellers = terms.maxSellers;
        r.bond = terms.bond;
        r.challengeTime = uint24(terms.challengeTime);
        r.refuteTime = uint24(terms.refuteTime);
        r.drawTime = terms.drawTime;
        r.settleTime = terms.settleTime;
        r.maxSamples = terms.maxSamples;
        r.task = terms.task;
        emit RoundOpened(round, msg.sender, terms, key);
        escrow.lock(round, msg.sender, terms.bond);
    }

    /// @inheritdoc IMarket
    function commit(
        uint256 round,
        bytes32 sealedBid,
        Model calldata model,
        uint96 deposit
    ) external returns (uint256 index) {
        StoredRound storage r = _in(round, Phase.Commit);
        index = r.participants;
        if (index == r.maxParticipants) revert RoundFull(round, index);
        if (r.records[msg.sender] != 0) revert AlreadyCommitted(round, msg.sender);
        uint256 least = r.leastDeposit;
        uint256 most = BOND_FACTOR * r.revealBond;
        if (deposit < least || deposit > most) revert DepositOutOfRange(deposit, least, most);
        bytes32 key = _encryptionKey();

        r.participants = uint16(index + 1);
        r.participantAt[index] = uint160(msg.sender) | ((deposit - least) << 160);
        r.records[msg.sender] = BidRecords.word(BidRecords.commitHash(sealedBid, model), index);
        emit Committed(round, msg.sender, index, deposit, sealedBid, model, key);
        escrow.lock(round, msg.sender, deposit);
    }

    /// @inheritdoc IMarket
    function drawSeed(uint256 round) external {
        StoredRound storage r = _known(round);
        if (r.seedTime != 0) revert SeedAlreadyDrawn(round);
        _checkPhase(round, r, Phase.Draw);
        uint256 seedBlock = r.seedBlock;
        if (seedBlock == block.number) revert SeedBlockTooRecent(round, seedBlock);

        bytes32 hash = blockhash(seedBlock);
        if (seedBlock == 0 || hash == 0) {
            // The block is stored before its hash exists, and again once the chain has forgotten the hash: nobody can
            // choose a seed by choosing when to call.
            r.seedBlock = uint40(block.number);
            emit SeedBlockChosen(round, block.number);
        } else {
            bytes32 seed = keccak256(abi.encode(hash, round));
            r.seed = seed;
            r.seats.layOut(r.participants);
            r.seedTime = uint40(block.timestamp);
            emit SeedDrawn(round, seed);
        }
    }

    /// @inheritdoc IMarket
    function reveal(
        uint256 round,
        uint256 index,
        bytes32 seed,
        Bid calldata bid,
        bytes32 salt,
        Model calldata model,
        bytes calldata sketch,
        bytes calldata sealedKey
    ) external {
        StoredRound storage r = _rounds[round];
        if (!r.isRevealing()) revert WrongPhase(round, _known(round).phase());
        uint256 participant = _participant(round, r, index);
        uint256 seats = r.seats[index / 16];
        if (Seats.read(seats, index) != 0) revert AlreadyRevealed(round, index);
        if (seed != r.seed) revert WrongSeed(round, r.seed);
        bytes32 sealedBid = keccak256(abi.encode(address(this), block.chainid, round, msg.sender, bid, salt));
        if (r.records[msg.sender] != BidRecords.word(BidRecords.commitHash(sealedBid, model), index))
            revert WrongSeal(round, index);
        if (bid.value != 0 && bid.value < LEAST_VALUE) revert InvalidBid("value");
        if (bid.samples == 0) revert InvalidBid("samples");
        if (bid.value > participant >> 160) {
            revert DepositTooSmall((participant >> 160) + r.leastDeposit, uint256(bid.value) + r.leastDeposit);
        }
        if (sketch.length != Sketch.SIZE) revert InvalidSketch(sketch.length);

        (uint24 believed, uint256 seat) = reputation.standingOf(r.aggregator, msg.sender);
        bytes30 record = BidRecords.hash(index, bid, believed, keccak256(sketch), model);
        r.records[msg.sender] = BidRecords.word(record, index);
        r.revealsHash = bytes30(keccak256(abi.encode(r.revealsHash, index, record)));
        r.revealed += 1;
        r.seats[index / 16] = Seats.take(seats, index, seat);
        emit BidRevealed(round, index, msg.sender, bid, believed, model, sketch, sealedKey);
    }

    /// @inheritdoc IMarket
    function settle(
        uint256 round,
        bytes30 revealsHash,
        uint256[] calldata excluded,
        bytes calldata rows,
        bytes32 deliveries
    ) external {
        StoredRound storage r = _in(round, Phase.Settle);
        if (msg.sender != r.aggregator) revert NotTheAggregator(round, r.aggregator);
        if (revealsHash != r.revealsHash) revert WrongRevealsHash(round, r.revealsHash);
        uint256 n = r.participants;
        // One set has one encoding: no word too many, no bit beyond the last participant.
        uint256 words = (n + 255) / 256;
        if (excluded.length != words) revert MalformedExclusions(round);
        if (n % 256 != 0 && excluded[words - 1] >> (n % 256) != 0) revert MalformedExclusions(round);
        (bool wellFormed, bytes32 rowsHash) = Rows.hash(rows, n, r.maxSellers);
        if (!wellFormed) revert MalformedRows(round);

        r.settlement = keccak256(abi.encode(excluded, rowsHash));
        r.settledAt = uint40(block.timestamp);
        emit RoundSettled(round, excluded, rows, deliveries);
    }

    /// @inheritdoc IMarket
    function rate(uint256 round, uint256 index, uint256 rating) external {
        if (rating > 100) revert InvalidRating(rating);
        _answer(round, index, Statuses.RATED + rating);
        emit DeliveryRated(round, index, rating);
    }

    /// @inheritdoc IMarket
    function reject(uint256 round, uint256 index) external {
        _answer(round, index, Statuses.REJECTED);
        emit DeliveryRejected(round, index);
    }

    /// @inheritdoc IMarket
    function challenge(
        uint256 round,
        BidRecord calldata buyer,
        bytes32[] calldata rowHashes,
        uint256[] calldata excluded,
        BidRecord[] calldata list
    ) external returns (uint256 number) {
        StoredRound storage r = _in(round, Phase.Challenge);
        _checkSettlement(round, r, excluded, Rows.hash(rowHashes));
        (bytes memory row, Claim memory claim) = Judge.judge(r, buyer, excluded, list);
        if (keccak256(row) == rowHashes[buyer.index]) revert RowIsRight(round, buyer.index);

        number = r.challengeCount++;
        r.challenges[number] = Challenge(msg.sender, keccak256(abi.encode(claim)));
        r.openChallenges += 1;
        emit ChallengeOpened(round, number, msg.sender, claim);
        escrow.lock(round, msg.sender, uint96(_challengeBond(r)));
    }

    /// @inheritdoc IMarket
    function refute(
        uint256 round,
        uint256 number,
        Claim calldata claim,
        BidRecord calldata buyer,
        BidRecord calldata seller,
        uint256[] calldata excluded,
        bytes32 rowsHash
    ) external {
        StoredRound storage r = _known(round);
        Phase actual = r.phase();
        if (actual != Phase.Challenge && actual != Phase.Refute) revert WrongPhase(round, actual);
        _takeChallenge(round, r, number);
        if (r.challenges[number].claimHash != keccak256(abi.encode(claim))) revert WrongClaim(round, number);
        _checkSettlement(round, r, excluded, rowsHash);
        Judge.refute(r, claim, buyer, excluded, seller);

        r.openChallenges -= 1;
        emit ChallengeRefuted(round, number, msg.sender);
        _creditOne(round, msg.sender, _challengeBond(r));
    }

    /// @inheritdoc IMarket
    function payOut(
        uint256 round,
        bytes calldata rows,
        uint256[] calldata excluded,
        uint256 from,
        uint256 to
    ) external {
        StoredRound storage r = _in(round, Phase.Payout);
        uint256 n = r.participants;
        if (from >= to || to > n) revert WrongRange(from, to, n);
        if (r.paid == n) return;
        (bool wellFormed, bytes32 rowsHash) = Rows.hash(rows, n, r.maxSellers);
        if (!wellFormed) revert WrongSettlement(round);
        _checkSettlement(round, r, excluded, rowsHash);

        Payouts.Batch memory batch = Payouts.derive(r, rows, excluded, from, to);
        uint256 creditCount = batch.credits.length;
        if (creditCount == 0) return;
        uint256 paid = r.paid + creditCount;
        r.paid = uint16(paid);
        if (paid != n) {
            for (uint256 i = from; i < to; ++i) Statuses.add(r, i, Statuses.PAID);
        }
        emit PaidOut(round, from, to);

        if (paid == n) {
            // All that is left is the aggregator's: its bond, the fees that were not burnt, remainders of the lost bonds.
            uint256 left = escrow.pot(round) - batch.credited - batch.burn;
            batch.credits.cut(creditCount + 1);
            batch.credits.put(creditCount, _payAggregator(round, r, left));
        }
        if (batch.burn != 0) escrow.burn(round, batch.burn);
        Words.send(address(escrow), IEscrow.credit.selector, round, batch.credits);
        if (batch.outcomes.length != 0) {
            Words.send(address(reputation), IReputation.update.selector, uint160(r.aggregator), batch.outcomes);
        }
    }

    /// @inheritdoc IMarket
    function refund(uint256 round, uint256 from, uint256 to) external {
        StoredRound storage r = _in(round, Phase.Void);
        uint256 n = r.participants;
        if (from > to || to > n) revert WrongRange(from, to, n);
        bool fault = r.isFaulty();
        uint256 revealed = r.revealed;
        // Nobody is at fault for an empty market: its reveal bonds go to the one that did reveal, else back.
        uint256 forfeit = revealed == 0 ? 0 : r.revealBond;
        uint256 lost = forfeit * (n - revealed);
        uint256 quarter = fault ? r.bond / 4 : 0;
        uint256 share = revealed == 0 ? 0 : (quarter + lost) / revealed;

        uint256[] memory credits = new uint256[](to - from + 1); // one more, for the aggregator
        uint256 count = 0;
        for (uint256 i = from; i < to; ++i) {
            if (Statuses.read(r, i) & Statuses.PAID != 0) continue;
            Statuses.add(r, i, Statuses.PAID);
            (address account, uint256 amount) = r.participant(i);
            amount = Seats.hasRevealed(r, i) ? amount + share : amount - forfeit;
            credits[count++] = uint160(account) | (amount << 160);
        }
        r.paid += uint16(count);
        emit Refunded(round, from, to);

        uint256 burn = 0;
        if (!r.aggregatorPaid) {
            if (fault) {
                burn = r.bond + lost - share * revealed - _challengerShare(r) * r.openChallenges;
                _payAggregator(round, r, 0);
            } else {
                credits[count++] = _payAggregator(round, r, r.bond);
            }
        }
        credits.cut(count);
        if (burn != 0) escrow.burn(round, burn);
        if (count != 0) escrow.credit(round, credits);
    }

    /// @inheritdoc IMarket
    function refundChallenge(uint256 round, uint256 number) external {
        StoredRound storage r = _in(round, Phase.Void);
        if (!r.isFaulty()) revert WithoutFault(round);
        address challenger = _takeChallenge(round, r, number);
        uint256 amount = _challengeBond(r) + _challengerShare(r);
        emit ChallengeRefunded(round, number, challenger, amount);
        _creditOne(round, challenger, amount);
    }

    // --- reads ---

    /// @inheritdoc IMarket
    function roundOf(uint256 round) external view returns (Round memory) {
        return _known(round).toRound();
    }

    /// @inheritdoc IMarket
    function phaseOf(uint256 round) external view returns (Phase) {
        return _known(round).phase();
    }

    /// @inheritdoc IMarket
    function participantOf(uint256 round, uint256 index) external view returns (address account, uint96 deposit) {
        if (index < MOST_PARTICIPANTS) return _rounds[round].participant(index);
    }

    /// @inheritdoc IMarket
    function recordOf(uint256 round, address account) external view returns (bytes30 hash, uint16 index) {
        bytes32 record = _rounds[round].records[account];
        return (bytes30(record), uint16(uint256(record)));
    }

    /// @inheritdoc IMarket
    function hasRevealed(uint256 round, uint256 index) external view returns (bool) {
        return index < MOST_PARTICIPANTS && Seats.hasRevealed(_rounds[round], index);
    }

    /// @inheritdoc IMarket
    function ratingOf(uint256 round, uint256 index) external view returns (bool rated, bool rejected, uint256 rating) {
        if (index >= MOST_PARTICIPANTS) return (false, false, 0);
        uint256 status = Statuses.read(_rounds[round], index) & ~Statuses.PAID;
        rejected = status == Statuses.REJECTED;
        rated = status >= Statuses.RATED && !rejected;
        if (rated) rating = status - Statuses.RATED;
    }

    /// @inheritdoc IMarket
    function isPaid(uint256 round, uint256 index) external view returns (bool) {
        StoredRound storage r = _rounds[round];
        if (index >= r.participants) return false;
        return r.paid == r.participants || Statuses.read(r, index) & Statuses.PAID != 0;
    }

    // --- inside ---

    function _checkTerms(Terms calldata terms) private view {
        uint256 revealBond = terms.revealBond;
        uint256 sellers = terms.maxSellers;
        uint256 participants = terms.maxParticipants;
        if (revealBond == 0 || revealBond > type(uint88).max) revert InvalidTerms("revealBond");
        if (terms.bond < BOND_FACTOR * revealBond) revert InvalidTerms("bond");
        if (sellers == 0 || sellers > MOST_SELLERS) revert InvalidTerms("maxSellers");
        // Else no deposit would be both enough and allowed.
        if (terms.fee + sellers > (BOND_FACTOR - 1) * revealBond) revert InvalidTerms("fee");
        if (participants < 2 || participants > MOST_PARTICIPANTS || participants * sellers > MOST_PURCHASES) {
            revert InvalidTerms("maxParticipants");
        }
        if (terms.commitDeadline < block.timestamp) revert InvalidTerms("commitDeadline");
        _checkLength(terms.commitDeadline - block.timestamp, "commitDeadline");
        _checkLength(terms.drawTime, "drawTime");
        _checkLength(terms.revealTime, "revealTime");
        _checkLength(terms.settleTime, "settleTime");
        _checkLength(terms.challengeTime, "challengeTime");
        _checkLength(terms.refuteTime, "refuteTime");
    }

    function _checkLength(uint256 length, string memory field) private view {
        if (length < minPhase || length > LONGEST_PHASE) revert InvalidTerms(field);
    }

    function _known(uint256 round) private view returns (StoredRound storage r) {
        r = _rounds[round];
        if (r.commitDeadline == 0) revert UnknownRound(round);
    }

    function _in(uint256 round, Phase phase) private view returns (StoredRound storage r) {
        r = _known(round);
        _checkPhase(round, r, phase);
    }

    function _checkPhase(uint256 round, StoredRound storage r, Phase phase) private view {
        Phase actual = r.phase();
        if (actual != phase) revert WrongPhase(round, actual);
    }

    /// @dev The caller's key: in force is the last one before it opened the round or committed.
    function _encryptionKey() private view returns (bytes32 key) {
        key = encryptionKeyOf[msg.sender];
        if (key == 0) revert NoEncryptionKey(msg.sender);
    }

    /// @return participant The word of participant `index`, who is the caller.
    function _participant(
        uint256 round,
        StoredRound storage r,
        uint256 index
    ) private view returns (uint256 participant) {
        if (index < MOST_PARTICIPANTS) participant = r.participantAt[index];
        address account = address(uint160(participant));
        if (account != msg.sender) revert NotTheParticipant(round, index, account);
    }

    /// @dev What the caller says of its delivery, once.
    function _answer(uint256 round, uint256 index, uint256 status) private {
        StoredRound storage r = _in(round, Phase.Challenge);
        _participant(round, r, index);
        if (!Seats.hasRevealed(r, index)) revert NotRevealed(round, index);
        if (Statuses.read(r, index) != 0) revert AlreadyRated(round, index);
        Statuses.add(r, index, status);
    }

    function _checkSettlement(
        uint256 round,
        StoredRound storage r,
        uint256[] calldata excluded,
        bytes32 rowsHash
    ) private view {
        if (keccak256(abi.encode(excluded, rowsHash)) != r.settlement) revert WrongSettlement(round);
    }

    /// @return The aggregator's credit.
    function _payAggregator(uint256 round, StoredRound storage r, uint256 amount) private returns (uint256) {
        r.aggregatorPaid = true;
        emit AggregatorPaid(round, r.aggregator, amount);
        return uint160(r.aggregator) | (amount << 160);
    }

    /// @return challenger Whose open challenge it was.
    function _takeChallenge(uint256 round, StoredRound storage r, uint256 number) private returns (address challenger) {
        challenger = r.challenges[number].challenger;
        if (challenger == address(0)) revert ChallengeNotOpen(round, number);
        r.challenges[number].challenger = address(0);
    }

    /// @return What a challenger locks. No more than a reveal bond, so that whoever could join the round can afford it: an
    ///         aggregator could otherwise lock a bond of which nobody has a part.
    function _challengeBond(StoredRound storage r) private view returns (uint256) {
        return Math.min(r.bond / CHALLENGE_PART, r.revealBond);
    }

    /// @return What each challenger that stands gets of the aggregator's bond: a quarter of it in all, and no more than
    ///         pays for the risk of a challenge bond.
    function _challengerShare(StoredRound storage r) private view returns (uint256) {
        uint256 standing = r.openChallenges;
        return standing == 0 ? 0 : Math.min(r.bond / 4, MOST_REWARD * r.revealBond) / standing;
    }

    function _creditOne(uint256 round, address account, uint256 amount) private {
        uint256[] memory credits = new uint256[](1);
        credits[0] = uint160(account) | (amount << 160);
        escrow.credit(round, credits);
    }
}
