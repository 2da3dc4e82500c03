// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What halmos offers at this address, beside the cheatcodes of `Vm`.
interface Svm {
    /// @return Any call's data: each function that `contractName` has, with any arguments.
    function createCalldata(string calldata contractName) external pure returns (bytes memory);
}

Svm constant svm = Svm(address(uint160(uint256(keccak256("svm cheat code")))));
