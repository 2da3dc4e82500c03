// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bid, IMarket, Model, Terms} from "../../../contracts/IMarket.sol";
import {Case} from "../SlowJudge.sol";
import {Books, Entry, Purchase, SlowPayouts} from "../SlowPayouts.sol";
import {vm} from "../Vm.sol";
import {Docket} from "./Docket.sol";
import {Sight} from "./Ghost.sol";

/// @notice The moves of a round, one by one, each with what it has to change. A move returns false where there is nothing
///         left to do for it.
abstract contract Moves is Docket {
    using SlowPayouts for Books;

    /// @dev In a run, so that its calls finish some: five in 64 calls.
    uint256 private immutable _mostRounds = vm.envOr("INVARIANT_DEPTH", uint256(64)) / 12;

    uint256 private _salts;

    function anyActor() internal returns (address) {
        return actors[any(0, actors.length - 1)];
    }

    // --- money ---

    function _fund(address account, uint256 amount) internal {
        token.mint(account, amount);
        vm.startPrank(account);
        token.approve(address(escrow), amount);
        escrow.fund(uint96(amount));
        vm.stopPrank();
        availableOf[account] += amount;
    }

    function _withdraw() internal {
        address account = anyActor();
        uint256 amount = oneIn(4) ? availableOf[account] : any(0, availableOf[account]);
        vm.prank(account);
        escrow.withdraw(uint96(amount));
        availableOf[account] -= amount;
    }

    /// @dev Tokens that nobody is credited for.
    function _donate() internal {
        uint256 amount = any(1, 10 ether);
        token.mint(address(escrow), amount);
        donated += amount;
    }

    /// @dev So that nothing fails for want of money.
    function _afford(address account, uint256 amount) internal {
        if (availableOf[account] < amount) _fund(account, amount - availableOf[account]);
        if (market.encryptionKeyOf(account) != 0) return;
        vm.prank(account);
        market.setEncryptionKey(keccak256(abi.encode(account)));
    }

    // --- to the settlement ---

    function _open() internal returns (bool) {
        if (market.roundCount() == _mostRounds) return false;
        Terms memory terms = anyTerms(actors.length, 4);
        terms.maxParticipants = uint16(any(oneIn(4) ? 2 : 4, actors.length));
        address aggregator = anyActor();
        _afford(aggregator, terms.bond);
        vm.prank(aggregator);
        uint256 round = market.openRound(terms);
        noteLocked(round, aggregator, terms.bond);
        books[round].fee = terms.fee;
        books[round].revealBond = terms.revealBond;
        books[round].bond = terms.bond;
        seen[Sight.Opened] += 1;
        return true;
    }

    function _commit(uint256 round) internal returns (bool) {
        Terms memory terms = market.roundOf(round).terms;
        uint256 first = any(0, actors.length - 1);
        address account;
        for (uint256 i = 0; i < actors.length; ++i) {
            account = actors[(first + i) % actors.length];
            if (secrets[round][account].salt == 0) break;
        }
        if (accounts[round].length == terms.maxParticipants || secrets[round][account].salt != 0) return false;

        uint96 deposit = anyDeposit(terms);
        _afford(account, deposit);
        uint256 most = uint256(deposit) - terms.fee - terms.revealBond - terms.maxSellers;
        Model memory model = Model(keccak256(abi.encode(account)), bytes32(++_salts));
        Secret memory secret = Secret(_anyBid(most), bytes32(_salts), model, oneIn(6) ? any(0, 1) : any(2, KINDS - 1));
        secrets[round][account] = secret;
        bytes32 sealedBid = keccak256(abi.encode(market, block.chainid, round, account, secret.bid, secret.salt));
        vm.prank(account);
        uint256 index = market.commit(round, sealedBid, secret.model, deposit);
        checkEq(index, accounts[round].length, "index");
        noteLocked(round, account, deposit);
        accounts[round].push(account);
        books[round].entries.push().deposit = deposit;
        seen[Sight.Committed] += 1;
        return true;
    }

    /// @dev Of a value of at most `most`. Few different numbers, so that there are ties.
    function _anyBid(uint256 most) private returns (Bid memory bid) {
        bid.value = uint96(most < 2 ** 20 || oneIn(8) ? 0 : any(2 ** 20, most));
        bid.cost = uint96(oneIn(12) ? type(uint96).max : (most / 128) * any(0, 4));
        bid.samples = uint64(1_000 * any(1, 4));
        bid.minReputation = uint24(oneIn(8) ? any(2_048, 2_600) : 0);
    }

    /// @dev Both calls; rarely so late that the chain has forgotten the block.
    function _drawSeed(uint256 round) internal returns (bool) {
        uint256 chosen = market.roundOf(round).seedBlock;
        if (chosen == 0) {
            market.drawSeed(round);
            chosen = vm.getBlockNumber();
            if (oneIn(8)) return true; // the second call is another step's
        }
        bool forgotten = oneIn(8);
        vm.roll(vm.getBlockNumber() + (forgotten ? 300 : 1));
        if (vm.getBlockNumber() - chosen <= 256) vm.setBlockhash(chosen, keccak256(abi.encode(chosen)));
        market.drawSeed(round);
        bool drawn = market.roundOf(round).seedTime != 0;
        checkEq(drawn ? 1 : 0, vm.getBlockNumber() - chosen <= 256 ? 1 : 0, "drawn");
        seen[drawn ? Sight.Drawn : Sight.Forgotten] += 1;
        return true;
    }

    function _reveal(uint256 round) internal returns (bool) {
        uint256 n = accounts[round].length;
        uint256 index = any(0, n - 1);
        for (uint256 i = 0; i < n && books[round].entries[index].revealed; ++i) index = (index + 1) % n;
        if (books[round].entries[index].revealed) return false;
        bytes memory call = _revealCall(round, index);
        believed[round][index] = reputationOf(aggregatorOf(round), accounts[round][index]);
        vm.prank(accounts[round][index]);
        _mustSucceed(address(market), call);
        books[round].entries[index].revealed = true;
        seen[Sight.Revealed] += 1;
        return true;
    }

    /// @dev Mostly with right rows, else with a wrong one, or with nothing but.
    function _settle(uint256 round) internal returns (bool) {
        Books storage b = books[round];
        uint256 n = b.entries.length;
        bool excluding = oneIn(4);
        for (uint256 i = 0; i < n; ++i) {
            b.entries[i].excluded = excluding && oneIn(3);
            if (b.entries[i].excluded) seen[Sight.Excluded] += 1;
        }
        uint256 kind = any(0, 3);
        uint256 wrong = any(0, n - 1);
        Case memory c = caseOf(round);
        for (uint256 i = 0; i < n; ++i) {
            Purchase[] memory row = trueRow(c, round, i);
            if (kind == 0 || (kind == 1 && i == wrong)) row = _wrongRow(round, i, row);
            else if (row.length > 0) seen[Sight.Traded] += 1;
            SlowPayouts.post(b.entries[i], row);
        }
        _countUncounted(b);
        bytes memory call = _settleCall(round);
        vm.prank(aggregatorOf(round));
        _mustSucceed(address(market), call);
        seen[Sight.Settled] += 1;
        return true;
    }

    /// @dev A price off by one, the first purchase left out, or anything.
    function _wrongRow(uint256 round, uint256 i, Purchase[] memory right) private returns (Purchase[] memory) {
        Entry storage entry = books[round].entries[i];
        uint256 kind = right.length == 0 ? 2 : any(0, 2);
        if (kind == 0) right[any(0, right.length - 1)].price += 1;
        if (kind == 1) right = without(right, 0);
        uint256 budget = entry.deposit - books[round].fee - books[round].revealBond;
        return kind < 2 ? right : anyRow(budget, accounts[round].length, market.roundOf(round).terms.maxSellers);
    }

    function _countUncounted(Books memory b) private {
        for (uint256 i = 0; i < b.entries.length; ++i) {
            if (b.entries[i].row.length > 0 && !b.counts(i)) seen[Sight.Uncounted] += 1;
        }
    }

    // --- after it ---

    function _rateOrReject(uint256 round) internal returns (bool) {
        uint256 n = accounts[round].length;
        uint256 index = any(0, n - 1);
        for (uint256 i = 0; i < n && !_mayAnswer(round, index); ++i) index = (index + 1) % n;
        if (!_mayAnswer(round, index)) return false;
        Entry storage entry = books[round].entries[index];
        vm.prank(accounts[round][index]);
        if (oneIn(3)) {
            market.reject(round, index);
            entry.rejected = true;
            seen[Sight.Rejected] += 1;
        } else {
            entry.rating = oneIn(4) ? any(0, 100) : 100; // good ones, for reputations to rise
            market.rate(round, index, entry.rating);
            entry.rated = true;
            seen[Sight.Rated] += 1;
        }
        return true;
    }

    function _mayAnswer(uint256 round, uint256 index) internal view returns (bool) {
        Entry storage entry = books[round].entries[index];
        return entry.revealed && !entry.rated && !entry.rejected;
    }

    function _anyStanding(uint256 round) internal returns (bool, uint256 number) {
        uint256 count = challengers[round].length;
        if (count == 0) return (false, 0);
        number = any(0, count - 1);
        for (uint256 i = 0; i < count && challengers[round][number] == address(0); ++i) number = (number + 1) % count;
        return (challengers[round][number] != address(0), number);
    }

    // --- the end ---

    function _payOut(uint256 round) internal returns (bool) {
        (uint256 from, uint256 to) = _anyRange(round);
        if (from < to) _payOut(round, from, to);
        return true;
    }

    function _payOut(uint256 round, uint256 from, uint256 to) internal measured(round) {
        bytes memory call = _payOutCall(round, from, to);
        vm.prank(stranger);
        _mustSucceed(address(market), call);
        notePayOut(round, from, to);
    }

    function _refund(uint256 round) internal returns (bool) {
        (bool found, uint256 number) = _anyStanding(round);
        if (found && oneIn(3)) {
            _refundChallenge(round, number);
        } else {
            (uint256 from, uint256 to) = _anyRange(round);
            _refund(round, from, to);
        }
        return true;
    }

    function _refund(uint256 round, uint256 from, uint256 to) internal measured(round) {
        vm.prank(stranger);
        market.refund(round, from, to);
        noteRefund(round, from, to);
    }

    function _refundChallenge(uint256 round, uint256 number) internal measured(round) {
        vm.prank(stranger);
        market.refundChallenge(round, number);
        noteChallengeRefund(round, number);
    }

    /// @dev Some participants, rarely none; half of the time from the first that is not paid on.
    function _anyRange(uint256 round) private returns (uint256 from, uint256 to) {
        uint256 n = accounts[round].length;
        from = any(0, n);
        if (oneIn(2)) for (from = 0; from < n && paid[round][from]; ++from) {}
        to = any(from, n);
    }

    // --- calls, right or in the wrong place ---

    function _mustFail(address caller, address target, bytes memory call) internal {
        vm.prank(caller);
        (bool done, ) = target.call(call);
        check(!done, "a trespass succeeded");
    }

    function _mustSucceed(address target, bytes memory call) internal {
        (bool done, bytes memory reason) = target.call(call);
        if (done) return;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }

    function _commitCall(uint256 round) internal view returns (bytes memory) {
        uint256 least = books[round].fee + books[round].revealBond + 32;
        return abi.encodeCall(IMarket.commit, (round, "seal", Model("cid", "root"), uint96(least)));
    }

    function _revealCall(uint256 round, uint256 index) internal view returns (bytes memory) {
        Secret memory s = secrets[round][accounts[round][index]];
        bytes32 seed = market.roundOf(round).seed;
        bytes memory sketch = sketchOf(s.kind);
        return abi.encodeCall(IMarket.reveal, (round, index, seed, s.bid, s.salt, s.model, sketch, "sealed key"));
    }

    function _settleCall(uint256 round) internal view returns (bytes memory) {
        Books memory b = books[round];
        bytes30 revealsHash = market.roundOf(round).revealsHash;
        return abi.encodeCall(IMarket.settle, (round, revealsHash, b.encodeExcluded(), b.encodeRows(), "deliveries"));
    }

    function _payOutCall(uint256 round, uint256 from, uint256 to) internal view returns (bytes memory) {
        Books memory b = books[round];
        return abi.encodeCall(IMarket.payOut, (round, b.encodeRows(), b.encodeExcluded(), from, to));
    }
}
