// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @notice Play money: anyone may mint any amount to anyone. For tests and devnets.
contract TestToken is ERC20Permit {
    constructor() ERC20("Test Token", "TEST") ERC20Permit("Test Token") {}

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }
}
