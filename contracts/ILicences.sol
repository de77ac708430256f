// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What Assets needs from the contract that sells rights to assets
/// @notice A version and the terms it is sold under go into one transaction, so that no version is
///         ever on the ledger without the terms its owner meant it to have.
interface ILicences {
    /// @notice Record the offers that come with a version.
    /// @dev Only Assets may call this; it has checked that `owner` owns `id`. `offers` is opaque to
    ///      Assets, so the encoding of offers can be settled without a new Assets.
    /// @param id The asset.
    /// @param version The version just published, from 1.
    /// @param owner Who owns the asset and made this transaction.
    /// @param offers The encoded offers, never empty.
    function setOffers(uint256 id, uint32 version, address owner, bytes calldata offers) external;
}
