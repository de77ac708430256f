// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What Licences and Splits need from Assets
interface IAssets {
    /// @notice What a sale must know of an asset, in one call.
    /// @return state draft 0, active 1, retired 2, revoked 3.
    /// @return splitHash The hash of its split, 0 if it has none.
    /// @return owner Its owner if it has no split, else zero.
    function sale(uint256 id)
        external
        view
        returns (uint8 state, bytes32 splitHash, address owner);

    /// @notice Who owns the asset (ERC-721).
    function ownerOf(uint256 id) external view returns (address);

    /// @notice Let a successor take the place of an asset's split. Only Splits may.
    function setSplit(uint256 id, bytes32 splitHash) external;
}
