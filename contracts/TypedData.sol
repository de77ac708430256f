// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @title EIP-712 digests under the domain (name, version "1", this chain, this contract)
/// @dev The separator is made anew each time, some 400 gas: it needs no immutables, so the code of a
///      contract does not depend on where it stands, and a fork of the chain is another domain.
abstract contract TypedData {
    bytes32 private constant DOMAIN = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );
    bytes32 private constant VERSION = keccak256("1");

    /// @notice The domain that signatures for this contract are made under.
    function DOMAIN_SEPARATOR() public view virtual returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, _domainName(), VERSION, block.chainid, address(this)));
    }

    /// @dev What is signed for a struct with this hash.
    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(DOMAIN_SEPARATOR(), structHash);
    }

    /// @dev keccak256 of the domain's name.
    function _domainName() internal pure virtual returns (bytes32);
}
