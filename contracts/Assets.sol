// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ILicences} from "./ILicences.sol";

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
///      Nobody stands above the owners: no role, no pause, no upgrade.
contract Assets is ERC721 {
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
    ///      so it is not checked for code here; a publish with offers fails until it has code.
    ILicences public immutable licences;

    struct Record {
        uint8 kind;
        uint8 state;
        uint32 versions;
        uint64 createdAt;
        uint64 updatedAt;
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

    /// @notice The split of an asset that had none was fixed.
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

    /// @notice This deployment has no Licences, so a publish carries no offers.
    error NoLicences();

    /// @param licences_ The contract that records offers, or zero for none ever.
    constructor(ILicences licences_) ERC721("Usufruct Assets", "USUFRUCT") {
        licences = licences_;
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
        id = assetId(msg.sender, salt);
        require(_ownerOf(id) == address(0), AssetExists(id));
        _create(id, salt, kind, splitHash, parents, metadata, uri);
        _records[id].kind = kind;
        _records[id].createdAt = uint64(block.timestamp);
        _records[id].updatedAt = uint64(block.timestamp);
    }

    /// @notice Publish a version; registers the asset if it is new.
    /// @dev The call to Licences comes last, after all state is written.
    /// @param args See PublishArgs.
    /// @param offers Encoded offers for Licences, empty for none.
    /// @return version The number of this version, from 1.
    function publish(PublishArgs calldata args, bytes calldata offers)
        external
        returns (uint32 version)
    {
        require(args.root != 0, ZeroRoot());
        uint256 id = args.id;
        Record storage stored = _records[id];
        uint64 createdAt = uint64(block.timestamp);
        address owner = _ownerOf(id);
        if (owner == address(0)) {
            require(id == assetId(msg.sender, args.salt), UnknownAsset(id));
            _create(id, args.salt, args.kind, args.splitHash, args.parents, 0, args.uri[0:0]);
        } else {
            require(owner == msg.sender, NotAssetOwner(id, owner, msg.sender));
            uint8 state = stored.state;
            require(state <= ACTIVE, NotPublishable(id, state));
            _checkUnchanged(stored, args);
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
        if (offers.length != 0) {
            require(address(licences) != address(0), NoLicences());
            licences.setOffers(id, version, msg.sender, offers);
        }
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

    /// @dev What a later publish says again must agree with what is fixed.
    function _checkUnchanged(Record storage stored, PublishArgs calldata args) private {
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
