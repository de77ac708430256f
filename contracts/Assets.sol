// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {IAssets} from "./IAssets.sol";
import {ILicences} from "./ILicences.sol";
import {ISplits} from "./ISplits.sol";

/// @title Assets: what a party owns and others use
/// @notice Datasets, algorithms, models, services and schemas as ERC-721 tokens with versions, a
///         state, declared parents and the hash of the split of their income.
/// @dev Reasons, in the order a reader may ask:
///
///      The id of an asset is keccak256(first owner ++ salt). It is known before registration, so a
///      signed statement can name the asset it is about, and nobody else can take it.
///
///      Storage holds what another contract must be able to check: owner, kind, state, number of
///      versions, latest root, and hashes of split and parents. The rest is in events, which suffice
///      to rebuild all of it: a draft becomes active with its first VersionPublished, and every
///      other change has an event of its own.
///
///      Parents are fixed at registration and must exist by then, so lineage has no cycles. Their
///      list is in AssetRegistered; storage keeps keccak256 of it, against which a contract checks a
///      list handed to it. A parent that is revoked later stays a parent.
///
///      tokenURI answers the empty string: URIs are in events only, because storing one would cost
///      22,100 gas a word on each publish, and a URI made from the root would resolve nowhere.
///
///      Tokens are minted without the receiver hook: the receiver is the caller, who knows what it
///      did, and so no foreign code runs in the middle of a registration.
///
///      Income is the business of two other contracts, fixed at deployment. Splits is shown every
///      split before it holds, and every list of parents, because parents may be owed a part.
///      Licences is given the offers. Either is zero in a deployment without a market, and then a
///      split is a hash that nobody checks.
///
///      Nobody stands above the owners: no role, no pause, no upgrade. Splits may replace a split,
///      and only as its payees agreed.
contract Assets is ERC721, IAssets {
    /// @dev Order as in `usufruct.types.AssetState`.
    uint8 private constant DRAFT = 0;
    uint8 private constant ACTIVE = 1;
    uint8 private constant RETIRED = 2;
    uint8 private constant REVOKED = 3;

    /// @notice The highest kind: dataset 0, algorithm 1, model 2, service 3, schema 4.
    uint8 public constant LAST_KIND = 4;

    /// @notice The most parents an asset may declare.
    uint256 public constant MAX_PARENTS = 32;

    /// @notice The most bytes a URI may have.
    uint256 public constant MAX_URI = 1024;

    /// @notice The contract that records offers, zero if this deployment has none.
    /// @dev May be an address whose contract is deployed after this one (the two know each other),
    ///      so it is not checked for code here; until it has code, offers, transfers and changes of
    ///      state fail.
    ILicences public immutable licences;

    /// @notice The contract that checks and pays out splits, zero if this deployment has none.
    /// @dev Not checked for code, as `licences`.
    ISplits public immutable splits;

    struct Record {
        uint8 kind;
        uint8 state;
        uint32 versions;
        uint64 createdAt;
        uint64 updatedAt;
        bool hasSplit;
        bytes32 latestRoot;
        bytes32 splitHash;
        bytes32 parentsHash;
    }

    /// @notice An asset as it stands; all zeros if there is none.
    struct Asset {
        address owner;
        uint8 kind;
        uint8 state;
        uint32 versions;
        uint64 createdAt;
        uint64 updatedAt;
        bytes32 latestRoot;
        bytes32 splitHash;
        bytes32 parentsHash;
    }

    /// @notice What `publish` takes.
    /// @dev For an asset that exists `salt` is not read, `kind` must be its kind, `splitHash` zero
    ///      or its split, and `parents` empty or its parents.
    struct PublishArgs {
        uint256 id;
        bytes16 salt;
        uint8 kind;
        bytes32 root;
        bytes32 metadata;
        bytes32 splitHash;
        uint256[] parents;
        string uri;
    }

    mapping(uint256 id => Record) private _records;

    /// @notice An asset came into being, as a draft.
    /// @dev `metadata` and `uri` are the draft's; zero and empty when VersionPublished follows in
    ///      the same transaction and has them.
    event AssetRegistered(
        uint256 indexed id,
        address indexed owner,
        bytes16 salt,
        uint8 kind,
        bytes32 splitHash,
        bytes32 metadata,
        uint256[] parents,
        string uri
    );

    /// @notice A version was published; the first one makes the asset active.
    event VersionPublished(
        uint256 indexed id, uint32 version, bytes32 root, bytes32 metadata, string uri
    );

    /// @notice The split of an asset that had none was fixed, or a successor took its place.
    event SplitFixed(uint256 indexed id, bytes32 splitHash);

    /// @notice The owner changed the asset's state.
    event StateChanged(uint256 indexed id, uint8 state);

    /// @notice There is no such asset, and the caller and salt do not make this id.
    error UnknownAsset(uint256 id);

    /// @notice The asset was registered before.
    error AssetExists(uint256 id);

    /// @notice The caller does not own the asset.
    error NotAssetOwner(uint256 id, address owner, address caller);

    /// @notice No such kind of asset.
    error UnknownKind(uint8 kind);

    /// @notice The asset is of another kind, which never changes.
    error KindDiffers(uint256 id, uint8 kind);

    /// @notice The asset's parents are others, and never change.
    error ParentsDiffer(uint256 id);

    /// @notice The asset's split is another, and is fixed once set.
    error SplitDiffers(uint256 id, bytes32 splitHash);

    /// @notice More parents than allowed.
    error TooManyParents(uint256 count, uint256 limit);

    /// @notice Parents must be in ascending order, each once.
    error ParentsNotAscending(uint256 parent);

    /// @notice A parent is not registered.
    error UnknownParent(uint256 parent);

    /// @notice A parent is revoked.
    error RevokedParent(uint256 parent);

    /// @notice A content root is never zero.
    error ZeroRoot();

    /// @notice The URI is longer than `limit` bytes.
    error UriTooLong(uint256 length, uint256 limit);

    /// @notice A retired or revoked asset takes no new version.
    error NotPublishable(uint256 id, uint8 state);

    /// @notice The state does not lead to that one.
    error IllegalTransition(uint256 id, uint8 from, uint8 to);

    /// @notice This deployment has no Licences, so nothing carries terms.
    error NoLicences();

    /// @notice Only Splits may do this.
    error NotSplits(address caller);

    /// @param licences_ The contract that records offers, or zero for none ever.
    /// @param splits_ The contract that checks and pays out splits, or zero for none ever.
    constructor(ILicences licences_, ISplits splits_) ERC721("Usufruct Assets", "USUFRUCT") {
        licences = licences_;
        splits = splits_;
    }

    /// @notice Register a draft: an asset that has no version yet.
    /// @dev Lets a party name parents and split before the work, so that they can refuse.
    /// @param salt Makes the id together with the caller's address.
    /// @param kind What the asset is.
    /// @param splitHash Hash of payees and shares, zero to leave it open.
    /// @param parents Ids of what it is made from, ascending, at most 32, none revoked.
    /// @param metadata Digest of the description.
    /// @param uri Where the description is found.
    /// @return id The asset's id.
    function register(
        bytes16 salt,
        uint8 kind,
        bytes32 splitHash,
        uint256[] calldata parents,
        bytes32 metadata,
        string calldata uri
    ) external returns (uint256 id) {
        return _register(salt, kind, splitHash, parents, metadata, uri, msg.data[0:0]);
    }

    /// @notice Register a draft whose split must be shown, or whose parents are owed a part.
    /// @param terms As the offers of `publish`, with no offer in it: a draft is not sold.
    function register(
        bytes16 salt,
        uint8 kind,
        bytes32 splitHash,
        uint256[] calldata parents,
        bytes32 metadata,
        string calldata uri,
        bytes calldata terms
    ) external returns (uint256 id) {
        return _register(salt, kind, splitHash, parents, metadata, uri, terms);
    }

    /// @notice Publish a version; registers the asset if it is new.
    /// @dev The calls to Splits and Licences come last, after all state is written. Whatever they
    ///      refuse undoes the publish.
    /// @param args See PublishArgs.
    /// @param offers Empty, or abi.encode(bytes split, Offer[] offers): the split to show to Splits
    ///        with claims on parents, and what Licences sells. See ISplits and ILicences.
    /// @return version The number of this version, from 1.
    function publish(PublishArgs calldata args, bytes calldata offers)
        external
        returns (uint32 version)
    {
        bool opens;
        uint256 parents;
        (version, opens, parents) = _publish(args);
        // A split fixed later is checked by itself: royalties were settled at registration.
        if (opens) {
            _open(args.id, args.splitHash, args.parents[0:parents], offers);
            if (version > 1) _sync(args.id);
        }
        if (offers.length != 0) _offer(args.id, version, offers);
    }

    /// @notice Retire an asset, bring it back, or revoke it for good.
    /// @dev active <-> retired, and anything but revoked -> revoked. A draft becomes active by its
    ///      first version alone. Revoking stops no copy: it tells whoever looks.
    function setState(uint256 id, uint8 state) external {
        address owner = _ownerOf(id);
        require(owner != address(0), UnknownAsset(id));
        require(owner == msg.sender, NotAssetOwner(id, owner, msg.sender));
        uint8 from = _records[id].state;
        bool legal = (state == REVOKED && from != REVOKED) || (state == RETIRED && from == ACTIVE)
            || (state == ACTIVE && from == RETIRED);
        require(legal, IllegalTransition(id, from, state));
        _records[id].state = state;
        _records[id].updatedAt = uint64(block.timestamp);
        emit StateChanged(id, state);
        _sync(id);
    }

    /// @notice Give an asset that has no split its first one, without a new version.
    /// @dev All income was the owner's, so nobody else has to agree. Royalties of parents were settled
    ///      at registration.
    /// @param terms abi.encode(bytes split, Offer[] offers) with no offers; see ISplits.
    function fixSplit(uint256 id, bytes32 splitHash, bytes calldata terms) external {
        address owner = _ownerOf(id);
        require(owner != address(0), UnknownAsset(id));
        require(owner == msg.sender, NotAssetOwner(id, owner, msg.sender));
        Record storage stored = _records[id];
        bytes32 present = stored.splitHash;
        require(present == 0 && splitHash != 0, SplitDiffers(id, present));
        stored.splitHash = splitHash;
        stored.hasSplit = true;
        emit SplitFixed(id, splitHash);
        if (address(splits) != address(0)) {
            splits.opened(id, msg.sender, splitHash, new uint256[](0), terms);
        }
        _sync(id);
    }

    /// @notice Let a successor take the place of an asset's split. Only Splits may.
    /// @dev Splits has checked that every payee who loses by it agreed.
    function setSplit(uint256 id, bytes32 splitHash) external {
        require(msg.sender == address(splits), NotSplits(msg.sender));
        _records[id].splitHash = splitHash;
        emit SplitFixed(id, splitHash);
        _sync(id);
    }

    /// @inheritdoc IAssets
    /// @dev Two reads of storage. No time of creation, no asset.
    function sale(uint256 id)
        external
        view
        returns (uint8 state, bytes32 splitHash, address owner)
    {
        Record storage stored = _records[id];
        require(stored.createdAt != 0, UnknownAsset(id));
        state = stored.state;
        if (stored.hasSplit) splitHash = stored.splitHash;
        else owner = _ownerOf(id);
    }

    /// @inheritdoc IAssets
    function ownerOf(uint256 id) public view override(ERC721, IAssets) returns (address) {
        return super.ownerOf(id);
    }

    /// @notice The asset as it stands; all zeros if there is none.
    function asset(uint256 id) external view returns (Asset memory) {
        Record storage stored = _records[id];
        return Asset(
            _ownerOf(id),
            stored.kind,
            stored.state,
            stored.versions,
            stored.createdAt,
            stored.updatedAt,
            stored.latestRoot,
            stored.splitHash,
            stored.parentsHash
        );
    }

    /// @notice How many versions the asset has; 0 for a draft or no asset.
    function versionCount(uint256 id) external view returns (uint32) {
        return _records[id].versions;
    }

    /// @notice The content root of the last version; zero for a draft or no asset.
    function latestRoot(uint256 id) external view returns (bytes32) {
        return _records[id].latestRoot;
    }

    /// @notice The id of the asset that `owner` registers with `salt`.
    function assetId(address owner, bytes16 salt) public pure returns (uint256) {
        return uint256(keccak256(abi.encodePacked(owner, salt)));
    }

    function _register(
        bytes16 salt,
        uint8 kind,
        bytes32 splitHash,
        uint256[] calldata parents,
        bytes32 metadata,
        string calldata uri,
        bytes calldata terms
    ) private returns (uint256 id) {
        id = assetId(msg.sender, salt);
        require(_ownerOf(id) == address(0), AssetExists(id));
        _create(id, salt, kind, splitHash, parents, metadata, uri);
        Record storage stored = _records[id];
        stored.kind = kind;
        stored.hasSplit = splitHash != 0;
        stored.createdAt = uint64(block.timestamp);
        stored.updatedAt = uint64(block.timestamp);
        if (splitHash != 0 || parents.length != 0) _open(id, splitHash, parents, terms);
        if (terms.length != 0) _offer(id, 0, terms);
    }

    /// @dev All of a publish but the calls to other contracts. Returns too whether there is something
    ///      to show to Splits, and how many parents.
    function _publish(PublishArgs calldata args)
        private
        returns (uint32 version, bool opens, uint256 parents)
    {
        require(args.root != 0, ZeroRoot());
        uint256 id = args.id;
        Record storage stored = _records[id];
        uint64 createdAt = uint64(block.timestamp);
        address owner = _ownerOf(id);
        if (owner == address(0)) {
            require(id == assetId(msg.sender, args.salt), UnknownAsset(id));
            _create(id, args.salt, args.kind, args.splitHash, args.parents, 0, args.uri[0:0]);
            stored.hasSplit = args.splitHash != 0;
            parents = args.parents.length;
            opens = parents != 0 || args.splitHash != 0;
        } else {
            require(owner == msg.sender, NotAssetOwner(id, owner, msg.sender));
            uint8 state = stored.state;
            require(state <= ACTIVE, NotPublishable(id, state));
            opens = _checkUnchanged(stored, args);
            version = stored.versions;
            createdAt = stored.createdAt;
        }
        ++version;
        _checkUri(args.uri);
        stored.kind = args.kind;
        stored.state = ACTIVE;
        stored.versions = version;
        stored.createdAt = createdAt;
        stored.updatedAt = uint64(block.timestamp);
        stored.latestRoot = args.root;
        emit VersionPublished(id, version, args.root, args.metadata, args.uri);
    }

    /// @dev Shows Splits the split and the parents.
    function _open(
        uint256 id,
        bytes32 splitHash,
        uint256[] calldata parents,
        bytes calldata terms
    ) private {
        if (address(splits) != address(0)) {
            splits.opened(id, msg.sender, splitHash, parents, terms);
        }
    }

    /// @dev Gives Licences the offers; version 0 is a draft, for which it takes none.
    function _offer(uint256 id, uint32 version, bytes calldata offers) private {
        require(address(licences) != address(0), NoLicences());
        licences.setOffers(id, version, msg.sender, offers);
    }

    /// @dev Tells Licences that owner, state or split of an asset changed.
    function _sync(uint256 id) private {
        if (address(licences) != address(0)) licences.sync(id);
    }

    /// @dev Licences must know a new owner, to whom income goes if there is no split.
    function _update(address to, uint256 id, address auth)
        internal
        override
        returns (address from)
    {
        from = super._update(to, id, auth);
        if (from != address(0)) _sync(id);
    }

    /// @dev Checks what is fixed at registration, mints, and says so. The caller writes the word
    ///      that holds kind, state and times, once.
    function _create(
        uint256 id,
        bytes16 salt,
        uint8 kind,
        bytes32 splitHash,
        uint256[] calldata parents,
        bytes32 metadata,
        string calldata uri
    ) private {
        require(kind <= LAST_KIND, UnknownKind(kind));
        _checkUri(uri);
        _checkParents(parents);
        if (splitHash != 0) _records[id].splitHash = splitHash;
        if (parents.length != 0) _records[id].parentsHash = keccak256(abi.encodePacked(parents));
        _mint(msg.sender, id);
        emit AssetRegistered(id, msg.sender, salt, kind, splitHash, metadata, parents, uri);
    }

    /// @dev Ascending order makes "each once" one comparison a parent, and one list one hash.
    function _checkParents(uint256[] calldata parents) private view {
        uint256 count = parents.length;
        require(count <= MAX_PARENTS, TooManyParents(count, MAX_PARENTS));
        uint256 last;
        for (uint256 i; i < count; ++i) {
            uint256 parent = parents[i];
            require(i == 0 || parent > last, ParentsNotAscending(parent));
            require(_ownerOf(parent) != address(0), UnknownParent(parent));
            require(_records[parent].state != REVOKED, RevokedParent(parent));
            last = parent;
        }
    }

    /// @dev What a later publish says again must agree with what is fixed. Returns whether this one
    ///      fixes the split.
    function _checkUnchanged(Record storage stored, PublishArgs calldata args)
        private
        returns (bool fixes)
    {
        uint8 kind = stored.kind;
        require(args.kind == kind, KindDiffers(args.id, kind));
        if (args.parents.length != 0) {
            require(
                keccak256(abi.encodePacked(args.parents)) == stored.parentsHash,
                ParentsDiffer(args.id)
            );
        }
        if (args.splitHash != 0) {
            bytes32 splitHash = stored.splitHash;
            if (splitHash == 0) {
                fixes = true;
                stored.hasSplit = true;
                stored.splitHash = args.splitHash;
                emit SplitFixed(args.id, args.splitHash);
            } else {
                require(args.splitHash == splitHash, SplitDiffers(args.id, splitHash));
            }
        }
    }

    function _checkUri(string calldata uri) private pure {
        uint256 length = bytes(uri).length;
        require(length <= MAX_URI, UriTooLong(length, MAX_URI));
    }
}
