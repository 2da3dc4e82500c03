// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IMarket} from "../../contracts/IMarket.sol";
import {vm} from "./Vm.sol";

/// @notice `TestToken`, as its users see it.
interface IPlayMoney is IERC20 {
    function mint(address account, uint256 amount) external;
}

/// @notice Contracts as Hardhat has built them for themselves: byte for byte what is packaged in market_node/abi. A test that
///         says `new Market` would compile the whole market again, as a part of itself.
library Deploy {
    error NotDeployed(string name);

    function token() internal returns (IPlayMoney) {
        return IPlayMoney(built("TestToken.sol:TestToken", ""));
    }

    function market(IERC20 token_, uint32 minPhase) internal returns (IMarket) {
        return IMarket(built("Market.sol:Market", abi.encode(token_, minPhase)));
    }

    function built(string memory name, bytes memory arguments) internal returns (address deployed) {
        bytes memory code = bytes.concat(vm.getCode(name), arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        if (deployed == address(0)) revert NotDeployed(name);
    }
}
