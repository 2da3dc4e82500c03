// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {IEscrow} from "../../contracts/IEscrow.sol";
import {CallbackToken, FeeToken, LyingToken, SurchargeToken} from "../../contracts/test/OddTokens.sol";
import {TestToken} from "../../contracts/test/TestToken.sol";
import {Checks} from "./Checks.sol";
import {Deploy} from "./Deploy.sol";
import {vm} from "./Vm.sol";

/// @notice The escrow alone. The test is its market.
contract EscrowTest is Checks {
    uint256 private constant KEY = 0xa11ce; // Alice's private key, for permits

    TestToken private token;
    IEscrow private escrow;
    address private alice = vm.addr(KEY);
    address private bob = address(0xb0b);
    address private mallory = address(0xbad);

    function setUp() public {
        vm.warp(1_800_000_000);
        token = new TestToken();
        escrow = escrowOf(token);
    }

    function escrowOf(IERC20 token_) private returns (IEscrow) {
        return IEscrow(Deploy.built("Escrow.sol:Escrow", abi.encode(token_)));
    }

    function refuses(address caller, bytes memory question, bytes memory reason) private {
        vm.prank(caller);
        (bool done, bytes memory answer) = address(escrow).call(question);
        check(!done, "the call is refused");
        checkEq(keccak256(answer), keccak256(reason), "the reason given");
    }

    function endow(address account, uint256 amount) private {
        token.mint(account, amount);
        vm.prank(account);
        token.approve(address(escrow), type(uint256).max);
    }

    function fund(address account, uint96 amount) private {
        endow(account, amount);
        vm.prank(account);
        escrow.fund(amount);
    }

    function credits(address account, uint256 amount) private pure returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = uint160(account) | (amount << 160);
    }

    function checkSolvent() private view {
        checkEq(token.balanceOf(address(escrow)), escrow.held(), "tokens held");
    }

    // --- what accounts do ---

    function test_it_knows_its_token_and_its_market() public view {
        checkEq(address(escrow.token()), address(token), "token");
        checkEq(escrow.market(), address(this), "market");
    }

    function test_funding_moves_tokens_and_is_logged() public {
        endow(alice, 10);
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IEscrow.Funded(alice, 7);
        vm.prank(alice);
        escrow.fund(7);
        checkEq(escrow.available(alice), 7, "available");
        checkEq(token.balanceOf(alice), 3, "kept");
        checkEq(escrow.held(), 7, "held");
        checkSolvent();
    }

    function test_funding_adds_up() public {
        fund(alice, 7);
        fund(alice, 5);
        fund(bob, 1);
        checkEq(escrow.available(alice), 12, "Alice's");
        checkEq(escrow.available(bob), 1, "Bob's");
        checkSolvent();
    }

    function test_withdrawing_moves_tokens_back_and_is_logged() public {
        fund(alice, 10);
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IEscrow.Withdrawn(alice, 4);
        vm.prank(alice);
        escrow.withdraw(4);
        checkEq(escrow.available(alice), 6, "available");
        checkEq(token.balanceOf(alice), 4, "in hand");
        checkSolvent();
    }

    function test_nobody_withdraws_more_than_is_available() public {
        fund(alice, 10);
        fund(bob, 10);
        refuses(
            alice,
            abi.encodeCall(escrow.withdraw, (11)),
            abi.encodeWithSelector(IEscrow.NotEnoughAvailable.selector, alice, 10, 11)
        );
        escrow.lock(1, alice, 4);
        refuses(
            alice,
            abi.encodeCall(escrow.withdraw, (7)),
            abi.encodeWithSelector(IEscrow.NotEnoughAvailable.selector, alice, 6, 7)
        );
    }

    function test_what_is_held_stays_below_two_to_the_96() public {
        fund(alice, type(uint96).max - 5);
        fund(bob, 5);
        endow(mallory, 1);
        refuses(
            mallory,
            abi.encodeCall(escrow.fund, (1)),
            abi.encodeWithSelector(IEscrow.TooMuchHeld.selector, 1 << 96)
        );
        vm.prank(alice);
        escrow.withdraw(1);
        vm.prank(mallory);
        escrow.fund(1);
    }

    function test_a_gift_makes_nobody_richer_and_blocks_nobody() public {
        fund(alice, 10);
        token.mint(address(escrow), 1 << 97);
        checkEq(escrow.held(), 10, "held");
        fund(bob, 10);
        vm.prank(alice);
        escrow.withdraw(10);
        checkEq(token.balanceOf(alice), 10, "in hand");
    }

    // --- permits ---

    function signPermit(uint256 amount) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 what = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                alice,
                address(escrow),
                amount,
                token.nonces(alice),
                type(uint256).max
            )
        );
        return vm.sign(KEY, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), what)));
    }

    function test_a_permit_funds_without_an_approval() public {
        token.mint(alice, 10);
        (uint8 v, bytes32 r, bytes32 s) = signPermit(10);
        vm.prank(alice);
        escrow.fundWithPermit(10, type(uint256).max, v, r, s);
        checkEq(escrow.available(alice), 10, "available");
        checkSolvent();
    }

    function test_a_permit_that_another_has_sent_first_still_funds() public {
        token.mint(alice, 10);
        (uint8 v, bytes32 r, bytes32 s) = signPermit(10);
        vm.prank(mallory);
        token.permit(alice, address(escrow), 10, type(uint256).max, v, r, s);
        vm.prank(alice);
        escrow.fundWithPermit(10, type(uint256).max, v, r, s);
        checkEq(escrow.available(alice), 10, "available");
    }

    function test_a_permit_of_somebody_else_funds_nothing() public {
        token.mint(alice, 10);
        token.mint(mallory, 10);
        (uint8 v, bytes32 r, bytes32 s) = signPermit(10);
        vm.prank(mallory);
        (bool done, ) = address(escrow).call(abi.encodeCall(escrow.fundWithPermit, (10, type(uint256).max, v, r, s)));
        check(!done, "refused");
        checkEq(escrow.available(mallory) + escrow.held(), 0, "nothing moved");
    }

    // --- what the market does ---

    function test_locking_moves_into_the_pot_of_one_round() public {
        fund(alice, 10);
        escrow.lock(1, alice, 4);
        escrow.lock(2, alice, 1);
        checkEq(escrow.available(alice), 5, "available");
        checkEq(escrow.pot(1), 4, "first pot");
        checkEq(escrow.pot(2), 1, "second pot");
        checkEq(escrow.held(), 10, "held");
    }

    function test_nothing_is_locked_that_is_not_available() public {
        fund(alice, 10);
        fund(bob, 10);
        refuses(
            address(this),
            abi.encodeCall(escrow.lock, (1, alice, 11)),
            abi.encodeWithSelector(IEscrow.NotEnoughAvailable.selector, alice, 10, 11)
        );
    }

    function test_crediting_pays_out_of_the_pot_and_is_logged() public {
        fund(alice, 10);
        escrow.lock(1, alice, 8);
        uint256[] memory words = new uint256[](3);
        words[0] = uint160(bob) | (uint256(3) << 160);
        words[1] = uint160(mallory);
        words[2] = uint160(bob) | (uint256(2) << 160); // the same account twice
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IEscrow.Credited(1, words);
        escrow.credit(1, words);
        checkEq(escrow.available(bob), 5, "Bob's");
        checkEq(escrow.available(mallory), 0, "Mallory's");
        checkEq(escrow.pot(1), 3, "left");
        checkEq(escrow.held(), 10, "held");
    }

    function test_no_round_spends_another_ones_money() public {
        fund(alice, 10);
        escrow.lock(1, alice, 4);
        escrow.lock(2, alice, 4);
        bytes memory reason = abi.encodeWithSelector(IEscrow.NotEnoughInPot.selector, 1, 4, 5);
        refuses(address(this), abi.encodeCall(escrow.credit, (1, credits(bob, 5))), reason);
        refuses(address(this), abi.encodeCall(escrow.burn, (1, 5)), reason);
        checkEq(escrow.available(bob), 0, "nothing moved");
    }

    function test_amounts_that_add_up_beyond_a_word_spend_nothing() public {
        fund(alice, 10);
        escrow.lock(1, alice, 10);
        uint256[] memory words = new uint256[](2);
        words[0] = words[1] = uint160(bob) | (uint256(type(uint96).max) << 160);
        refuses(
            address(this),
            abi.encodeCall(escrow.credit, (1, words)),
            abi.encodeWithSelector(IEscrow.NotEnoughInPot.selector, 1, 10, 2 * uint256(type(uint96).max))
        );
    }

    function test_what_is_burnt_stays_for_ever_and_is_logged() public {
        fund(alice, 10);
        escrow.lock(1, alice, 8);
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IEscrow.Burnt(1, 3);
        escrow.burn(1, 3);
        escrow.burn(1, 1);
        checkEq(escrow.burnt(), 4, "burnt");
        checkEq(escrow.pot(1), 4, "left");
        checkEq(escrow.held(), 10, "held");
        checkSolvent();
    }

    function test_only_the_market_moves_what_is_in_pots() public {
        fund(alice, 10);
        bytes memory reason = abi.encodeWithSelector(IEscrow.NotTheMarket.selector, mallory);
        refuses(mallory, abi.encodeCall(escrow.lock, (1, alice, 1)), reason);
        refuses(mallory, abi.encodeCall(escrow.credit, (1, credits(mallory, 0))), reason);
        refuses(mallory, abi.encodeCall(escrow.burn, (1, 0)), reason);
    }

    /// @dev Whatever happens, in whatever order: Σ available + Σ pot + burnt = held = tokens.
    function test_nothing_is_made_and_nothing_is_lost(uint256 seed) public {
        address[3] memory accounts = [alice, bob, mallory];
        for (uint256 i = 0; i < 40; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            address account = accounts[(seed >> 8) % 3];
            uint256 round = (seed >> 16) % 2;
            uint96 amount = uint96((seed >> 24) % 1000);
            if (seed % 5 == 0) fund(account, amount);
            else if (seed % 5 == 1 && escrow.available(account) >= amount) escrow.lock(round, account, amount);
            else if (seed % 5 == 2 && escrow.pot(round) >= amount) escrow.credit(round, credits(account, amount));
            else if (seed % 5 == 3 && escrow.pot(round) >= amount) escrow.burn(round, amount);
            else if (escrow.available(account) >= amount) {
                vm.prank(account);
                escrow.withdraw(amount);
            }
            uint256 sum = escrow.available(alice) + escrow.available(bob) + escrow.available(mallory);
            checkEq(sum + escrow.pot(0) + escrow.pot(1) + escrow.burnt(), escrow.held(), "sum");
            checkSolvent();
        }
    }

    // --- tokens that are not what they seem ---

    function test_a_token_with_a_fee_is_refused() public {
        token = new FeeToken();
        escrow = escrowOf(token);
        endow(alice, 1000);
        refuses(
            alice,
            abi.encodeCall(escrow.fund, (1000)),
            abi.encodeWithSelector(IEscrow.WrongAmountMoved.selector, 1000, 990)
        );
    }

    function test_a_token_that_takes_more_from_the_escrow_than_asked_is_refused() public {
        token = new SurchargeToken();
        escrow = escrowOf(token);
        endow(alice, 1010);
        vm.prank(alice);
        escrow.fund(1000);
        endow(bob, 1010);
        vm.prank(bob);
        escrow.fund(1000);
        // Alice's tokens must not leave with a surcharge out of Bob's.
        refuses(
            alice,
            abi.encodeCall(escrow.withdraw, (1000)),
            abi.encodeWithSelector(IEscrow.WrongAmountMoved.selector, 1000, 1010)
        );
    }

    function test_a_token_that_only_says_it_moved_is_refused() public {
        token = new LyingToken();
        escrow = escrowOf(token);
        endow(alice, 10);
        refuses(
            alice,
            abi.encodeCall(escrow.fund, (10)),
            abi.encodeWithSelector(IEscrow.WrongAmountMoved.selector, 10, 0)
        );
    }

    function test_a_token_that_says_no_is_heard() public {
        LyingToken liar = new LyingToken();
        (token, escrow) = (liar, escrowOf(liar));
        liar.setAnswer(false);
        endow(alice, 10);
        bytes memory reason = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, liar);
        refuses(alice, abi.encodeCall(escrow.fund, (10)), reason);
    }

    function test_a_token_without_permits_can_still_be_approved() public {
        token = TestToken(address(new Unpermitted()));
        escrow = escrowOf(token);
        endow(alice, 10);
        vm.prank(alice);
        escrow.fundWithPermit(10, 0, 0, 0, 0);
        checkEq(escrow.available(alice), 10, "available");
    }

    // --- a token that calls back ---

    function thief() private returns (Thief) {
        token = new CallbackToken();
        escrow = escrowOf(token);
        fund(bob, 100); // what there is to steal
        Thief thief_ = new Thief(escrow);
        token.mint(address(thief_), 10);
        return thief_;
    }

    function test_nothing_is_withdrawn_twice_by_a_call_back() public {
        Thief thief_ = thief();
        thief_.fund(10);
        thief_.plan(abi.encodeCall(escrow.withdraw, (10)));
        thief_.withdraw(10);
        checkEq(
            thief_.answered(),
            ReentrancyGuard.ReentrancyGuardReentrantCall.selector,
            "the answer to the call back"
        );
        checkEq(token.balanceOf(address(thief_)), 10, "its own");
        checkEq(escrow.held(), 100, "Bob's");
        checkSolvent();
    }

    function test_nothing_is_counted_twice_by_a_call_back() public {
        Thief thief_ = thief();
        thief_.plan(abi.encodeCall(escrow.fund, (5)));
        thief_.fund(5);
        checkEq(
            thief_.answered(),
            ReentrancyGuard.ReentrancyGuardReentrantCall.selector,
            "the answer to the call back"
        );
        checkEq(escrow.available(address(thief_)), 5, "counted once");
        checkSolvent();
    }
}

/// @notice A token without `permit`.
contract Unpermitted {
    mapping(address => uint256) public balanceOf;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function approve(address, uint256) external pure returns (bool) {
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}

/// @notice Tries something while its tokens move.
contract Thief {
    IEscrow private immutable escrow;
    bytes private planned;
    bytes4 public answered;

    constructor(IEscrow escrow_) {
        escrow = escrow_;
        escrow.token().approve(address(escrow), type(uint256).max);
    }

    function plan(bytes calldata question) external {
        planned = question;
    }

    function fund(uint96 amount) external {
        escrow.fund(amount);
    }

    function withdraw(uint96 amount) external {
        escrow.withdraw(amount);
    }

    function tokensMoved() external {
        if (planned.length == 0) return;
        (bool done, bytes memory answer) = address(escrow).call(planned);
        answered = done ? bytes4(0) : bytes4(answer);
    }
}
