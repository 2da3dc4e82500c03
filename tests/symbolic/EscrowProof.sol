// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Escrow} from "../../contracts/Escrow.sol";
import {TestToken} from "../../contracts/test/TestToken.sol";
import {vm} from "../contracts/Vm.sol";
import {svm} from "./Svm.sol";

/// @notice An escrow in any state.
contract AnyEscrow is Escrow {
    constructor(IERC20 token_) Escrow(token_) {}

    // The functions that are not `Escrow`'s are the market's, so that a stranger can do nothing by them.

    function setAvailable(address account, uint256 amount) external onlyMarket {
        available[account] = amount;
    }

    function setPot(uint256 round, uint256 amount) external onlyMarket {
        pot[round] = amount;
    }

    function setTotals(uint256 burnt_, uint256 held_) external onlyMarket {
        (burnt, held) = (burnt_, held_);
    }
}

/// @notice The escrow's arithmetic: after any call, Σ available + Σ pots + burnt = held < 2**96, where it was so before.
/// @dev For any accounts and rounds, the same or not, and any amounts. A call can reach two pots or accounts at most, three
///      for `credit`: what these tests call `rest` is whatever all others have, and that no other one changes is a claim of
///      its own. Bounds: `credit` with two credits at most. The token is OpenZeppelin's ERC-20.
contract EscrowProof {
    AnyEscrow private escrow;
    TestToken private token;

    function setUp() public {
        token = new TestToken();
        escrow = new AnyEscrow(token); // so this contract is the market
    }

    /// @dev A state in which the sum holds.
    struct State {
        address account;
        address another;
        uint256 round;
        uint96 accounts; // what `account` has
        uint96 anothers;
        uint96 pot;
        uint96 burnt;
        uint96 rest;
    }

    function assume(State memory s) private {
        uint256 held = sum(s.accounts, s.anothers, s.pot, s.burnt, s.rest);
        vm.assume(held <= type(uint96).max && s.account != s.another);
        escrow.setAvailable(s.account, s.accounts);
        escrow.setAvailable(s.another, s.anothers);
        escrow.setPot(s.round, s.pot);
        escrow.setTotals(s.burnt, held);
    }

    function sum(uint256 a, uint256 b, uint256 c, uint256 d, uint256 e) private pure returns (uint256) {
        return a + b + c + d + e;
    }

    /// @dev That the sum holds still, in whole numbers: nothing has gone round 2**256.
    function assertSum(State memory s) private view {
        uint256 a = escrow.available(s.account);
        uint256 b = escrow.available(s.another);
        uint256 pot = escrow.pot(s.round);
        uint256 burnt = escrow.burnt();
        uint256 held = escrow.held();
        bool small = (a | b | pot | burnt | held) >> 96 == 0;
        unchecked {
            assert(small && a + b + pot + burnt + s.rest == held);
        }
    }

    // --- the sum ---

    function check_a_lock_keeps_the_sum(State memory s, uint96 amount) public {
        assume(s);
        escrow.lock(s.round, s.account, amount);
        assertSum(s);
        assert(escrow.pot(s.round) == uint256(s.pot) + amount && escrow.available(s.another) == s.anothers);
        assert(amount <= s.accounts);
    }

    function check_a_credit_keeps_the_sum(State memory s, uint96 amount) public {
        assume(s);
        uint256[] memory credits = new uint256[](1);
        credits[0] = uint160(s.account) | (uint256(amount) << 160);
        escrow.credit(s.round, credits);
        assertSum(s);
        assert(amount <= s.pot && escrow.available(s.account) == uint256(s.accounts) + amount);
    }

    function check_credits_to_two_accounts_keep_the_sum(State memory s, uint96 amount, uint96 next) public {
        assume(s);
        uint256[] memory credits = new uint256[](2);
        credits[0] = uint160(s.account) | (uint256(amount) << 160);
        credits[1] = uint160(s.another) | (uint256(next) << 160);
        escrow.credit(s.round, credits);
        assertSum(s);
        assert(uint256(amount) + next <= s.pot);
    }

    function check_two_credits_to_an_account_keep_the_sum(State memory s, uint96 amount, uint96 next) public {
        assume(s);
        uint256[] memory credits = new uint256[](2);
        credits[0] = uint160(s.account) | (uint256(amount) << 160);
        credits[1] = uint160(s.account) | (uint256(next) << 160);
        escrow.credit(s.round, credits);
        assertSum(s);
        assert(uint256(amount) + next <= s.pot);
    }

    function check_a_burn_keeps_the_sum(State memory s, uint256 amount) public {
        assume(s);
        escrow.burn(s.round, amount);
        assertSum(s);
        assert(amount <= s.pot && escrow.burnt() == s.burnt + amount);
    }

    function check_funding_keeps_the_sum(State memory s, uint96 amount, uint96 tokens, uint96 allowed) public {
        assume(s);
        vm.assume(s.account != address(0) && s.account != address(escrow));
        token.mint(s.account, tokens);
        token.mint(address(escrow), escrow.held());
        vm.prank(s.account);
        token.approve(address(escrow), allowed);
        vm.prank(s.account);
        escrow.fund(amount);
        assertSum(s);
        assert(token.balanceOf(address(escrow)) == escrow.held() && amount <= tokens);
    }

    function check_a_withdrawal_keeps_the_sum(State memory s, uint96 amount) public {
        assume(s);
        vm.assume(s.account != address(escrow));
        token.mint(address(escrow), escrow.held());
        vm.prank(s.account);
        escrow.withdraw(amount);
        assertSum(s);
        assert(token.balanceOf(address(escrow)) == escrow.held() && token.balanceOf(s.account) == amount);
        assert(amount <= s.accounts);
    }

    // --- who may ---

    /// @notice Nobody but the market calls `lock`, `credit` or `burn`.
    function check_only_the_market_may(address stranger, uint256 round, address account, uint96 amount) public {
        vm.assume(stranger != address(this));
        escrow.setPot(round, type(uint96).max);
        escrow.setAvailable(account, type(uint96).max);
        uint256[] memory credits = new uint256[](1);
        credits[0] = uint160(account) | (uint256(amount) << 160);
        assert(!call(stranger, abi.encodeCall(escrow.lock, (round, account, amount))));
        assert(!call(stranger, abi.encodeCall(escrow.credit, (round, credits))));
        assert(!call(stranger, abi.encodeCall(escrow.burn, (round, amount))));
    }

    /// @notice Whatever anybody else calls, of whatever functions there are: an account's balance and a pot stay.
    function check_a_stranger_moves_nothing(
        address stranger,
        address account,
        uint256 round,
        uint96 accounts,
        uint96 pot,
        uint96 burnt
    ) public {
        vm.assume(stranger != address(this) && stranger != account && stranger != address(escrow));
        escrow.setAvailable(account, accounts);
        escrow.setPot(round, pot);
        escrow.setTotals(burnt, type(uint96).max);
        token.mint(address(escrow), type(uint96).max);
        call(stranger, svm.createCalldata("Escrow"));
        bool stays = escrow.available(account) == accounts && escrow.pot(round) == pot && escrow.burnt() == burnt;
        assert(stays);
    }

    /// @notice What the market does with one account and one round touches no other.
    function check_the_market_moves_what_it_names(State memory s, uint256 round, uint96 amount, uint256 what) public {
        assume(s);
        vm.assume(round != s.round);
        address named = s.another;
        escrow.setPot(round, amount);
        uint256[] memory credits = new uint256[](1);
        credits[0] = uint160(named) | (uint256(amount) << 160);
        if (what == 0) escrow.lock(round, named, amount);
        else if (what == 1) escrow.credit(round, credits);
        else escrow.burn(round, amount);
        assert(escrow.available(s.account) == s.accounts && escrow.pot(s.round) == s.pot);
    }

    function call(address sender, bytes memory data) private returns (bool done) {
        vm.prank(sender);
        (done, ) = address(escrow).call(data);
    }
}
