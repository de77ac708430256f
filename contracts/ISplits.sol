// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Who gets which part of an asset's income.
/// @dev On the ledger stands only its hash, keccak256(abi.encode(asset, version, payees, shares)).
struct Split {
    /// The asset.
    uint256 asset;
    /// From 1; a successor has the next number.
    uint32 version;
    /// 1 to 64 addresses, ascending, none zero; the wallet of another split is one like any other.
    address[] payees;
    /// Millionths, each above 0, 1,000,000 together.
    uint32[] shares;
}

/// @title What Assets needs from the contract that divides income
interface ISplits {
    /// @notice Check the split an asset begins with and the royalties it owes its parents.
    /// @dev Only Assets may call this, once all of the asset's own state is written.
    /// @param id The asset.
    /// @param owner Who registers it, or fixes its split.
    /// @param splitHash The hash of its split, 0 for none yet.
    /// @param parents What it is made from; empty if the split is fixed later, because royalties
    ///        were checked at registration.
    /// @param terms Empty or abi.encode(bytes split, Offer[] offers), of which `split` is empty or
    ///        abi.encode(Split split, Claim[] claims).
    function opened(
        uint256 id,
        address owner,
        bytes32 splitHash,
        uint256[] calldata parents,
        bytes calldata terms
    ) external;
}
