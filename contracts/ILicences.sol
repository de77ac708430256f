// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Terms under which an asset's owner sells one use of it.
/// @dev Thirteen static words, so that its hash is one keccak256 over them. An offer never changes:
///      it is its hash, and every call that needs a term carries the whole of it.
struct Offer {
    /// The asset.
    uint256 asset;
    /// download 0, compute 1, learn 2, call 3.
    uint8 use;
    /// In the token's smallest unit.
    uint128 price;
    /// An ERC-20, or zero for the chain's coin.
    address token;
    /// How many seconds a licence lasts, 0 for ever.
    uint32 period;
    /// How many uses a licence is good for, 0 for uncounted.
    uint32 uses;
    /// How many licences are sold, 0 for no limit.
    uint32 cap;
    /// For how many seconds a buyer may object, 0 for none.
    uint32 refundWindow;
    /// What is made from the asset owes it this part of its income, in millionths.
    uint32 royalty;
    /// Whether a licence may change hands.
    bool transferable;
    /// Merkle root of the addresses that may hold a licence, 0 for anyone.
    bytes32 allowRoot;
    /// SHA-256 of the terms' text, 0 for none.
    bytes32 terms;
    /// Tells apart offers that are otherwise the same.
    uint64 salt;
}

/// @notice Shows a licence on whose terms something was made from an asset.
struct Claim {
    uint64 serial;
    Offer offer;
}

/// @title What Assets and Splits need from the contract that sells rights to assets
/// @notice A version and the terms it is sold under go into one transaction, so that no version is
///         ever on the ledger without the terms its owner meant it to have.
interface ILicences {
    /// @notice Record the offers that come with a version.
    /// @dev Only Assets may call this; it has checked that `owner` owns `id`. `offers` is opaque to
    ///      Assets, so the encoding of offers can be settled without a new Assets.
    /// @param id The asset.
    /// @param version The version just published, from 1; 0 for a draft, which cannot be sold: then
    ///        there must be no offer.
    /// @param owner Who owns the asset and made this transaction.
    /// @param offers abi.encode(bytes split, Offer[] offers), never empty; `split` is for Splits.
    function setOffers(uint256 id, uint32 version, address owner, bytes calldata offers) external;

    /// @notice Look again at an asset's state, split and owner. Anyone may.
    /// @dev Assets calls it when one of them changes, because Licences keeps a copy: a change is
    ///      rare, a purchase is not.
    function sync(uint256 asset) external;

    /// @notice The highest royalty that any offer of the asset ever asked for, in millionths.
    function royaltyOf(uint256 asset) external view returns (uint32);

    /// @notice The asset and the royalty of a licence that `holder` made something under.
    /// @dev Reverts unless the licence is the holder's, good now, paid for good, and of a use that
    ///      lets one make something (not of calls).
    function claimRoyalty(Claim calldata claim, address holder)
        external
        view
        returns (uint256 asset, uint32 royalty);
}
