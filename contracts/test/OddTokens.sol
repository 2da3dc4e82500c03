// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TestToken} from "./TestToken.sol";

/// @notice Keeps a hundredth of every transfer.
contract FeeToken is TestToken {
    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = from == address(0) ? 0 : amount / 100;
        super._update(from, to, amount - fee);
        if (fee != 0) super._update(from, address(0), fee);
    }
}

/// @notice Takes a hundredth more from the sender than it is asked to.
contract SurchargeToken is TestToken {
    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from != address(0)) super._update(from, address(0), amount / 100);
    }
}

/// @notice Says true and moves nothing, or says false, as it is told.
contract LyingToken is TestToken {
    bool public answer = true;

    function setAnswer(bool answer_) external {
        answer = answer_;
    }

    function transfer(address, uint256) public view override returns (bool) {
        return answer;
    }

    function transferFrom(address, address, uint256) public view override returns (bool) {
        return answer;
    }
}

/// @notice Takes from whom it likes, as a token does that shrinks all balances, or whose issuer can.
contract ShrinkingToken is TestToken {
    function shrink(address account, uint256 amount) external {
        _burn(account, amount);
    }
}

/// @notice Calls the recipient or sender back during a transfer, as ERC-777 does.
contract CallbackToken is TestToken {
    function _update(address from, address to, uint256 amount) internal override {
        _callBack(from);
        super._update(from, to, amount);
        _callBack(to);
    }

    function _callBack(address account) private {
        if (account.code.length == 0 || account == msg.sender) return;
        (bool done, ) = account.call(abi.encodeWithSignature("tokensMoved()"));
        done; // an account without the function wants no call
    }
}

/// @notice An account that, whenever tokens move to or from it, makes the call that it was given beforehand.
contract Thief {
    address private _target;
    bytes private _next;
    bool public called;
    bytes public answer; // what the call returned, or why it was refused

    function arm(address target, bytes calldata next) external {
        (_target, _next) = (target, next);
    }

    /// @notice Makes a call in its own name.
    function act(address target, bytes calldata data) external {
        (bool done, bytes memory reason) = target.call(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }

    function tokensMoved() external {
        if (_target == address(0)) return;
        address target = _target;
        _target = address(0); // once
        called = true;
        (, answer) = target.call(_next);
    }
}
