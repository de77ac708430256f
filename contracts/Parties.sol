// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Parties: the keys an account speaks with off the ledger
/// @notice An account publishes its Ed25519 signing key, its X25519 encryption key and the address
///         of its node. Only the account itself can write its entry.
/// @dev Name and node stand in the event alone: no contract reads them, and a word of storage costs
///      about eighty times a word of log. A name is what a party calls itself. It is not unique and
///      proves nothing: who compares parties compares addresses.
///      Known and accepted: the ledger does not check that the account holds the private keys. Who
///      publishes another's key gains nothing, because statements are bound to the address too.
contract Parties {
    /// @notice The most bytes a name may have.
    uint256 public constant MAX_NAME = 128;

    /// @notice The most bytes a node address may have.
    uint256 public constant MAX_NODE = 512;

    struct Keys {
        bytes32 signingKey;
        bytes32 encryptionKey;
        uint64 updatedAt;
    }

    /// @notice The keys of each party and when they were last written; zeros for an unknown account.
    mapping(address party => Keys) public keys;

    /// @notice A party registered, or replaced its entry as a whole.
    event PartyRegistered(
        address indexed party, bytes32 signingKey, bytes32 encryptionKey, string name, string node
    );

    /// @notice A key is all zeros.
    error ZeroKey();

    /// @notice The name is empty or longer than `limit` bytes.
    error BadName(uint256 length, uint256 limit);

    /// @notice The node address is longer than `limit` bytes.
    error NodeTooLong(uint256 length, uint256 limit);

    /// @notice Write the caller's entry, the first time or anew.
    /// @dev Replaces the whole entry, so that the last event alone tells a party's state. Older keys
    ///      stay in older events: what was signed with them keeps its proof.
    /// @param signingKey The Ed25519 public key.
    /// @param encryptionKey The X25519 public key.
    /// @param name What the party calls itself, 1 to 128 bytes of UTF-8.
    /// @param node Where its node answers, empty if it has none.
    function register(
        bytes32 signingKey,
        bytes32 encryptionKey,
        string calldata name,
        string calldata node
    ) external {
        require(signingKey != 0 && encryptionKey != 0, ZeroKey());
        uint256 length = bytes(name).length;
        require(length != 0 && length <= MAX_NAME, BadName(length, MAX_NAME));
        length = bytes(node).length;
        require(length <= MAX_NODE, NodeTooLong(length, MAX_NODE));
        keys[msg.sender] = Keys(signingKey, encryptionKey, uint64(block.timestamp));
        emit PartyRegistered(msg.sender, signingKey, encryptionKey, name, node);
    }
}
